"""The stores of image_processor in memory: they police the contract of the real ones, and fail where they are told to.

They are held to the real engine by tests/adapters/test_image_stores.py.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any, cast

from weaudit.adapters.evidence_bucket import EvidenceBucket
from weaudit.adapters.image_table import ImageTable
from weaudit.adapters.pipeline_configuration import PipelineConfiguration
from weaudit.adapters.renditions_bucket import RenditionsBucket
from weaudit.adapters.source_objects import SourceObjects
from weaudit.adapters.transport import Answer
from weaudit.domain.image_pipelines import Pipeline
from weaudit.errors import (
    ConditionNotMetError,
    ImageRejectedError,
    RecordRejectedError,
    StoreRefusedError,
    StoreUnavailableError,
)
from weaudit.handlers import image_processor
from weaudit.imaging import working
from weaudit.imaging.working import Limits, Rendition, Worked
from weaudit.runtime.event import Invocation

BUCKET, RENDITIONS, EVIDENCE = "uploads", "renditions", "evidence"
TIME = "2024-01-01T00:00:00.000Z"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"
INVOCATION = Invocation("image_processor", "r-1", lambda: 90_000)
_ITEM_BYTES = 400 * 1024


def _no_fault(_call: int, _operation: str) -> str:
    return ""


class PolicingTables:
    """GetItem, BatchGetItem and PutItem of DynamoDB over Images and Configuration.

    ``fault`` is asked before every write: "" lets it through, "unpersisted" fails it before and "unanswered" after it.
    """

    def __init__(self, fault: Callable[[int, str], str] = _no_fault) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.configuration: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.down = False
        self.fault = fault

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        if self.down:
            raise StoreUnavailableError("throttled")
        if operation == "BatchGetItem":
            ((table, asked),) = body["RequestItems"].items()
            assert table == "Configuration"
            assert asked["ConsistentRead"]
            keys = [key["key"]["S"] for key in asked["Keys"]]
            assert len(set(keys)) == len(keys), "DynamoDB refuses a key that stands twice"
            return {"Responses": {table: [self.configuration[key] for key in keys if key in self.configuration]}}
        assert body["TableName"] == "Images"
        if operation == "GetItem":
            assert body["ConsistentRead"], "a stale row would be processed again"
            row = self.rows.get(body["Key"]["imageKey"]["S"])
            return {"Item": row} if row else {}
        assert operation == "PutItem"
        return self._put(body)

    def _put(self, body: dict[str, Any]) -> dict[str, Any]:
        row, values = body["Item"], body["ExpressionAttributeValues"]
        fault = self.fault(len(self.calls), "PutItem")
        if fault == "unpersisted":
            raise StoreUnavailableError("throttled")
        if len(json.dumps(row)) > _ITEM_BYTES:
            raise RecordRejectedError("Item size has exceeded the maximum allowed size")
        condition = "attribute_not_exists(imageKey) OR sequencer < :sequencer"
        again = condition + " OR (sequencer = :sequencer AND pipelineVersion <> :version)"
        assert body["ConditionExpression"] in (condition, again)
        assert set(values) == {name for name in (":sequencer", ":version") if name in body["ConditionExpression"]}
        there = self.rows.get(row["imageKey"]["S"])
        holds = there is None or there["sequencer"]["S"] < values[":sequencer"]["S"]
        if there is not None and body["ConditionExpression"] == again:
            same = there["sequencer"] == values[":sequencer"]
            holds = holds or (same and there["pipelineVersion"] != values[":version"])
        if not holds:
            raise ConditionNotMetError("PutItem: ConditionalCheckFailedException")
        self.rows[row["imageKey"]["S"]] = row
        if fault == "unanswered":
            raise StoreUnavailableError("connection lost")
        return {}


class PolicingBuckets:
    """GetObject and PutObject of S3 over the three buckets that the function knows."""

    def __init__(self, fault: Callable[[int, str], str] = _no_fault) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.types: dict[tuple[str, str], str] = {}
        self.encodings: dict[tuple[str, str], str] = {}
        self.reads: list[tuple[str, int]] = []
        self.writes: list[tuple[str, str]] = []
        self.fault = fault

    def read_object(self, bucket: str, key: str, *, etag: str = "", span: str = "") -> Answer:
        found = self.objects.get((bucket, key))
        if found is None:
            raise StoreRefusedError("GetObject: NoSuchKey", aws_code="NoSuchKey", status=404)
        if etag and etag != etag_of(found):
            raise StoreRefusedError("GetObject: PreconditionFailed", aws_code="PreconditionFailed", status=412)
        headers = {"etag": f'"{etag_of(found)}"', "content-type": self.types.get((bucket, key), "")}
        if encoding := self.encodings.get((bucket, key)):
            headers["content-encoding"] = encoding
        if span:
            first, _, last = span.partition("-")
            if int(first) >= len(found):
                raise StoreRefusedError("GetObject: InvalidRange", aws_code="InvalidRange", status=416)
            headers["content-range"] = f"bytes {first}-x/{len(found)}"
            found = found[int(first) : int(last) + 1 if last else None]
        self.reads.append((key, len(found)))
        return Answer(206 if span else 200, headers, found)

    def get_object(self, bucket: str, key: str) -> bytes:
        return self.read_object(bucket, key).body

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        assert bucket in (RENDITIONS, EVIDENCE), "no output is ever an input"
        assert len(key.encode()) <= 1024, "an S3 key holds at most 1,024 bytes"
        assert content_type
        fault = self.fault(len(self.writes), "PutObject")
        self.writes.append((bucket, key))
        if fault == "unpersisted":
            raise StoreUnavailableError("slow down")
        self.objects[bucket, key] = body
        if fault == "unanswered":
            raise StoreUnavailableError("connection lost")

    def kept(self, bucket: str = RENDITIONS) -> dict[str, bytes]:
        return {key: body for (where, key), body in self.objects.items() if where == bucket}


def etag_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def stand_in(source: bytes, pipeline: Pipeline, limits: Limits) -> Worked:
    """Work as imaging does, without pixels: the same bytes and pipeline give the same."""
    if source.endswith(b"corrupt"):
        raise ImageRejectedError("Corrupt", "it ends too early")
    return Worked(
        format="png",
        width=640,
        height=480,
        pages=1,
        bands=3,
        colour_space="srgb",
        has_alpha=False,
        bit_depth=8,
        algorithms={"dhash": hashlib.sha256(source).hexdigest()[:16]},
        renditions=[
            Rendition(plan.name, plan.format, plan.width or 640, plan.height or 480, source + plan.name.encode())
            for plan in pipeline.renditions
        ],
        warnings=[],
        timings={"measure": 1.0, "render": 2.0},
    )


class Bench:
    """The function with its stores in memory; ``environment`` begins another execution environment of it."""

    def __init__(self, fault: Callable[[int, str], str] = _no_fault, work: Any = stand_in) -> None:
        self.tables, self.buckets = PolicingTables(fault), PolicingBuckets(fault)
        self.now = 0.0
        self.limits = working.Limits()
        self.work = work
        self.environment()

    def environment(self) -> None:
        s3 = cast(Any, self.buckets)
        renditions = RenditionsBucket(s3, RENDITIONS)
        self.stores = {
            "images": ImageTable(self.tables.call, "Images"),
            "sources": SourceObjects(s3),
            "renditions": renditions,
            "pipelines": PipelineConfiguration(
                self.tables.call,
                "Configuration",
                renditions,
                actor_attribute="updatedBy",
                ttl_s=60.0,
                clock=lambda: self.now,
            ),
            "evidence": EvidenceBucket(s3, EVIDENCE),
            "limits": self.limits,
            "work": self.work,
            "now_s": lambda: 0.0,
        }

    def upload(self, key: str, content: bytes, content_type: str = "binary/octet-stream", encoding: str = "") -> None:
        self.buckets.objects[BUCKET, key] = content
        self.buckets.types[BUCKET, key] = content_type
        self.buckets.encodings[BUCKET, key] = encoding

    def configure(self, **attributes: Any) -> None:
        self.tables.configuration["IMAGE_PIPELINE"] = {"key": {"S": "IMAGE_PIPELINE"}, **attributes}

    def deliver(self, *events: Any) -> list[dict[str, Any]]:
        """Deliver events in one batch, each in the envelope of the queue; return what the function says of each."""
        records = [{"eventSource": "aws:sqs", "messageId": "m", "body": json.dumps(event)} for event in events]
        answer, _fields = image_processor.handle({"Records": records}, INVOCATION, **cast(Any, self.stores))
        return list(answer["images"])

    @property
    def state(self) -> str:
        """Everything that was kept, as one text."""
        objects = {f"{bucket}/{key}": body.hex() for (bucket, key), body in self.buckets.objects.items()}
        return json.dumps([self.tables.rows, objects], sort_keys=True)


def created(key: str, content: bytes, sequencer: str, **changes: Any) -> dict[str, Any]:
    """Return the event that S3 sends by EventBridge."""
    found = {"key": key, "size": len(content), "etag": etag_of(content), "sequencer": sequencer, **changes}
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2024-01-01T00:00:00Z",
        "region": "eu-west-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": found,
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    }


def wish(key: str, version: str, size: int = 1) -> dict[str, Any]:
    """Return what `weaudit reprocess` asks for."""
    return {
        "source": "weaudit",
        "detail-type": "Image Reprocessing",
        "time": "2024-02-01T00:00:00Z",
        "detail": {"bucket": {"name": BUCKET}, "object": {"key": key, "size": size}, "pipeline-version": version},
    }


def one_rendition(name: str = "small") -> dict[str, Any]:
    """Return the attribute of a pipeline with one rendition."""
    return {"renditions": {"L": [{"M": {"name": {"S": name}, "width": {"N": "320"}}}]}}

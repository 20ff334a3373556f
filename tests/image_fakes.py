"""The stores of image_processor in memory: they police the contract of the real ones, and fail where they are told to.

They are held to the real engine by tests/images/test_stores.py.
"""

import hashlib
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from weaudit.aws.transport import Answer
from weaudit.errors import (
    ConditionNotMetError,
    ImageRejectedError,
    RecordRejectedError,
    StoreRefusedError,
    StoreUnavailableError,
)
from weaudit.evidence import EvidenceBucket
from weaudit.handlers import image_processor
from weaudit.images.configuration import PipelineConfiguration
from weaudit.images.pipeline import Pipeline
from weaudit.images.pixels import working
from weaudit.images.pixels.working import Limits, Rendition, Worked
from weaudit.images.store import ImageTable
from weaudit.images.store_renditions import RenditionsBucket
from weaudit.images.store_sources import SourceObjects
from weaudit.runtime.event import Invocation

BUCKET, RENDITIONS, EVIDENCE = "uploads", "renditions", "evidence"
TIME = "2024-01-01T00:00:00.000Z"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"
INVOCATION = Invocation("image_processor", "r-1", lambda: 90_000)
_ITEM_BYTES = 400 * 1024
_PAGE = 2  # of a listing: S3's has a thousand
NOW_MS = 1_704_153_600_000  # 2024-01-02T00:00:00Z


def _no_fault(_call: int, _operation: str) -> str:
    return ""


def _undisturbed(_operation: str) -> None:
    return


class PolicingTables:
    """GetItem, BatchGetItem and PutItem of DynamoDB over Images and Configuration.

    ``fault`` is asked before every write: "" lets it through, "unpersisted" fails it before and "unanswered" after it.
    """

    def __init__(self, fault: Callable[[int, str], str] = _no_fault) -> None:
        # Asked before every call: here another event may be handled, or the function may end.
        self.disturb: Callable[[str], None] = _undisturbed
        self.rows: dict[str, dict[str, Any]] = {}
        self.configuration: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.down = False
        self.fault = fault

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        self.disturb(operation)
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
        other = "pipelineVersion <> :version OR (attribute_exists(rejection) AND rejection.#code <> :code)"
        again = f"{condition} OR (sequencer = :sequencer AND ({other}))"
        marked = "sequencer = :before"
        assert body["ConditionExpression"] in (condition, again, marked)
        named = (":sequencer", ":version", ":code", ":before")
        assert set(values) == {name for name in named if name in body["ConditionExpression"]}
        assert (body.get("ExpressionAttributeNames") == {"#code": "code"}) == ("#code" in body["ConditionExpression"])
        there = self.rows.get(row["imageKey"]["S"])
        if body["ConditionExpression"] == marked:
            assert row["sequencer"]["S"] > values[":before"]["S"], "it could be put twice"
            holds = there is not None and there["sequencer"] == values[":before"]
        else:
            holds = there is None or there["sequencer"]["S"] < values[":sequencer"]["S"]
        if there is not None and body["ConditionExpression"] == again:
            same = there["sequencer"] == values[":sequencer"]
            rejected = "rejection" in there and there["rejection"]["M"]["code"] != values[":code"]
            holds = holds or (same and (there["pipelineVersion"] != values[":version"] or rejected))
        if not holds:
            raise ConditionNotMetError("PutItem: ConditionalCheckFailedException")
        self.rows[row["imageKey"]["S"]] = row
        if fault == "unanswered":
            raise StoreUnavailableError("connection lost")
        assert body["ReturnValues"] == "ALL_OLD"
        return {"Attributes": there} if there else {}


class PolicingBuckets:
    """GetObject, HeadObject, PutObject, DeleteObject and ListObjectsV2 of S3 over the buckets that the function knows.

    ``refusals`` are objects that S3 does not give, by the code with which it does not; ``versions`` the versions of
    those that have some.
    """

    def __init__(self, fault: Callable[[int, str], str] = _no_fault) -> None:
        self.disturb: Callable[[str], None] = _undisturbed
        self.refusals: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.modified: dict[str, str] = {}
        self.deletes: list[str] = []
        self.objects: dict[tuple[str, str], bytes] = {}
        self.types: dict[tuple[str, str], str] = {}
        self.encodings: dict[tuple[str, str], str] = {}
        self.reads: list[tuple[str, int]] = []
        self.writes: list[tuple[str, str]] = []
        self.fault = fault

    def read_object(self, bucket: str, key: str, *, etag: str = "", span: str = "") -> Answer:
        self.disturb("GetObject")
        found = self.objects.get((bucket, key))
        if found is None:
            raise StoreRefusedError("GetObject: NoSuchKey", aws_code="NoSuchKey", status=404)
        if bucket == BUCKET and key in self.refusals:
            code = self.refusals[key]
            status = {"InvalidObjectState": 403, "AccessDenied": 403, "MethodNotAllowed": 405}.get(code, 400)
            raise StoreRefusedError(f"GetObject: {code} (HTTP {status})", aws_code=code, status=status)
        if etag and etag != etag_of(found):
            raise StoreRefusedError("GetObject: PreconditionFailed", aws_code="PreconditionFailed", status=412)
        headers = self._headers(bucket, key)
        if span:
            first, _, last = span.partition("-")
            if int(first) >= len(found):
                raise StoreRefusedError("GetObject: InvalidRange", aws_code="InvalidRange", status=416)
            headers["content-range"] = f"bytes {first}-x/{len(found)}"
            found = found[int(first) : int(last) + 1 if last else None]
        self.reads.append((key, len(found)))
        return Answer(206 if span else 200, headers, found)

    def _headers(self, bucket: str, key: str) -> dict[str, str]:
        content = self.objects[bucket, key]
        headers = {"etag": f'"{etag_of(content)}"', "content-type": self.types.get((bucket, key), "")}
        if bucket == BUCKET and key in self.versions:
            headers["x-amz-version-id"] = self.versions[key]
        if encoding := self.encodings.get((bucket, key)):
            headers["content-encoding"] = encoding
        if bucket == BUCKET and key in self.modified:
            headers["last-modified"] = self.modified[key]
        return headers

    def head_object(self, bucket: str, key: str) -> Answer:
        self.disturb("HeadObject")
        if (bucket, key) not in self.objects:
            raise StoreRefusedError("HeadObject: no error code (HTTP 404)", status=404)
        code = self.refusals.get(key, "")
        if code == "MethodNotAllowed":
            raise StoreRefusedError("HeadObject: no error code (HTTP 405)", status=405)
        if code in ("InvalidRequest", "InvalidArgument"):  # SSE-C: nothing is said without the key
            raise StoreRefusedError("HeadObject: no error code (HTTP 400)", status=400)
        headers = {**self._headers(bucket, key), "content-length": str(len(self.objects[bucket, key]))}
        if code == "InvalidObjectState":
            headers["x-amz-storage-class"] = "GLACIER"
        return Answer(200, headers, b"")

    def list_objects(self, bucket: str, *, prefix: str = "", after: str = "") -> Any:
        assert prefix.startswith("images/"), "nothing else is ever looked for, or removed"
        self.disturb("ListObjectsV2")
        found = sorted(key for where, key in self.objects if where == bucket and key.startswith(prefix) and key > after)
        return SimpleNamespace(objects=[{"Key": key} for key in found[:_PAGE]], truncated=len(found) > _PAGE)

    def delete_object(self, bucket: str, key: str) -> None:
        assert bucket == RENDITIONS, "nobody else's object is ever removed"
        assert key.startswith("images/"), "as the role allows it"
        self.disturb("DeleteObject")
        fault = self.fault(len(self.writes), "DeleteObject")
        self.deletes.append(key)
        if fault == "unpersisted":
            raise StoreUnavailableError("slow down")
        self.objects.pop((bucket, key), None)
        if fault == "unanswered":
            raise StoreUnavailableError("connection lost")

    def get_object(self, bucket: str, key: str) -> bytes:
        return self.read_object(bucket, key).body

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        assert bucket in (RENDITIONS, EVIDENCE), "no output is ever an input"
        assert len(key.encode()) <= 1024, "an S3 key holds at most 1,024 bytes"
        assert content_type
        self.disturb("PutObject")
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
    """Work as images.pixels does, without pixels: the same bytes and pipeline give the same."""
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

    def __init__(self, fault: Callable[[int, str], str] = _no_fault, work: Any = stand_in, **limits: Any) -> None:
        self.tables, self.buckets = PolicingTables(fault), PolicingBuckets(fault)
        self.now = 0.0
        self.limits = working.Limits(**limits)
        self.work = work
        self.environment()

    def environment(self) -> None:
        s3 = cast("Any", self.buckets)
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
            "now_ms": lambda: NOW_MS,
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
        answer, _fields = image_processor.handle({"Records": records}, INVOCATION, **cast("Any", self.stores))
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


def deleted(key: str, sequencer: str, **changes: Any) -> dict[str, Any]:
    """Return the event that S3 sends by EventBridge when something of a key is deleted."""
    event = created(key, b"", sequencer)
    del event["detail"]["object"]["size"], event["detail"]["object"]["etag"]
    return {
        **event,
        "id": "2ee9cc15-d022-99ea-1fb8-1b1bac4850f9",
        "detail-type": "Object Deleted",
        "time": "2024-01-01T12:00:00Z",
        "detail": {
            **event["detail"],
            "reason": "DeleteObject",
            "deletion-type": "Permanently Deleted",
            **changes,
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

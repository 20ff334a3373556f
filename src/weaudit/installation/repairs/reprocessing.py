"""Processes images again: those of an earlier pipeline, and those that S3 failed to give.

A request is made for each image that is due; image_processor decides what becomes of it. ``run`` sends the requests;
``expected`` says beforehand what they would come to.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from weaudit.errors import InvalidInputError, PipelineRefusedError, StoreRefusedError
from weaudit.images import pipeline, rows
from weaudit.images.configuration import pipeline_of
from weaudit.images.events import REPROCESSING
from weaudit.images.pixels import sniffing, unpacking
from weaudit.images.store_sources import SourceObjects
from weaudit.installation import clients, payloads
from weaudit.installation.reading import bucket, images_table
from weaudit.installation.targets import wire

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.items.values import Item

# Concurrent calls: enough to keep the function busy, and far below an account's concurrency limit.
_PARALLEL = 4
_LOOKED_AT_ONCE = 16
_FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image: ``name`` is image_processor's word for it, or ``failed``, and ``why`` the reason."""

    key: str
    name: str
    why: str = ""

    @property
    def failed(self) -> bool:
        """Whether image_processor could not handle the image, so that a later try may do better."""
        return self.name == _FAILED


@dataclass(frozen=True, slots=True)
class Request:
    """A request to image_processor to check one image, with the image's row, or None if it has none."""

    bucket: str
    key: str
    size: int
    time: str
    version: str
    row: "Item | None"

    @property
    def event(self) -> dict[str, Any]:
        """The event that image_processor is called with."""
        source, kind = REPROCESSING
        image = {"key": self.key, "size": self.size}
        detail = {"bucket": {"name": self.bucket}, "object": image, "pipeline-version": self.version}
        return {"source": source, "detail-type": kind, "time": self.time, "detail": detail}


def current_version(installation: "Installation") -> str:
    """Return the version of the pipeline that Configuration describes. Raises InvalidInputError if it is refused."""
    key = {"key": {"S": pipeline.KEY}}
    client = installation.target.client("dynamodb")
    found = client.get_item(TableName=installation.configuration_table, Key=key, ConsistentRead=True).get("Item")
    if found is None:
        return pipeline.built_in().version
    configured = installation.target.client("lambda").get_function_configuration(
        FunctionName=installation.outputs["ImageProcessorAliasArn"]
    )
    try:
        return pipeline_of(wire(found), configured["Environment"]["Variables"].get("ACTOR_ATTRIBUTE", "")).version
    except PipelineRefusedError as error:
        raise InvalidInputError(
            f"the item {pipeline.KEY} is refused: {error}\n"
            "Until it is fixed the last good pipeline stays in force, and there is nothing to process again."
        ) from error


def due(installation: "Installation", version: str) -> list[Request]:
    """Return a request for each row that the pipeline of this version would change."""
    return [
        _for_row(row, version)
        for row in images_table.rows(installation)
        if not (rows.is_deleted(row) or rows.is_current(row, version))
    ]


def of_every_object(installation: "Installation", version: str) -> tuple[list[Request], int]:
    """Return a request for each object whose row is missing or outdated, and for each row whose object is gone.

    Also returns how many objects have a current row.
    """
    requests, unchanged = [], 0
    left = {row["imageKey"]["S"]: row for row in images_table.rows(installation)}
    for found in bucket.objects(installation):
        row = left.pop(found["Key"], None)
        etag = found["ETag"].strip('"')
        if row is not None and rows.is_current(row, version) and row["eTag"]["S"] == etag:
            unchanged += 1
            continue
        at = found["LastModified"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        requests.append(Request(installation.trigger_bucket, found["Key"], found["Size"], at, version, row))
    requests += [_for_row(row, version) for row in left.values() if not rows.is_deleted(row)]
    return requests, unchanged


def _for_row(row: "Item", version: str) -> Request:
    key, size, time = row["imageKey"]["S"], int(row["bytes"]["N"]), row["eventTime"]["S"]
    return Request(row["bucket"]["S"], key, size, time, version, row)


def expected(installation: "Installation", requests: list[Request]) -> list[Outcome]:
    """Return the expected outcome of each request, in order. It has failed if S3 refuses to give the object."""
    sources = SourceObjects(clients.s3(installation.target))
    with ThreadPoolExecutor(_LOOKED_AT_ONCE) as pool:
        return list(pool.map(lambda request: _expected(request, sources), requests))


def _expected(request: Request, sources: SourceObjects) -> Outcome:
    try:
        return Outcome(request.key, _looked_at(request, sources))
    except StoreRefusedError as error:
        return Outcome(request.key, _FAILED, str(error))


def _looked_at(request: Request, sources: SourceObjects) -> str:
    """Return the name of the expected outcome; only processing an image shows whether its content can be processed."""
    row = request.row
    gone = row is not None and rows.is_deleted(row)
    etag = row["eTag"]["S"] if row is not None and not gone else ""
    begun = sources.begin(request.bucket, request.key, etag, first_bytes=sniffing.BYTES_NEEDED)
    if begun is None:
        there = etag and sources.look(request.bucket, request.key)
        return "superseded" if there or row is None or gone else "deleted"
    kind = sniffing.sniff(unpacking.inside(begun.encoding, begun.content))
    if kind is None and (row is None or gone) and not rows.claims(request.key, begun.content_type):
        return "not an image"
    return "processed" if kind in sniffing.SUPPORTED and begun.refusal is None else "rejected"


def run(installation: "Installation", requests: list[Request], progress: Callable[[Outcome], None]) -> list[Outcome]:
    """Send the requests, several concurrently; return the outcomes in the order in which they came.

    ``progress`` is called with each outcome at once. After an interrupt no more requests are sent.
    """
    client = installation.target.client("lambda", payloads.LONGEST_CALL_S)
    function = installation.outputs["ImageProcessorAliasArn"]
    outcomes = []
    with ThreadPoolExecutor(_PARALLEL) as pool:
        asked = [pool.submit(_sent, client, function, request) for request in requests]
        try:
            for done in as_completed(asked):
                outcomes.append(done.result())
                progress(outcomes[-1])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return outcomes


def _sent(client: Any, function: str, request: Request) -> Outcome:
    answer = client.invoke(FunctionName=function, Payload=payloads.payload(request.event))
    said = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError"):
        return Outcome(request.key, _FAILED, str(said.get("errorMessage", "no reason given")))
    found = _one_image(said)
    if found["outcome"] == "quarantined":
        return Outcome(request.key, _FAILED, str(found["reason"]))
    return Outcome(request.key, str(found["outcome"]))


def _one_image(answer: Any) -> dict[str, Any]:
    """Return image_processor's result for the one requested image. Raises InvalidInputError."""
    found = answer.get("images") if isinstance(answer, dict) else None
    if not isinstance(found, list) or len(found) != 1 or "outcome" not in found[0]:
        raise InvalidInputError("image_processor did not return exactly one image")
    return dict(found[0])

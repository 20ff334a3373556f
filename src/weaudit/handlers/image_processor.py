"""Turns each image in the bucket into renditions and a row (docs/images.md, In the code)."""

from __future__ import annotations

import time
from hashlib import sha256

from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.errors import ImageRejectedError, MalformedEventError, RecordRejectedError, StoreUnavailableError
from weaudit.evidence import EvidenceBucket, quarantined
from weaudit.images import deletions, events
from weaudit.images import rows as image_rows
from weaudit.images.configuration import PipelineConfiguration
from weaudit.images.pixels import sniffing, unpacking, working
from weaudit.images.sources import ImageSource
from weaudit.images.store import ImageTable
from weaudit.images.store_originals import ImageOriginals
from weaudit.images.store_renditions import RenditionsBucket
from weaudit.images.store_sources import SourceObject, SourceObjects
from weaudit.items.times import iso_time
from weaudit.runtime import logs
from weaudit.values import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from weaudit.items.values import Item
    from weaudit.runtime.event import Invocation

# The part of Lambda's time limit that is left for reading and writing, and for a slow store.
_RESERVE_S = 30.0
# An object may change this often while it is being processed; then the event is left to a redelivery.
_MOST_ROUNDS = 3


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: IMAGES_TABLE, RENDITIONS_BUCKET, CONFIGURATION_TABLE, EVIDENCE_BUCKET; and the limits.

    IMAGE_MAX_BYTES and IMAGE_MAX_PIXELS default to the limits of images.pixels. An item CACHE_TTL_SEC in Configuration
    overrides the variable (default: 60). The attribute that ACTOR_ATTRIBUTE names (default: none) is not part of the
    pipeline.
    """
    s3 = S3(Connection.from_environment("s3", environment))
    dynamodb = DynamoDB(Connection.from_environment("dynamodb", environment))
    renditions = RenditionsBucket(s3, environment.get("RENDITIONS_BUCKET", ""))
    most = working.Limits()
    limits = replaced(
        most,
        bytes=int(environment.get("IMAGE_MAX_BYTES") or most.bytes),
        pixels=int(environment.get("IMAGE_MAX_PIXELS") or most.pixels),
    )
    pipelines = PipelineConfiguration(
        dynamodb.call,
        environment.get("CONFIGURATION_TABLE", ""),
        renditions,
        actor_attribute=environment.get("ACTOR_ATTRIBUTE", ""),
        ttl_s=float(environment.get("CACHE_TTL_SEC") or 60),
    )
    return {
        "images": ImageTable(dynamodb.call, environment.get("IMAGES_TABLE") or "Images"),
        "sources": SourceObjects(s3),
        "renditions": renditions,
        "pipelines": pipelines,
        "evidence": EvidenceBucket(s3, environment.get("EVIDENCE_BUCKET", "")),
        "limits": limits,
    }


def handle(
    event: Any, invocation: Invocation, *, evidence: EvidenceBucket, limits: working.Limits, **stores: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Process every image that an event names; quarantine a record that names none. Raises StoreError."""
    left_s = max(invocation.remaining_ms() / 1000 - _RESERVE_S, 1.0)
    limits = replaced(limits, wall_seconds=min(limits.wall_seconds, left_s))
    outcomes: list[dict[str, Any]] = []
    for raw in events.records(event):
        try:
            source = events.parse(raw)
        except MalformedEventError as error:  # deterministic: each redelivery would fail as well
            evidence.put(*quarantined(raw, error, "image_processor"))
            outcomes.append({"outcome": "quarantined", "code": error.code, "reason": str(error)})
            continue
        outcomes.append(Processing(limits=limits, **stores).process(source))
    return {"images": outcomes}, _log_fields(outcomes)


def _log_fields(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of the log line; for a single image (the queue delivers one at a time) they become metrics."""
    quarantined = sum(outcome["outcome"] == "quarantined" for outcome in outcomes)
    if len(outcomes) != 1:
        return {"images": outcomes, "quarantined": quarantined}
    [outcome] = outcomes
    steps = {f"{name}Ms": taken for name, taken in outcome.get("ms", {}).items()}
    if steps:
        steps["imageMs"] = sum(steps.values())
    rest = {name: value for name, value in outcome.items() if name != "ms"}
    return {**rest, **steps, "images": 1, "quarantined": quarantined}


class Processing:
    """Processes one image: look up its row, read, render, store, then check that the original is still there.

    The row is written last: a crash before it leaves renditions that no row names, and the event is delivered again.
    """

    def __init__(
        self,
        *,
        images: ImageTable,
        sources: SourceObjects,
        renditions: RenditionsBucket,
        pipelines: PipelineConfiguration,
        limits: working.Limits,
        work: Callable[..., working.Worked] = working.work,
        now_s: Callable[[], float] = time.perf_counter,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._images = images
        self._sources = sources
        self._renditions = renditions
        self._pipelines = pipelines
        self._limits = limits
        self._work = work
        self._now_s = now_s
        self._originals = ImageOriginals(images, sources, renditions, lambda: iso_time(now_ms()))
        self._timings: dict[str, float] = {}
        # The row to compare with the object in S3 at the end, or None if there is nothing to compare.
        self._current_row: Item | None = None
        self._sequencer = ""

    def process(self, source: ImageSource) -> dict[str, Any]:
        """Process an image, and return its outcome (see docs/formats/image-row.md). Raises StoreError."""
        sequencer = ""  # of the event itself, whatever has to follow it
        for _ in range(_MOST_ROUNDS):
            outcome = self._once(source)
            sequencer = sequencer or self._sequencer
            following = self._originals.following(self._current_row) if self._current_row is not None else None
            if following is None:
                return {**outcome, "sequencer": sequencer}
            source = following
        raise StoreUnavailableError(f"the object changed {_MOST_ROUNDS} times while it was being processed")

    def _once(self, source: ImageSource) -> dict[str, Any]:
        self._current_row, self._sequencer = None, source.sequencer
        if source.deletion is not None:
            followed = self._originals.follow(source)
            if not isinstance(followed, ImageSource):
                return followed
            source = followed
        row = self._images.get(source.key)
        if source.wanted and row is not None:
            source = deletions.adopted(source, row)
        self._sequencer = source.sequencer
        if row is not None and image_rows.is_done(row, source):
            self._originals.tidy(row)
            self._current_row = row
            return {"outcome": "unchanged"}
        begun = self._timed("read", self._sources.begin, source.bucket, source.key, source.etag)
        if begun is None or source.version_id not in ("", begun.version_id or source.version_id):
            return self._superseded(source, row)
        source = replaced(source, etag=begun.etag or source.etag, version_id=begun.version_id or source.version_id)
        first = unpacking.inside(begun.encoding, begun.content)
        kind = sniffing.sniff(first)
        # An object that replaced an image is given a row of its own, or the old row would still show that image.
        replaces_image = row is not None and not image_rows.is_deleted(row)
        if kind is None and not replaces_image and not image_rows.claims(source.key, begun.content_type):
            return {"outcome": "not an image"}
        in_force = self._pipelines.current(source.wanted)
        version = in_force.pipeline.version
        warnings = []
        if in_force.refused:
            warnings = [f"IMAGE_PIPELINE is refused, {image_rows.short(version)} stays in force: {in_force.refused}"]
            logs.write("WARNING", "the image pipeline is refused", inForce=version, why=in_force.refused)
        known: dict[str, Any] = {"format": kind, "bytes": begun.bytes or source.bytes, "warnings": warnings}
        try:
            made = self._made(source, begun, kind, in_force.pipeline, known, first)
        except ImageRejectedError as error:
            if source.wanted and image_rows.says(row, error.code, version):
                return {"outcome": "rejected", "code": error.code}
            made = image_rows.rejected(source, version, error.code, error.reason, known, self._timings)
        return self._superseded(source, row) if made is None else self._kept(source, made, known)

    def _superseded(self, source: ImageSource, row: Item | None) -> dict[str, Any]:
        """Leave an object that was replaced or deleted to its own event; without one (reprocessing), check it again."""
        if row is None or row["sequencer"]["S"] != source.sequencer:
            self._originals.abandon(source)
        self._current_row = row if source.wanted else None
        return {"outcome": "superseded"}

    def _made(
        self,
        source: ImageSource,
        begun: SourceObject,
        kind: str | None,
        pipeline: Any,
        known: dict[str, Any],
        first: bytes,
    ) -> Item | None:
        """Store an image's renditions and return its row, or None if the object was replaced in the meantime."""
        if begun.refusal is not None:
            raise begun.refusal
        packed = unpacking.is_packed(begun.encoding, begun.content)
        if kind is None:
            raise ImageRejectedError("NotAnImage", unpacking.instead(first, begun.encoding, packed=packed))
        if kind not in sniffing.SUPPORTED:
            raise ImageRejectedError("UnsupportedFormat", f"{kind} is not processed")
        if begun.bytes > self._limits.bytes:
            raise ImageRejectedError("TooManyBytes", f"{begun.bytes:,} bytes; the limit is {self._limits.bytes:,}")
        content = self._timed("read", self._sources.complete, source.bucket, source.key, begun)
        if content is None:
            return None
        known["sha256"] = sha256(content).hexdigest()
        if packed:
            content = unpacking.unpacked(content, self._limits.bytes)
            known["warnings"].append(
                f"gzip by its Content-Encoding, {len(content):,} bytes without it; bytes, eTag and sha256 are those of "
                "the object as it is stored"
            )
        worked: working.Worked = self._work(content, pipeline, self._limits)
        self._timings.update(worked.timings)
        known["peakBytes"] = worked.peak_bytes
        rows = []
        for made in worked.renditions:
            key = image_rows.rendition_key(source, known["sha256"], pipeline.version, made.name, made.format)
            self._timed("write", self._renditions.put, key, made.content, image_rows.CONTENT_TYPES[made.format])
            rows.append(image_rows.rendition(key, made.name, made.format, made.width, made.height, made.content))
        found = {
            **known,
            "format": worked.format,
            "width": worked.width,
            "height": worked.height,
            "pages": worked.pages,
            "bitDepth": worked.bit_depth,
            "colourSpace": worked.colour_space,
            "hasAlpha": worked.has_alpha,
            "algorithms": worked.algorithms,
        }
        warnings = [*known["warnings"], *worked.warnings]
        return image_rows.processed(source, pipeline.version, found, rows, self._timings, warnings)

    def _kept(self, source: ImageSource, row: Item, known: dict[str, Any]) -> dict[str, Any]:
        again = bool(source.wanted)
        try:
            before = self._images.replace(row, again=again)
        except RecordRejectedError as error:
            reason = f"its row cannot be stored: {error}"
            version = row["pipelineVersion"]["S"]
            row = image_rows.rejected(source, version, "RowRejected", reason, known, self._timings)
            before = self._images.replace(row, again=again)
        self._current_row = row if before is not None else self._images.get(source.key)
        if before != {}:  # {}: there was no row before it
            self._originals.tidy(self._current_row or row)
        if before is None:
            return {"outcome": "unchanged"}
        outcome: dict[str, Any] = {"outcome": row["status"]["S"], "pipelineVersion": row["pipelineVersion"]["S"]}
        if "rejection" in row:
            outcome["code"] = row["rejection"]["M"]["code"]["S"]
        milliseconds = {name: round(ms) for name, ms in self._timings.items()}
        if "peakBytes" in known:
            outcome["peakBytes"] = known["peakBytes"]
        return {**outcome, "renditions": len(row["renditions"]["L"]), "bytes": known["bytes"], "ms": milliseconds}

    def _timed(self, name: str, step: Callable[..., Any], *arguments: Any) -> Any:
        began = self._now_s()
        try:
            return step(*arguments)
        finally:
            self._timings[name] = self._timings.get(name, 0.0) + (self._now_s() - began) * 1000

"""Each image that lands in the bucket becomes renditions and a row (docs/images.md, In the code)."""

from __future__ import annotations

import time
from hashlib import sha256

from weaudit.aws.client import S3, Connection, DynamoDB
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

# What reading, keeping and a slow store may take of the time that Lambda gives, beside the work itself.
_RESERVE_S = 30.0
# So often an object may change while it is worked on; then the event comes again.
_MOST_ROUNDS = 3


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: IMAGES_TABLE, RENDITIONS_BUCKET, CONFIGURATION_TABLE, EVIDENCE_BUCKET; and the limits.

    IMAGE_MAX_BYTES and IMAGE_MAX_PIXELS (default: those of images.pixels), CACHE_TTL_SEC (default: 60; an item of that
    name in Configuration goes before), ACTOR_ATTRIBUTE (default: none), which is no part of the pipeline.
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
    """Process every image that an event tells of; an event that tells of none is quarantined. Raises StoreError."""
    left_s = max(invocation.remaining_ms() / 1000 - _RESERVE_S, 1.0)
    limits = replaced(limits, wall_seconds=min(limits.wall_seconds, left_s))
    answers: list[dict[str, Any]] = []
    for raw in events.records(event):
        try:
            source = events.parse(raw)
        except MalformedEventError as error:  # deterministic: the queue would bring it again for nothing
            evidence.put(*quarantined(raw, error, "image_processor"))
            answers.append({"outcome": "quarantined", "code": error.code, "reason": str(error)})
            continue
        answers.append(Processing(limits=limits, **stores).process(source))
    return {"images": answers}, _line(answers)


def _line(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what there is to log; of one image (the queue brings them one by one) as what is measured."""
    quarantined = sum(answer["outcome"] == "quarantined" for answer in answers)
    if len(answers) != 1:
        return {"images": answers, "quarantined": quarantined}
    [answer] = answers
    steps = {f"{name}Ms": taken for name, taken in answer.get("ms", {}).items()}
    if steps:
        steps["imageMs"] = sum(steps.values())
    rest = {name: value for name, value in answer.items() if name != "ms"}
    return {**rest, **steps, "images": 1, "quarantined": quarantined}


class Processing:
    """The way of one image through the stores: look, read, work, keep, and look whether the original is still there.

    The row is written last: a crash before leaves renditions that no row names, and the event comes again.
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
        # The image's row, as it is known to be; None where nothing has to be true of it.
        self._standing: Item | None = None
        self._sequencer = ""

    def process(self, source: ImageSource) -> dict[str, Any]:
        """Return the outcome, as docs/formats/image-row.md lists them. Raises StoreError."""
        for _ in range(_MOST_ROUNDS):
            answer = self._once(source)
            following = self._originals.following(self._standing) if self._standing is not None else None
            if following is None:
                return {**answer, "sequencer": self._sequencer}
            source = following
        raise StoreUnavailableError(f"the object has changed {_MOST_ROUNDS} times while it was worked on")

    def _once(self, source: ImageSource) -> dict[str, Any]:
        self._standing, self._sequencer = None, source.sequencer
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
            self._standing = row
            return {"outcome": "unchanged"}
        begun = self._timed("read", self._sources.begin, source.bucket, source.key, source.etag)
        if begun is None or source.version_id not in ("", begun.version_id or source.version_id):
            return self._superseded(source, row)
        source = replaced(source, etag=begun.etag or source.etag, version_id=begun.version_id or source.version_id)
        first = unpacking.inside(begun.encoding, begun.content)
        kind = sniffing.sniff(first)
        # What took an image's place has a row, or the row would go on telling of the image.
        told = row is not None and not image_rows.is_deleted(row)
        if kind is None and not told and not image_rows.claims(source.key, begun.content_type):
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
        """Leave an object that is another by now, or gone, to its own event; to a wish there may be none."""
        if row is None or row["sequencer"]["S"] != source.sequencer:
            self._originals.abandon(source)
        self._standing = row if source.wanted else None
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
        """Return the row of an image with its renditions kept, or None where the object is another by now."""
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
            replaced = self._images.replace(row, again=again)
        except RecordRejectedError as error:
            reason = f"its row cannot be kept: {error}"
            version = row["pipelineVersion"]["S"]
            row = image_rows.rejected(source, version, "RowRejected", reason, known, self._timings)
            replaced = self._images.replace(row, again=again)
        self._standing = row if replaced is not None else self._images.get(source.key)
        if replaced != {}:  # else there was nothing before it
            self._originals.tidy(self._standing or row)
        if replaced is None:
            return {"outcome": "unchanged"}
        answer: dict[str, Any] = {"outcome": row["status"]["S"], "pipelineVersion": row["pipelineVersion"]["S"]}
        if "rejection" in row:
            answer["code"] = row["rejection"]["M"]["code"]["S"]
        milliseconds = {name: round(ms) for name, ms in self._timings.items()}
        if "peakBytes" in known:
            answer["peakBytes"] = known["peakBytes"]
        return {**answer, "renditions": len(row["renditions"]["L"]), "bytes": known["bytes"], "ms": milliseconds}

    def _timed(self, name: str, step: Callable[..., Any], *words: Any) -> Any:
        began = self._now_s()
        try:
            return step(*words)
        finally:
            self._timings[name] = self._timings.get(name, 0.0) + (self._now_s() - began) * 1000

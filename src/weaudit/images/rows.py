"""What is kept of an image: the one place that decides a row of Images (docs/formats/image-row.md)."""

from __future__ import annotations

from hashlib import sha256

from weaudit.errors import ValidationError
from weaudit.items import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.images.sources import ImageSource
    from weaudit.items.values import Item

# Names that say "this is an image"; what the content says goes before.
_EXTENSIONS = frozenset(
    (
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "tif", "tiff", "avif", "heic", "heif", "hif"),
        *("bmp", "svg", "svgz", "psd", "ico", "jp2", "j2k", "jxl"),
    )
)
CONTENT_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif"}
FILE_EXTENSIONS = {"jpeg": "jpg"}
DELETED = "deleted"
# Rejections whose cause lies outside of the object's bytes: an object that is asked for again may have lost it.
MENDABLE = frozenset(("Archived", "Unreadable"))
_MOST_WARNINGS = 50
_LONGEST_TEXT = 500


def claims(key: str, content_type: str) -> bool:
    """Say whether an object calls itself an image, by its name or by its declared type."""
    extension = key.rpartition("/")[2].rpartition(".")[2].lower()
    return extension in _EXTENSIONS or content_type.strip().lower().startswith("image/")


def is_done(row: Item | None, source: ImageSource) -> bool:
    """Say whether a row already tells of this state of the object, or of a later one, so that nothing is to be done."""
    if row is None:
        return False
    kept = row["sequencer"]["S"]
    if source.wanted:
        return kept > source.sequencer or is_current(row, source.wanted)
    return bool(kept >= source.sequencer)


def is_current(row: Item, version: str) -> bool:
    """Say whether processing the image again by this pipeline would come to the same row."""
    if is_deleted(row):
        return False
    return bool(row["pipelineVersion"]["S"] == version) and rejection_code(row) not in MENDABLE


def is_deleted(row: Item) -> bool:
    """Say whether a row is that of an image whose original is gone."""
    return bool(row["status"]["S"] == DELETED)


def rejection_code(row: Item) -> str:
    """Return the code of a rejected image's row, "" where the row has none."""
    return str(row["rejection"]["M"]["code"]["S"]) if "rejection" in row else ""


def says(row: Item | None, code: str, version: str) -> bool:
    """Say whether a row has this very rejection already, by this pipeline."""
    return row is not None and rejection_code(row) == code and bool(row["pipelineVersion"]["S"] == version)


def short(version: str) -> str:
    """Return the name of a pipeline in keys and texts."""
    return version if version.startswith("built-in-") else version[:16]


def renditions_prefix(image_key: str) -> str:
    """Return what the keys of all renditions of one image begin with, whichever object and pipeline they are of."""
    return f"images/{sha256(image_key.encode()).hexdigest()}/"


def rendition_key(source: ImageSource, digest: str, version: str, name: str, format: str) -> str:  # noqa: A002 the row's name
    """Return the key of a rendition: ``images/<image>/<sequencer>/<content>/<pipeline>/<name>.<extension>``.

    ``<image>`` is the SHA-256 of the image's key, ``<content>`` that of its bytes, ``<pipeline>`` the first 16 digits
    of its version or the whole name of a built-in one. No two images share a rendition, so that it can be removed with
    its own; and the renditions of an object sort before those of the next one under the same key.
    """
    beginning = f"{renditions_prefix(source.key)}{source.sequencer}/{digest}"
    return f"{beginning}/{short(version)}/{name}.{FILE_EXTENSIONS.get(format, format)}"


def rendition(key: str, name: str, format: str, width: int, height: int, content: bytes) -> Item:  # noqa: A002 as above
    """Return what a row says of one rendition."""
    return {
        "name": {"S": name},
        "key": {"S": key},
        "format": {"S": format},
        "width": {"N": str(width)},
        "height": {"N": str(height)},
        "bytes": {"N": str(len(content))},
        "sha256": {"S": sha256(content).hexdigest()},
    }


def processed(
    source: ImageSource,
    version: str,
    found: dict[str, Any],
    renditions: list[Item],
    timings: dict[str, float],
    warnings: list[str],
) -> Item:
    """Return the row of an image that was processed; ``found`` is what it is, by the row's names, in plain values.

    A value that DynamoDB cannot hold is left out, and a warning says so.
    """
    warnings = list(warnings)
    row = {**_common(source, version, "processed"), "renditions": {"L": [{"M": one} for one in renditions]}}
    row["timings"] = _timings(timings)
    for name in ("format", "colourSpace", "sha256"):
        row[name] = {"S": str(found[name])}
    for name in ("bytes", "width", "height", "pages", "bitDepth"):
        row[name] = {"N": str(int(found[name]))}
    row["hasAlpha"] = {"BOOL": bool(found["hasAlpha"])}
    algorithms: Item = {}
    for name, value in found["algorithms"].items():
        try:
            algorithms[name] = plain.typed(value, name)
        except ValidationError as error:
            warnings.append(f"the result of algorithm {name} cannot be kept: {error}")
    row["algorithms"] = {"M": algorithms}
    row["warnings"] = {"L": [{"S": text[:_LONGEST_TEXT]} for text in warnings[:_MOST_WARNINGS]]}
    return row


def rejected(
    source: ImageSource,
    version: str,
    code: str,
    reason: str,
    known: dict[str, Any],
    timings: dict[str, float],
) -> Item:
    """Return the row of an image that cannot be processed; ``known`` may tell ``format``, ``bytes`` and ``sha256``."""
    row = _common(source, version, "rejected")
    row["rejection"] = {"M": {"code": {"S": code}, "reason": {"S": reason[:_LONGEST_TEXT]}}}
    row["timings"] = _timings(timings)
    row["bytes"] = {"N": str(known["bytes"])}
    for name in ("format", "sha256"):
        if known.get(name):
            row[name] = {"S": str(known[name])}
    row["renditions"] = {"L": []}
    row["warnings"] = {"L": [{"S": text[:_LONGEST_TEXT]} for text in known.get("warnings", ())]}
    return row


def _common(source: ImageSource, version: str, status: str) -> Item:
    row: Item = {
        "imageKey": {"S": source.key},
        "bucket": {"S": source.bucket},
        "eTag": {"S": source.etag},
        "sequencer": {"S": source.sequencer},
        "eventTime": {"S": source.event_time},
        "status": {"S": status},
        "pipelineVersion": {"S": version},
    }
    if source.version_id:
        row["versionId"] = {"S": source.version_id}
    return row


def _timings(timings: dict[str, float]) -> Item:
    return {"M": {name: {"N": str(round(ms))} for name, ms in timings.items()}}


def document(row: Item, link: Callable[[str], str], expires_at: str) -> dict[str, Any]:
    """Return a row's fields as plain JSON; each of ``renditions`` gets a ``url`` by its ``key``.

    ``expires_at`` says when the links end; it is left out if there are none.
    """
    found = {name: plain.plain(value) for name, value in row.items()}
    renditions = found.get("renditions")
    linked = False
    for rendition in renditions if isinstance(renditions, list) else ():
        # A number is a text too, by its class.
        if isinstance(rendition, dict) and type(rendition.get("key")) is str and rendition["key"]:
            rendition["url"] = link(rendition["key"])
            linked = True
    return {**found, "linksExpireAt": expires_at} if linked else found

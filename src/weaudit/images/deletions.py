"""What becomes of an image's row when its original is gone, decided in one place (docs/formats/image-row.md)."""

from __future__ import annotations

from weaudit.images.rows import DELETED, is_deleted
from weaudit.images.sources import SEQUENCER_DIGITS, ImageSource
from weaudit.values import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Item

NOTICED = "noticed"
"""The reason of a deletion that no event reported: the object was looked for and was not there."""
# What S3 calls a deletion that leaves the versions where they are.
_MARKED = "Delete Marker Created"
_LAST = 16**SEQUENCER_DIGITS - 1
_LONGEST_TEXT = 500


def successor(sequencer: str) -> str:
    """Return the next sequencer: it sorts behind this one and before that of any later event of S3.

    S3's own sequencers are shorter than the padding, so the last digits are free.
    """
    return f"{min(int(sequencer, 16) + 1, _LAST):0{SEQUENCER_DIGITS}X}"


def adopted(wish: ImageSource, row: Item) -> ImageSource:
    """Return a wish for the object that the row is of; for whatever is there, where that one is gone."""
    if is_deleted(row):
        return replaced(wish, sequencer=successor(row["sequencer"]["S"]))
    return replaced(wish, etag=row["eTag"]["S"], sequencer=row["sequencer"]["S"], event_time=row["eventTime"]["S"])


def is_of(row: Item, etag: str, version_id: str) -> bool:
    """Say whether a row is that of the object with this ETag and version.

    ``etag`` "" is an object that S3 does not describe; it is taken for the row's. In a bucket that has got versions,
    the objects from before have the version ``null``.
    """
    if is_deleted(row):
        return False
    version = row["versionId"]["S"] if "versionId" in row else "null"
    return not etag or (row["eTag"]["S"] == etag and version == (version_id or "null"))


def noticed(row: Item, now: str) -> ImageSource:
    """Return the deletion that nobody reported of a row's original: it takes place right behind the row."""
    return ImageSource(
        bucket=row["bucket"]["S"],
        key=row["imageKey"]["S"],
        etag="",
        bytes=0,
        sequencer=successor(row["sequencer"]["S"]),
        event_time=now,
        deletion={"reason": NOTICED},
    )


def may_uncover(deletion: ImageSource) -> bool:
    """Say whether an object can be there after a deletion that was there before it, under what was deleted."""
    return deletion.deletion is not None and deletion.deletion.get("type") != _MARKED


def uncovered(deletion: ImageSource, row: Item | None, etag: str, version_id: str, size: int) -> ImageSource:
    """Return the object that is there since a deletion, because what lay over it is gone."""
    sequencer = deletion.sequencer
    if row is not None and is_deleted(row):
        sequencer = max(sequencer, successor(row["sequencer"]["S"]))
    return replaced(deletion, etag=etag, version_id=version_id, bytes=size, sequencer=sequencer, deletion=None)


def decide(row: Item, source: ImageSource, now: str, *, another: bool = False) -> Item | None:
    """Return the row of an image whose original S3 no longer has, or None where the row says so already.

    ``source`` is the deletion; ``another`` says that another object is there now. The first deletion since the object
    landed counts, whichever event comes first: deletions of what is left of it (other versions, a delete marker) do not
    change when the image was gone. What was only noticed is replaced by the event that explains it.
    """
    if not is_deleted(row):
        if row["sequencer"]["S"] < source.sequencer and _explains(row, source):
            return _gone(row, source)
        # It is about another object of this key. That this one is gone as well is known by looking alone.
        return None if another else _gone(row, noticed(row, now))
    landed, deleted_at = row["deletion"]["M"]["landed"]["S"], row["deletedAt"]["S"]
    was_noticed = row["deletion"]["M"]["reason"]["S"] == NOTICED
    earlier = source.event_time < deleted_at or (was_noticed and source.event_time == deleted_at)
    if not earlier or source.sequencer <= landed or _is_noticed(source) or not _explains(row, source):
        return None
    return _gone(row, source)


def _is_noticed(source: ImageSource) -> bool:
    return (source.deletion or {}).get("reason") == NOTICED


def _explains(row: Item, source: ImageSource) -> bool:
    """Say whether this deletion can be the one that took away the object of the row, and not another version of it."""
    told = source.deletion or {}
    version = told.get("versionId", "")
    return told.get("type") == _MARKED or "versionId" not in row or version in ("", row["versionId"]["S"])


def _gone(row: Item, source: ImageSource) -> Item:
    kept = row["sequencer"]["S"]
    landed = row["deletion"]["M"]["landed"]["S"] if is_deleted(row) else kept
    deletion = {name: {"S": text[:_LONGEST_TEXT]} for name, text in (source.deletion or {}).items()}
    return {
        **row,
        "status": {"S": DELETED},
        # Always a later one, so that each row is put once.
        "sequencer": {"S": max(source.sequencer, successor(kept))},
        "renditions": {"L": []},
        "deletedAt": {"S": source.event_time},
        "deletion": {"M": {**deletion, "landed": {"S": landed}}},
    }

"""The originals of images, and what depends on them: no row shows, and no rendition outlives, what is gone.

Events come late, twice and in any order, and two may be handled at the same time. So an event never says what is there:
S3 is asked, after the row was read and before it is written. And a row that was written is held to S3 once more: the
event of a deletion may have been handled while there was no row yet.
"""

from __future__ import annotations

from weaudit.errors import RecordRejectedError, StoreUnavailableError
from weaudit.images import deletions, rows
from weaudit.images.sources import ImageSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.images.store import ImageTable
    from weaudit.images.store_renditions import RenditionsBucket
    from weaudit.images.store_sources import SourceObjects
    from weaudit.items.values import Item

_TRIES = 3


class ImageOriginals:
    """Brings rows and renditions up to date with their originals. ``now`` is ISO 8601 in UTC, with milliseconds."""

    def __init__(
        self, images: ImageTable, sources: SourceObjects, renditions: RenditionsBucket, now: Callable[[], str]
    ) -> None:
        self._images = images
        self._sources = sources
        self._renditions = renditions
        self._now = now

    def follow(self, deletion: ImageSource) -> dict[str, Any] | ImageSource:
        """Return what came of a deletion: deleted, unchanged or superseded. Raises StoreError.

        Where the deletion uncovered an object, which has no event of its own, that one is returned: process it.
        """
        for _ in range(_TRIES):
            row = self._images.get(deletion.key)
            seen = self._sources.look(deletion.bucket, deletion.key)
            gone = None
            if row is not None:
                if seen is not None and deletions.is_of(row, seen.etag, seen.version_id):
                    self._drop_uncovered(deletion, row)
                    return {"outcome": "unchanged"}  # an earlier version was deleted, or the event is late
                gone = deletions.decide(row, deletion, self._now(), another=seen is not None)
                if gone is not None and not self._kept(gone, row):
                    continue
                row = gone or row
                # The row first: it must never name a rendition that is not there. A crash here leaves renditions, and
                # the event that comes again removes them.
                if rows.is_deleted(row):
                    self.tidy(row, empty=seen is None)
            uncovered = deletions.may_uncover(deletion) and seen is not None and bool(seen.version_id)
            if uncovered and seen is not None and seen.modified <= deletion.event_time:
                return deletions.uncovered(deletion, row, seen.etag, seen.version_id, seen.bytes)
            self._drop_uncovered(deletion, row)
            if gone is not None:
                return {"outcome": "deleted"}
            # What is there landed after the deletion, and has its own event.
            return {"outcome": "unchanged" if seen is None else "superseded"}
        raise StoreUnavailableError(f"the row of an image has changed {_TRIES} times while its deletion was written")

    def _drop_uncovered(self, deletion: ImageSource, row: Item | None) -> None:
        """Remove what an earlier try of this deletion may have left: renditions of an object that it uncovered then.

        Without a row that takes a version's id to be worth a request: most deletions are of what never was an image.
        """
        if deletions.may_uncover(deletion):
            ours = row is not None and row["sequencer"]["S"] == deletion.sequencer
            if not ours and (row is not None or (deletion.deletion or {}).get("versionId")):
                self.abandon(deletion)

    def _kept(self, gone: Item, before: Item) -> bool:
        try:
            return self._images.mark(gone, before)
        except RecordRejectedError:  # it was as large as an item can be
            return self._images.mark({name: value for name, value in gone.items() if name != "algorithms"}, before)

    def following(self, row: Item) -> ImageSource | None:
        """Return what is to be done next so that a row is that of the object that is there, None where it is.

        That is the deletion of its original, or another object that has no event of its own. Raises StoreError.
        """
        if rows.is_deleted(row):
            return None
        seen = self._sources.look(row["bucket"]["S"], row["imageKey"]["S"])
        now = self._now()
        if seen is None:
            return deletions.noticed(row, now)
        if deletions.is_of(row, seen.etag, seen.version_id):
            return None
        if not seen.version_id or seen.modified > row["eventTime"]["S"]:
            return None  # it landed later, and has its own event
        return ImageSource(
            bucket=row["bucket"]["S"],
            key=row["imageKey"]["S"],
            etag=seen.etag,
            bytes=seen.bytes,
            sequencer=deletions.successor(row["sequencer"]["S"]),
            event_time=now,
            version_id=seen.version_id,
        )

    def tidy(self, row: Item, *, empty: bool = False) -> None:
        """Remove the renditions of whatever was there before the object of this row, or before its deletion.

        ``empty`` says that nothing is there now: then also those of what was uncovered, and went before it had its row.
        Raises StoreError.
        """
        kept = row["sequencer"]["S"]
        if rows.is_deleted(row):
            kept = deletions.successor(kept)
            if empty:
                kept = deletions.successor(kept)
        prefix = rows.renditions_prefix(row["imageKey"]["S"])
        self._renditions.remove(prefix, before=f"{prefix}{kept}")

    def abandon(self, source: ImageSource) -> None:
        """Remove the renditions that an earlier try may have left, of an object that never got its row."""
        self._renditions.remove(f"{rows.renditions_prefix(source.key)}{source.sequencer}/")

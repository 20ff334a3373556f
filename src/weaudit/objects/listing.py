"""A page of a bucket's objects: what to ask of S3, and how the answer is told."""

from __future__ import annotations

from weaudit.api import paging, queries
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from weaudit.api.queries import Asked

    class Listing(Protocol):
        """What S3 answered (weaudit.aws.client.Listing)."""

        @property
        def objects(self) -> list[dict[str, str]]: ...
        @property
        def groups(self) -> list[str]: ...
        @property
        def truncated(self) -> bool: ...


# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
_MOST_ENTRIES = 1000


@value
class Plan:
    """What is asked of S3. ``after`` is the last key of the page before, or its last group where ``after_group``."""

    prefix: str
    delimiter: str
    limit: int
    after: str
    after_group: bool

    @property
    def most_entries(self) -> int:
        """How many entries to ask for: S3 gives the group that ``after`` lies in once more."""
        return min(self.limit + self.after_group, _MOST_ENTRIES)


def plan(asked: Asked) -> Plan:
    """Return what a query asks of S3. Raises InvalidInputError."""
    prefix, delimiter = (
        queries.text(asked, name, queries.LONGEST_OBJECT_KEY_BYTES) for name in ("prefix", "delimiter")
    )
    place = paging.place_of(asked, 2)
    if place is not None and not _is_place(place, prefix, delimiter):
        raise paging.refused()
    kind, after = place or ("", "")
    return Plan(prefix, delimiter, queries.limit(asked), after, kind == "group")


def _is_place(place: list[str], prefix: str, delimiter: str) -> bool:
    """Say whether a page with this prefix and delimiter may end there: at a key, or at a group of keys."""
    if len(place) != 2:
        return False
    kind, after = place
    within = bool(after) and after.startswith(prefix) and queries.fits(after, queries.LONGEST_OBJECT_KEY_BYTES)
    grouped = bool(delimiter) and after[len(prefix) :].partition(delimiter)[1:] == (delimiter, "")
    return within and (kind == "key" or (kind == "group" and grouped))


def page(asked: Asked, planned: Plan, listing: Listing) -> dict[str, Any]:
    """Return objects and groups of keys (``prefixes``) in the order of their names, and the cursor of what follows."""
    entries: list[tuple[str, dict[str, Any] | None]] = [(found["Key"], _document(found)) for found in listing.objects]
    entries += [(group, None) for group in listing.groups if not (planned.after_group and group == planned.after)]
    # S3 sorts keys by their bytes in UTF-8, which is the order of their code points.
    entries.sort(key=lambda entry: entry[0])
    filled = paging.Page(planned.limit)
    objects: list[Any] = []
    prefixes: list[Any] = []
    for name, document in entries:
        if not filled.take(name if document is None else document, ["group" if document is None else "key", name]):
            break
        (prefixes if document is None else objects).append(filled.elements[-1])
    filled.more = filled.more or listing.truncated
    return {"objects": objects, "prefixes": prefixes, "cursor": filled.cursor(asked)}


def _document(found: dict[str, str]) -> dict[str, Any]:
    return {
        "key": found["Key"],
        "bytes": int(found["Size"] or 0),
        "lastModified": found["LastModified"],
        "eTag": found["ETag"].strip('"'),
        "storageClass": found["StorageClass"] or "STANDARD",
    }

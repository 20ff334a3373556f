"""The entries of the Audit table's indexes, and the records that they stand for.

Both indexes hold little more than keys, so that a record is written whole only once, however large it is. Readers find
entries by an index, and then read the records, no more of them than are wanted.
"""

from __future__ import annotations

from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from weaudit.items.values import Item

    # Returns the records with these ids, by id; one that is gone is left out.
    Get = Callable[[list[str]], dict[str, Item]]

FEW = 32
"""So many records are read at once at first: most readers want few."""

# DynamoDB returns at most so many items for one request.
_RECORDS = 100


def records_of(entries: Iterable[Item], get: Get, first: int = FEW) -> Iterator[Item]:
    """Yield the records of index entries in their order, lazily; of entries whose record is gone, none.

    The ``first`` records are read at once, and then a hundred at a time. Raises what ``get`` raises.
    """
    waiting, size = iter(entries), min(first, _RECORDS)
    while ids := [str(entry["id"]["S"]) for entry in islice(waiting, size)]:
        found = get(ids)
        yield from (found[name] for name in ids if name in found)
        size = _RECORDS

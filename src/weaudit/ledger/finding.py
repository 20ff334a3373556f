"""Finds the entries of a row: by lookups, one for each 65,536 leaves, and in the bundles of the leaves after them.

A lookup is a line of canonical JSON, with the least and the largest ``time`` of its entries, and ten bytes for each
entry that has an id, sorted: the first eight of the SHA-256 of the id, and two that count from its first leaf.

Lookups prove nothing, and can hide an entry. What is found by them is proven by the tree.
"""

from __future__ import annotations

from hashlib import sha256
from math import isqrt

from weaudit.ledger import entries
from weaudit.ledger.entries import canonical, parse_canonical
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.tiles import ENTRIES, WIDTH, Tile, parse_bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol, TypeVar

    from weaudit.ledger.entries import Entry
    from weaudit.ledger.tiles import Fetch, TileReader

    A = TypeVar("A")
    B = TypeVar("B")

    class Each(Protocol):
        """Calls a function for each element, as ``map`` does; several of the calls may run at once."""

        def __call__(self, function: Callable[[A], B], elements: Iterable[A], /) -> Iterator[B]:
            """Yield what the calls return, in the order of the elements."""

    Part = Callable[[str, int, int], tuple[bytes, int] | None]
    """Returns ``count`` bytes from ``first`` of the object at a path, as far as there are, and the object's length."""

LEAVES = WIDTH * WIDTH
"""How many leaves a lookup is about."""
FORMAT = "weaudit-lookup-1"
_PREFIX_BYTES = 8
_ROW_BYTES = _PREFIX_BYTES + 2
_EARLIEST = "0000-01-01T00:00:00.000Z"
# All times of entries have one length.
_HEAD_BYTES = len(canonical({"format": FORMAT, "largest": _EARLIEST, "least": _EARLIEST})) + 1


def path(number: int) -> str:
    """Return the path of the lookup of the leaves from ``number * LEAVES`` on."""
    return f"lookup/{number}"


def content(found: Iterable[Entry]) -> bytes:
    """Return the lookup of 65,536 entries, in order."""
    rows, least, largest = [], "", ""
    for at, one in enumerate(found):
        least, largest = min(least or one.time, one.time), max(largest, one.time)
        if one.id is not None:
            rows.append(_prefix(one.id) + at.to_bytes(2, "big"))
    head = canonical({"format": FORMAT, "largest": largest, "least": least})
    return head + b"\n" + b"".join(sorted(rows))


def entries_of(
    row_id: str, tree: TileReader, fetch: Fetch, part: Part, since: str = "", each: Each = map
) -> list[tuple[int, Entry]]:
    """Return the entries with this id, each with its leaf, in the order of the log; all of them are proven.

    The log is read from its end back to where all times are before ``since``. A row is sealed a day after it was
    written at the latest, so give a time two days before that. Raises LedgerError if an object is not of its form or
    not the one that the tree proves.
    """
    found = []
    for leaf in _leaves(row_id, tree.size, fetch, part, since, each):
        entry = entries.parse(tree.entry(leaf))
        if entry.id == row_id:  # and not only the beginning of its hash
            found.append((leaf, entry))
    return sorted(found, key=lambda pair: pair[0])


def _leaves(row_id: str, size: int, fetch: Fetch, part: Part, since: str, each: Each) -> Iterator[int]:
    """Yield the leaves that may have the id, from the end of the log back to where all times are before ``since``."""
    complete = size // LEAVES
    for leaves, latest in _bundles(row_id, range(complete * WIDTH, -(-size // WIDTH)), size, fetch, each):
        yield from leaves
        if latest < since:
            return
    numbers = range(complete - 1, -1, -1)
    for number, rows in zip(numbers, each(lambda number: _rows(row_id, number, part, since), numbers), strict=True):
        if rows is None:  # nobody has made this lookup yet
            bundles = range(number * WIDTH, (number + 1) * WIDTH)
            rows = [leaf for leaves, _ in _bundles(row_id, bundles, size, fetch, each) for leaf in leaves], since
        leaves, latest = rows
        yield from leaves
        if latest < since:
            return


def _bundles(row_id: str, numbers: range, size: int, fetch: Fetch, each: Each) -> Iterator[tuple[list[int], str]]:
    """Yield the leaves of each bundle that have the id, and the time of its last entry; the last bundle comes first."""
    sought = canonical(row_id)

    def bundle(number: int) -> tuple[list[int], str]:
        held = _bundle(number, min(WIDTH, size - number * WIDTH), fetch)
        leaves = [number * WIDTH + at for at, text in enumerate(held) if sought in text]
        return leaves, entries.parse(held[-1]).time

    return each(bundle, reversed(numbers))


def _bundle(number: int, count: int, fetch: Fetch) -> list[bytes]:
    # A partial bundle may be gone once the full one is there.
    for width in dict.fromkeys((count, WIDTH)):
        data = fetch(Tile(ENTRIES, number, width).path)
        if data is not None:
            return parse_bundle(data, width)[:count]
    raise LedgerError(f"{Tile(ENTRIES, number, count).path} is missing")


def _rows(row_id: str, number: int, part: Part, since: str = "") -> tuple[list[int], str] | None:
    """Return the leaves that a lookup has for the id, and the largest time of all; None if there is no such lookup.

    Of a lookup whose times are all before ``since``, only the first line is read.
    """
    where = path(number)
    found = part(where, 0, _HEAD_BYTES)
    if found is None:
        return None
    head, length = found
    latest = _latest(where, head)
    if latest < since:
        return [], latest
    count, rest = divmod(length - _HEAD_BYTES, _ROW_BYTES)
    if rest or not 0 <= count <= LEAVES:
        raise LedgerError(f"{where} does not end with a row")
    prefix = _prefix(row_id)

    def rows(start: int, end: int) -> list[bytes]:
        read = part(where, _HEAD_BYTES + start * _ROW_BYTES, (end - start) * _ROW_BYTES) if start < end else (b"", 0)
        data = b"" if read is None else read[0]
        if len(data) != (end - start) * _ROW_BYTES:
            raise LedgerError(f"{where} changed while it was read")
        return [data[at : at + _ROW_BYTES] for at in range(0, len(data), _ROW_BYTES)]

    # Prefixes are as good as random, so the place of one is known to within a few times the root of their number.
    near, margin = int.from_bytes(prefix) * count >> 8 * _PREFIX_BYTES, 4 * isqrt(count) + 16
    start, end = max(near - margin, 0), min(near + margin, count)
    held = rows(start, end)
    # Unless somebody chose ids by their hashes: then all rows are read.
    if (start and held[0][:_PREFIX_BYTES] >= prefix) or (end < count and held[-1][:_PREFIX_BYTES] <= prefix):
        held = rows(0, count)
    return [
        number * LEAVES + int.from_bytes(row[_PREFIX_BYTES:]) for row in held if row[:_PREFIX_BYTES] == prefix
    ], latest


def _prefix(row_id: str) -> bytes:
    return sha256(row_id.encode()).digest()[:_PREFIX_BYTES]


def _latest(where: str, head: bytes) -> str:
    if not head.endswith(b"\n"):
        raise LedgerError(f"{where} does not begin with a line of {_HEAD_BYTES} bytes")
    read = parse_canonical(head[:-1])
    if not isinstance(read, dict) or read.keys() != {"format", "largest", "least"} or read["format"] != FORMAT:
        raise LedgerError(f"{where} is not of the format {FORMAT}")
    return str(read["largest"])

"""Where the entries of a row are: an index of each 65,536 leaves, sorted (docs/formats/ledger.md, Lookup).

It proves nothing: what is found by it is proven by the tree. It is what a receipt needs without a write to its record.
"""

from __future__ import annotations

from hashlib import sha256

from weaudit.ledger.entries import canonical
from weaudit.ledger.tiles import WIDTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from weaudit.ledger.entries import Entry

FORMAT = "weaudit-lookup-1"
LEAVES = WIDTH * WIDTH
PREFIX_BYTES = 8


def path(index: int) -> str:
    """Return the path of the lookup of leaves ``index * LEAVES`` on."""
    return f"lookup/{index}"


def prefix(row_id: str) -> bytes:
    """Return what a lookup has of an id."""
    return sha256(row_id.encode()).digest()[:PREFIX_BYTES]


def content(entries: Iterable[Entry]) -> bytes:
    """Return the lookup of 65,536 entries, in order."""
    rows, least, largest = [], "", ""
    for at, entry in enumerate(entries):
        least, largest = min(least or entry.time, entry.time), max(largest, entry.time)
        if entry.id is not None:
            rows.append(prefix(entry.id) + at.to_bytes(2, "big"))
    head = canonical({"format": FORMAT, "largest": largest, "least": least})
    return head + b"\n" + b"".join(sorted(rows))

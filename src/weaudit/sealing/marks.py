"""How far each shard of each stream has been read: said in the log, by the ``seal`` entries that end each commit.

Offsets that lie anywhere else could run ahead of the log, or behind it. These are sealed with what they speak of.
"""

from __future__ import annotations

from weaudit.ledger.entries import entry
from weaudit.ledger.faults import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from weaudit.ledger.entries import Entry

    Marks = dict[str, dict[str, str]]
    """The sequence number of the last record read of each shard, by stream ARN and shard."""

START, END = "", "end"
"""The marks of a shard of which nothing was read yet, and of one that is closed and was read to its end."""

_SHARDS_OF_A_SEAL = 400
"""With their ARNs they stay well below the 65,535 bytes of an entry: a mark has 40 digits, and a shard's id 65 letters
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Shard.html)."""


def seals(at: str, n: int, marks: Marks, *, behind: bool) -> list[Entry]:
    """Return the entries that end a commit of ``n`` others: one, or as many as the marks need.

    ``behind`` says that more had come than was read.
    """
    parts = list(_parts(marks)) or [{}]
    found = []
    for number, part in enumerate(parts):
        said: dict[str, Any] = {"n": n + number, "marks": part}
        if behind:
            said["behind"] = True
        if number < len(parts) - 1:
            said["more"] = True
        found.append(entry("seal", at, **said))
    return found


def _parts(marks: Marks) -> Iterator[Marks]:
    part: Marks = {}
    count = 0
    for stream, shards in marks.items():
        for shard, mark in shards.items():
            part.setdefault(stream, {})[shard] = mark
            count += 1
            if count == _SHARDS_OF_A_SEAL:
                yield part
                part, count = {}, 0
    if part:
        yield part


def last_seals(backwards: Iterable[Entry]) -> tuple[str, Marks, bool]:
    """Return time, marks and ``behind`` of the seals that end a log, given its entries from the last one backwards.

    The time is "" if the log has no entries. Raises LedgerError if its last entry is no seal.
    """
    at, behind = "", False
    marks: Marks = {}
    for found in backwards:
        if not at and found.kind != "seal":
            raise LedgerError("the last entry of the log is not a seal")
        if found.kind != "seal" or (at and "more" not in found.fields):
            break
        at, behind = found.time, "behind" in found.fields
        stated: Any = found.fields["marks"]
        for stream, shards in stated.items():
            marks.setdefault(stream, {}).update(shards)
    return at, marks, behind

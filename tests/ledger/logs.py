"""Logs in memory: every object that the bucket of a ledger has, with checkpoints that are really signed."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from tests.ledger.keys import Signer, signer
from weaudit.ledger import checkpoints, notes
from weaudit.ledger.entries import Entry, entry
from weaudit.ledger.tiles import Tail, TileReader

ORIGIN = "weaudit/111122223333/eu-west-1/weaudit-dev"
AT = "2024-01-01T00:00:00.000Z"
LEAVES = 65_536


class Log:
    """A log with these entries; ``objects`` are those of its bucket, ``asked`` the paths that were read."""

    def __init__(self, entries: Iterable[Entry], by: Signer | None = None, seals: Sequence[int] = ()) -> None:
        """``seals`` are sizes at which it was signed before: it has the partial tiles of these, too."""
        self.entries = list(entries)
        self.by = by or signer(ORIGIN)
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        tail, since = Tail(), 0
        for size in (*seals, len(self.entries)):
            self.objects |= tail.append([one.text for one in self.entries[since:size]])
            self.objects |= tail.partial(since)
            self.root = tail.edge().root()
            self.note = self.signed(size, self.root)
            self.objects["checkpoint"] = self.objects[f"checkpoints/{size:020}"] = self.note
            since = size
        self.size = tail.size
        for number in range(self.size // LEAVES):
            self.objects[f"lookup/{number}"] = lookup(self.entries[number * LEAVES : (number + 1) * LEAVES])

    def signed(self, size: int, root: bytes) -> bytes:
        text = checkpoints.text_of(self.by.key.name, size, root)
        return notes.written(text, [self.by.signature(text)])

    def fetch(self, path: str) -> bytes | None:
        self.asked.append(path)
        return self.objects.get(path)

    def part(self, path: str, first: int, count: int) -> tuple[bytes, int] | None:
        self.asked.append(path)
        found = self.objects.get(path)
        return None if found is None else (found[first : first + count], len(found))

    def tree(self) -> TileReader:
        return TileReader(self.size, self.root, self.fetch)


def lookup(entries: Iterable[Entry]) -> bytes:
    """Return a lookup as docs/formats/ledger.md describes it."""
    rows, times = [], []
    for at, one in enumerate(entries):
        times.append(one.time)
        if one.id is not None:
            rows.append(hashlib.sha256(one.id.encode()).digest()[:8] + bytes(divmod(at, 256)))
    head = {"format": "weaudit-lookup-1", "largest": max(times), "least": min(times)}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + b"".join(sorted(rows))


def sealed(row_id: str, kind: str = "record", time: str = AT, row_hash: str = "c7" * 32, **fields: Any) -> Entry:
    return entry(kind, time, id=row_id, hash=row_hash, **fields)


def seal(n: int, time: str = AT) -> Entry:
    return entry("seal", time, n=n, marks={})

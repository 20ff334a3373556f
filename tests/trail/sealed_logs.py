"""Logs in memory that a small sealer of this file's own writes, and the rows that they are about."""

import copy
from collections.abc import Iterable
from typing import Any

from tests.fakes import SECRETS
from tests.ledger.keys import signer
from tests.trails import changed, decide
from weaudit.capture.hashes import record_hash
from weaudit.items.times import iso_time
from weaudit.items.values import Item
from weaudit.ledger import checkpoints, notes, policies
from weaudit.ledger.entries import Entry, entry
from weaudit.ledger.tiles import Tail
from weaudit.trail.verification.matching import Matching
from weaudit.trail.verification.rows import Source, row_hash, sources
from weaudit.trail.verification.walking import LedgerFinding, LogVerdict, entries_of, verify_log

ORIGIN = "weaudit/123456789012/eu-west-1/weaudit-dev"
LOG = signer(ORIGIN)
POLICY = policies.of_log(LOG.key)
START_MS = 1_704_067_200_000
DAY_MS = 86_400_000
AUDIT, UPDATES, ARRIVALS = TABLES = sources("Audit", "audit_logs", "lambda-invocation-logs")
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/Audit/stream/2024-01-01T00:00:00.000"


def note_of(size: int, root: bytes, origin: str = ORIGIN) -> bytes:
    """Return a checkpoint that the log signed."""
    text = checkpoints.text_of(origin, size, root)
    return notes.written(text, [LOG.signature(text)])


class Log:
    """A log, its objects by path, and the time by its clock: a minute more with each commit."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.tail = Tail()
        self.at_ms = START_MS
        self.mark = 100

    def add(self, entries: Iterable[Entry]) -> int:
        """Write entries, with a checkpoint and without a seal; return the size."""
        since = self.tail.size
        self.objects.update(self.tail.append([one.text for one in entries]))
        self.objects.update(self.tail.partial(since))
        note = note_of(self.tail.size, self.tail.edge().root())
        self.objects |= {"checkpoint": note, f"checkpoints/{self.tail.size:020d}": note}
        return self.tail.size

    def seal(self, entries: Iterable[Entry] = (), **fields: Any) -> int:
        """Write entries and their seal; return the size."""
        made = list(entries)
        self.at_ms += 60_000
        self.mark += len(made)
        told = {"n": len(made), "marks": {STREAM: {"shard-1": str(self.mark)}}, **fields}
        return self.add([*made, entry("seal", iso_time(self.at_ms), **told)])

    def fill(self, size: int) -> "Log":
        """Grow to a size, with one seal at the end."""
        records = size - 1 - self.tail.size
        self.seal(entry("record", iso_time(START_MS), id=f"id-{number}", hash="0" * 64) for number in range(records))
        assert self.tail.size == size
        return self

    def copy(self) -> "Log":
        return copy.deepcopy(self)

    def listed(self, prefix: str) -> list[str]:
        return [path for path in self.objects if path.startswith(prefix)]

    def verdict(self, **how: Any) -> LogVerdict:
        return verify_log(POLICY, self.objects.get, self.listed, **how)

    def flip(self, path: str, at: int = -1, bits: int = 1) -> None:
        """Flip bits of a byte of an object."""
        changed = bytearray(self.objects[path])
        changed[at] ^= bits
        self.objects[path] = bytes(changed)


def record_entry(record: Item, kind: str = "record", **fields: Any) -> Entry:
    """Return the entry of a record of Audit."""
    digest = record_hash(record, record.get("oldValue"), record.get("newValue"))
    return entry(kind, record["modificationTime"]["S"], id=record["id"]["S"], hash=digest.hex(), **fields)


def row_entry(source: Source, row: Item) -> Entry:
    """Return the entry of a row of a log."""
    row_id = source.id_of(row)
    digest = row_hash(SECRETS.origin, source.name, row_id, row)
    return entry("log", row["timestamp"]["S"], id=row_id, hash=digest.hex(), table=source.label)


def records_of(key: str, changes: int = 3, at_ms: int = START_MS) -> list[Item]:
    """Return the records of an item's changes."""
    """Return one record for each change of an item that has a key of one letter."""
    images = [None, *({"value": {"N": str(number)}, "who": {"S": "ada"}} for number in range(changes))]
    first = 100 * ord(key)
    return [record for one in changed(key, images, at_ms=at_ms, first=first) for record in decide(one, actor="who")]


def update_row(number: int, at_ms: int = START_MS) -> Item:
    return {"log_id": {"S": f"log-{number}"}, "timestamp": {"S": iso_time(at_ms)}, "status": {"S": "success"}}


def arrival_row(number: int) -> Item:
    return {"requestId": {"S": f"request-{number}"}, "timestamp": {"S": iso_time(START_MS)}, "size": {"N": "3"}}


class World(Log):
    """A log and the rows that it is about: records, and rows of both logs; everything is sealed, and a day old."""

    def __init__(self) -> None:
        super().__init__()
        records = [record for key in ("a", "b", "c") for record in records_of(key)]
        self.rows: dict[Source, list[Item]] = {
            AUDIT: records,
            UPDATES: [update_row(number) for number in range(3)],
            ARRIVALS: [arrival_row(number) for number in range(3)],
        }
        self.seal(map(record_entry, records[:4]))
        self.seal(map(record_entry, records[4:]))
        self.seal(row_entry(source, row) for source in (UPDATES, ARRIVALS) for row in self.rows[source])
        self.at_ms += DAY_MS
        self.seal()

    def matched(
        self, secret: bytes | None = SECRETS.origin, without: Source | None = None, **how: Any
    ) -> tuple[LogVerdict, Matching, list[LedgerFinding]]:
        """Verify log and rows; return all findings last."""
        verdict = self.verdict(**how)
        complete, now = verdict.verified.seals.complete, iso_time(self.at_ms + 60_000)
        matching = Matching(verdict.verified.rows, complete, now, secret)
        for source in TABLES:
            if source != without:
                matching.finish(source)
                for row in self.rows[source]:
                    matching.take(source, row)
        found = matching.findings(entries_of(self.objects.get, verdict.checkpoint.size))
        return verdict, matching, [*verdict.findings, *found]

    def findings(self, **how: Any) -> list[LedgerFinding]:
        return self.matched(**how)[2]

"""Compares the rows that are stored now with what a log says of them, both ways (docs/formats/ledger.md, step 6)."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from weaudit.capture.hashes import from_base64, origin
from weaudit.items.times import moment
from weaudit.items.values import Item
from weaudit.ledger.entries import Entry
from weaudit.ledger.faults import LedgerError
from weaudit.trail.verification.rows import Source, needs_object, nothing, row_hash, stored_hash
from weaudit.trail.verification.sealed import GONE, SealedRows
from weaudit.trail.verification.walking import LedgerFinding

if TYPE_CHECKING:
    from weaudit.trail.verification.rows import Fetch

LATE = timedelta(minutes=15)
"""A row that is older than the last complete seal by more than this was there to be sealed."""
_AHEAD = timedelta(minutes=5)

_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError)


class Matching:
    """Takes the rows of the tables in any order, and then says what does not match the log.

    ``complete`` is the time of the last seal with which everything was read, and ``now`` the time by a clock: a row
    that is younger than the one is not sealed yet, unless it is from the future. Without the secret ``origin_key``,
    rows of the logs are looked for, and their content is not compared. ``fetch`` reads the evidence bucket, for records
    whose hash needs an object of it.
    """

    def __init__(
        self, rows: SealedRows, complete: str, now: str, origin_key: bytes | None, fetch: "Fetch" = nothing
    ) -> None:
        self._rows = rows
        self._complete, self._now = moment(complete), moment(now)
        self._origin = origin_key
        self._fetch = fetch
        self._seen = bytearray(len(rows))
        self._tables: set[str] = set()
        self._known: list[tuple[int, LedgerFinding]] = []
        self._unknown: list[LedgerFinding] = []
        self.compared = Counter[str]()
        self.unsealed = Counter[str]()
        self.not_compared = Counter[str]()

    def finish(self, source: Source) -> None:
        """Say that all rows of a table were taken: those that did not come are missing."""
        self._tables.add(source.label)

    def take(self, source: Source, row: Item) -> None:
        """Compare a row."""
        row_id = source.id_of(row)
        if not source.seals(row_id):
            return
        slot = self._rows.slot(source.label, row_id)
        if slot is None:
            self._take_unknown(source, row, row_id)
            return
        self._seen[slot] = 1
        kind = self._rows.kind(slot)
        if kind in GONE:
            self._known.append(
                (slot, _finding("added", f"it is there, and the log says that it was {kind}", source, row_id))
            )
            return
        same = self._is_same(source, row, row_id, self._rows.hash(slot))
        if same is None:
            self.not_compared[source.name] += 1
            return
        self.compared[source.name] += 1
        if not same:
            self._known.append((slot, _finding("altered", "it does not have the hash that was sealed", source, row_id)))

    def findings(self, entry_at: Callable[[int], Entry]) -> list[LedgerFinding]:
        """Return what does not match, once all rows were taken; ``entry_at`` returns the entry of a leaf.

        Each finding has the time of the row's last entry, or its own if it has none.
        """
        rows, why = self._rows, "it is gone, and the log does not say that it expired"
        missing = [
            (slot, LedgerFinding(6, "missing", why, table=rows.table(slot)))
            for slot in range(len(rows))
            if not self._seen[slot] and rows.kind(slot) not in GONE and rows.table(slot) in self._tables
        ]
        # In the order of the log, so that each bundle is read once.
        known = sorted(self._known + missing, key=lambda found: rows.leaf(found[0]))
        return [*(self._named(slot, finding, entry_at) for slot, finding in known), *self._unknown]

    def _named(self, slot: int, finding: LedgerFinding, entry_at: Callable[[int], Entry]) -> LedgerFinding:
        leaf = self._rows.leaf(slot)
        try:
            found = entry_at(leaf)
        except LedgerError:
            return finding._replace(leaf=leaf)
        row_id = found.id or ""
        if self._rows.slot(finding.table, row_id) != slot:  # the bundle is not the one that was verified
            return finding._replace(leaf=leaf)
        return finding._replace(id=row_id, time=found.time, leaf=leaf)

    def _take_unknown(self, source: Source, row: Item, row_id: str) -> None:
        """Judge a row that the log has no entry of."""
        text = str(row.get(source.time, {}).get("S", ""))
        at = moment(text)
        if not source.label and self._origin is not None and not _is_ours(row, self._origin, self._fetch):
            kind, why = "foreign", "audit_producer did not make it, and it is not sealed"
        elif at is None:
            kind, why = "added", "the log has no entry of it, and it has no time"
        elif self._now is not None and at > self._now + _AHEAD:
            kind, why = "added", "the log has no entry of it, and its time is to come"
        elif self._complete is not None and at < self._complete - LATE:
            kind, why = "added", "the log has no entry of it, and is complete up to a later time"
        else:
            self.unsealed[source.name] += 1
            return
        self._unknown.append(_finding(kind, why, source, row_id, text))

    def _is_same(self, source: Source, row: Item, row_id: str, sealed: bytes) -> bool | None:
        """Return whether a row has the hash that was sealed; None if that cannot be known without the secret."""
        if not source.label:
            found = stored_hash(row, self._fetch)
            if found == sealed:
                return True
            if found is None and needs_object(row):
                return None
        if self._origin is None:
            return None if source.label or found is None else False
        return row_hash(self._origin, source.name, row_id, row) == sealed


def _is_ours(record: Item, origin_key: bytes, fetch: "Fetch") -> bool:
    digest = stored_hash(record, fetch)
    try:
        return digest is not None and from_base64(record["origin"]) == origin(origin_key, digest)
    except _UNREADABLE:
        return False


def _finding(kind: str, text: str, source: Source, row_id: str, time: str = "") -> LedgerFinding:
    return LedgerFinding(6, kind, text, row_id, source.label, time)

"""Finds changes that reuse the change id of an earlier change of their item.

No index sorts by change id, so an item's changes are read backwards from the change in question, only as far as the
caller asks: a few minutes (history.py).
"""

from __future__ import annotations

from weaudit.items.keys import history_key
from weaudit.trail.table_history import Pages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.table_history import Begin

MOST_READ = 10_000
"""At most this many records of one item are read in one sweep."""

# Few items change several times within minutes, so one small page is usually enough.
_FIRST_PAGE = 25


class FirstUses:
    """Reads the Audit table; ``begin`` sends a Query without waiting for its response, as in table_history."""

    def __init__(self, begin: Begin, audit_table: str) -> None:
        self._begin = begin
        self._audit_table = audit_table

    def borrowed(self, claims: Iterable[tuple[AuditedChange, str]]) -> set[str]:
        """Return the changes that reuse the change id of an earlier change of their item, by their first record's id.

        Each claim is a change and a time; records older than that time are not read. A change with more than
        :data:`MOST_READ` records between that time and itself counts as borrowed, since its id may be in one of those
        that were not read. Raises what the pages raise.
        """
        of_items: dict[tuple[str, str], list[tuple[AuditedChange, str]]] = {}
        for claim in claims:
            of_items.setdefault((claim[0].table, claim[0].item_key), []).append(claim)
        found = set()
        sweeps: list[_Sweep] = []
        try:
            # The first pages of all items are requested concurrently.
            for mine in of_items.values():
                mine.sort(key=lambda claim: claim[0].order, reverse=True)
                # The claims of one item are neighbours, so most of the records that are read are their own.
                sweeps.append(self._sweep(mine[0][0], sum(len(change.record_ids) for change, _ in mine)))
            for sweep, mine in list(zip(sweeps, of_items.values(), strict=True)):
                for change, since in mine:
                    if sweep.order > change.order:  # skip the records between the two changes
                        sweep.leave()
                        sweep = self._sweep(change)
                        sweeps.append(sweep)
                    if sweep.finds(change, since):
                        found.add(change.record_ids[0])
        finally:
            for sweep in sweeps:
                sweep.leave()
        return found

    def _sweep(self, change: AuditedChange, expected: int = 0) -> _Sweep:
        request = {
            "TableName": self._audit_table,
            "IndexName": "history",
            "KeyConditionExpression": "historyKey = :item AND changeOrder < :order",
            "ExpressionAttributeValues": {
                ":item": {"S": history_key(change.table, change.item_key)},
                ":order": {"S": change.order},
            },
            "ProjectionExpression": "changeOrder, modificationTime, changeId",
            "ScanIndexForward": False,
            "Limit": _FIRST_PAGE + expected,
        }
        return _Sweep(Pages(self._begin, request), change.order)


class _Sweep:
    """The records of an item before one of its changes, newest first, read on demand."""

    def __init__(self, pages: Pages, order: str) -> None:
        self.order = order  # the changeOrder of the last record that was read
        self._pages = pages
        self._records = iter(pages)
        self._at = "9"
        self._read = 0
        self._first: dict[str, str] = {}  # change id -> the earliest order with that id so far

    def finds(self, change: AuditedChange, since: str) -> bool:
        """Return whether a record between ``since`` and a change has its id; True if there are too many to read."""
        while self._at >= since:
            record = next(self._records, None)
            if record is None:
                break
            if self._read == MOST_READ:
                return True
            self._read += 1
            self.order = str(record["changeOrder"]["S"])  # a key of the index: every record in the index has it
            self._at = str(record.get("modificationTime", {}).get("S", ""))
            if "changeId" in record:
                self._first[str(record["changeId"].get("S", ""))] = self.order
        return self._first.get(change.change_id or "", change.order) < change.order

    def leave(self) -> None:
        """Cancel the page that is still being read."""
        self._pages.leave()

"""Pages of changes: of one item's history, or of a table in time."""

from __future__ import annotations

from weaudit.api import paging, queries
from weaudit.trail.documents import document, without_values
from weaudit.trail.history import narrowed

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Iterable, Iterator
    from typing import Any

    from weaudit.api.queries import Asked
    from weaudit.trail.changes import AuditedChange

MOST_READ = 2000
"""So many changes of an item are looked through for those of one attribute; then the page ends, however few it has."""


class HistoryPlan:
    """Which of an item's changes are asked for; ``beyond_order`` is that of the last one of the page before."""

    __slots__ = ("attribute", "beyond_order", "item_key", "limit", "newest_first", "since", "table", "until")

    def __init__(self, asked: Asked) -> None:
        """Read a query. Raises InvalidInputError."""
        self.table = queries.table(asked)
        self.item_key = asked.query["key"]
        self.attribute = asked.query.get("attribute")
        self.since = queries.moment(asked, "since")
        self.until = queries.moment(asked, "until", whole_day=True)
        queries.check_order(self.since, self.until)
        self.newest_first = queries.newest_first(asked)
        self.limit = queries.limit(asked)
        place = paging.place_of(asked, 1)
        if place is not None and not (len(place) == 1 and queries.is_order(place[0])):
            raise paging.refused()
        self.beyond_order = place[0] if place else ""

    @property
    def records_a_read(self) -> int | None:
        """How many records to read at a time, where each change of a page has one; None where some are passed over.

        One change more tells that there is another page, and one record more that this change is whole.
        """
        looks_through = self.attribute is not None or self.since is not None or self.until is not None
        return None if looks_through else self.limit + 2

    @property
    def most_changes(self) -> int:
        """How many changes the page is made of, and one that is the next one's first."""
        return self.limit + 1 if self.attribute is None else MOST_READ + 1


class ChangesPlan:
    """Which of a table's changes are asked for; ``given`` are those of the place ``since`` that pages before had."""

    __slots__ = ("given", "limit", "since", "table", "until")

    def __init__(self, asked: Asked, now_ms: int) -> None:
        """Read a query. Raises InvalidInputError."""
        self.table = queries.table(asked)
        self.limit = queries.limit(asked)
        place = paging.place_of(asked, 3)
        self.given: list[str] = []
        if place is None:
            self.since, self.until = queries.span(asked, now_ms)
        else:
            # Keep the first page's end: with a moving "now" the pages would never end.
            self.until, self.since, *self.given = place
            if not queries.is_place(asked, self.until, self.since):
                raise paging.refused()

    def left(self, changes: Iterable[AuditedChange]) -> Iterator[AuditedChange]:
        """Yield the changes without those that a page before had."""
        given = frozenset(self.given)
        return (change for change in changes if change.record_ids[0] not in given)

    def is_place(self, at: str, sequence: str) -> bool:
        """Say whether the next page may begin at a change with this time and padded sequence number."""
        return queries.is_moment(at) and self.since[:24] <= at <= self.until and queries.is_padded(sequence)


def history_page(asked: Asked, plan: HistoryPlan, changes: Iterable[AuditedChange]) -> dict[str, Any]:
    """Return a page of an item's changes."""
    filled = paging.Page(plan.limit)
    for number, change in enumerate(changes):
        if number == MOST_READ:
            filled.more = True
            break
        kept = change if plan.attribute is None else narrowed(change, plan.attribute)
        if kept is None:
            filled.skip([change.order])
        elif not filled.take(document(kept), [change.order], without_values):
            break
    return {
        "tableName": plan.table,
        "itemKey": plan.item_key,
        "changes": filled.elements,
        "cursor": filled.cursor(asked),
    }


def changes_page(asked: Asked, plan: ChangesPlan, changes: Iterable[AuditedChange]) -> dict[str, Any]:
    """Return a page of a table's changes."""
    filled = paging.Page(plan.limit)
    since, given = plan.since, list(plan.given)
    for change in changes:
        if not filled.take(document(change), [], without_values):
            break
        at, sequence = change.at, change.sequence.zfill(40)
        # A record that someone wrote by hand may say any time: the next page begins at the change before it.
        if f"{at}#{sequence}" != since and plan.is_place(at, sequence):
            since, given = f"{at}#{sequence}", []
        given.append(change.record_ids[0])
    filled.skip([plan.until, since, *given])
    return {"tableName": plan.table, "changes": filled.elements, "cursor": filled.cursor(asked)}

"""Pages of changes: of one item's history, or of a table in time."""

from __future__ import annotations

from weaudit.api import paging, queries
from weaudit.trail.documents import document, without_values
from weaudit.trail.history import narrowed
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from weaudit.api.queries import Asked
    from weaudit.trail.changes import AuditedChange

MOST_READ = 2000
"""At most this many changes of an item are searched for one attribute; then the page ends, however few it has."""


@value
class HistoryPlan:
    """Which of an item's changes a request asks for; ``beyond_order`` is that of the previous page's last change."""

    table: str
    item_key: str
    attribute: str | None
    since: str | None
    until: str | None
    newest_first: bool
    limit: int
    beyond_order: str

    @property
    def records_a_read(self) -> int | None:
        """How many records to read at a time, or None if a filter will skip some of them.

        This assumes one record a change. One more change shows that there is another page, and one more record shows
        that this change is whole.
        """
        filtered = self.attribute is not None or self.since is not None or self.until is not None
        return None if filtered else self.limit + 2

    @property
    def most_changes(self) -> int:
        """How many changes to read for the page, and one more that begins the next page."""
        return self.limit + 1 if self.attribute is None else MOST_READ + 1


def history_plan(asked: Asked) -> HistoryPlan:
    """Return which changes of an item's history a query asks for. Raises InvalidInputError."""
    table = queries.table(asked)
    since, until = queries.moment(asked, "since"), queries.moment(asked, "until", whole_day=True)
    queries.check_order(since, until)
    newest_first, limit = queries.newest_first(asked), queries.limit(asked)
    place = paging.place_of(asked, 1)
    if place is not None and not (len(place) == 1 and queries.is_order(place[0])):
        raise paging.refused()
    return HistoryPlan(
        table=table,
        item_key=asked.query["key"],
        attribute=asked.query.get("attribute"),
        since=since,
        until=until,
        newest_first=newest_first,
        limit=limit,
        beyond_order=place[0] if place else "",
    )


@value
class ChangesPlan:
    """Which of a table's changes a request asks for; ``given`` names those at ``since`` that earlier pages had."""

    table: str
    since: str
    until: str
    limit: int
    given: tuple[str, ...]

    def left(self, changes: Iterable[AuditedChange]) -> Iterator[AuditedChange]:
        """Yield the changes without those that an earlier page contained."""
        given = frozenset(self.given)
        return (change for change in changes if change.record_ids[0] not in given)

    def is_place(self, at: str, sequence: str) -> bool:
        """Return whether the next page may begin at a change with this time and padded sequence number."""
        return queries.is_moment(at) and self.since[:24] <= at <= self.until and queries.is_padded(sequence)


def changes_plan(asked: Asked, now_ms: int) -> ChangesPlan:
    """Return which of a table's changes a query asks for. Raises InvalidInputError."""
    table, limit = queries.table(asked), queries.limit(asked)
    place = paging.place_of(asked, 3)
    if place is None:
        since, until = queries.span(asked, now_ms)
        return ChangesPlan(table, since, until, limit, ())
    # Keep the first page's `until`: with a moving "now" the pages would never end.
    until, since, *given = place
    if not queries.is_place(asked, until, since):
        raise paging.refused()
    return ChangesPlan(table, since, until, limit, tuple(given))


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
        # A record that was written by hand may hold any time: the next page begins at the change before it.
        if f"{at}#{sequence}" != since and plan.is_place(at, sequence):
            since, given = f"{at}#{sequence}", []
        given.append(change.record_ids[0])
    filled.skip([plan.until, since, *given])
    return {"tableName": plan.table, "changes": filled.elements, "cursor": filled.cursor(asked)}

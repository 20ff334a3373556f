"""Pages of changes: of one item's history, or of a table in time."""

from __future__ import annotations

from weaudit.api import paging, queries
from weaudit.items.texts import compact
from weaudit.trail.documents import document, without_values
from weaudit.trail.history import narrowed, without
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from weaudit.api.queries import Asked
    from weaudit.trail.changes import AuditedChange

MOST_READ = 2000
"""At most this many changes are searched for those to show; then the page ends, however few it has."""

MOST_PASSED_BYTES = 4 * paging.PAGE_BYTES
"""At most some so many bytes of changes that are not shown are read for a page."""


@value
class HistoryPlan:
    """Which of an item's changes a request asks for; ``beyond_order`` is that of the previous page's last change."""

    table: str
    item_key: str
    attribute: str | None
    without: frozenset[str]
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
        filtered = self._selective or self.since is not None or self.until is not None
        return None if filtered else self.limit + 2

    @property
    def most_changes(self) -> int:
        """How many changes to read for the page, and one more that begins the next page."""
        return (MOST_READ if self._selective else self.limit) + 1

    def shown(self, change: AuditedChange) -> AuditedChange | None:
        """Return what the page shows of a change, or None if it does not show it."""
        return without(change, self.without) if self.attribute is None else narrowed(change, self.attribute)

    @property
    def _selective(self) -> bool:
        return self.attribute is not None or bool(self.without)


def history_plan(asked: Asked) -> HistoryPlan:
    """Return which changes of an item's history a query asks for. Raises InvalidInputError."""
    table = queries.table(asked)
    since, until = queries.moment(asked, "since"), queries.moment(asked, "until", whole_day=True)
    queries.check_order(since, until)
    newest_first, limit, left_out = queries.newest_first(asked), queries.limit(asked), queries.without(asked)
    place = paging.place_of(asked, 1)
    if place is not None and not (len(place) == 1 and queries.is_order(place[0])):
        raise paging.refused()
    return HistoryPlan(
        table=table,
        item_key=asked.query["key"],
        attribute=asked.query.get("attribute"),
        without=left_out,
        since=since,
        until=until,
        newest_first=newest_first,
        limit=limit,
        beyond_order=place[0] if place else "",
    )


@value
class ChangesPlan:
    """Which of a table's changes a request asks for.

    ``first`` and ``last`` are the ends of the whole range. The page begins at ``position``, which is one of them or the
    position of a change; ``given`` names the changes there that earlier pages had.
    """

    table: str
    without: frozenset[str]
    first: str
    last: str
    newest_first: bool
    limit: int
    position: str
    given: tuple[str, ...]

    @property
    def since(self) -> str:
        """Where the rest of the range begins: a time, or the position of a change."""
        return self.first if self.newest_first else self.position

    @property
    def until(self) -> str:
        """Where the rest of the range ends: a time, or the position of a change."""
        return self.position if self.newest_first else self.last

    @property
    def most_changes(self) -> int:
        """How many changes to read for the page, and one more that begins the next page."""
        return (MOST_READ if self.without else self.limit) + 1

    def left(self, changes: Iterable[AuditedChange]) -> Iterator[AuditedChange]:
        """Yield the changes without those that an earlier page contained."""
        given = frozenset(self.given)
        return (change for change in changes if change.record_ids[0] not in given)

    def shown(self, change: AuditedChange) -> AuditedChange | None:
        """Return what the page shows of a change, or None if it does not show it."""
        return without(change, self.without)

    def is_position(self, given: str) -> bool:
        """Return whether the next page may begin at a change with this ``changesOrder``."""
        at, separator, _ = given.partition("#")
        return bool(separator) and queries.is_position(given) and self.first <= at <= self.last


def changes_plan(asked: Asked, now_ms: int) -> ChangesPlan:
    """Return which of a table's changes a query asks for. Raises InvalidInputError."""
    table, limit = queries.table(asked), queries.limit(asked)
    newest_first, left_out = queries.newest_first(asked), queries.without(asked)
    place = paging.place_of(asked, 3)
    if place is None:
        first, last = queries.span(asked, now_ms)
        return ChangesPlan(table, left_out, first, last, newest_first, limit, last if newest_first else first, ())
    # Keep the first page's `until`: with a moving "now" the pages would never end.
    until, position, *given = place
    span = queries.span_of_place(asked, until, position)
    if span is None:
        raise paging.refused()
    return ChangesPlan(table, left_out, *span, newest_first, limit, position, tuple(given))


def history_page(asked: Asked, plan: HistoryPlan, changes: Iterable[AuditedChange]) -> dict[str, Any]:
    """Return a page of an item's changes."""
    filled, search = paging.Page(plan.limit), _Search()
    for change in changes:
        if search.is_over():
            filled.more = True
            break
        kept = plan.shown(change)
        if kept is None:
            search.pass_over(change)
            filled.skip([change.order])
        elif not filled.take(document(kept), [change.order], without_values):
            break
    return {
        "tableName": plan.table,
        "itemKey": plan.item_key,
        "changes": filled.elements,
        **_folded(plan.without, 0 if plan.attribute is not None else search.passed),
        "cursor": filled.cursor(asked),
    }


def changes_page(asked: Asked, plan: ChangesPlan, changes: Iterable[AuditedChange]) -> dict[str, Any]:
    """Return a page of a table's changes."""
    filled, search = paging.Page(plan.limit), _Search()
    position, given = plan.position, list(plan.given)
    for change in changes:
        if search.is_over():
            filled.more = True
            break
        kept = plan.shown(change)
        if kept is None:
            search.pass_over(change)
        elif not filled.take(document(kept), [], without_values):
            break
        # The key of the index, which is read in its order. A record that was written by hand may have anything there:
        # the next page begins at the change before it.
        order = str(change.records[0].get("changesOrder", {}).get("S", ""))
        if order != position and plan.is_position(order):
            position, given = order, []
        given.append(change.record_ids[0])
    filled.skip([plan.last, position, *given])
    return {
        "tableName": plan.table,
        "changes": filled.elements,
        **_folded(plan.without, search.passed),
        "cursor": filled.cursor(asked),
    }


class _Search:
    """Counts what a page reads and does not show: a page that shows little must end, too."""

    def __init__(self) -> None:
        self.passed = 0
        self._seen = 0
        self._bytes = 0

    def is_over(self) -> bool:
        """Return whether the page has read enough; if not, it goes on with one more change."""
        self._seen += 1
        return self._seen > MOST_READ or self._bytes > MOST_PASSED_BYTES

    def pass_over(self, change: AuditedChange) -> None:
        """Count a change that is not shown."""
        self.passed += 1
        self._bytes += len(compact(document(change)))


def _folded(left_out: frozenset[str], count: int) -> dict[str, int]:
    return {"folded": count} if left_out else {}

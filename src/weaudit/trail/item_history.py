"""Finds an item's changes around a point of its history in few reads, however long the history is.

The index ``history`` is in the order of the stream, not of time. Times follow that order to within some seconds, so a
time is found by a binary search over sequence numbers, which reads a small page at each step.
"""

from __future__ import annotations

from datetime import datetime

from weaudit.errors import InvalidInputError
from weaudit.items.keys import history_key
from weaudit.items.times import iso_moment
from weaudit.trail.entries import records_of
from weaudit.trail.history import SLACK, changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from weaudit.items.values import Item
    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.entries import Get

    # Sends a Query to DynamoDB and returns the response, both in DynamoDB JSON with binary as base64 text.
    Query = Callable[[dict[str, Any]], dict[str, Any]]

_SEQUENCE_DIGITS = 40
_PAGE = 100
_PROBE = 25
# Of the changes after a point, the first is wanted, and rarely more.
_FEW = 4
# Each probe halves a range of numbers of at most 40 digits; records that were written by hand must not make it endless.
_MOST_PROBES = 200


class ItemHistory:
    """Reads the history of one item from any point, in both directions. All methods raise what ``query`` raises."""

    def __init__(self, query: Query, get: Get, audit_table: str, table: str, item_key: str) -> None:
        self._query = query
        self._get = get
        self._request: dict[str, Any] = {"TableName": audit_table, "IndexName": "history"}
        self._partition = {"S": history_key(table, item_key)}

    def back(self, order: str | None) -> Iterator[AuditedChange]:
        """Yield the changes up to and including this ``order`` (None: all changes), newest first, lazily."""
        entries = self._entries("" if order is None else "<= :order", order, newest_first=True, page=_PAGE)
        return changes(records_of(entries, self._get))

    def on(self, order: str | None) -> Iterator[AuditedChange]:
        """Yield the changes after this ``order`` (None: all changes), oldest first, lazily."""
        entries = self._entries("" if order is None else "> :order", order, newest_first=False, page=_PROBE)
        return changes(records_of(entries, self._get, first=_FEW))

    def order_at(self, at: str) -> str | None:
        """Return an order after which every change is later than ``at``, or None if there may be no such change.

        It lies within a page of the first such change. Times may be out of order by ``history.SLACK``, so the search is
        for a time that much later than ``at``: no change up to ``at`` lies beyond the result.
        """
        limit = _later(at)
        newest = self._end(newest_first=True)
        if newest is None or _at(newest) <= limit:
            return None
        oldest = self._end(newest_first=False)
        low, high = _order(oldest or newest), _order(newest)
        if oldest is None or _at(oldest) > limit:
            return low
        # The search keeps a change up to the limit at or before `low`, and a later one at `high`.
        for _ in range(_MOST_PROBES):
            middle = _middle(low, high)
            if middle is None:
                break
            page, more = self._between(low, middle)
            if not page or _at(page[0]) <= limit:
                low = middle
            elif not more or _at(page[-1]) <= limit:
                return _order(page[0])
            else:
                high = _order(page[-1])
        return high

    def order_of(self, sequence: str) -> str:
        """Return the order of the change with this sequence number, or the order that such a change would have.

        Numbers compare only within one stream of the table. If the stream was turned off and on again, the newest
        stream with exactly this number is taken, or else the newest stream with a change before it.
        ``<stream label>#<number>`` also names the stream. Raises InvalidInputError if ``sequence`` has neither form.
        """
        label, separator, digits = sequence.rpartition("#")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= _SEQUENCE_DIGITS) or (
            separator and not label
        ):
            raise InvalidInputError(
                "a sequence number has up to 40 digits\n"
                "Take it from a change of the item, as `weaudit history --json` shows it."
            )
        wanted = digits.zfill(_SEQUENCE_DIGITS)
        if label:
            return f"{label}#{wanted}"
        found, order = None, f"#{wanted}"
        newest = self._end(newest_first=True)
        while newest is not None:
            label = _order(newest).rpartition("#")[0]
            order = f"{label}#{wanted}"
            (page, _) = self._between(f"{label}#", order)
            if page and _order(page[0]) == order:
                return order
            if page and found is None:
                found = order
            newest = self._end(newest_first=True, before=f"{label}#")
        return found or order

    def _end(self, *, newest_first: bool, before: str | None = None) -> Item | None:
        condition = "" if before is None else "< :order"
        response = self._fetch(condition, {":order": before}, newest_first, limit=1, ProjectionExpression=_PROJECTED)
        return next(iter(response["Items"]), None)

    def _between(self, low: str, high: str) -> tuple[list[Item], bool]:
        """Return the newest entries between two orders, both included, newest first, and whether there are more."""
        ends = {":order": low, ":high": high}
        response = self._fetch("BETWEEN :order AND :high", ends, True, limit=_PROBE, ProjectionExpression=_PROJECTED)
        return response["Items"], bool(response.get("LastEvaluatedKey"))

    def _entries(self, condition: str, order: str | None, *, newest_first: bool, page: int) -> Iterator[Item]:
        response = self._fetch(condition, {":order": order}, newest_first, limit=page)
        yield from response["Items"]
        while start := response.get("LastEvaluatedKey"):
            # Pages grow up to the service's limit (1 MB): a caller that needs few records reads few, and one that needs
            # many makes few requests.
            page *= 4
            response = self._fetch(condition, {":order": order}, newest_first, limit=page, ExclusiveStartKey=start)
            yield from response["Items"]

    def _fetch(
        self,
        condition: str,
        orders: Mapping[str, str | None],
        newest_first: bool,
        limit: int | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        values = {name: {"S": order} for name, order in orders.items() if order is not None}
        return self._query(
            {
                **self._request,
                **more,
                "Limit": limit,
                "KeyConditionExpression": "historyKey = :item" + (f" AND changeOrder {condition}" if condition else ""),
                "ExpressionAttributeValues": {":item": self._partition, **values},
                "ScanIndexForward": not newest_first,
            }
        )


_PROJECTED = "changeOrder, modificationTime"


def _at(record: Item) -> str:
    return str(record.get("modificationTime", {}).get("S", ""))


def _order(record: Item) -> str:
    return str(record["changeOrder"]["S"])  # a key of the index: every record in the index has it


def _later(at: str) -> str:
    try:
        return iso_moment(datetime.fromisoformat(at) + SLACK)
    except (ValueError, OverflowError):
        return at


def _middle(low: str, high: str) -> str | None:
    """Return an order halfway between two, or None if there is no order between them."""
    (low_label, _, low_digits), (label, _, digits) = low.rpartition("#"), high.rpartition("#")
    if low_label != label:
        return f"{label}#"  # the older streams of the table on one side, the newest on the other
    first, last = (int(text) if text.isdecimal() else 0 for text in (low_digits, digits))
    middle = (first + last) // 2
    return None if middle <= first else f"{label}#{middle:0{_SEQUENCE_DIGITS}}"

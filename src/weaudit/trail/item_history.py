"""One item's changes around a point of its history: found in few reads, however long the history is.

The index ``history`` is in the order of the stream, not of time. Times follow that order but for some seconds, so a
time is found by halving the range of sequence numbers, a small page at a time.
"""

from __future__ import annotations

from datetime import datetime

from weaudit.errors import InvalidInputError
from weaudit.items.keys import history_key
from weaudit.items.times import iso_moment
from weaudit.trail.history import SLACK, changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from weaudit.items.values import Item
    from weaudit.trail.changes import AuditedChange

    # Sends a Query of DynamoDB and returns the answer, both in DynamoDB JSON with binary as base64 text.
    Query = Callable[[dict[str, Any]], dict[str, Any]]

_SEQUENCE_DIGITS = 40
_PAGE = 100
_PROBE = 25
# Each probe halves a range of numbers of at most 40 digits; what someone wrote by hand must not make it endless.
_MOST_PROBES = 200


class ItemHistory:
    """Reads the history of one item from any point, in both directions. All methods raise what ``query`` raises."""

    def __init__(self, query: Query, audit_table: str, table: str, item_key: str) -> None:
        self._query = query
        self._request: dict[str, Any] = {"TableName": audit_table, "IndexName": "history"}
        self._partition = {"S": history_key(table, item_key)}

    def back(self, order: str | None) -> Iterator[AuditedChange]:
        """Yield the changes up to this ``order`` (None: all of them), newest first, lazily."""
        return changes(self._records("" if order is None else "<= :order", order, newest_first=True, page=_PAGE))

    def on(self, order: str | None) -> Iterator[AuditedChange]:
        """Yield the changes beyond this ``order`` (None: all of them), oldest first, lazily."""
        return changes(self._records("" if order is None else "> :order", order, newest_first=False, page=_PROBE))

    def order_at(self, at: str) -> str | None:
        """Return an order beyond which every change is stamped later than ``at``; None where that may be none.

        It lies within a page of the first of these, but for the changes of ``histories.SLACK``: these may be out of
        order, and one up to ``at`` is found all the same.
        """
        limit = _later(at)
        newest = self._end(newest_first=True)
        if newest is None or _at(newest) <= limit:
            return None
        oldest = self._end(newest_first=False)
        low, high = _order(oldest or newest), _order(newest)
        if oldest is None or _at(oldest) > limit:
            return low
        # At low or before it, one is stamped in time; at high, one is too late.
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
        """Return the order of the change with this sequence number, or else the one that it would have.

        Numbers are compared within one stream of the table: where the stream was turned off and on again, the newest is
        taken that has this very number, or else the newest that has a change before it. ``<stream label>#<number>``
        names the stream, too. Raises InvalidInputError where it is neither.
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
        answer = self._ask(condition, {":order": before}, newest_first, limit=1, ProjectionExpression=_NAMED)
        return next(iter(answer["Items"]), None)

    def _between(self, low: str, high: str) -> tuple[list[Item], bool]:
        """Return the newest records between two orders, these included, newest first; and whether there are more."""
        ends = {":order": low, ":high": high}
        answer = self._ask("BETWEEN :order AND :high", ends, True, limit=_PROBE, ProjectionExpression=_NAMED)
        return answer["Items"], bool(answer.get("LastEvaluatedKey"))

    def _records(self, condition: str, order: str | None, *, newest_first: bool, page: int) -> Iterator[Item]:
        answer = self._ask(condition, {":order": order}, newest_first, limit=page)
        yield from answer["Items"]
        while start := answer.get("LastEvaluatedKey"):
            # Who reads on reads much: pages grow, up to those of the service (1 MB), and little is read for nothing.
            page *= 4
            answer = self._ask(condition, {":order": order}, newest_first, limit=page, ExclusiveStartKey=start)
            yield from answer["Items"]

    def _ask(
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


_NAMED = "changeOrder, modificationTime"


def _at(record: Item) -> str:
    return str(record.get("modificationTime", {}).get("S", ""))


def _order(record: Item) -> str:
    return str(record["changeOrder"]["S"])  # a key of the index: no record is in it without


def _later(at: str) -> str:
    try:
        return iso_moment(datetime.fromisoformat(at) + SLACK)
    except (ValueError, OverflowError):
        return at


def _middle(low: str, high: str) -> str | None:
    """Return an order half way between two, or None where there is none between."""
    (low_label, _, low_digits), (label, _, digits) = low.rpartition("#"), high.rpartition("#")
    if low_label != label:
        return f"{label}#"  # the older streams of the table on one side, the newest on the other
    first, last = (int(text) if text.isdecimal() else 0 for text in (low_digits, digits))
    middle = (first + last) // 2
    return None if middle <= first else f"{label}#{middle:0{_SEQUENCE_DIGITS}}"

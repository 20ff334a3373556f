"""Reads a table's changes in the order of time, merged from the sixteen shards of each month in index ``changes``."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta

from weaudit.capture.records import changes_key
from weaudit.items.times import iso_moment
from weaudit.trail.entries import records_of
from weaudit.trail.history import changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any, Protocol

    from weaudit.items.values import Item
    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.entries import Get

    class Page(Protocol):
        """A pending page: the response to a Query, in DynamoDB JSON with binary as base64 text."""

        def result(self) -> dict[str, Any]:
            """Wait for the response and return it."""

        def cancel(self) -> object:
            """Discard the response."""

    # Sends a Query to DynamoDB and does not wait for the response.
    Begin = Callable[[dict[str, Any]], Page]

FIRST_MONTH = "2024-01"
"""Reading begins here if no start is given: WeAudit, and so every record, is younger than this."""

_SHARDS = "0123456789abcdef"
# Most callers want few changes: the first page is small.
_FIRST_PAGE = 100
# Each of sixteen shards has a page in memory and one pending: this limits them to some ten thousand records.
_SHARD_PAGE = 400
# The writer's clock may be ahead of this one.
_AHEAD = timedelta(days=1)


class TableHistory:
    """Reads the changes of one table, a month after the other, merging its sixteen shards, which are read concurrently.

    When reading ends, the pages that are still pending are cancelled.
    """

    def __init__(self, begin: Begin, get: Get, audit_table: str, table: str) -> None:
        self._begin = begin
        self._get = get
        self._audit_table = audit_table
        self._table = table

    def between(
        self, since: str | None, until: str | None, *, newest_first: bool
    ) -> Generator[AuditedChange, None, None]:
        """Yield the changes of a range (None: no limit), both ends included, in the order of time, lazily.

        Large values are not read. An end may also be the position of one change (:meth:`AuditHistory.table`). A caller
        that stops early must close the generator. Raises what the pages raise.
        """
        last = until or iso_moment(datetime.now(UTC) + _AHEAD)
        if since is not None and since.partition("#")[0] > last:
            return  # DynamoDB rejects an empty range
        months = _months(since[:7] if since else FIRST_MONTH, last[:7])
        if newest_first:
            months.reverse()
        shards: list[Pages] = []
        following: list[Pages] = []
        try:
            # The next month's first pages are requested while this month is read.
            for position, month in enumerate(months):
                shards = following or self._month(month, since, last, newest_first)
                ahead = months[position + 1] if position + 1 < len(months) else None
                following = self._month(ahead, since, last, newest_first) if ahead else []
                entries = heapq.merge(*shards, key=_order, reverse=newest_first)
                yield from changes(records_of(entries, self._get))
        except KeyboardInterrupt:
            shards, following = [], []  # the process ends, and waits for no answer that is on its way
            raise
        finally:
            for shard in (*shards, *following):
                shard.leave()

    def _month(self, month: str, since: str | None, until: str, newest_first: bool) -> list[Pages]:
        request = {
            "TableName": self._audit_table,
            "IndexName": "changes",
            "KeyConditionExpression": "changesKey = :shard AND changesOrder BETWEEN :since AND :until",
            "ScanIndexForward": not newest_first,
            "Limit": _FIRST_PAGE,
        }
        # "#" separates time and sequence number, and "$" sorts after it: the range includes every change at `until`.
        ends = {":since": {"S": since or month}, ":until": {"S": until if "#" in until else f"{until}$"}}
        return [
            Pages(
                self._begin,
                {
                    **request,
                    "ExpressionAttributeValues": {":shard": {"S": changes_key(self._table, month, shard)}, **ends},
                },
            )
            for shard in _SHARDS
        ]


class Pages:
    """The items of one Query, for example of one shard's month; the next page is requested before it is needed."""

    def __init__(self, begin: Begin, request: dict[str, Any]) -> None:
        self._begin = begin
        self._request = request
        self._page: Page | None = begin(request)

    def __iter__(self) -> Iterator[Item]:
        response = self._received()
        # Most callers read no further than the first page: request the second only when they do.
        yield from response["Items"]
        self._page = self._after(response)
        while self._page is not None:
            response = self._received()
            self._page = self._after(response)
            yield from response["Items"]

    def leave(self) -> None:
        """Cancel the page that is still pending."""
        if self._page is not None:
            self._page.cancel()

    def _received(self) -> dict[str, Any]:
        page, self._page = self._page, None
        return page.result() if page is not None else {"Items": []}

    def _after(self, response: dict[str, Any]) -> Page | None:
        start = response.get("LastEvaluatedKey")
        return self._begin({**self._request, "Limit": _SHARD_PAGE, "ExclusiveStartKey": start}) if start else None


def _order(entry: Item) -> str:
    return str(entry["changesOrder"]["S"])  # a key of the index: every entry has it


def _months(first: str, last: str) -> list[str]:
    start, end = (int(month[:4]) * 12 + int(month[5:7]) - 1 for month in (first, last))
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(start, end + 1)]

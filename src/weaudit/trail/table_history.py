"""A table's changes in time, out of the sixteen shards in which the index ``changes`` keeps each month of them."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta

from weaudit.capture.records import changes_key
from weaudit.items.times import iso_moment
from weaudit.trail.history import changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any, Protocol

    from weaudit.items.values import Item
    from weaudit.trail.changes import AuditedChange

    class Page(Protocol):
        """A page on its way: an answer of Query, in DynamoDB JSON with binary as base64 text."""

        def result(self) -> dict[str, Any]:
            """Wait for it."""

        def cancel(self) -> object:
            """Do without it."""

    # Sends a Query of DynamoDB and waits for nothing.
    Begin = Callable[[dict[str, Any]], Page]

FIRST_MONTH = "2024-01"
"""WeAudit is younger than this, and so is every record: where nobody says since when, reading begins here."""

_SHARDS = "0123456789abcdef"
# Most askers want few changes: the first page is small.
_FIRST_PAGE = 100
# Sixteen shards have a page in hand and one on its way: that is kept to some ten thousand records.
_SHARD_PAGE = 400
# A clock may be ahead of this one.
_AHEAD = timedelta(days=1)


class TableHistory:
    """Reads the changes of one table, a month at a time, its sixteen shards at once and merged.

    When reading ends, what pages are still on their way are cancelled.
    """

    def __init__(self, begin: Begin, audit_table: str, table: str) -> None:
        self._begin = begin
        self._audit_table = audit_table
        self._table = table

    def between(
        self, since: str | None, until: str | None, *, newest_first: bool
    ) -> Generator[AuditedChange, None, None]:
        """Yield the changes of a range (None: of all time), both ends included, in the order of time, lazily.

        Large values are not read. ``since`` may also be the place of one change (:meth:`AuditHistory.table`). Who stops
        early closes it. Raises what the pages raise.
        """
        last = until or iso_moment(datetime.now(UTC) + _AHEAD)
        if since is not None and since.partition("#")[0] > last:
            return  # DynamoDB refuses such a range
        months = _months(since[:7] if since else FIRST_MONTH, last[:7])
        if newest_first:
            months.reverse()
        shards: list[Pages] = []
        following: list[Pages] = []
        try:
            # The next month's first pages are on their way while this month is read.
            for position, month in enumerate(months):
                shards = following or self._month(month, since, last, newest_first)
                ahead = months[position + 1] if position + 1 < len(months) else None
                following = self._month(ahead, since, last, newest_first) if ahead else []
                yield from heapq.merge(*(changes(shard) for shard in shards), key=_moment, reverse=newest_first)
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
        # "$" follows "#", which stands between time and sequence number: every change of the last instant is in.
        ends = {":since": {"S": since or month}, ":until": {"S": f"{until}$"}}
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
    """The records of one Query, of one shard's month say; once somebody reads on, the next page is on its way."""

    def __init__(self, begin: Begin, request: dict[str, Any]) -> None:
        self._begin = begin
        self._request = request
        self._page: Page | None = begin(request)

    def __iter__(self) -> Iterator[Item]:
        answer = self._arrived()
        # Most read no further than this: the second page is not asked for before they do.
        yield from answer["Items"]
        self._page = self._after(answer)
        while self._page is not None:
            answer = self._arrived()
            self._page = self._after(answer)
            yield from answer["Items"]

    def leave(self) -> None:
        """Do without the page that is on its way."""
        if self._page is not None:
            self._page.cancel()

    def _arrived(self) -> dict[str, Any]:
        page, self._page = self._page, None
        return page.result() if page is not None else {"Items": []}

    def _after(self, answer: dict[str, Any]) -> Page | None:
        start = answer.get("LastEvaluatedKey")
        return self._begin({**self._request, "Limit": _SHARD_PAGE, "ExclusiveStartKey": start}) if start else None


def _moment(change: AuditedChange) -> tuple[str, str]:
    return change.at, change.sequence.zfill(40)


def _months(first: str, last: str) -> list[str]:
    start, end = (int(month[:4]) * 12 + int(month[5:7]) - 1 for month in (first, last))
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(start, end + 1)]

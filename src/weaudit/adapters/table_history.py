"""A table's changes in time, out of the sixteen shards in which the index ``changes`` keeps each month of them."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta

from weaudit.domain.auditing import changes_key
from weaudit.domain.histories import changes
from weaudit.domain.times import iso_moment

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor
    from typing import Any

    from weaudit.domain.audited_changes import AuditedChange
    from weaudit.domain.changes import Item

    # Sends a Query of DynamoDB and returns the answer, both in DynamoDB JSON with binary as base64 text.
    Query = Callable[[dict[str, Any]], dict[str, Any]]

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
    """Reads the changes of one table, a month at a time, its sixteen shards in parallel and merged.

    Unless ``leaves_pages``, no page is on its way any more when reading ends.
    """

    def __init__(self, query: Query, audit_table: str, table: str, *, leaves_pages: bool) -> None:
        self._query = query
        self._audit_table = audit_table
        self._table = table
        self._leaves_pages = leaves_pages

    def between(
        self, since: str | None, until: str | None, *, newest_first: bool
    ) -> Generator[AuditedChange, None, None]:
        """Yield the changes of a range (None: of all time), both ends included, in the order of time, lazily.

        Large values are not read. ``since`` may also be the place of one change (:meth:`AuditHistory.table`). Who stops
        early closes it. Raises what ``query`` raises.
        """
        # Here, because threads cost a cold start as much as all the rest of this module.
        from concurrent.futures import ThreadPoolExecutor

        last = until or iso_moment(datetime.now(UTC) + _AHEAD)
        if since is not None and since.partition("#")[0] > last:
            return  # DynamoDB refuses such a range
        months = _months(since[:7] if since else FIRST_MONTH, last[:7])
        if newest_first:
            months.reverse()
        pool = ThreadPoolExecutor(2 * len(_SHARDS), thread_name_prefix="weaudit-history")
        try:
            # The next month's first pages are on their way while this month is read.
            following: list[_Shard] = []
            for position, month in enumerate(months):
                shards = following or self._month(pool, month, since, last, newest_first)
                ahead = months[position + 1] if position + 1 < len(months) else None
                following = self._month(pool, ahead, since, last, newest_first) if ahead else []
                yield from heapq.merge(*(changes(shard) for shard in shards), key=_moment, reverse=newest_first)
        finally:
            # Whoever stops early does not wait for pages that nobody will read.
            pool.shutdown(wait=not self._leaves_pages, cancel_futures=True)

    def _month(
        self, pool: ThreadPoolExecutor, month: str, since: str | None, until: str, newest_first: bool
    ) -> list[_Shard]:
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
            _Shard(
                self._query,
                pool,
                {
                    **request,
                    "ExpressionAttributeValues": {":shard": {"S": changes_key(self._table, month, shard)}, **ends},
                },
            )
            for shard in _SHARDS
        ]


class _Shard:
    """One shard's records of one month; once somebody reads on, the next page is always on its way."""

    def __init__(self, query: Query, pool: ThreadPoolExecutor, request: dict[str, Any]) -> None:
        self._query = query
        self._pool = pool
        self._request = request
        self._first: Future[dict[str, Any]] = pool.submit(query, request)

    def __iter__(self) -> Iterator[Item]:
        answer = self._first.result()
        yield from answer["Items"]
        following = self._after(answer)
        while following is not None:
            answer = following.result()
            following = self._after(answer)
            yield from answer["Items"]

    def _after(self, answer: dict[str, Any]) -> Future[dict[str, Any]] | None:
        start = answer.get("LastEvaluatedKey")
        if not start:
            return None
        request = {**self._request, "Limit": _SHARD_PAGE, "ExclusiveStartKey": start}
        return self._pool.submit(self._query, request)


def _moment(change: AuditedChange) -> tuple[str, str]:
    return change.at, change.sequence.zfill(40)


def _months(first: str, last: str) -> list[str]:
    start, end = (int(month[:4]) * 12 + int(month[5:7]) - 1 for month in (first, last))
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(start, end + 1)]

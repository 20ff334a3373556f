"""The trail in the Audit table: the one place that reads it.

Both indexes are eventually consistent: a change shows a moment after its records were written.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta
from itertools import chain

from weaudit.adapters.item_history import ItemHistory
from weaudit.domain import rebuilding
from weaudit.domain.auditing import changes_key
from weaudit.domain.histories import changes
from weaudit.domain.item_keys import history_key
from weaudit.domain.spilling import restore
from weaudit.domain.times import iso_moment

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor
    from typing import Any

    from weaudit.domain.audited_changes import AuditedChange, ValueReference
    from weaudit.domain.changes import Item, Value

    # Sends a Query of DynamoDB and returns the answer, both in DynamoDB JSON with binary as base64 text.
    Query = Callable[[dict[str, Any]], dict[str, Any]]
    # Returns an object of the evidence bucket, by bucket and key, or None where it is not there.
    Fetch = Callable[[str, str], bytes | None]

FIRST_MONTH = "2024-01"
"""WeAudit is younger than this, and so is every record: where nobody says since when, reading begins here."""

_SHARDS = "0123456789abcdef"
# Most askers want few changes: the first page is small, and whoever reads on gets whole pages (1 MB).
_FIRST_PAGE = 100
# Sixteen shards have a page in hand and one on its way: that is kept to some ten thousand records.
_SHARD_PAGE = 400
# The times of one item's changes may lie a little out of order: reading goes on so far beyond the asked range.
_SLACK = timedelta(hours=1)
# A clock may be ahead of this one.
_AHEAD = timedelta(days=1)


class AuditHistory:
    """Reads changes out of the Audit table, page by page; nothing is kept, so a trail of any length can be read.

    Times are ISO 8601 in UTC with milliseconds (``2024-01-01T00:00:00.000Z``), and both ends belong to the range.
    """

    def __init__(self, query: Query, audit_table: str, fetch: Fetch, *, leaves_pages: bool = True) -> None:
        self._query = query
        self._audit_table = audit_table
        self._fetch = fetch
        # Lambda stops a process between two requests: there nothing may be left on its way.
        self._leaves_pages = leaves_pages

    def item(
        self,
        table: str,
        item_key: str,
        since: str | None = None,
        until: str | None = None,
        newest_first: bool = False,
        beyond_order: str = "",
        page: int | None = None,
    ) -> Iterator[AuditedChange]:
        """Yield an item's changes in the order of the stream, lazily; an item nobody audited has none.

        ``beyond_order`` begins behind the change with that ``order``. ``page`` is how many records to read at a time,
        for who will not read on. Raises what ``query`` raises.
        """
        request: dict[str, Any] = {
            "TableName": self._audit_table,
            "IndexName": "history",
            "KeyConditionExpression": "historyKey = :item",
            "ExpressionAttributeValues": {":item": {"S": history_key(table, item_key)}},
            "ScanIndexForward": not newest_first,
        }
        # What lies before the range is left out by the service; what lies beyond it ends the reading.
        if beyond_order:
            request["KeyConditionExpression"] += f" AND changeOrder {'<' if newest_first else '>'} :order"
            request["ExpressionAttributeValues"][":order"] = {"S": beyond_order}
        near, beyond = (until, since) if newest_first else (since, until)
        if near is not None:
            request["FilterExpression"] = f"modificationTime {'<=' if newest_first else '>='} :near"
            request["ExpressionAttributeValues"][":near"] = {"S": near}
        if page is not None:
            request["Limit"] = page
        for change in changes(self._records(request)):
            if beyond is not None and (change.at < beyond if newest_first else change.at > beyond):
                if abs(_time(change.at) - _time(beyond)) > _SLACK:
                    return
                continue
            yield self._whole(change)

    def table(
        self, table: str, since: str | None = None, until: str | None = None, newest_first: bool = False
    ) -> Iterator[AuditedChange]:
        """Yield a table's changes in the order of their times, then of their sequence numbers, lazily.

        A month at a time, its sixteen shards read in parallel and merged. ``since`` may also be a time, ``#`` and a
        padded sequence number: the place of one change. Raises what ``query`` raises.
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
                shards = following or self._month(pool, table, month, since, last, newest_first)
                ahead = months[position + 1] if position + 1 < len(months) else None
                following = self._month(pool, table, ahead, since, last, newest_first) if ahead else []
                merged = heapq.merge(*(changes(shard) for shard in shards), key=_moment, reverse=newest_first)
                yield from map(self._whole, merged)
        finally:
            # Whoever stops early does not wait for pages that nobody will read.
            pool.shutdown(wait=not self._leaves_pages, cancel_futures=True)

    def record(self, record_id: str) -> AuditedChange | None:
        """Return the change as this one record tells it, with one attribute; None where there is no such record.

        Large values are followed. Raises what ``query`` raises.
        """
        answer = self._query(
            {
                "TableName": self._audit_table,
                "KeyConditionExpression": "id = :id",
                "ExpressionAttributeValues": {":id": {"S": record_id}},
                "ConsistentRead": True,
            }
        )
        return next((self._whole(change) for change in changes(answer["Items"])), None)

    def as_of(
        self, table: str, item_key: str, at: str | None = None, sequence: str | None = None, **known: Any
    ) -> rebuilding.AsOf:
        """Return an item's state: after its last change stamped ``at`` or before, or after the change ``sequence``.

        Where no change has that very number, it is the state after the last one before it (see
        :meth:`ItemHistory.order_of`). ``known`` is passed on to :func:`rebuilding.rebuild`: ``from_birth``, ``live``.
        Reads the item's changes back to its creation, and few others. Raises what ``query`` raises, InvalidInputError.
        """
        item = ItemHistory(self._query, self._audit_table, table, item_key)
        order = item.order_of(sequence) if sequence is not None else item.order_at(at or "9")
        earlier = item.back(order)
        later: Iterator[AuditedChange] = iter(())
        last: AuditedChange | None = None
        beyond: AuditedChange | None = None
        for last in earlier:
            if sequence is not None or at is None or last.at <= at:
                break
            beyond, last = last, None
        if sequence is not None:
            later = item.on(last.order if last is not None else order)
        elif beyond is not None:
            later = chain((beyond,), item.on(beyond.order))
        return rebuilding.rebuild(
            chain(() if last is None else (last,), earlier),
            later,
            self._followed,
            exact=sequence is not None and last is not None and last.order == order,
            **known,
        )

    def between(self, table: str, item_key: str, since: str, until: str, **known: Any) -> rebuilding.Between:
        """Return what changed between an item's states at two times. Raises what :meth:`as_of` raises."""
        before, after = (self.as_of(table, item_key, at, **known) for at in (since, until))
        return rebuilding.between(before, after)

    def _whole(self, change: AuditedChange) -> AuditedChange:
        """Return the change with the values that were too large for its records, read and checked by their hashes."""
        if not any(part.lost for part in change.attributes):
            return change
        parts = tuple(
            part.replaced(
                old=self._followed(part.old_ref) if part.old_ref else part.old,
                new=self._followed(part.new_ref) if part.new_ref else part.new,
            )
            for part in change.attributes
        )
        return change.replaced(attributes=parts)

    def _followed(self, reference: ValueReference) -> Value | None:
        body = self._fetch(reference.bucket, reference.key)
        return None if body is None else restore(body, reference.sha256)

    def _month(
        self, pool: ThreadPoolExecutor, table: str, month: str, since: str | None, until: str, newest_first: bool
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
                    "ExpressionAttributeValues": {":shard": {"S": changes_key(table, month, shard)}, **ends},
                },
            )
            for shard in _SHARDS
        ]

    def _records(self, request: dict[str, Any]) -> Iterator[Item]:
        answer = self._query({"Limit": _FIRST_PAGE, **request})
        yield from answer["Items"]
        while answer.get("LastEvaluatedKey"):
            answer = self._query({**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]})
            yield from answer["Items"]


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


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)

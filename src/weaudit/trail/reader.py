"""Reads the trail from the Audit table; every reader of the trail uses this module.

It builds on item_history.py, table_history.py and first_uses.py. Both indexes are eventually consistent: a change
appears a moment after its records were written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain

from weaudit.capture.rules import Rules, rules_with
from weaudit.evidence import REST, opened, rules_key, unpacked
from weaudit.items.hashes import LARGEST_HASHED_BYTES, commitment
from weaudit.items.keys import history_key
from weaudit.trail import rebuilding, states
from weaudit.trail.changes import filled, unread
from weaudit.trail.entries import FEW, records_of
from weaudit.trail.first_uses import FirstUses
from weaudit.trail.history import attributed, changes, fits, not_used_before
from weaudit.trail.item_history import ItemHistory
from weaudit.trail.table_history import TableHistory
from weaudit.values import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Protocol

    from weaudit.items.paths import Path
    from weaudit.items.values import Item, Value
    from weaudit.trail.changes import AuditedChange, ValueReference
    from weaudit.trail.entries import Get
    from weaudit.trail.states import AsOf, Between
    from weaudit.trail.table_history import Begin

    class Trail(Protocol):
        """What every trail offers its readers, wherever it is kept. Times are ISO 8601 in UTC with milliseconds."""

        def item(
            self,
            table: str,
            item_key: str,
            since: str | None = None,
            until: str | None = None,
            newest_first: bool = False,
            beyond_order: str = "",
            page: int | None = None,
            values: bool = True,
            partition: str = "",
            without: frozenset[str] = frozenset(),
        ) -> Iterator[AuditedChange]:
            """Yield the changes of one item; without ``values``, those that were too large are not read.

            Nor are those of the attributes ``without``.
            """

        def gathered(self, records: Iterable[Item]) -> Iterator[AuditedChange]:
            """Yield the changes of one item, whose records these are, as :meth:`item` does without values."""

        def rules(self, digest: str) -> Rules | None:
            """Return the rules that records name by this digest, in hex, or None if their text is gone."""

        def length_of(self, reference: ValueReference, salt: bytes) -> int | None:
            """Return the length of a large value's text, or None if it is gone or was altered."""

        def table(
            self,
            table: str,
            since: str | None = None,
            until: str | None = None,
            newest_first: bool = False,
            values: bool = True,
            without: frozenset[str] = frozenset(),
        ) -> Iterator[AuditedChange]:
            """Yield the changes of a table in the order of their times; ``values``, ``without`` as in :meth:`item`."""

        def record(self, record_id: str, values: bool = True) -> AuditedChange | None:
            """Return the change that one record describes, or None if there is none; ``values`` as in :meth:`item`."""

        def as_of(
            self, table: str, item_key: str, at: str | None = None, sequence: str | None = None, **known: Any
        ) -> AsOf:
            """Return an item's state at a time, or after a change."""

        def between(self, table: str, item_key: str, since: str, until: str, **known: Any) -> Between:
            """Return what changed between an item's states at two times."""

        def attributed(self, found: Iterable[AuditedChange], entries: Mapping[str, Item]) -> list[AuditedChange]:
            """Return changes with the callers that these log entries name."""

    # Sends a Query to DynamoDB and returns the response, both in DynamoDB JSON with binary as base64 text.
    Query = Callable[[dict[str, Any]], dict[str, Any]]
    # Returns an object of the evidence bucket, by bucket and key, or None if there is no such object.
    Fetch = Callable[[str, str], bytes | None]

# Most callers want few changes: the first page is small, and later pages are whole ones (1 MB).
_FIRST_PAGE = 100
# The times of one item's changes may be a little out of order: reading continues this far beyond the requested range.
_SLACK = timedelta(hours=1)


class AuditHistory:
    """Reads changes from the Audit table, page by page; it keeps nothing, so a trail of any length can be read.

    Times are ISO 8601 in UTC with milliseconds (``2024-01-01T00:00:00.000Z``); a range includes both its ends.
    """

    def __init__(
        self,
        query: Query,
        begin: Begin,
        get: Get,
        audit_table: str,
        fetch: Fetch,
        bucket: Callable[[], str] = str,
    ) -> None:
        """``bucket`` returns the name of the evidence bucket, "" if it is not known; asked where rules are read."""
        self._rules: dict[str, Rules | None] = {"": Rules()}
        self._bucket = bucket
        self._query = query
        self._begin = begin
        self._get = get
        self._audit_table = audit_table
        self._fetch = fetch

    def item(
        self,
        table: str,
        item_key: str,
        since: str | None = None,
        until: str | None = None,
        newest_first: bool = False,
        beyond_order: str = "",
        page: int | None = None,
        values: bool = True,
        partition: str = "",
        without: frozenset[str] = frozenset(),
    ) -> Iterator[AuditedChange]:
        """Yield an item's changes in the order of the stream, lazily; an item that was never audited has none.

        ``beyond_order`` starts after the change with that ``order``. ``page`` is how many records to read at a time, if
        the caller needs no more than one page. Without ``values``, those that were too large for their records are not
        read; nor are those of the attributes ``without``, which the caller leaves out. ``partition`` is the
        ``historyKey`` of the records of an erased item: it does not follow from an item key, which is then not used.
        Raises what ``query`` raises.
        """
        request: dict[str, Any] = {
            "TableName": self._audit_table,
            "IndexName": "history",
            "KeyConditionExpression": "historyKey = :item",
            "ExpressionAttributeValues": {":item": {"S": partition or history_key(table, item_key)}},
            "ScanIndexForward": not newest_first,
        }
        # The service filters out what lies before the range; an entry beyond the range ends the reading.
        if beyond_order:
            request["KeyConditionExpression"] += f" AND changeOrder {'<' if newest_first else '>'} :order"
            request["ExpressionAttributeValues"][":order"] = {"S": beyond_order}
        near, beyond = (until, since) if newest_first else (since, until)
        if near is not None:
            request["FilterExpression"] = f"modificationTime {'<=' if newest_first else '>='} :near"
            request["ExpressionAttributeValues"][":near"] = {"S": near}
        if page is not None:
            request["Limit"] = page
        read: dict[str, Value] = {}
        entries = _up_to(beyond, self._entries(request), newest_first)
        for change in changes(records_of(entries, self._get, page or FEW)):
            yield self._whole(change, read, without) if values else self._hashable(change)

    def gathered(self, records: Iterable[Item]) -> Iterator[AuditedChange]:
        """Yield the changes of one item, whose records these are, in any order, as :meth:`item` does without values.

        Raises what ``fetch`` raises.
        """
        return map(self._hashable, changes(sorted(records, key=_place)))

    def length_of(self, reference: ValueReference, salt: bytes) -> int | None:
        """Return the length of a large value's text, or None if it is gone or was altered. Raises StoreError."""
        body = self._fetch(reference.bucket, reference.key)
        text = None if body is None else unpacked(body)
        if text is None or commitment(salt, reference.name, text) != reference.commitment:
            return None
        return len(text)

    def rules(self, digest: str) -> Rules | None:
        """Return the rules that records name by this digest, in hex, or None if their text is gone or was altered.

        Raises what ``fetch`` raises.
        """
        if digest not in self._rules:
            bucket, raw = self._bucket(), bytes.fromhex(digest)
            text = self._fetch(bucket, rules_key(raw)) if bucket else None
            self._rules[digest] = None if text is None else rules_with(text, raw)
        return self._rules[digest]

    def table(
        self,
        table: str,
        since: str | None = None,
        until: str | None = None,
        newest_first: bool = False,
        values: bool = True,
        without: frozenset[str] = frozenset(),
    ) -> Iterator[AuditedChange]:
        """Yield a table's changes in the order of their times, then of their sequence numbers, lazily.

        ``since`` and ``until`` may also be the position of one change, which is included: its time, ``#`` and its
        padded sequence number. ``values`` and ``without`` are as in :meth:`item`. Raises what ``query`` raises.
        """
        history = TableHistory(self._begin, self._get, self._audit_table, table)
        found = history.between(since, until, newest_first=newest_first)
        try:
            for change in found:
                yield self._whole(change, without=without) if values else self._hashable(change)
        finally:
            found.close()  # immediately: a caller that stops early may be a function that Lambda is about to freeze

    def record(self, record_id: str, values: bool = True) -> AuditedChange | None:
        """Return the change that one record describes, with one attribute, or None if there is no such record.

        Without ``values``, those that were too large for the record are not read. Raises what ``query`` raises.
        """
        response = self._query(
            {
                "TableName": self._audit_table,
                "KeyConditionExpression": "id = :id",
                "ExpressionAttributeValues": {":id": {"S": record_id}},
                "ConsistentRead": True,
            }
        )
        as_asked = self._whole if values else self._hashable
        return next(map(as_asked, changes(response["Items"])), None)

    def as_of(
        self, table: str, item_key: str, at: str | None = None, sequence: str | None = None, **known: Any
    ) -> AsOf:
        """Return an item's state after its last change at or before the time ``at``, or after the change ``sequence``.

        If no change has exactly that number, this is the state after the last change before it (see
        :meth:`ItemHistory.order_of`). ``known`` is passed to :func:`rebuilding.rebuild`: ``from_birth``, ``live``.
        Reads the item's changes back to its creation, and few others. Raises InvalidInputError and what ``query``
        raises.
        """
        item = ItemHistory(self._query, self._get, self._audit_table, table, item_key)
        order = item.order_of(sequence) if sequence is not None else item.order_at(at or "9")
        earlier = map(self._hashable, item.back(order))
        later: Iterator[AuditedChange] = iter(())
        last: AuditedChange | None = None
        beyond: AuditedChange | None = None
        for last in earlier:
            if sequence is not None or at is None or last.at <= at:
                break
            beyond, last = last, None
        if sequence is not None:
            later = map(self._hashable, item.on(last.order if last is not None else order))
        elif beyond is not None:
            later = chain((beyond,), map(self._hashable, item.on(beyond.order)))
        return rebuilding.rebuild(
            chain(() if last is None else (last,), earlier),
            later,
            self._followed,
            exact=sequence is not None and last is not None and last.order == order,
            rules_of=self.rules,
            **known,
        )

    def between(self, table: str, item_key: str, since: str, until: str, **known: Any) -> Between:
        """Return what changed between an item's states at two times. Raises what :meth:`as_of` raises."""
        before, after = (self.as_of(table, item_key, at, **known) for at in (since, until))
        return states.between(before, after)

    def attributed(self, found: Iterable[AuditedChange], entries: Mapping[str, Item]) -> list[AuditedChange]:
        """Return changes in their order, each with its caller if it was written together with its log entry.

        ``entries`` are log entries by id. A change that reuses the id of an earlier change of its item is returned as
        it is, even if the earlier change is not in ``found``. Pass whole changes, not narrowed ones: every attribute
        counts. Raises what ``query`` raises.
        """
        pairs = [(change, entries.get(change.change_id or "")) for change in found]
        judged = [(change if entry is None else self._whole(change), entry) for change, entry in pairs]
        claims = [
            (change, not_used_before(entry))
            for change, entry in judged
            if entry is not None and fits(change, entry, self._ignored(change))
        ]
        borrowed = FirstUses(self._begin, self._audit_table).borrowed(claims)
        return [
            attributed(change, entry, used_before=change.record_ids[0] in borrowed, ignored=self._ignored(change))
            for change, entry in judged
        ]

    def _ignored(self, change: AuditedChange) -> tuple[Path, ...]:
        """Return the places that large values of a change are kept without."""
        if not change.rules or not any(part.new_refs for part in change.attributes):
            return ()
        rules = self.rules(change.rules)
        return () if rules is None else rules.ignored

    def _whole(
        self, change: AuditedChange, read: dict[str, Value] | None = None, without: frozenset[str] = frozenset()
    ) -> AuditedChange:
        """Return the change with its large values, but those ``without``, read from the evidence bucket and checked.

        ``read`` holds the values of the change before, by commitment, and then those of this one: what one change made
        of an attribute is what the next one found, and is read once.
        """
        return self._read(change, (found for found in _references(change) if found.name not in without), read)

    def _hashable(self, change: AuditedChange) -> AuditedChange:
        """Return the change with those of its values read that enter hashes as they are.

        Such a value is in the evidence bucket only because its record could not hold it, however short it is.
        """
        short = [found for found in _references(change) if found.bytes <= LARGEST_HASHED_BYTES or found.name == REST]
        return self._read(change, short) if short else change

    def _read(
        self, change: AuditedChange, references: Iterable[ValueReference], read: dict[str, Value] | None = None
    ) -> AuditedChange:
        """Return the change with the values of these references, if they are not there yet; ``read``: see _whole."""
        wanted = {
            digest
            for part in change.attributes
            for value in (part.old, part.new)
            for _, digest in unread(part.name, value)
        }
        if not wanted:
            return change
        before = dict(read or {})
        found: dict[str, Value] = {} if read is None else read
        found.clear()
        for reference in references:
            if reference.commitment in wanted and reference.commitment not in found:
                value = before.get(reference.commitment) or self._followed(reference, change.salt)
                if value is not None:
                    found[reference.commitment] = value
        if not found:
            return change
        parts = tuple(
            replaced(part, old=filled(part.name, part.old, found), new=filled(part.name, part.new, found))
            for part in change.attributes
        )
        return replaced(change, attributes=parts)

    def _followed(self, reference: ValueReference, salt: bytes) -> Value | None:
        body = self._fetch(reference.bucket, reference.key)
        return None if body is None else opened(body, salt, reference.name, reference.commitment)

    def _entries(self, request: dict[str, Any]) -> Iterator[Item]:
        response = self._query({"Limit": _FIRST_PAGE, **request})
        yield from response["Items"]
        while response.get("LastEvaluatedKey"):
            response = self._query({**request, "ExclusiveStartKey": response["LastEvaluatedKey"]})
            yield from response["Items"]


def _references(change: AuditedChange) -> Iterator[ValueReference]:
    for part in change.attributes:
        yield from (*part.old_refs, *part.new_refs)


def _place(record: Item) -> tuple[str, str]:
    """Return what sorts the records of an item as the index does, with those of one change beside each other."""
    return str(record.get("changeOrder", {}).get("S", "")), str(record.get("changesOrder", {}).get("S", ""))


def _up_to(limit: str | None, entries: Iterable[Item], newest_first: bool) -> Iterator[Item]:
    """Yield the entries up to a time, in the order in which they are read; a few beyond it may lie between them."""
    for entry in entries:
        at = str(entry.get("modificationTime", {}).get("S", ""))
        if limit is None or (at >= limit if newest_first else at <= limit):
            yield entry
        elif abs(_time(at) - _time(limit)) > _SLACK:
            return


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)

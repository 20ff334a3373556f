"""Puts and reads many items of one table in as few calls as possible."""

from __future__ import annotations

from collections import deque

from weaudit.aws.client import DynamoDB
from weaudit.aws.errors import THROTTLED
from weaudit.aws.unprocessed import Rounds
from weaudit.errors import ConditionNotMetError, RecordRejectedError, StoreUnavailableError
from weaudit.items.values import Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from weaudit.aws.client import Pending

    Call = Callable[[str, dict[str, Any]], dict[str, Any]]
    Answer = dict[str, Any] | RecordRejectedError
    Rejected = list[tuple[Item, RecordRejectedError]]

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_BATCH_ITEMS = 25
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH_KEYS = 100
_CONCURRENT_CALLS = 4


class BatchWrites:
    """Puts items and overwrites what has the same key: a repeated put overwrites an item with itself.

    ``key`` names the table's key attributes. A crash between two calls leaves only some of the items written.
    """

    def __init__(self, dynamodb: DynamoDB, table: str, key: tuple[str, ...]) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._key = key

    def put(self, items: Iterable[Item]) -> Rejected:
        """Write all items, a few calls concurrently; return those that the table can never hold, and why.

        Items with the same key are written once, because DynamoDB refuses a batch with two equal keys. Raises
        StoreError if a later attempt may succeed.

        A throttled table is retried as long as each round writes something. If the call gave up half way, the
        redelivered event would begin with the same items and never get beyond them.
        """
        waiting = _batches(list({tuple(item[name]["S"] for name in self._key): item for item in items}.values()))
        rejected: Rejected = []
        rounds = Rounds(self._table)
        while waiting:
            sent = sum(map(len, waiting))
            unprocessed, waiting = self._written(waiting, rejected)
            if unprocessed:
                rounds.wait(progress=len(unprocessed) < sent)
                waiting += _batches(unprocessed)
        return rejected

    def _written(self, batches: list[list[Item]], rejected: Rejected) -> tuple[list[Item], list[list[Item]]]:
        """Send each batch once; return the unprocessed items, and the batches that replace rejected ones."""
        unprocessed: list[Item] = []
        instead: list[list[Item]] = []
        for batch, answer in self._answers(batches):
            if isinstance(answer, RecordRejectedError):
                if len(batch) > 1:
                    # DynamoDB refuses a whole batch for one bad item: find it by writing each item alone.
                    instead += [[item] for item in batch]
                else:
                    rejected.append((batch[0], answer))
            else:
                left = (answer.get("UnprocessedItems") or {}).get(self._table, ())
                unprocessed += [request["PutRequest"]["Item"] for request in left]
        return unprocessed, instead

    def _answers(self, batches: list[list[Item]]) -> Iterator[tuple[list[Item], Answer]]:
        """Yield each batch with its response, in order, a few calls concurrently. Raises StoreError.

        DynamoDB refuses a batch as throttled if it could write none of its items. If it has written other batches, that
        is no reason to give up: this batch and those not sent yet are yielded as unprocessed.
        """
        waiting = deque(batches)
        under_way: deque[tuple[list[Item], Pending]] = deque()
        written = False
        try:
            while waiting or under_way:
                while waiting and len(under_way) < _CONCURRENT_CALLS:
                    batch = waiting.popleft()
                    body = {"RequestItems": {self._table: _puts(batch)}}
                    pending = self._dynamodb.begin("BatchWriteItem", body)
                    under_way.append((batch, pending))
                batch, pending = under_way.popleft()
                try:
                    answer: Answer = pending.result()
                    written = True
                except RecordRejectedError as error:
                    answer = error
                except StoreUnavailableError as error:
                    if not written or error.aws_code not in THROTTLED:
                        raise
                    waiting.appendleft(batch)
                    for batch in waiting:
                        yield batch, {"UnprocessedItems": {self._table: _puts(batch)}}
                    waiting.clear()
                    continue
                yield batch, answer
        finally:
            for _batch, pending in under_way:
                pending.cancel()


def _puts(batch: list[Item]) -> list[dict[str, Any]]:
    return [{"PutRequest": {"Item": item}} for item in batch]


def _batches(items: list[Item]) -> list[list[Item]]:
    return [items[start : start + _BATCH_ITEMS] for start in range(0, len(items), _BATCH_ITEMS)]


def put_absent(dynamodb: DynamoDB, table: str, key: str, items: Iterable[Item]) -> None:
    """Put each item unless the table has one with its key attribute ``key``; a few calls are under way at a time.

    An item that somebody else puts meanwhile stays. Raises StoreError: then some may have been put.
    """
    under_way: deque[Pending] = deque()
    try:
        for item in items:
            if len(under_way) == _CONCURRENT_CALLS:
                _put(under_way.popleft())
            request = {"TableName": table, "Item": item, "ConditionExpression": f"attribute_not_exists({key})"}
            under_way.append(dynamodb.begin("PutItem", request))
        while under_way:
            _put(under_way.popleft())
    finally:
        for pending in under_way:
            pending.cancel()


def _put(pending: Pending) -> None:
    try:
        pending.result()
    except ConditionNotMetError:  # another function was first, or an earlier attempt of this request
        return


class PendingItems:
    """Items that were asked for by their keys, no two of them equal, and are on their way, a hundred with a call."""

    def __init__(self, dynamodb: DynamoDB, table: str, keys: list[Item], **options: Any) -> None:
        """Ask for them; ``options`` are for each request, such as ``ConsistentRead``."""
        self._dynamodb = dynamodb
        self._table = table
        self._options = options
        batches = [keys[start : start + _BATCH_KEYS] for start in range(0, len(keys), _BATCH_KEYS)]
        bodies = ({"RequestItems": {table: {"Keys": batch, **options}}} for batch in batches)
        self._calls = deque(dynamodb.begin("BatchGetItem", body) for body in bodies)

    def result(self) -> Iterator[Item]:
        """Yield the items, in any order; missing ones are left out. Can be called only once. Raises StoreError."""
        unprocessed: list[Item] = []
        try:
            while self._calls:
                found, left = _read(self._calls.popleft().result(), self._table)
                yield from found
                unprocessed += left
            yield from read_keys(self._dynamodb.call, self._table, unprocessed, **self._options)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Do without the items that have not arrived."""
        while self._calls:
            self._calls.popleft().cancel()


def read_items(call: Call, table: str, key: str, values: Iterable[str], **options: Any) -> dict[str, Item]:
    """Return the items whose key attribute ``key``, a string, has these values, by value; missing ones are left out.

    Otherwise as :func:`read_keys`.
    """
    keys = [{key: {"S": one}} for one in dict.fromkeys(values)]
    return {item[key]["S"]: item for item in read_keys(call, table, keys, **options)}


def read_keys(call: Call, table: str, keys: list[Item], **options: Any) -> Iterator[Item]:
    """Yield the items with these keys, no two of them equal, in any order; missing ones are left out.

    ``call`` sends an operation to DynamoDB, and ``options`` are for each request, such as ``ConsistentRead``. Keys that
    a throttled table did not process are requested again ten times, with growing waits. Raises StoreError.
    """
    waiting = keys
    rounds = Rounds(table)
    while waiting:
        asked, waiting = waiting[:_BATCH_KEYS], waiting[_BATCH_KEYS:]
        response = call("BatchGetItem", {"RequestItems": {table: {"Keys": asked, **options}}})
        found, left = _read(response, table)
        yield from found
        if left:
            # A caller is waiting: fail after ten rounds, even if each of them read something.
            rounds.wait(progress=False)
            waiting = left + waiting


def _read(response: dict[str, Any], table: str) -> tuple[list[Item], list[Item]]:
    """Return the items of a response to BatchGetItem, and the keys that were not processed."""
    unprocessed = (response.get("UnprocessedKeys") or {}).get(table, {})
    return response.get("Responses", {}).get(table, []), unprocessed.get("Keys", [])

"""Many puts into one table in as few calls as fit, whatever the table: BatchWriteItem."""

from __future__ import annotations

import threading
import time

from weaudit.adapters.aws import DynamoDB
from weaudit.domain.changes import Item
from weaudit.errors import RecordRejectedError, StoreUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable, Iterable
    from typing import Any

    Rejected = list[tuple[Item, RecordRejectedError]]

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_BATCH_ITEMS = 25
_PARALLEL_CALLS = 4
# Unprocessed items mean throttling; waits grow to a second, some five seconds in all, and then the event comes again.
_ATTEMPTS = 10
_LONGEST_WAIT_S = 1.0


def _no_smaller(_item: Item) -> Item | None:
    return None


class BatchWrites:
    """Puts items over whatever is there under their keys: putting one again writes the same bytes over itself.

    ``key`` names the table's key attributes. A crash between two calls leaves some of the items written.
    """

    def __init__(self, dynamodb: DynamoDB, table: str, key: tuple[str, ...]) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._key = key

    def put(self, items: Iterable[Item], smaller: Callable[[Item], Item | None] = _no_smaller) -> Rejected:
        """Write all items, a few calls in parallel; return those that the table can never hold, and why.

        Twins are written once: a batch with two equal keys is refused. An item that the table refuses as it stands is
        written as ``smaller`` makes it, while that gives one. Raises StoreError where a later try may do better.
        """
        unique = list({tuple(item[name]["S"] for name in self._key): item for item in items}.values())
        batches = [unique[start : start + _BATCH_ITEMS] for start in range(0, len(unique), _BATCH_ITEMS)]
        rejected: Rejected = []
        _in_parallel(lambda batch: rejected.extend(self._put_batch(batch, smaller)), batches)
        return rejected

    def _put_batch(self, batch: list[Item], smaller: Callable[[Item], Item | None]) -> Rejected:
        try:
            self._write(batch)
        except RecordRejectedError as error:
            if len(batch) > 1:
                # One bad item refuses the whole batch: find it by writing each alone.
                return [found for item in batch for found in self._put_batch([item], smaller)]
            less = smaller(batch[0])
            return [(batch[0], error)] if less is None else self._put_batch([less], smaller)
        return []

    def _write(self, batch: list[Item]) -> None:
        requests: Any = {self._table: [{"PutRequest": {"Item": item}} for item in batch]}
        for attempt in range(_ATTEMPTS):
            if attempt:
                import random  # as in connections.py

                time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.05 * 2**attempt)))  # noqa: S311 jitter, no secret
            requests = self._dynamodb.call("BatchWriteItem", {"RequestItems": requests}).get("UnprocessedItems")
            if not requests:
                return
        raise StoreUnavailableError(f"{self._table} left items unprocessed {_ATTEMPTS} times: it is throttled")


def _in_parallel(call: Callable[[list[Item]], None], batches: list[list[Item]]) -> None:
    """Call with every batch, a few at a time, and raise the first error after all have ended."""
    waiting = list(reversed(batches))
    errors: list[Exception] = []

    def work() -> None:
        while waiting and not errors:
            try:
                batch = waiting.pop()
            except IndexError:  # another thread took the last one
                return
            try:
                call(batch)
            except Exception as error:  # noqa: BLE001 carried to the caller's thread and raised there
                errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(min(_PARALLEL_CALLS, len(batches)) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]

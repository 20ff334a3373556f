"""Many puts into one table in as few calls as fit, whatever the table: BatchWriteItem."""

from __future__ import annotations

import time

from weaudit.adapters.aws import DynamoDB
from weaudit.domain.changes import Item
from weaudit.errors import RecordRejectedError, StoreError, StoreUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable, Iterable

    Rejected = list[tuple[Item, RecordRejectedError]]

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_BATCH_ITEMS = 25
_CALLS_AT_ONCE = 4
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
        """Write all items, a few calls under way at once; return those that the table can never hold, and why.

        Twins are written once: a batch with two equal keys is refused. An item that the table refuses as it stands is
        written as ``smaller`` makes it, while that gives one. Raises StoreError where a later try may do better.
        """
        waiting = _batches(list({tuple(item[name]["S"] for name in self._key): item for item in items}.values()))
        rejected: Rejected = []
        throttled = 0
        while waiting:
            unprocessed, waiting = self._written(waiting, smaller, rejected)
            if unprocessed:
                throttled += 1
                if throttled == _ATTEMPTS:
                    raise StoreUnavailableError(
                        f"{self._table} left items unprocessed {_ATTEMPTS} times: it is throttled"
                    )
                import random  # as in connections.py

                time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.05 * 2**throttled)))  # noqa: S311 jitter, no secret
                waiting += _batches(unprocessed)
        return rejected

    def _written(
        self, batches: list[list[Item]], smaller: Callable[[Item], Item | None], rejected: Rejected
    ) -> tuple[list[Item], list[list[Item]]]:
        """Write batches, each once; return the items that were left unprocessed, and what to write in their place."""
        unprocessed: list[Item] = []
        instead: list[list[Item]] = []
        requests = ({"RequestItems": {self._table: [{"PutRequest": {"Item": item}} for item in b]}} for b in batches)
        answers = self._dynamodb.call_each("BatchWriteItem", requests, _CALLS_AT_ONCE)
        for batch, answer in zip(batches, answers, strict=True):
            if isinstance(answer, RecordRejectedError):
                if len(batch) > 1:
                    # One bad item refuses the whole batch: find it by writing each alone.
                    instead += [[item] for item in batch]
                elif (less := smaller(batch[0])) is not None:
                    instead.append([less])
                else:
                    rejected.append((batch[0], answer))
            elif isinstance(answer, StoreError):
                raise answer
            else:
                left = (answer.get("UnprocessedItems") or {}).get(self._table, ())
                unprocessed += [request["PutRequest"]["Item"] for request in left]
        return unprocessed, instead


def _batches(items: list[Item]) -> list[list[Item]]:
    return [items[start : start + _BATCH_ITEMS] for start in range(0, len(items), _BATCH_ITEMS)]

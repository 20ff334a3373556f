"""Many puts into one table in as few calls as fit, whatever the table: BatchWriteItem."""

from __future__ import annotations

from collections import deque

from weaudit.aws.client import DynamoDB
from weaudit.aws.errors import THROTTLED
from weaudit.aws.unprocessed import Rounds
from weaudit.errors import RecordRejectedError, StoreUnavailableError
from weaudit.items.values import Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from weaudit.aws.client import Pending

    Answer = dict[str, Any] | RecordRejectedError
    Rejected = list[tuple[Item, RecordRejectedError]]

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_BATCH_ITEMS = 25
_CALLS_AT_ONCE = 4


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

        A throttled table is asked for as long as each round writes something: a call that gave up half way would begin
        with the same items when its event comes again, and never get beyond them.
        """
        waiting = _batches(list({tuple(item[name]["S"] for name in self._key): item for item in items}.values()))
        rejected: Rejected = []
        rounds = Rounds(self._table)
        while waiting:
            sent = sum(map(len, waiting))
            unprocessed, waiting = self._written(waiting, smaller, rejected)
            if unprocessed:
                rounds.wait(progress=len(unprocessed) < sent)
                waiting += _batches(unprocessed)
        return rejected

    def _written(
        self, batches: list[list[Item]], smaller: Callable[[Item], Item | None], rejected: Rejected
    ) -> tuple[list[Item], list[list[Item]]]:
        """Write batches, each once; return the items that were left unprocessed, and what to write in their place."""
        unprocessed: list[Item] = []
        refused: Rejected = []
        instead: list[list[Item]] = []
        for batch, answer in self._answers(batches):
            if isinstance(answer, RecordRejectedError):
                if len(batch) > 1:
                    # One bad item refuses the whole batch: find it by writing each alone.
                    instead += [[item] for item in batch]
                else:
                    refused.append((batch[0], answer))
            else:
                left = (answer.get("UnprocessedItems") or {}).get(self._table, ())
                unprocessed += [request["PutRequest"]["Item"] for request in left]
        for item, why in refused:
            less = smaller(item)
            if less is None:
                rejected.append((item, why))
            else:
                instead.append([less])
        return unprocessed, instead

    def _answers(self, batches: list[list[Item]]) -> Iterator[tuple[list[Item], Answer]]:
        """Yield each batch with its answer, in turn, a few calls under way at once. Raises StoreError.

        DynamoDB refuses a batch of which it could write nothing. Where others were written, that is no reason to give
        up: this one and those that were not sent yet are yielded as unprocessed.
        """
        waiting = deque(batches)
        under_way: deque[tuple[list[Item], Pending]] = deque()
        written = False
        try:
            while waiting or under_way:
                while waiting and len(under_way) < _CALLS_AT_ONCE:
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

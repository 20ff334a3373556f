"""The Audit table, as its writer sees it."""

from __future__ import annotations

import random
import threading
import time

from weaudit.adapters.aws import DynamoDB
from weaudit.adapters.evidence_bucket import EvidenceBucket
from weaudit.domain.changes import Item
from weaudit.domain.spilling import spill
from weaudit.errors import RecordRejectedError, StoreUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable, Iterable
    from typing import Any

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_BATCH_ITEMS = 25
_PARALLEL_CALLS = 4
# Unprocessed items mean throttling; waits grow to a second, some five seconds in all, and then the event comes again.
_ATTEMPTS = 10
_LONGEST_WAIT_S = 1.0


class AuditTable:
    """Puts audit records; their ids are derived, so putting one again writes the same bytes over itself.

    A crash between two calls leaves some of an event's records written: the event comes again and completes them.
    """

    def __init__(self, dynamodb: DynamoDB, name: str, evidence: EvidenceBucket) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._evidence = evidence

    def put(self, records: Iterable[Item]) -> dict[str, RecordRejectedError]:
        """Write all records, in as few parallel calls as fit; return the ids that the table can never hold, and why.

        Twins are written once: a batch with two equal keys is refused. A record that the table refuses as it stands is
        written with its large values moved to the evidence bucket. Raises StoreError where a later try may do better.
        """
        unique = list({record["id"]["S"]: record for record in records}.values())
        batches = [unique[start : start + _BATCH_ITEMS] for start in range(0, len(unique), _BATCH_ITEMS)]
        rejected: dict[str, RecordRejectedError] = {}
        _in_parallel(lambda batch: rejected.update(self._put_batch(batch)), batches)
        return rejected

    def _put_batch(self, batch: list[Item]) -> dict[str, RecordRejectedError]:
        try:
            self._write(batch)
        except RecordRejectedError as error:
            if len(batch) > 1:
                # One bad record refuses the whole batch: find it by writing each alone.
                return {key: why for record in batch for key, why in self._put_batch([record]).items()}
            return self._put_smaller(batch[0], error)
        return {}

    def _put_smaller(self, record: Item, error: RecordRejectedError) -> dict[str, RecordRejectedError]:
        smaller = spill(record, self._evidence.name)
        if smaller is None:
            return {record["id"]["S"]: error}
        # The object first: a record must never point at nothing. A crash here leaves an object that the retry rewrites.
        self._evidence.put(smaller.key, smaller.body)
        return self._put_batch([smaller.record])

    def _write(self, batch: list[Item]) -> None:
        requests: Any = {self._name: [{"PutRequest": {"Item": record}} for record in batch]}
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.05 * 2**attempt)))  # noqa: S311 jitter, no secret
            requests = self._dynamodb.call("BatchWriteItem", {"RequestItems": requests}).get("UnprocessedItems")
            if not requests:
                return
        raise StoreUnavailableError(f"{self._name} left items unprocessed {_ATTEMPTS} times: it is throttled")


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

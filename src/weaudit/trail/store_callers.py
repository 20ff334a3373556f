"""The table audit_logs: one entry for each logged update, and one for each failed attempt."""

from __future__ import annotations

from weaudit.aws.unprocessed import Rounds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from weaudit.items.values import Item

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH_KEYS = 100


class AuditLogs:
    """Stores failed attempts and reads all log entries; a successful update writes its entry in its own transaction.

    ``call`` sends an operation to DynamoDB, in DynamoDB JSON.
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], dict[str, Any]], table_name: str) -> None:
        self._call = call
        self._name = table_name

    def put(self, entry: Item) -> None:
        """Store the entry of a failed attempt; putting it again writes the same bytes. Raises StoreError."""
        self._call("PutItem", {"TableName": self._name, "Item": entry})

    def query(self, record_id: str, *, newest_first: bool = False) -> Iterator[Item]:
        """Yield the entries of a record's id, whatever its table, in the order of their times, lazily.

        The index is eventually consistent: an entry appears a moment after it was written. Raises StoreError.
        """
        request: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": "record_id",
            "KeyConditionExpression": "record_id = :record",
            "ExpressionAttributeValues": {":record": {"S": record_id}},
            "ScanIndexForward": not newest_first,
        }
        while True:
            response = self._call("Query", request)
            yield from response["Items"]
            if not response.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def get(self, log_ids: list[str]) -> dict[str, Item]:
        """Return the entries with these ids, by id; an id without an entry is left out. Raises StoreError.

        Keys that a throttled table did not process are requested again ten times, with growing waits.
        """
        found: dict[str, Item] = {}
        waiting = [{"log_id": {"S": log_id}} for log_id in dict.fromkeys(log_ids)]
        rounds = Rounds(self._name)
        while waiting:
            keys, waiting = waiting[:_BATCH_KEYS], waiting[_BATCH_KEYS:]
            response = self._call("BatchGetItem", {"RequestItems": {self._name: {"Keys": keys}}})
            found.update({item["log_id"]["S"]: item for item in response.get("Responses", {}).get(self._name, ())})
            left = (response.get("UnprocessedKeys") or {}).get(self._name, {}).get("Keys", [])
            if left:
                # A caller is waiting: fail after ten rounds, even if each of them read something.
                rounds.wait(progress=False)
                waiting += left
        return found

"""The table audit_logs: one entry for each logged update, and one for each failed attempt."""

from __future__ import annotations

from weaudit.aws.batches import read_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from weaudit.items.values import Item


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
        return read_items(self._call, self._name, "log_id", log_ids)

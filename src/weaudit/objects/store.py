"""The table of the invocation log, as its writer sees it."""

from __future__ import annotations

from weaudit.aws.batches import BatchWrites
from weaudit.aws.client import DynamoDB
from weaudit.errors import RecordRejectedError
from weaudit.items.values import Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Key = tuple[str, str]

_KEY = ("requestId", "timestamp")


class InvocationLog:
    """Puts rows; their keys are derived from the event, so an event that comes again finds its row and adds none.

    A crash between two calls leaves some of an event's rows written: the event comes again and completes them.
    """

    def __init__(self, dynamodb: DynamoDB, name: str) -> None:
        self._writes = BatchWrites(dynamodb, name, _KEY)

    @staticmethod
    def key_of(row: Item) -> Key:
        """Return what tells a row from every other: its ``requestId`` and its ``timestamp``."""
        return row[_KEY[0]]["S"], row[_KEY[1]]["S"]

    def put(self, rows: Iterable[Item]) -> dict[Key, RecordRejectedError]:
        """Write all rows; return the keys of those that the table can never hold, and why. Raises StoreError."""
        return {self.key_of(row): error for row, error in self._writes.put(rows)}

"""The table of the invocation log, as its writer sees it."""

from __future__ import annotations

from weaudit.aws.batches import put_absent
from weaudit.aws.client import DynamoDB
from weaudit.errors import RecordRejectedError
from weaudit.items.values import Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Key = tuple[str, str]

_KEY = ("requestId", "timestamp")


class InvocationLog:
    """Puts rows; their keys are derived from the event, so an event that comes again finds its row and leaves it.

    A row says which invocation logged it first. To put it again would change that, and every change of a row is a
    finding of the ledger. A crash between two calls leaves some of an event's rows written: the event comes again and
    completes them.
    """

    def __init__(self, dynamodb: DynamoDB, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    @staticmethod
    def key_of(row: Item) -> Key:
        """Return what tells a row from every other: its ``requestId`` and its ``timestamp``."""
        return row[_KEY[0]]["S"], row[_KEY[1]]["S"]

    def put(self, rows: Iterable[Item]) -> dict[Key, RecordRejectedError]:
        """Write the rows that are not there; return the keys of those that the table can never hold, and why.

        Several are under way at once. Raises StoreError.
        """
        rows = list(rows)
        try:
            self._put(rows)
        except RecordRejectedError:
            return self._put_alone(rows)
        return {}

    def _put_alone(self, rows: Iterable[Item]) -> dict[Key, RecordRejectedError]:
        """Put each row by itself, so that a rejected one stops no other; what is there already stays."""
        rejected = {}
        for row in rows:
            try:
                self._put([row])
            except RecordRejectedError as error:
                rejected[self.key_of(row)] = error
        return rejected

    def _put(self, rows: Iterable[Item]) -> None:
        # The condition is asked of the item with the whole key of the row, so one of its attributes is enough.
        put_absent(self._dynamodb, self._name, _KEY[0], rows)

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

        Raises StoreError.
        """
        wanted = list(rows)
        try:
            put_absent(self._dynamodb, self._name, _KEY[0], wanted)
        except RecordRejectedError as error:
            if len(wanted) == 1:
                return {self.key_of(wanted[0]): error}
            # One of them is to blame: find it by writing each alone. Those that are there already stay.
            return {key: why for row in wanted for key, why in self.put([row]).items()}
        return {}

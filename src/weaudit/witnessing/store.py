"""What a witness has cosigned of each log: a table with one row a log, which only ever moves on."""

from __future__ import annotations

from binascii import a2b_base64

from weaudit.errors import ConditionNotMetError
from weaudit.ledger.notes import to_base64
from weaudit.ledger.witness import NOTHING, Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Views:
    """Reads and replaces rows. ``call`` is that of aws.client.DynamoDB."""

    def __init__(self, call: Callable[[str, dict[str, Any]], dict[str, Any]], table: str) -> None:
        self._call = call
        self._table = table

    def seen(self, origin: str) -> Seen:
        """Return the largest checkpoint of a log that was cosigned. Raises StoreError."""
        body = {"TableName": self._table, "Key": {"origin": {"S": origin}}, "ConsistentRead": True}
        row = self._call("GetItem", body).get("Item")
        return Seen(int(row["size"]["N"]), a2b_base64(row["root"]["B"])) if row else NOTHING

    def advance(self, origin: str, before: Seen, after: Seen) -> bool:
        """Remember a checkpoint in place of the one before, in one step; return False if that is not the last one.

        False may also be the answer to a retry of a write that was made: read again. Raises StoreError.
        """
        is_before = "#size = :size AND root = :root"
        body = {
            "TableName": self._table,
            "Item": {"origin": {"S": origin}, "size": {"N": str(after.size)}, "root": {"B": to_base64(after.root)}},
            # There may be no row only if none was read.
            "ConditionExpression": is_before if before.size else f"attribute_not_exists(origin) OR {is_before}",
            "ExpressionAttributeNames": {"#size": "size"},
            "ExpressionAttributeValues": {":size": {"N": str(before.size)}, ":root": {"B": to_base64(before.root)}},
        }
        try:
            self._call("PutItem", body)
        except ConditionNotMetError:
            return False
        return True

"""The secret under which requests are remembered: the row ``REQUEST`` of the table of keys (docs/updating.md).

Whoever reads the log and not this secret cannot find by trying which values a remembered request was about.
"""

from __future__ import annotations

import os

from weaudit.aws.batches import read_items
from weaudit.errors import ConditionNotMetError, DatabaseError, StoreError, StoreRefusedError, StoreUnavailableError
from weaudit.items.secret_rows import SECRET_BYTES, secret_of, secret_row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

REQUEST = "REQUEST"
_TRIES = 3


class RequestSecret:
    """Reads the secret once, and makes it if the table has none yet.

    ``call`` sends an operation to DynamoDB, in DynamoDB JSON, and raises as aws.client.DynamoDB does.
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], dict[str, Any]], table: str) -> None:
        self._call = call
        self._table = table
        self._known = b""

    def get(self) -> bytes:
        """Return the secret, 32 bytes. Raises DatabaseError if it cannot be read or made now."""
        if not self._known:
            try:
                self._known = self._made()
            except StoreError as error:
                # The store's own error might say that it is unknown whether the update was made. It was not begun.
                raise DatabaseError("Nothing was changed: this request could not be remembered") from error
        return self._known

    def _made(self) -> bytes:
        if not self._table:
            raise StoreRefusedError("no table of keys is configured: set KEYS_TABLE")
        for _ in range(_TRIES):
            found = self.read()
            if found is not None:
                return found
            row = secret_row(REQUEST, os.urandom(SECRET_BYTES))
            request = {"TableName": self._table, "Item": row, "ConditionExpression": "attribute_not_exists(id)"}
            try:
                self._call("PutItem", request)
            except ConditionNotMetError:  # another function was first, or an earlier attempt of this request
                continue
        raise StoreUnavailableError(f"the table {self._table} does not return the secret that was put into it")

    def read(self) -> bytes | None:
        """Return the secret, or None if it was not made yet. Raises StoreError."""
        rows = read_items(self._call, self._table, "id", (REQUEST,), ConsistentRead=True)
        return secret_of(rows[REQUEST]) if rows else None

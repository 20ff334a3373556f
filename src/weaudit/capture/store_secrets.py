"""The secrets on which the hashes of records depend: the table of keys (docs/formats/audit-record.md, Secrets).

Whoever reads the trail and not this table cannot find a masked value by trying. Both secrets are made once, by whoever
needs them first, and never change.
"""

from __future__ import annotations

import base64
import os

from weaudit.errors import ConditionNotMetError, StoreRefusedError, StoreUnavailableError
from weaudit.items.hashes import kid
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.aws.client import DynamoDB

ROOT, ORIGIN = "ROOT", "ORIGIN"
_BYTES = 32
_TRIES = 5


@value
class Secrets:
    """``root`` hides the values of items, and ``kid`` names it; ``origin`` marks records as ours: 32 bytes, 8, 32."""

    root: bytes
    kid: bytes
    origin: bytes

    @classmethod
    def of(cls, root: bytes, origin: bytes) -> Secrets:
        """Return the secrets, with the name of the root."""
        return cls(root, kid(root), origin)


class SecretTable:
    """Reads the secrets, once for each execution environment."""

    def __init__(self, dynamodb: DynamoDB, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._known: Secrets | None = None

    def secrets(self) -> Secrets:
        """Return the secrets; make them if the table has none yet. Raises StoreError."""
        if self._known is None:
            self._known = self._made()
        return self._known

    def _made(self) -> Secrets:
        if not self._name:
            raise StoreRefusedError("no table of keys is configured: set KEYS_TABLE")
        for _ in range(_TRIES):
            found = self.read()
            if found is not None:
                return found
            for name in (ROOT, ORIGIN):
                self._create(name)
        raise StoreUnavailableError(f"the table {self._name} does not return the secrets that were put into it")

    def read(self) -> Secrets | None:
        """Return the secrets, or None if they were not made yet. Raises StoreError."""
        keys = [{"id": {"S": name}} for name in (ROOT, ORIGIN)]
        request = {"RequestItems": {self._name: {"Keys": keys, "ConsistentRead": True}}}
        answer = self._dynamodb.call("BatchGetItem", request)
        if answer.get("UnprocessedKeys"):
            raise StoreUnavailableError(f"the table {self._name} is throttled")
        rows = {row["id"]["S"]: row for row in answer["Responses"].get(self._name, [])}
        if rows.keys() != {ROOT, ORIGIN}:
            return None
        return Secrets.of(*(_secret(rows[name]) for name in (ROOT, ORIGIN)))

    def _create(self, name: str) -> None:
        item = {"id": {"S": name}, "secret": {"B": base64.b64encode(os.urandom(_BYTES)).decode()}}
        request: dict[str, Any] = {
            "TableName": self._name,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(id)",
        }
        try:
            self._dynamodb.call("PutItem", request)
        except ConditionNotMetError:  # another function was first, or an earlier attempt of this request
            return


def _secret(row: dict[str, Any]) -> bytes:
    found = base64.b64decode(row.get("secret", {}).get("B", ""))
    if len(found) != _BYTES:
        raise StoreRefusedError(
            f"the secret {row['id']['S']} does not have {_BYTES} bytes: put back the copy that you keep in a safe"
        )
    return found

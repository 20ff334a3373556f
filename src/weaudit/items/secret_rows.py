"""A secret as a row of the table of keys: ``{id, secret}`` (docs/formats/audit-record.md, Secrets)."""

from __future__ import annotations

import base64

from weaudit.errors import StoreRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Item, Value

SECRET_BYTES = 32


def secret_row(name: str, secret: bytes) -> Item:
    """Return the row of a secret, in DynamoDB JSON."""
    return {"id": {"S": name}, "secret": secret_value(secret)}


def secret_value(secret: bytes) -> Value:
    """Return a secret in DynamoDB JSON."""
    return {"B": base64.b64encode(secret).decode()}


def secret_of(row: Item) -> bytes:
    """Return the secret of a row. Raises StoreRefusedError if the row holds none of the right length."""
    found = base64.b64decode(row.get("secret", {}).get("B", ""))
    if len(found) != SECRET_BYTES:
        raise StoreRefusedError(
            f"the secret {row['id']['S']} does not have {SECRET_BYTES} bytes: put back the copy that you keep in a safe"
        )
    return found

"""The hash that an entry of the ledger has of a row that is no record: of the logs, and of what others wrote."""

from __future__ import annotations

import hmac
from hashlib import sha256

from weaudit.items.hashes import encoded, framed
from weaudit.items.values import spelled_item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Item

_TAG = b"weaudit-row-2"


def row_hash(origin_key: bytes, table: str, row_id: str, row: Item) -> bytes:
    """Return the hash, 32 bytes, of a row of a table; who does not have the secret ``ORIGIN`` cannot guess its content.

    Raises ValueError if the row holds a value that DynamoDB cannot hold.
    """
    salt = hmac.digest(origin_key, framed(_TAG, encoded(table), encoded(row_id)), "sha256")[:16]
    return sha256(framed(_TAG, salt, encoded(spelled_item(row)))).digest()

"""The names of items in the trail, whatever the key schema of their table."""

from __future__ import annotations

import json
from hashlib import sha256

from weaudit.items.values import Item, canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html: the limit for a key of an index.
LONGEST_LOGGED_ID_BYTES = 2048

REMEMBERED = "request#"
"""What precedes the ids of the rows of ``audit_logs`` by which a request is carried out once."""


def item_key(keys: Item) -> str:
    """Return the text that names an item in its table; two different keys never have the same text.

    A key of one string is that string. Any other key is compact JSON of the typed key, names sorted, numbers in
    canonical plain decimal: ``{"pk":{"S":"a"},"sk":{"N":"7"}}``. Raises ValueError if the key is empty or if a part of
    it is not a string, a number or binary.
    """
    if len(keys) == 1:
        ((kind, content),) = next(iter(keys.values())).items()
        if kind == "S":
            return str(content)
    if not keys or any(kind not in ("S", "N", "B") for value in keys.values() for kind in value):
        raise ValueError("a key must have at least one part, and each part must be a string, a number or binary")
    spelled = {name: canonical(value) for name, value in keys.items()}
    return json.dumps(spelled, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_types(description: Mapping[str, Any]) -> dict[str, str]:
    """Return the key attributes and their types, partition key first, from DescribeTable's description of a table."""
    types = {part["AttributeName"]: part["AttributeType"] for part in description["AttributeDefinitions"]}
    hash_first = sorted(description["KeySchema"], key=lambda part: str(part["KeyType"]))
    return {part["AttributeName"]: types[part["AttributeName"]] for part in hash_first}


def history_key(table: str, key: str) -> str:
    """Return the partition of the history index that holds an item's records.

    It is made of the first 40 hex digits of the SHA-256 of table, NUL and item key: an index key may have 2,048 bytes,
    and an item key may be longer.
    """
    return sha256(f"{table}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:40]


def logged_record_id(record_id: str) -> str:
    """Return the id of a record in audit_logs: its item key, or a hash of it if the key is too long for an index."""
    raw = record_id.encode()
    return record_id if len(raw) <= LONGEST_LOGGED_ID_BYTES else f"sha256:{sha256(raw).hexdigest()}"

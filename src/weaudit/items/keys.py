"""How an item is named in the trail, whatever the key schema of its table."""

from __future__ import annotations

import json
from hashlib import sha256

from weaudit.items.values import Item, canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html: a key of an index.
LONGEST_LOGGED_ID_BYTES = 2048


def item_key(keys: Item) -> str:
    """Return the text that names an item in its table; two different keys never give the same text.

    One string key is its own name. Any other key is compact JSON of the typed key, names sorted, numbers in canonical
    plain decimal: ``{"pk":{"S":"a"},"sk":{"N":"7"}}``. Raises ValueError where the key is empty or holds no key type.
    """
    if len(keys) == 1:
        ((kind, content),) = next(iter(keys.values())).items()
        if kind == "S":
            return str(content)
    if not keys or any(kind not in ("S", "N", "B") for value in keys.values() for kind in value):
        raise ValueError("a key holds strings, numbers and binary, and at least one of them")
    spelled = {name: canonical(value) for name, value in keys.items()}
    return json.dumps(spelled, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_types(description: Mapping[str, Any]) -> dict[str, str]:
    """Return a table's key attributes and their types, partition key first, out of DescribeTable's answer."""
    types = {part["AttributeName"]: part["AttributeType"] for part in description["AttributeDefinitions"]}
    hash_first = sorted(description["KeySchema"], key=lambda part: str(part["KeyType"]))
    return {part["AttributeName"]: types[part["AttributeName"]] for part in hash_first}


def history_key(table: str, key: str) -> str:
    """Return the partition of the history index that holds an item's records.

    It is the hex SHA-256 of table, NUL, item key: an index key holds at most 2,048 bytes, an item key may be longer.
    """
    return sha256(f"{table}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()


def logged_record_id(record_id: str) -> str:
    """Return the name under which audit_logs has a record: its item key, or the hash of one too long for an index."""
    raw = record_id.encode()
    return record_id if len(raw) <= LONGEST_LOGGED_ID_BYTES else f"sha256:{sha256(raw).hexdigest()}"

"""Values that are too large for a record: they move to the evidence bucket, and a reference stands in their place."""

import json
from hashlib import sha256

from weaudit.items.values import Item, Value


class Spilled:
    """A record with a reference in place of its largest value, and the object that the reference names."""

    __slots__ = ("body", "key", "record")

    def __init__(self, record: Item, key: str, body: bytes) -> None:
        self.record = record
        self.key = key
        self.body = body


def spill(record: Item, bucket: str) -> Spilled | None:
    """Move the larger of ``oldValue`` and ``newValue`` out of a record; None where neither is left in it.

    The object's key is ``spill/<historyKey>/<record id>/<field>.json``; its body is the value in DynamoDB JSON,
    compact, names sorted, UTF-8. The reference is ``{bucket, key, sha256, bytes}`` over that body: see
    docs/formats/audit-record.md.
    """
    bodies = {field: body_of(record[field]) for field in ("newValue", "oldValue") if field in record}
    if not bodies:
        return None
    field = max(bodies, key=lambda name: len(bodies[name]))
    body = bodies[field]
    key = f"spill/{record['historyKey']['S']}/{record['id']['S']}/{field}.json"
    reference = {
        "bucket": {"S": bucket},
        "key": {"S": key},
        "sha256": {"S": sha256(body).hexdigest()},
        "bytes": {"N": str(len(body))},
    }
    rest = {name: value for name, value in record.items() if name != field}
    return Spilled({**rest, f"{field}Ref": {"M": reference}}, key, body)


def body_of(value: Value) -> bytes:
    """Return the bytes of the object that holds a value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def restore(body: bytes, digest: str) -> Value | None:
    """Return the value that an object of the evidence bucket holds, or None where it has not the recorded SHA-256."""
    if sha256(body).hexdigest() != digest:
        return None
    value: Value = json.loads(body)
    return value

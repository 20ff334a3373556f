"""The evidence bucket: values that are too large for a record, and records that could not be processed.

A value that is too large is moved here, and a reference replaces it in the record. A record that can never be
processed is kept here whole (quarantine, our dead letters).
"""

from __future__ import annotations

import json
from hashlib import sha256

from weaudit.errors import StoreRefusedError, WeauditError
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.aws.client import S3
    from weaudit.items.values import Item, Value


class EvidenceBucket:
    """Stores objects under keys that are derived from their content: a repeated put changes nothing."""

    def __init__(self, s3: S3, name: str) -> None:
        self._s3 = s3
        self.name = name

    def put(self, key: str, body: bytes) -> None:
        """Store a JSON document; when this returns it is stored. Raises StoreError."""
        if not self.name:
            raise StoreRefusedError("no evidence bucket is configured: set EVIDENCE_BUCKET")
        self._s3.put_object(self.name, key, body, "application/json")

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return the object of a spilled value, or None if it is missing or must not be read. Raises StoreError.

        Whatever bucket and key a record names, only spilled values in this bucket are read.
        """
        if bucket != self.name or not key.startswith("spill/"):
            return None
        try:
            return self._s3.get_object(bucket, key)
        except StoreRefusedError as error:
            # S3 reports a missing object as access denied to a caller that may not list the bucket. An object that a
            # rule of the bucket has archived must not make the rest of a trail unreadable.
            if error.aws_code in ("NoSuchKey", "AccessDenied", "InvalidObjectState"):
                return None
            raise


@value
class Spilled:
    """A record with a reference in place of its largest value, and the object that the reference names."""

    record: Item
    key: str
    body: bytes


def spill(record: Item, bucket: str) -> Spilled | None:
    """Move the larger of ``oldValue`` and ``newValue`` out of a record; None if neither is left in it.

    The object's key is ``spill/<historyKey>/<record id>/<field>.json``; its body is the value in DynamoDB JSON,
    compact, names sorted, UTF-8. The reference is ``{bucket, key, sha256, bytes}``, the last two of that body
    (docs/formats/audit-record.md).
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
    """Return the value that an object of the evidence bucket holds, or None if its SHA-256 is not the recorded one."""
    if sha256(body).hexdigest() != digest:
        return None
    value: Value = json.loads(body)
    return value


def quarantined(record: Any, error: Exception, function: str) -> tuple[str, bytes]:
    """Return key and body of the object that keeps a record whole, with the reason why it cannot be processed.

    The key is ``quarantine/<function>/<first 32 hex digits of the record's SHA-256>.json``, so the same record always
    has the same key; the body is JSON with ``code``, ``reason``, ``function`` and ``record``.
    """
    raw = json.dumps(record, sort_keys=True, separators=(",", ":"))
    # The text of an unexpected error may quote data. Its type says enough, and the entry holds the record.
    known = isinstance(error, WeauditError)
    entry = {
        "code": error.code if isinstance(error, WeauditError) else type(error).__name__,
        "reason": str(error) if known else "the record could not be processed",
        "function": function,
        "record": record,
    }
    digest = sha256(raw.encode()).hexdigest()[:32]
    return f"quarantine/{function}/{digest}.json", json.dumps(entry, sort_keys=True).encode()

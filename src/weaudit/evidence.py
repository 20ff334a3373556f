"""The evidence bucket: values that are too large for a record, and records that could not be processed.

Each state of a large attribute is stored once, under its commitment; the record before and the record after refer to
the same object. A record that can never be processed is kept here whole (quarantine, our dead letters).
"""

from __future__ import annotations

import json
import zlib
from hashlib import sha256

from weaudit.errors import StoreRefusedError, WeauditError
from weaudit.items.hashes import commitment
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.aws.client import S3
    from weaudit.items.values import Value

REST = ""
"""The name, in a commitment, of an item's small attributes together: they are too many for a record."""

VALUES = "values/"
RULES = "rules/"
QUARANTINE = "raw/quarantine/"

# The first bytes of a gzip file (https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1); a value's text begins with "{".
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
# An item of DynamoDB has at most 400 KB. Its JSON text may be longer, at worst where each byte is an escaped character.
_LARGEST_VALUE_BYTES = 4 * 1024 * 1024


@value
class LargeValue:
    """A value that is too large for a record: its canonical text, and the key of its object.

    ``is_new`` says that a change brought it; a value that a change replaced was put when it was new, as a rule.
    """

    key: str
    commitment: str  # 64 hex digits
    text: bytes
    is_new: bool

    @classmethod
    def of(cls, history_key: str, salt: bytes, name: str, text: bytes, *, is_new: bool) -> LargeValue:
        """Return the value of the attribute ``name`` of an item."""
        digest = commitment(salt, name, text)
        return cls(value_key(history_key, digest), digest, text, is_new)


def value_key(history_key: str, digest: str) -> str:
    """Return the key of the object that holds the value with this commitment, in hex, of an item."""
    return f"{VALUES}{history_key}/{digest}"


def rules_key(digest: bytes) -> str:
    """Return the key of the object that holds the text of the rules with this digest."""
    return RULES + digest.hex()


def reference(bucket: str, large: LargeValue) -> Value:
    """Return what a record holds in place of a large value: ``bytes`` counts its canonical text."""
    return {
        "M": {
            "bucket": {"S": bucket},
            "key": {"S": large.key},
            "commitment": {"S": large.commitment},
            "bytes": {"N": str(len(large.text))},
        }
    }


def packed(text: bytes) -> bytes:
    """Return the object of a value: its canonical text, as gzip if that is smaller."""
    packer = zlib.compressobj(wbits=_GZIP_WINDOW)
    small = packer.compress(text) + packer.flush()
    return small if len(small) < len(text) else text


def unpacked(body: bytes) -> bytes | None:
    """Return the canonical text that an object holds, or None if it holds none."""
    if not body.startswith(_GZIP):
        return body if len(body) <= _LARGEST_VALUE_BYTES else None
    unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        text = unpacker.decompress(body, _LARGEST_VALUE_BYTES)
    except zlib.error:
        return None
    return text if unpacker.eof else None


def opened(body: bytes, salt: bytes, name: str, digest: str) -> Value | None:
    """Return the value that an object holds, or None if it is not the one that was committed to."""
    text = unpacked(body)
    if text is None or commitment(salt, name, text) != digest:
        return None
    found: Value = json.loads(text)
    return found


class EvidenceBucket:
    """Stores objects under keys that are derived from their content: a repeated put changes nothing."""

    def __init__(self, s3: S3, name: str) -> None:
        self._s3 = s3
        self.name = name

    def put(self, key: str, body: bytes) -> None:
        """Store a JSON document, which may be packed; when this returns it is stored. Raises StoreError."""
        if not self.name:
            raise StoreRefusedError("no evidence bucket is configured: set EVIDENCE_BUCKET")
        kind = "application/gzip" if body.startswith(_GZIP) else "application/json"
        self._s3.put_object(self.name, key, body, kind)

    def put_value(self, large: LargeValue) -> None:
        """Store a large value, unless it is stored already; when this returns it is stored. Raises StoreError.

        A value that was replaced has been stored when it was new, as a rule: looking costs a twelfth of storing.
        """
        if large.is_new or not self._has(large.key):
            self.put(large.key, packed(large.text))

    def put_rules(self, digest: bytes, text: bytes) -> None:
        """Store the text of rules under its digest; when this returns it is stored. Raises StoreError."""
        self.put(rules_key(digest), text)

    def _has(self, key: str) -> bool:
        try:
            self._s3.head_object(self.name, key)
        except StoreRefusedError:
            # There is none, or it may not be seen: S3 says the same to a caller that may not list the bucket.
            return False
        return True

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return an object that records name, or None if it is missing or must not be read. Raises StoreError.

        Whatever bucket and key a record names, only large values and rules in this bucket are read.
        """
        if bucket != self.name or not key.startswith((VALUES, RULES)):
            return None
        try:
            return self._s3.get_object(bucket, key)
        except StoreRefusedError as error:
            # S3 reports a missing object as access denied to a caller that may not list the bucket. An object that a
            # rule of the bucket has archived must not make the rest of a trail unreadable.
            if error.aws_code in ("NoSuchKey", "AccessDenied", "InvalidObjectState"):
                return None
            raise


def quarantined(record: Any, error: Exception, function: str) -> tuple[str, bytes]:
    """Return key and body of the object that keeps a record whole, with the reason why it cannot be processed.

    The key is ``raw/quarantine/<function>/<first 32 hex digits of the record's SHA-256>.json``, so the same record
    always has the same key; the body is JSON with ``code``, ``reason``, ``function`` and ``record``.
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
    return f"{QUARANTINE}{function}/{digest}.json", json.dumps(entry, sort_keys=True).encode()

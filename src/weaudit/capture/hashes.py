"""The hash of an audit record, and what makes it ours (docs/formats/audit-record.md, The hash of a record).

The hash covers what a record says. What it says about people and values enters as one salted hash, so that the hash of
a record can still be recomputed when those are erased.
"""

from __future__ import annotations

import hmac
from binascii import a2b_base64, b2a_base64
from hashlib import sha256

from weaudit.items.hashes import committed, committed_item, encoded, framed, length
from weaudit.items.values import spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weaudit.items.values import Item, Value

COVERED: tuple[str, ...] = (
    "afterHash",
    "afterMasked",
    "beforeHash",
    "beforeMasked",
    "content",
    "eventName",
    "format",
    "id",
    "kid",
    "masked",
    "modificationTime",
    "records",
    "rules",
    "sequenceNumber",
    "streamLabel",
    "tableArn",
    "tableName",
    "updatedAttribute",
)
"""What the hash of a record covers, sorted. ``content`` is the hash of the record's content, and ``streamLabel`` is the
first part of ``changeOrder``; the others are fields of the record."""

CONTENT: tuple[str, ...] = ("actor", "changeId", "itemKey", "newValue", "oldValue", "reason")
"""The content of a record, sorted: what an erasure removes."""

# Those whose text is the same with every salt.
_SAID = tuple(name for name in CONTENT if not name.endswith("Value"))

# The beginning of what is hashed, framed once.
_CONTENT = framed(b"weaudit-content-2")
_SALTED_CONTENT = _CONTENT + length(bytes(16))
_RECORD = framed(b"weaudit-record-2")
_ORIGIN = framed(b"weaudit-origin-2") + length(bytes(32))


def content_salt(mask_key: bytes, record_id: str) -> bytes:
    """Return the 16 bytes that salt a record's content."""
    raw = record_id.encode()
    return hmac.digest(mask_key, _CONTENT + length(raw) + raw, "sha256")[:16]


def content_hash(salt: bytes, text: str) -> bytes:
    """Return the hash of a record's content: ``text`` is the canonical text of the :data:`CONTENT` that it has.

    A long value enters by its commitment, and a masked place is ``{"#": ""}``.
    """
    raw = encoded(text)
    return sha256(_SALTED_CONTENT + salt + length(raw) + raw).digest()


def covered_hash(text: str) -> bytes:
    """Return the hash of a record: ``text`` is the canonical text of the :data:`COVERED` that it has."""
    raw = encoded(text)
    return sha256(_RECORD + length(raw) + raw).digest()


def origin(key: bytes, record_hash: bytes) -> bytes:
    """Return the 16 bytes that only the holder of the secret ``ORIGIN`` can make for a record."""
    return hmac.digest(key, _ORIGIN + record_hash, "sha256")[:16]


def committed_value(salt: bytes, name: str | None, value: Value) -> str:
    """Return the text by which a value enters the content: of the attribute ``name``, or of the whole item (None)."""
    return f'{{"M":{committed_item(salt, value["M"])}}}' if name is None else committed(salt, name, spelled(value))


def record_hash(record: Item, old: Value | None, new: Value | None) -> bytes:
    """Return the hash of a record, in DynamoDB JSON, whose values are ``old`` and ``new`` (None: it has none).

    Masked places of the values are ``{"#": ""}``; large values may be ``{"#": commitment}``. An erased record keeps
    the hash of its content, so its values are not needed.
    """
    erased = record.get("erased", {}).get("M")
    if erased is not None:
        content = erased["p"]["B"]
    else:
        salt, name = from_base64(record["salt"]), record.get("updatedAttribute", {}).get("S")
        said = {field: spelled(record[field]) for field in _SAID if field in record}
        for field, value in (("oldValue", old), ("newValue", new)):
            if value is not None:
                said[field] = committed_value(salt, name, value)
        content = in_base64(content_hash(from_base64(record["contentSalt"]), joined(CONTENT, said)))
    stated = {**record, "content": {"B": content}, "streamLabel": {"S": record["changeOrder"]["S"].partition("#")[0]}}
    parts = [f'"{name}":{spelled(stated[name])}' for name in COVERED if name in stated]
    return covered_hash(f"{{{','.join(parts)}}}")


def in_base64(raw: bytes) -> str:
    """Return bytes as DynamoDB JSON spells them."""
    return b2a_base64(raw, newline=False).decode()


def from_base64(value: Value) -> bytes:
    """Return the bytes of a value in DynamoDB JSON, of type B. Raises ValueError if it is no such value."""
    return a2b_base64(str(value.get("B", "#")))


def joined(names: Iterable[str], texts: Mapping[str, str]) -> str:
    """Return the canonical text of those of the fields, given sorted, that there are; ``texts`` are their values."""
    return "{" + ",".join([f'"{name}":{texts[name]}' for name in names if name in texts]) + "}"

"""The keyed hashes of items and their large values (docs/formats/audit-record.md, Hashes).

Every hash depends on a secret that is stored apart from the trail, by way of a salt or a mask key for each item: who
reads a hash cannot find the value by trying. Hashes are bytes; a commitment is hex, since it is part of a text.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256

from weaudit.items.values import WITHHELD, quoted, spelled, spelled_item, spelled_whole
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Item, Value

LARGEST_HASHED_BYTES = 1024
"""A value whose canonical text is longer enters the hash of its item by its commitment."""

# Most texts have less than a quarter of the limit, so that they need not be encoded to be measured.
_CERTAINLY_SMALL = LARGEST_HASHED_BYTES // 4


@value
class ItemSecrets:
    """What hides the values of one item: ``salt`` (16 bytes) is in each record, ``mask_key`` (32 bytes) nowhere."""

    salt: bytes
    mask_key: bytes


def framed(*parts: bytes) -> bytes:
    """Return the parts as one text that no other parts give: each is preceded by its length, 4 bytes, big-endian."""
    return b"".join([length(part) + part for part in parts])


def length(part: bytes) -> bytes:
    """Return what precedes a part: its length, 4 bytes, big-endian."""
    return len(part).to_bytes(4, "big")


# The beginning of what is hashed most often: framing it anew each time takes as long as hashing it.
_STATE = framed(b"weaudit-state-2") + length(bytes(16))


def kid(secret: bytes) -> bytes:
    """Return the 8 bytes that name a secret in the records that depend on it."""
    return sha256(framed(b"weaudit-kid-2", secret)).digest()[:8]


def subject_id(root: bytes, *parts: str) -> str:
    """Return the id of a subject in the table of keys: who does not have the root cannot tell whose row it is."""
    return "SUBJECT/" + hmac.digest(root, framed(b"weaudit-subject-2", *map(encoded, parts)), "sha256").hex()


@lru_cache(maxsize=1024)
def item_secrets(secret: bytes, table_arn: str, item_key: str) -> ItemSecrets:
    """Return the salt and the mask key of an item; those of the last thousand items are kept."""
    derived = hmac.digest(secret, framed(b"weaudit-item-2", table_arn.encode(), encoded(item_key)), "sha512")
    return ItemSecrets(derived[:16], derived[32:])


def commitment(salt: bytes, name: str, text: bytes) -> str:
    """Return the commitment, 64 hex digits, to the value of an attribute: ``text`` is its canonical text."""
    return sha256(framed(b"weaudit-value-2", salt, encoded(name), text)).hexdigest()


def committed(salt: bytes, name: str, text: str) -> str:
    """Return the text by which a value enters the hash of its item: a commitment if the text is a long one."""
    if not is_long(text):
        return text
    return f'{{"{WITHHELD}":"{commitment(salt, name, encoded(text))}"}}'


def same_in_hash(salt: bytes, name: str, one: Value, other: Value) -> bool:
    """Return whether two values of an attribute enter the hash of their item alike, read or not."""
    return one == other or committed(salt, name, spelled(one)) == committed(salt, name, spelled(other))


def is_long(text: str) -> bool:
    """Return whether the canonical text of a value is longer than :data:`LARGEST_HASHED_BYTES`."""
    return len(text) > _CERTAINLY_SMALL and len(encoded(text)) > LARGEST_HASHED_BYTES


def committed_item(salt: bytes, item: Item) -> str:
    """Return the text of an item as it is hashed: its canonical text, with commitments in place of long values."""
    text = spelled_whole(item)
    if not is_long(text):
        return text
    parts = [f"{quoted(name)}:{committed(salt, name, spelled(item[name]))}" for name in sorted(item)]
    return f"{{{','.join(parts)}}}"


def state_hash(salt: bytes, item: Item) -> bytes:
    """Return the hash of an item, in which masked places are ``{"#": ""}`` and unread values ``{"#": commitment}``.

    The item's marker must have been removed. Raises ValueError if it holds a value that DynamoDB cannot hold.
    """
    return text_hash(salt, committed_item(salt, item))


def text_hash(salt: bytes, text: str) -> bytes:
    """Return the :func:`state_hash` of the item whose :func:`committed_item` this is."""
    raw = encoded(text)
    return sha256(_STATE + salt + length(raw) + raw).digest()


def masked_hash(mask_key: bytes, masked: Item) -> bytes:
    """Return the keyed hash of an item's masked values, given by path."""
    return hmac.digest(mask_key, framed(b"weaudit-masked-2", encoded(spelled_item(masked))), "sha256")


def encoded(text: str) -> bytes:
    """Return the UTF-8 of a text, which may hold half of a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")

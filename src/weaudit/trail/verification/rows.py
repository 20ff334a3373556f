"""The hashes of rows, by which the ledger names them (docs/formats/ledger.md, Rows)."""

from __future__ import annotations

import hmac
from hashlib import sha256

from weaudit.capture.hashes import from_base64, record_hash
from weaudit.evidence import REST, opened
from weaudit.items.hashes import encoded, framed
from weaudit.items.keys import REMEMBERED
from weaudit.items.values import spelled_item
from weaudit.trail.changes import filled
from weaudit.trail.history import attribute_change
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from weaudit.items.values import Item

    Fetch = Callable[[str, str], bytes | None]
    """Returns the object with a key in a bucket, or None if there is none that may be read."""


@value
class Source:
    """A table whose rows are sealed: its name, and in ``label`` the name that entries have for it ("" for ``Audit``).

    ``keys`` are the attributes that make the id of a row, and ``time`` is the one that says when it was written.
    """

    name: str
    label: str
    keys: tuple[str, ...]
    time: str

    def id_of(self, row: Item) -> str:
        """Return the id of a row: its key, the parts of which are joined by a slash."""
        return "/".join([str(row[key].get("S", "")) for key in self.keys])

    def seals(self, row_id: str) -> bool:
        """Return whether a row with this id is evidence: those that remember a request are not."""
        return self.keys != ("log_id",) or not row_id.startswith(REMEMBERED)


def sources(audit: str, audit_logs: str, invocation_log: str) -> tuple[Source, Source, Source]:
    """Return the three tables whose rows are sealed, given their names."""
    return (
        Source(audit, "", ("id",), "modificationTime"),
        Source(audit_logs, audit_logs, ("log_id",), "timestamp"),
        Source(invocation_log, invocation_log, ("requestId", "timestamp"), "timestamp"),
    )


def nothing(_bucket: str, _key: str) -> bytes | None:
    """Read no object."""
    return None


def row_salt(origin: bytes, table: str, row_id: str) -> bytes:
    """Return the 16 bytes that salt the hash of a row that is no record; ``origin`` is the secret ``ORIGIN``."""
    return hmac.digest(origin, framed(b"weaudit-row-2", encoded(table), encoded(row_id)), "sha256")[:16]


def row_hash(origin: bytes, table: str, row_id: str, row: Item) -> bytes:
    """Return the hash of a row that is no record of ours, in DynamoDB JSON; nobody can find its values by trying."""
    text = encoded(spelled_item(row))
    return sha256(framed(b"weaudit-row-2", row_salt(origin, table, row_id), text)).digest()


# Fields with which a record's values are not those that its hash covers: some of them are masked, or elsewhere.
_ELSEWHERE = frozenset(("masked", "oldValueRef", "newValueRef", "oldValueRefs", "newValueRefs"))


def needs_object(record: Item) -> bool:
    """Return whether the hash of a record needs an object of the evidence bucket: see :func:`stored_hash`."""
    return "updatedAttribute" not in record and ("oldValueRef" in record or "newValueRef" in record)


def stored_hash(record: Item, fetch: Fetch = nothing) -> bytes | None:
    """Return the hash of a record of ``Audit`` as it is stored, or None if it has none.

    ``fetch`` reads the object of an item of which even the small attributes together were too large for the record.
    """
    try:
        if _ELSEWHERE.isdisjoint(record):
            return record_hash(record, record.get("oldValue"), record.get("newValue"))
        part = attribute_change(record)
        old, new = part.old, part.new
        for reference in (*part.old_refs, *part.new_refs):
            if reference.name == REST:
                body = fetch(reference.bucket, reference.key)
                found = body and opened(body, from_base64(record["salt"]), REST, reference.commitment)
                if not found:
                    return None
                old, new = (filled(None, side, {reference.commitment: found}) for side in (old, new))
        return record_hash(record, old, new)
    except (
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ):  # written by somebody else, it may hold anything
        return None

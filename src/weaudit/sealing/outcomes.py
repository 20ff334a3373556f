"""Decides what a record of a stream says of a row: its entry of the log (docs/formats/ledger.md, Entry).

A stream names nobody but DynamoDB's own expiry, so an entry's kind follows from what became of the row: who did it, and
by which function, cannot be known and is not asked.
"""

from __future__ import annotations

from weaudit.capture.hashes import CONTENT, from_base64, origin
from weaudit.items.times import iso_time
from weaudit.items.values import same_value
from weaudit.ledger.entries import entry
from weaudit.ledger.faults import LedgerError
from weaudit.trail.verification.rows import row_hash, stored_hash
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.items.values import Item
    from weaudit.ledger.entries import Entry
    from weaudit.trail.verification.rows import Fetch, Source

# What an erasure removes or replaces; the hash of the record stays.
_ERASED = frozenset(
    (*CONTENT, *(f"{side}ValueRef{s}" for side in ("old", "new") for s in ("", "s")), "contentSalt", "erased", "salt")
) | {"historyKey"}
_UUID = frozenset("0123456789abcdef-")


@value
class Outcomes:
    """Turns stream records into entries. ``origin`` is the secret ORIGIN; ``fetch`` reads the evidence bucket."""

    origin: bytes
    fetch: Fetch

    def of(self, source: Source, record: dict[str, Any]) -> Entry | None:
        """Return the entry of a record, as GetRecords returns it, or None if its row is passed over."""
        body = record["dynamodb"]
        row_id = source.id_of(body["Keys"])
        if not source.seals(row_id):
            return None
        at = iso_time(round(float(body["ApproximateCreationDateTime"]) * 1000))
        old, new = body.get("OldImage"), body.get("NewImage")
        if not source.label:
            kind, digest, said = self._record(old, new, record)
        else:
            kind = "log" if old is None else "altered" if new is not None else _removed(record, old, "expires_at")
            digest, said = None, {}
        if digest is None:
            digest = row_hash(self.origin, source.name, row_id, new if new is not None else old or {})
        if source.label:
            said["table"] = source.label
        return _entry(kind, at, row_id, digest, said)

    def of_row(self, source: Source, row: Item, at: str) -> Entry | None:
        """Return the entry of a row that was not seen being written: it was there at a time, ISO 8601, in UTC."""
        row_id = source.id_of(row)
        if not source.seals(row_id):
            return None
        if source.label:
            return _entry(
                "adopted", at, row_id, row_hash(self.origin, source.name, row_id, row), {"table": source.label}
            )
        digest = stored_hash(row, self.fetch)
        if digest is None or not self._is_ours(row, digest):
            return _entry("foreign", at, row_id, digest or row_hash(self.origin, source.name, row_id, row), {})
        return _entry("adopted", at, row_id, digest, {})

    def _record(
        self, old: Item | None, new: Item | None, record: dict[str, Any]
    ) -> tuple[str, bytes | None, dict[str, Any]]:
        """Return kind and hash of what became of a record of ``Audit``, and what its entry says besides."""
        before = None if old is None else stored_hash(old, self.fetch)
        if new is None:
            return _removed(record, old or {}, "expiresAt"), before, {}
        after = stored_hash(new, self.fetch)
        ours = after is not None and self._is_ours(new, after)
        if old is None:
            return "record" if ours else "foreign", after, {}
        changed = {name for name in old.keys() | new.keys() if not same_value(old.get(name), new.get(name))}
        if ours and before == after:
            if changed == {"expiresAt"} and "expiresAt" not in old:
                return "expiry", after, {}
            if "erased" in new and "erased" not in old and changed <= _ERASED:
                by = str(new["erased"]["M"].get("by", {}).get("S", ""))
                return "erased", after, {"by": by} if len(by) == 36 and _UUID.issuperset(by) else {}
        return "altered", after, {}

    def _is_ours(self, record: Item, digest: bytes) -> bool:
        try:
            return from_base64(record["origin"]) == origin(self.origin, digest)
        except (AttributeError, KeyError, ValueError):
            return False


def _removed(record: dict[str, Any], old: Item, expires: str) -> str:
    """Return the kind of a removal: DynamoDB names itself where a row has expired."""
    # The API spells these names with a capital letter, and Lambda's events without.
    said = {name[:1].lower() + name[1:]: found for name, found in (record.get("userIdentity") or {}).items()}
    by_expiry = said.get("type") == "Service" and said.get("principalId") == "dynamodb.amazonaws.com"
    return "expired" if by_expiry and expires in old else "deleted"


def _entry(kind: str, at: str, row_id: str, digest: bytes, said: dict[str, Any]) -> Entry:
    try:
        return entry(kind, at, id=row_id, hash=digest.hex(), **said)
    except LedgerError:
        # Half of a surrogate pair, which no reader of JSON need take. Nobody's row may stop the log.
        return entry(kind, at, id=row_id.encode("utf-8", "replace").decode(), hash=digest.hex(), **said)

"""One change of one item as the trail recorded it, with every attribute that it touched.

Everything that reads the trail starts from these values; history.py builds them from audit records.
"""

from __future__ import annotations

from weaudit.evidence import REST
from weaudit.items.values import WITHHELD
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weaudit.items.values import Item, Value


@value
class Actor:
    """Who made a change, and how that is known.

    ``kind`` is ``logged`` (the log entry that was written in the same transaction names the caller), ``stated`` (the
    writer named itself in an attribute), ``carried`` (the item names somebody, and this write did not set it) or
    ``service`` (AWS made the change by itself).
    """

    kind: str
    name: str


@value
class ValueReference:
    """The object of the evidence bucket that holds the value of an attribute, which was too large for its record."""

    name: str
    bucket: str
    key: str
    commitment: str  # hex
    bytes: int  # of the value's canonical text


@value
class AttributeChange:
    """One attribute before and after a change, in DynamoDB JSON.

    ``name`` is None if the record holds the whole item, which was created or deleted. A value of None means that the
    attribute was absent; DynamoDB's NULL is the value ``{"NULL": True}``. A masked place is ``{"#": ""}``. A value that
    was too large for the record is ``{"#": commitment}`` until it is read, and stays so if its object is gone or was
    altered; ``old_refs`` and ``new_refs`` say where it is. What an item has so under :data:`evidence.REST` are all its
    small attributes. ``masked`` are the paths of the masked places.
    """

    name: str | None
    old: Value | None
    new: Value | None
    old_refs: tuple[ValueReference, ...] = ()
    new_refs: tuple[ValueReference, ...] = ()
    masked: tuple[str, ...] = ()

    @property
    def lost(self) -> bool:
        """Whether a value that was too large for its record is missing here: not read yet, gone, or altered."""
        return any(True for value in (self.old, self.new) for _ in unread(self.name, value))


def unread(name: str | None, value: Value | None) -> Iterator[tuple[str, str]]:
    """Yield name and commitment of each attribute whose value is not here: of the attribute ``name``, or of an item."""
    item = {name: value} if name is not None else (value or {}).get("M")
    if isinstance(item, dict):  # a record that was written by hand may hold anything
        for part, content in item.items():
            if isinstance(content, dict) and content.get(WITHHELD):
                yield part, str(content[WITHHELD])


def filled(name: str | None, value: Value | None, found: Mapping[str, Value]) -> Value | None:
    """Return the value with those that are not here filled in, as far as they are found, by commitment."""
    missing = {part: found[digest] for part, digest in unread(name, value) if digest in found}
    if not missing or value is None:
        return value
    if name is not None:
        return missing[name]
    rest = missing.pop(REST, {}).get("M", {})
    return {"M": {part: here for part, here in value["M"].items() if part != REST or not rest} | missing | rest}


@value
class AuditedChange:
    """One change of one item, as the trail recorded it. A hash is None if the item did not exist then.

    Of an erased change the item's key, values, actor, reason, change id and salts are gone (``erased``).
    """

    table: str
    item_key: str
    at: str  # ISO 8601, UTC: 2024-01-01T00:00:00.000Z
    sequence: str  # the stream's sequence number, without leading zeros
    order: str  # sorts the changes of one item, even if the stream was turned off and on again
    event_name: str  # INSERT, MODIFY or REMOVE
    actor: Actor | None
    change_id: str | None
    before_hash: str | None  # hex, as all hashes here
    after_hash: str | None
    attributes: tuple[AttributeChange, ...]  # by name
    records: tuple[Item, ...]  # the record of each attribute, in the same order, in DynamoDB JSON
    salt: bytes = b""
    kid: str = ""  # names the secret that the hashes depend on
    rules: str = ""  # names the rules that masked something, "" if there are none
    erased: bool = False
    reason: str | None = None  # why, as the log entry of the update says, or the records themselves

    @property
    def is_late(self) -> bool:
        """Whether the change came after the erasure of its values: it has no hashes, and a partition of its own."""
        return self.erased and self.before_hash is None and self.after_hash is None

    @property
    def partition(self) -> str:
        """The ``historyKey`` of the records. It follows from table and item key, unless the change is erased."""
        return str(self.records[0].get("historyKey", {}).get("S", ""))

    @property
    def record_ids(self) -> tuple[str, ...]:
        """The ids of the records."""
        return tuple(str(record.get("id", {}).get("S", "")) for record in self.records)

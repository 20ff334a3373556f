"""One change of one item as the trail recorded it, with every attribute that it touched.

Everything that reads the trail starts from these values; history.py builds them from audit records.
"""

from __future__ import annotations

from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Value


@value
class Actor:
    """Who made a change, and how that is known.

    ``kind`` is ``logged`` (the log entry that was written in the same transaction names the caller), ``stated`` (the
    writer named itself in an attribute) or ``service`` (AWS made the change by itself).
    """

    kind: str
    name: str


@value
class ValueReference:
    """The location and hash of a value that was too large for its record: an object of the evidence bucket."""

    bucket: str
    key: str
    sha256: str  # hex, over the object's bytes
    bytes: int


@value
class AttributeChange:
    """One attribute before and after a change, in DynamoDB JSON.

    ``name`` is None if the record holds the whole item, which was created or deleted. A value of None means that the
    attribute was absent; DynamoDB's NULL is the value ``{"NULL": True}``. A value that was too large for the record has
    a reference to its object; it is None until it is read, and stays None if the object is gone or was altered.
    """

    name: str | None
    old: Value | None
    new: Value | None
    old_ref: ValueReference | None = None
    new_ref: ValueReference | None = None

    @property
    def lost(self) -> bool:
        """Whether a value that was too large for its record is missing here: not read yet, gone, or altered."""
        return (self.old_ref is not None and self.old is None) or (self.new_ref is not None and self.new is None)

    @property
    def had_old(self) -> bool:
        """Whether there was a value before the change, here or in the evidence bucket."""
        return self.old is not None or self.old_ref is not None

    @property
    def has_new(self) -> bool:
        """Whether there was a value after the change, here or in the evidence bucket."""
        return self.new is not None or self.new_ref is not None


@value
class AuditedChange:
    """One change of one item, as the trail recorded it. A hash is None if the item did not exist then."""

    table: str
    item_key: str
    at: str  # ISO 8601, UTC: 2024-01-01T00:00:00.000Z
    sequence: str  # the stream's sequence number, without leading zeros
    order: str  # sorts the changes of one item, even if the stream was turned off and on again
    event_name: str  # INSERT, MODIFY or REMOVE
    actor: Actor | None
    change_id: str | None
    before_hash: str | None
    after_hash: str | None
    attributes: tuple[AttributeChange, ...]  # by name
    record_ids: tuple[str, ...]  # the record of each attribute, in the same order
    coherent: bool = True  # its records agree about the change, and their index keys follow from their fields

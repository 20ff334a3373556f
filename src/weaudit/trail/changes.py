"""One change of one item as the trail tells it, with every attribute that it touched: one value again.

Everything that reads the trail starts from these; histories.py gathers them from audit records.
"""

from __future__ import annotations

from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Value


@value
class Actor:
    """Who made a change, and how that is known.

    ``kind`` is ``logged`` (the update's log entry, written in one transaction with it, names its caller), ``stated``
    (the writer said so in an attribute) or ``service`` (AWS made it by itself).
    """

    kind: str
    name: str


@value
class ValueReference:
    """Where a value is that was too large for its record: an object of the evidence bucket, and its hash."""

    bucket: str
    key: str
    sha256: str  # hex, over the object's bytes
    bytes: int


@value
class AttributeChange:
    """One attribute before and after a change, in DynamoDB JSON.

    ``name`` is None where the record tells of the whole item: it was created or deleted. None as a value means that
    there was none; DynamoDB's NULL is the value ``{"NULL": True}``. A value that was too large for the record has a
    reference that says where it is; it is None until it is read, and stays so where it is gone or was altered.
    """

    name: str | None
    old: Value | None
    new: Value | None
    old_ref: ValueReference | None = None
    new_ref: ValueReference | None = None

    @property
    def lost(self) -> bool:
        """Whether a value was too large for its record and is not here: not read yet, gone, or altered."""
        return (self.old_ref is not None and self.old is None) or (self.new_ref is not None and self.new is None)

    @property
    def had_old(self) -> bool:
        """Whether there was a value before the change, here or elsewhere."""
        return self.old is not None or self.old_ref is not None

    @property
    def has_new(self) -> bool:
        """Whether there was a value after the change, here or elsewhere."""
        return self.new is not None or self.new_ref is not None


@value
class AuditedChange:
    """One change of one item, as the trail tells it. Hashes are None where there was no image."""

    table: str
    item_key: str
    at: str  # ISO 8601, UTC: 2024-01-01T00:00:00.000Z
    sequence: str  # as the stream spelled it, without leading zeros
    order: str  # sorts the changes of one item, also over a stream turned off and on again
    event_name: str  # INSERT, MODIFY or REMOVE
    actor: Actor | None
    change_id: str | None
    before_hash: str | None
    after_hash: str | None
    attributes: tuple[AttributeChange, ...]  # by name
    record_ids: tuple[str, ...]  # the record of each attribute, in the same order
    coherent: bool = True  # its records say the same of the change, and their index keys follow from what they say

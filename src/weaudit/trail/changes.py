"""One change of one item as the trail tells it, with every attribute that it touched: one value again.

Everything that reads the trail starts from these; histories.py gathers them from audit records.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from typing import Any, Self

    from weaudit.items.values import Value


class _Told:
    """A value that equals another with the same fields; nothing writes to it.

    Not a dataclass: importing ``dataclasses`` costs the cold start of whatever reads the trail milliseconds.
    """

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # its values are dictionaries

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def replaced(self, **fields: Any) -> Self:
        """Return the same with some fields changed."""
        return type(self)(**{name: getattr(self, name) for name in self.__slots__} | fields)


class Actor(_Told):
    """Who made a change, and how that is known.

    ``kind`` is ``logged`` (the update's log entry, written in one transaction with it, names its caller), ``stated``
    (the writer said so in an attribute) or ``service`` (AWS made it by itself).
    """

    __slots__ = ("kind", "name")

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name


class ValueReference(_Told):
    """Where a value is that was too large for its record: an object of the evidence bucket, and its hash."""

    __slots__ = ("bucket", "bytes", "key", "sha256")

    def __init__(self, bucket: str, key: str, sha256: str, bytes: int) -> None:  # noqa: A002 the record's name
        self.bucket = bucket
        self.key = key
        self.sha256 = sha256  # hex, over the object's bytes
        self.bytes = bytes


class AttributeChange(_Told):
    """One attribute before and after a change, in DynamoDB JSON.

    ``name`` is None where the record tells of the whole item: it was created or deleted. None as a value means that
    there was none; DynamoDB's NULL is the value ``{"NULL": True}``. A value that was too large for the record has a
    reference that says where it is; it is None until it is read, and stays so where it is gone or was altered.
    """

    __slots__ = ("name", "new", "new_ref", "old", "old_ref")

    def __init__(
        self,
        name: str | None,
        old: Value | None,
        new: Value | None,
        old_ref: ValueReference | None = None,
        new_ref: ValueReference | None = None,
    ) -> None:
        self.name = name
        self.old = old
        self.new = new
        self.old_ref = old_ref
        self.new_ref = new_ref

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


class AuditedChange(_Told):
    """One change of one item, as the trail tells it. Hashes are None where there was no image."""

    __slots__ = (
        "actor",
        "after_hash",
        "at",
        "attributes",
        "before_hash",
        "change_id",
        "coherent",
        "event_name",
        "item_key",
        "order",
        "record_ids",
        "sequence",
        "table",
    )

    def __init__(
        self,
        table: str,
        item_key: str,
        at: str,  # ISO 8601, UTC: 2024-01-01T00:00:00.000Z
        sequence: str,  # as the stream spelled it, without leading zeros
        order: str,  # sorts the changes of one item, also over a stream turned off and on again
        event_name: str,  # INSERT, MODIFY or REMOVE
        actor: Actor | None,
        change_id: str | None,
        before_hash: str | None,
        after_hash: str | None,
        attributes: tuple[AttributeChange, ...],  # by name
        record_ids: tuple[str, ...],  # the record of each attribute, in the same order
        coherent: bool = True,  # its records say the same of the change, and their index keys follow from what they say
    ) -> None:
        self.table = table
        self.item_key = item_key
        self.at = at
        self.sequence = sequence
        self.order = order
        self.event_name = event_name
        self.actor = actor
        self.change_id = change_id
        self.before_hash = before_hash
        self.after_hash = after_hash
        self.attributes = attributes
        self.record_ids = record_ids
        self.coherent = coherent

"""Gathers audit records into the changes that they describe.

A change of n attributes is n records (docs/formats/audit-record.md); here it becomes one AuditedChange.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby

from weaudit.capture.hashes import from_base64
from weaudit.capture.masking import unredacted, without_places
from weaudit.evidence import REST
from weaudit.items.hashes import same_in_hash
from weaudit.items.keys import logged_record_id
from weaudit.items.paths import path_of
from weaudit.items.times import iso_moment, moment
from weaudit.items.values import WITHHELD
from weaudit.trail.changes import Actor, AttributeChange, AuditedChange, ValueReference
from weaudit.values import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weaudit.items.paths import Path
    from weaudit.items.values import Item, Value

_NONE: Item = {}

SLACK = timedelta(minutes=1)
"""The times of one item's changes may be out of order by at most this."""

NEAR = timedelta(minutes=2)
"""The times of a log entry and of the change that was written with it differ by no more than this.

The entry has the time at which the function began; the change has the stream's time, in whole seconds. The function
ends within 30 seconds, which leaves a minute and a half for clocks that differ.
"""


def changes(records: Iterable[Item]) -> Iterator[AuditedChange]:
    """Gather records, in DynamoDB JSON, into changes, lazily and in the order in which the changes begin.

    The records of one change must follow each other; only records with the same time and sequence number may lie
    between them. Both indexes of the Audit table return them so, in either direction.
    """
    for _, neighbours in groupby(records, key=lambda record: _text(record, "changesOrder")):
        gathered: dict[tuple[str, str, str], list[Item]] = {}
        for record in neighbours:
            names = (_text(record, "tableName"), _text(record, "itemKey"), _text(record, "changeOrder"))
            gathered.setdefault(names, []).append(record)
        for parts in gathered.values():
            yield _change(parts)


def attributed(
    change: AuditedChange, entry: Item | None, *, used_before: bool = False, ignored: tuple[Path, ...] = ()
) -> AuditedChange:
    """Return a change with caller and reason of its log entry, or as it is if the two were not written together.

    ``used_before`` says that an earlier change of the item has the same change id, so that the entry belongs to that
    change. Pass the whole change, with every attribute that it touched.
    """
    if entry is None or used_before or not fits(change, entry, ignored):
        return change
    name = _text(entry, "caller") or _text(entry, "user_agent")
    return replaced(
        change,
        actor=Actor("logged", name) if name else change.actor,
        reason=_text(entry, "reason") or change.reason,
    )


def fits(change: AuditedChange, entry: Item, ignored: tuple[Path, ...] = ()) -> bool:
    """Return whether a change and a log entry can have been written together.

    Anyone who may write to the table can put a log id on an item, even an old one. So the entry must be about this
    item, successful, and near in time, and it must name every attribute that the change touched, with its new value.
    The entry may name more attributes: those had these values already. An update neither creates nor deletes an item.
    ``ignored`` are the places that the rules of the change ignore: a large value is kept without them.
    """
    asked = entry.get("updated_attributes", {}).get("M") or {}
    logged_at, changed_at = moment(_text(entry, "timestamp")), moment(change.at)
    return (
        (change.event_name, "success") == ("MODIFY", _text(entry, "status"))
        and change.change_id == _text(entry, "log_id")
        and change.table == _text(entry, "table_name")
        and logged_record_id(change.item_key) == _text(entry, "record_id")
        and (logged_at is not None and changed_at is not None and abs(changed_at - logged_at) <= NEAR)
        and all(part.name in asked and _became(change, part, asked[part.name], ignored) for part in change.attributes)
    )


def _became(change: AuditedChange, part: AttributeChange, value: Value, ignored: tuple[Path, ...]) -> bool:
    if part.new is None or part.name is None:
        return False
    if part.masked:
        return True  # neither the record nor the entry says what it became
    if part.new_refs and (part.name,) not in ignored:
        value = without_places({part.name: value}, ignored)[part.name]
    # Where the object of a large value is gone or was altered, the record still has its commitment.
    return same_in_hash(change.salt, part.name, part.new, value)


def not_used_before(entry: Item) -> str:
    """Return a time before which no change can have the entry's id: the update had not generated the id yet."""
    logged_at = moment(_text(entry, "timestamp"))
    return "" if logged_at is None else iso_moment(logged_at - NEAR - SLACK)


def narrowed(change: AuditedChange, attribute: str) -> AuditedChange | None:
    """Return the part of a change that concerns one attribute, or None if the change did not touch it.

    A created or deleted item is reduced to this attribute.
    """
    kept = []
    for part, record in zip(change.attributes, change.records, strict=True):
        found: AttributeChange | None = part if part.name == attribute else None
        if part.name is None:
            old, new = ((value or {}).get("M", {}).get(attribute) for value in (part.old, part.new))
            old_refs, new_refs = (
                tuple(reference for reference in references if reference.name == attribute)
                for references in (part.old_refs, part.new_refs)
            )
            paths = tuple(path for path in part.masked if path_of(path)[0] == attribute)
            if old is not None or new is not None:
                found = AttributeChange(attribute, old, new, old_refs, new_refs, paths)
        if found is not None:
            kept.append((found, record))
    return _with_parts(change, kept) if kept else None


def without(change: AuditedChange, names: frozenset[str]) -> AuditedChange | None:
    """Return a change without these attributes, or None if it touched nothing else.

    A created or deleted item is shown without them, and never None: that it was created or deleted is worth showing.
    """
    if not names:
        return change
    kept = [
        (part if part.name is not None else _item_without(part, names), record)
        for part, record in zip(change.attributes, change.records, strict=True)
        if part.name not in names
    ]
    return _with_parts(change, kept) if kept else None


def _item_without(part: AttributeChange, names: frozenset[str]) -> AttributeChange:
    """Return a created or deleted item without these attributes, and without what says where they are."""
    old, new = (
        {"M": {name: inner for name, inner in value["M"].items() if name not in names}}
        if value is not None and isinstance(value.get("M"), dict)
        else value  # a record that was written by hand may hold anything
        for value in (part.old, part.new)
    )
    old_refs, new_refs = (
        tuple(reference for reference in references if reference.name not in names)
        for references in (part.old_refs, part.new_refs)
    )
    masked = tuple(path for path in part.masked if path_of(path)[0] not in names)
    return AttributeChange(None, old, new, old_refs, new_refs, masked)


def _with_parts(change: AuditedChange, kept: list[tuple[AttributeChange, Item]]) -> AuditedChange:
    return replaced(change, attributes=tuple(part for part, _ in kept), records=tuple(record for _, record in kept))


def _change(records: list[Item]) -> AuditedChange:
    if len(records) > 1:
        records.sort(key=lambda record: (_text(record, "updatedAttribute"), _text(record, "id")))
    common = records[0]
    actor = common.get("actor", {}).get("M")
    return AuditedChange(
        table=_text(common, "tableName"),
        item_key=_text(common, "itemKey"),
        at=_text(common, "modificationTime"),
        sequence=_text(common, "sequenceNumber").lstrip("0") or "0",
        order=_text(common, "changeOrder"),
        event_name=_text(common, "eventName"),
        actor=Actor(_text(actor, "kind"), _text(actor, "name")) if actor else None,
        change_id=_text(common, "changeId") or None,
        before_hash=_bytes(common, "beforeHash").hex() or None,
        after_hash=_bytes(common, "afterHash").hex() or None,
        attributes=tuple(attribute_change(record) for record in records),
        records=tuple(records),
        salt=_bytes(common, "salt"),
        kid=_bytes(common, "kid").hex(),
        rules=_bytes(common, "rules").hex(),
        erased="erased" in common,
        reason=_text(common, "reason") or None,
    )


def attribute_change(record: Item) -> AttributeChange:
    """Return what a record says of its attribute, or of the whole item, in the form of AttributeChange."""
    name = _text(record, "updatedAttribute") or None  # a name is never empty
    listed = record.get("masked", {}).get("L") or []
    paths = tuple(_text({"path": path}, "path") for path in listed)
    old, old_refs = _side(record, "old", name, paths)
    new, new_refs = _side(record, "new", name, paths)
    return AttributeChange(name, old, new, old_refs, new_refs, paths)


def _side(
    record: Item, side: str, name: str | None, paths: tuple[str, ...]
) -> tuple[Value | None, tuple[ValueReference, ...]]:
    """Return the value before or after, with what it lacks in the form of AttributeChange, and its references."""
    value = record.get(f"{side}Value")
    if value is not None and paths:
        value = unredacted(name, value, [path_of(path) for path in paths])
    if name is not None:
        found = _reference(name, record.get(f"{side}ValueRef"))
        return (value, ()) if found is None else ({WITHHELD: found.commitment}, (found,))
    listed = dict(record.get(f"{side}ValueRefs", {}).get("M") or {})
    if f"{side}ValueRef" in record:
        listed[REST] = record[f"{side}ValueRef"]
    references = tuple(found for part in listed if (found := _reference(part, listed[part])) is not None)
    if references and value is not None and isinstance(value.get("M"), dict):
        value = {"M": value["M"] | {found.name: {WITHHELD: found.commitment} for found in references}}
    return value, references


def _reference(name: str, value: Value | None) -> ValueReference | None:
    parts = None if value is None else value.get("M")
    if not parts:
        return None
    size = str(parts.get("bytes", {}).get("N", ""))
    return ValueReference(
        name,
        _text(parts, "bucket"),
        _text(parts, "key"),
        _text(parts, "commitment"),
        int(size) if size.isdecimal() else 0,
    )


def _text(record: Item, name: str) -> str:
    # A record that was written by hand may lack any field: it is shown as it is, and `weaudit verify` judges it.
    return str(record.get(name, _NONE).get("S", ""))


def _bytes(record: Item, name: str) -> bytes:
    try:
        return from_base64(record[name]) if name in record else b""
    except (ValueError, AttributeError):
        return b""

"""What the trail tells: audit records gathered into the changes that made them.

A change of n attributes is n records (docs/formats/audit-record.md); here it is one value again.
"""

from __future__ import annotations

from itertools import groupby

from weaudit.domain.audited_changes import Actor, AttributeChange, AuditedChange, ValueReference
from weaudit.domain.auditing import changes_key
from weaudit.domain.item_keys import history_key, logged_record_id

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Iterable, Iterator

    from weaudit.domain.changes import Item, Value

# What the records of one change need not have in common.
_OF_ONE_RECORD = frozenset(("id", "updatedAttribute", "oldValue", "newValue", "oldValueRef", "newValueRef"))


def changes(records: Iterable[Item]) -> Iterator[AuditedChange]:
    """Gather records, in DynamoDB JSON, into changes, lazily and in the order in which the changes begin.

    The records of one change must follow each other, but for other changes with the same time and sequence number:
    as both indexes of the Audit table give them, in either direction.
    """
    for _, neighbours in groupby(records, key=lambda record: _text(record, "changesOrder")):
        gathered: dict[tuple[str, str, str], list[Item]] = {}
        for record in neighbours:
            names = (_text(record, "tableName"), _text(record, "itemKey"), _text(record, "changeOrder"))
            gathered.setdefault(names, []).append(record)
        for parts in gathered.values():
            yield _change(parts)


def attributed(change: AuditedChange, entry: Item | None) -> AuditedChange:
    """Return a change with the caller that its log entry names; as it is, where the entry is none of this change's.

    Anybody who may write to the table can put a log id on an item: the entry has to be of this item, and of success.
    """
    if entry is None or (_text(entry, "table_name"), _text(entry, "record_id"), _text(entry, "status")) != (
        change.table,
        logged_record_id(change.item_key),
        "success",
    ):
        return change
    name = _text(entry, "caller") or _text(entry, "user_agent")
    return change.replaced(actor=Actor("logged", name)) if name else change


def narrowed(change: AuditedChange, attribute: str) -> AuditedChange | None:
    """Return a change as it concerns one attribute, None where it does not.

    Of a created or deleted item it keeps the attribute alone. An item that is kept elsewhere stays as it is.
    """
    kept = []
    for part, record_id in zip(change.attributes, change.record_ids, strict=True):
        found: AttributeChange | None = part if part.name == attribute else None
        if part.name is None and (part.old_ref or part.new_ref):
            found = part
        elif part.name is None:
            old, new = ((value or {}).get("M", {}).get(attribute) for value in (part.old, part.new))
            found = AttributeChange(attribute, old, new) if old is not None or new is not None else None
        if found is not None:
            kept.append((found, record_id))
    if not kept:
        return None
    return change.replaced(attributes=tuple(part for part, _ in kept), record_ids=tuple(name for _, name in kept))


def _change(records: list[Item]) -> AuditedChange:
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
        before_hash=_text(common, "beforeHash") or None,
        after_hash=_text(common, "afterHash") or None,
        attributes=tuple(_attribute(record) for record in records),
        record_ids=tuple(_text(record, "id") for record in records),
        coherent=all(_common(record) == _common(common) and _well_indexed(record) for record in records),
    )


def _common(record: Item) -> Item:
    return {name: value for name, value in record.items() if name not in _OF_ONE_RECORD}


def _well_indexed(record: Item) -> bool:
    at, sequence = _text(record, "modificationTime"), _text(record, "sequenceNumber")
    partition = history_key(_text(record, "tableName"), _text(record, "itemKey"))
    return (
        _text(record, "historyKey") == partition
        and _text(record, "changeOrder").partition("#")[2] == sequence
        and _text(record, "changesKey") == changes_key(_text(record, "tableName"), at[:7], partition[0])
        and _text(record, "changesOrder") == f"{at}#{sequence}"
    )


def _attribute(record: Item) -> AttributeChange:
    return AttributeChange(
        name=_text(record, "updatedAttribute") or None,  # a name is never empty
        old=record.get("oldValue"),
        new=record.get("newValue"),
        old_ref=_reference(record.get("oldValueRef")),
        new_ref=_reference(record.get("newValueRef")),
    )


def _reference(value: Value | None) -> ValueReference | None:
    parts = None if value is None else value.get("M")
    if not parts:
        return None
    size = str(parts.get("bytes", {}).get("N", ""))
    return ValueReference(
        _text(parts, "bucket"), _text(parts, "key"), _text(parts, "sha256"), int(size) if size.isdecimal() else 0
    )


def _text(record: Item, name: str) -> str:
    # A record that someone wrote by hand may lack anything: it is shown as it is, and `weaudit verify` judges it.
    return str(record.get(name, {}).get("S", ""))

"""Changes as plain JSON, as `--json` prints them and the API returns them (docs/formats/trail-json.md)."""

from __future__ import annotations

from weaudit.api.paging import ANSWER_BYTES, PAGE_BYTES, weight
from weaudit.evidence import REST
from weaudit.items.plain import plain
from weaudit.items.texts import Written, compact
from weaudit.items.values import WITHHELD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.trail.changes import AttributeChange, AuditedChange, ValueReference


_VALUES = ("oldValue", "newValue")


def document(change: AuditedChange) -> dict[str, Any]:
    """Return a change as a JSON document with the field names of an audit record; an absent value has no field."""
    parts = [_attribute(*pair) for pair in zip(change.attributes, change.record_ids, strict=True)]
    return {**heading(change), "attributes": parts}


def heading(change: AuditedChange) -> dict[str, Any]:
    """Return the fields of a change's document other than its attributes."""
    found: dict[str, Any] = {
        "tableName": change.table,
        "itemKey": change.item_key,
        "modificationTime": change.at,
        "eventName": change.event_name,
        "sequenceNumber": change.sequence,
        "changeId": change.change_id,
        "actor": None if change.actor is None else {"kind": change.actor.kind, "name": change.actor.name},
        "reason": change.reason,
        "beforeHash": change.before_hash,
        "afterHash": change.after_hash,
        "erased": change.erased or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def record(change: AuditedChange) -> dict[str, Any]:
    """Return one audit record, passed as a change of one attribute, with the record's own fields (audit-record.md).

    Values are plain JSON, and the sequence number has no leading zeros. Index keys are left out, since they follow from
    the other fields.
    """
    fields = _attribute(change.attributes[0], change.record_ids[0])
    return {"id": fields.pop("recordId"), **heading(change), **fields}


def without_values(found: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a change or record with ``oldValueOmitted``, ``newValueOmitted`` in place of its values.

    A value that has a reference keeps only the reference. Any other value can be read from its record, by the record's
    id.
    """
    if "attributes" in found:
        return {**found, "attributes": [without_values(part) for part in found["attributes"]]}
    rest = {name: value for name, value in found.items() if name not in _VALUES}
    return rest | {f"{name}Omitted": True for name in _VALUES if name in found and f"{name}Ref" not in found}


def fitting(found: dict[str, Any]) -> Written:
    """Return a record's document as text, without its values if it would exceed the size limit of a response."""
    text = compact(found)
    return Written(text if weight(text) <= ANSWER_BYTES else compact(without_values(found)))


def cut(found: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a comparison with as many differences as fit into a response.

    ``differencesOmitted`` counts the others, if there are any.
    """
    kept: list[Written] = []
    left = PAGE_BYTES
    for place in found["differences"]:
        text = compact(place)
        left -= weight(text)
        if left < 0:
            break
        kept.append(Written(text))
    omitted = len(found["differences"]) - len(kept)
    return {**found, "differences": kept} | ({"differencesOmitted": omitted} if omitted else {})


def _attribute(part: AttributeChange, record_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {} if part.name is None else {"updatedAttribute": part.name}
    # NULL is a value and becomes null; an absent value has no field at all, and neither has one that is lost.
    for name, value, references in (("oldValue", part.old, part.old_refs), ("newValue", part.new, part.new_refs)):
        if value is not None and not value.get(WITHHELD):
            found[name] = plain(value)
        if references and part.name is not None:
            found[f"{name}Ref"] = _reference(references[0])
        elif references:
            found |= {f"{name}Ref": _reference(one) for one in references if one.name == REST}
            found[f"{name}Refs"] = {one.name: _reference(one) for one in references if one.name != REST}
    if part.masked:
        found["masked"] = list(part.masked)
    return {**found, "recordId": record_id}


def _reference(reference: ValueReference) -> dict[str, Any]:
    return {
        "bucket": reference.bucket,
        "key": reference.key,
        "commitment": reference.commitment,
        "bytes": reference.bytes,
    }

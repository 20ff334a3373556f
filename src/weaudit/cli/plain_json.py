"""Changes as plain JSON, as `--json` prints them (docs/formats/trail-json.md).

The ``json`` module would turn 38-digit numbers into floats and leave control characters of the C1 range as they are,
so the text is written here.
"""

import json
from collections.abc import Iterator
from typing import Any

from weaudit.domain.histories import AttributeChange, AuditedChange
from weaudit.domain.plain_values import Number, plain

__all__ = ["document", "dumps", "plain"]


def document(change: AuditedChange) -> dict[str, Any]:
    """Return a change as a JSON document with the field names of an audit record; what was not there has no field."""
    found: dict[str, Any] = {
        "tableName": change.table,
        "itemKey": change.item_key,
        "modificationTime": change.at,
        "eventName": change.event_name,
        "sequenceNumber": change.sequence,
        "changeId": change.change_id,
        "actor": None if change.actor is None else {"kind": change.actor.kind, "name": change.actor.name},
        "beforeHash": change.before_hash,
        "afterHash": change.after_hash,
        "attributes": [_attribute(*pair) for pair in zip(change.attributes, change.record_ids, strict=True)],
    }
    return {name: value for name, value in found.items() if value is not None}


def _attribute(part: AttributeChange, record_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {} if part.name is None else {"updatedAttribute": part.name}
    # NULL is a value and becomes null; what was not there has no field at all.
    for name, value in (("oldValue", part.old), ("newValue", part.new)):
        if value is not None:
            found[name] = plain(value)
    for name, reference in (("oldValueRef", part.old_ref), ("newValueRef", part.new_ref)):
        if reference is not None:
            found[name] = reference._asdict()
    return {**found, "recordId": record_id}


def dumps(value: Any, indent: int | None = 2) -> str:
    """Return JSON text with all digits of a number, non-ASCII kept, and everything a terminal might obey escaped."""
    return "".join(_written(value, "" if indent is None else "\n", indent or 0))


def _written(value: Any, line: str, indent: int) -> Iterator[str]:
    inner = line + " " * indent
    comma = f",{inner}" if line else ", "
    if isinstance(value, dict) and value:
        start = "{" + inner
        for name, part in value.items():
            yield f"{start}{_text(str(name))}: "
            yield from _written(part, inner, indent)
            start = comma
        yield line + "}"
    elif isinstance(value, list) and value:
        start = "[" + inner
        for part in value:
            yield start
            yield from _written(part, inner, indent)
            start = comma
        yield line + "]"
    elif isinstance(value, Number):
        yield str(value)
    else:
        yield _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    if quoted.isprintable():
        return quoted
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in quoted)

"""Changes as plain JSON, as `--json` prints them (docs/formats/trail-json.md).

The ``json`` module would turn 38-digit numbers into floats and leave control characters of the C1 range as they are,
so the text is written here.
"""

import json
from collections.abc import Iterator
from typing import Any

from weaudit.domain.changes import Value
from weaudit.domain.histories import AttributeChange, AuditedChange
from weaudit.domain.images import canonical_number

# A map of this one name looks like a typed value, so it is written as {"M": {...}}.
_TYPED = frozenset(("B", "SS", "NS", "BS", "M"))


class Number(str):
    """A number by its digits: JSON text that is written as it is."""

    __slots__ = ()


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


def plain(value: Value) -> Any:
    """Return a value of DynamoDB JSON as plain JSON; two different values never become the same.

    Numbers keep every digit, sets and binary stay typed: ``{"SS": [...]}``, ``{"NS": [...]}``, ``{"BS": [...]}``,
    ``{"B": "base64"}``. Whatever is no DynamoDB value is returned as it is.
    """
    kind: str
    content: Any
    kind, content = next(iter(value.items())) if len(value) == 1 else ("", value)
    if kind in ("S", "BOOL"):
        return content
    if kind == "NULL":
        return None
    if kind == "N":
        return _number(content)
    if kind == "L":
        return [plain(part) for part in content]
    if kind == "M":
        inner = {name: plain(part) for name, part in content.items()}
        return {"M": inner} if len(content) == 1 and next(iter(content)) in _TYPED else inner
    if kind == "NS":
        return {"NS": [_number(number) for number in content]}
    return value


def _number(text: str) -> str:
    try:
        return Number(canonical_number(text))
    except ValueError:
        return text


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

"""An item's key as people type it, turned into the item key under which the trail has it."""

import json
from typing import Any

from weaudit.errors import InvalidInputError
from weaudit.items.keys import item_key
from weaudit.items.values import Value

_KEY_TYPES = ("S", "N", "B")


def item_keys(text: str, schema: dict[str, str] | None, table: str) -> list[str]:
    """Return the item keys that ``text`` may mean, the likeliest first.

    ``schema`` is the live table's key attributes and their types, in order; None where the table is gone, and then the
    text may be meant as it stands or as a JSON key. Where one string is the key, the text is that string, whatever it
    looks like. Any other key is JSON, loose ``{"pk": "a", "sk": 7}`` or typed ``{"pk": {"S": "a"}, "sk": {"N": "7"}}``.
    Raises InvalidInputError where the table can have no such key.
    """
    if schema is None:
        guess = _guessed(text)
        return [text] if guess in (None, text) else [text, str(guess)]
    if list(schema.values()) == ["S"]:
        return [text]
    document = _document(text)
    if not isinstance(document, dict) and len(schema) == 1:
        document = {next(iter(schema)): text if document is None else document}
    if not isinstance(document, dict) or document.keys() != schema.keys():
        raise _no_such_key(text, schema, table)
    try:
        return [item_key({name: _typed(document[name], kind) for name, kind in schema.items()})]
    except ValueError as error:
        raise _no_such_key(text, schema, table) from error


def _document(text: str) -> Any:
    """Return the JSON of a text with its numbers as spelled, or None where it is none."""
    try:
        return json.loads(text, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):  # what is nested that deep is no key either
        return None


class _Number(str):
    __slots__ = ()


def _typed(value: Any, kind: str) -> Value:
    if isinstance(value, dict):
        if list(value) != [kind] or isinstance(value[kind], dict):
            raise ValueError("another type")
        value = value[kind]
    if not isinstance(value, str) or (kind != "N" and isinstance(value, _Number)):
        raise ValueError("another type")
    return {kind: str(value)}


def _guessed(text: str) -> str | None:
    document = _document(text)
    if not isinstance(document, dict):
        return None
    try:
        return item_key({name: _typed(value, _kind(value)) for name, value in document.items()})
    except ValueError:
        return None


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        kind = next(iter(value), "")
        return kind if kind in _KEY_TYPES else "S"
    return "N" if isinstance(value, _Number) else "S"


def _no_such_key(text: str, schema: dict[str, str], table: str) -> InvalidInputError:
    examples: dict[str, Any] = {"S": "a", "N": 7, "B": "AAEC"}
    example = json.dumps({name: examples.get(kind, "a") for name, kind in schema.items()})
    named = ", ".join(f"{name} ({kind})" for name, kind in schema.items())
    return InvalidInputError(f"{text!r} is no key of {table}, whose key is {named}\nGive it as JSON: '{example}'")

"""Turns a key that a person typed into the item key under which the trail has the item."""

import json
from typing import Any

from weaudit.errors import InvalidInputError
from weaudit.items import plain
from weaudit.items.keys import item_key
from weaudit.items.typed_keys import typed_key

_KEY_TYPES = ("S", "N", "B")


def item_keys(text: str, schema: dict[str, str] | None, table: str) -> list[str]:
    """Return the item keys that ``text`` may mean, the likeliest first.

    ``schema`` holds the live table's key attributes and their types, in order. It is None if the table is gone; then
    the text may be the item key itself or a JSON key. If the key is one string, the text is that string, however it
    looks. Any other key is JSON, plain ``{"pk": "a", "sk": 7}`` or typed ``{"pk": {"S": "a"}, "sk": {"N": "7"}}``.
    Raises InvalidInputError if the text does not fit the schema.
    """
    if schema is None:
        guess = _guessed(text)
        return [text] if guess in (None, text) else [text, str(guess)]
    if list(schema.values()) == ["S"]:
        return [text]
    try:
        return [item_key(typed_key(text, schema))]
    except InvalidInputError as error:
        raise _no_such_key(text, schema, table) from error


def _guessed(text: str) -> str | None:
    """Return the item key for a JSON object, guessing each part's type from its value, or None if it is no key."""
    try:
        document = plain.parse(text)
        kinds = {name: _kind(value) for name, value in document.items()} if isinstance(document, dict) else {}
        return item_key(typed_key(document, kinds)) if kinds else None
    except InvalidInputError:
        return None


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        kind = next(iter(value), "")
        return kind if kind in _KEY_TYPES else "S"
    return "N" if isinstance(value, plain.Number) else "S"


def _no_such_key(text: str, schema: dict[str, str], table: str) -> InvalidInputError:
    examples: dict[str, Any] = {"S": "a", "N": 7, "B": "AAEC"}
    example = json.dumps({name: examples.get(kind, "a") for name, kind in schema.items()})
    named = ", ".join(f"{name} ({kind})" for name, kind in schema.items())
    return InvalidInputError(
        f"{text!r} is not a valid key of {table}, whose key is {named}\nGive it as JSON: '{example}'"
    )

"""Turns a key that a person typed, in a request or on the command line, into DynamoDB's typed key."""

from __future__ import annotations

from weaudit.errors import InvalidInputError, ValidationError
from weaudit.items import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.items.values import Item, Value

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_LONGEST_KEYS_BYTES = (2048, 1024)


def typed_key(id: Any, key_schema: dict[str, str]) -> Item:  # noqa: A002 the contract's name
    """Return the key that an id names, in DynamoDB JSON. Raises InvalidInputError.

    ``key_schema`` holds the key attributes and their types, partition key first. If the key is one string, the id is
    that string. If it is one number or binary, the id may be just its value. Otherwise the id is an object of the
    key's parts, or that object as JSON text. Its values are plain (``{"pk": "a", "sk": 7}``, binary in base64) or
    DynamoDB JSON, as in the trail's item keys.
    """
    if list(key_schema.values()) == ["S"]:
        if not plain.is_text(id):
            raise InvalidInputError("id must be a string", {"field": "id"})
        return {name: _key_part(id, "S", name, _LONGEST_KEYS_BYTES[0]) for name in key_schema}
    parts = id
    if plain.is_text(id) and id[:1] == "{":
        try:
            parts = plain.parse(id)
        except InvalidInputError:
            parts = id
    if not isinstance(parts, dict) and len(key_schema) == 1:
        parts = dict.fromkeys(key_schema, parts)
    if not isinstance(parts, dict) or parts.keys() != key_schema.keys():
        named = ", ".join(f"{name} ({kind})" for name, kind in key_schema.items())
        raise InvalidInputError(f"id must be an object of the table's key: {named}", {"field": "id"})
    longest = zip(key_schema.items(), _LONGEST_KEYS_BYTES, strict=False)
    return {name: _key_part(parts[name], kind, name, limit) for (name, kind), limit in longest}


def _key_part(found: Any, kind: str, name: str, longest: int) -> Value:
    part = found[kind] if isinstance(found, dict) and list(found) == [kind] else found
    if kind == "N" and plain.is_text(part):
        part = plain.Number(part)
    if kind == "B" and plain.is_text(part):
        part = {"B": part}
    try:
        value = plain.typed(part, "id")
    except ValidationError as error:
        raise InvalidInputError(str(error), {"field": "id"}) from None
    content = value.get(kind)
    if not content or not isinstance(content, str):
        expected = {"S": "a string that is not empty", "N": "a number", "B": "binary in base64, not empty"}[kind]
        raise InvalidInputError(f"id must be {expected} (the key attribute {name})", {"field": "id"})
    length = len(content.encode()) if kind == "S" else len(content) // 4 * 3 - content[-2:].count("=")
    if kind != "N" and length > longest:
        raise InvalidInputError(f"id must have at most {longest} bytes", {"field": "id", "limit": longest})
    return value

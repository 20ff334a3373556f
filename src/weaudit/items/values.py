"""Values and items of DynamoDB: when two are the same, and the canonical text of each.

Two values are the same if DynamoDB says so: it compares numbers by value (``1.0`` is ``1``) and sets without order.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# DynamoDB JSON: {"S": "text"}, {"N": "1"}, {"M": {...}} ...
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
Value = dict[str, "Any"]
Item = dict[str, Value]

# The marker that a logged update leaves on an item (docs/formats/audit-record.md): bookkeeping, not data.
MARKER = "_weaudit"

# What stands for a value that is not here, within an item of ours: ``{"#": ""}`` for a masked one, and
# ``{"#": commitment}`` for a large one that was not read. No type of DynamoDB has this name.
WITHHELD = "#"

_ATOMS = frozenset(("S", "B", "BOOL", "NULL", WITHHELD))
_KINDS = _ATOMS | {"N", "M", "L", "SS", "NS", "BS"}


def _encoder() -> Callable[[Value], str]:
    """Return what encodes a value as compact JSON with sorted names.

    ``JSONEncoder.encode`` sets up the C encoder anew at each call, which takes longer than to encode a small value.
    """
    make = getattr(json.encoder, "c_make_encoder", None)  # CPython has it
    if make is None:
        return json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
    # No markers: a value never contains itself. No default: it holds nothing that JSON does not know.
    encode = make(None, None, encode_basestring, None, ":", ",", True, False, False)
    return lambda value: "".join(encode(value, 0))


_CANONICAL = r"(?:0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9])"
_is_canonical_number = re.compile(_CANONICAL, re.ASCII).fullmatch
# A number that canonical_number spells in another way.
_ODD_NUMBER = re.compile(rf'"N":"(?!{_CANONICAL}")', re.ASCII)

_encode = _encoder()
quoted = encode_basestring
"""Returns a text as a JSON string, with every character that needs no escape as it is."""


def canonical_number(text: str) -> str:
    """Return the canonical text of a DynamoDB number: plain decimal, no exponent, no redundant zeros.

    DynamoDB keeps 38 digits and exponents of -130 to 125, so the result has at most 170 characters.
    Raises ValueError if the text is not a number in that range.
    """
    if len(text) <= 38 and _is_canonical_number(text):
        return text
    sign, digits, exponent = _parts(text)
    if not digits:
        return "0"
    if exponent >= 0:
        return sign + digits + "0" * exponent
    if len(digits) > -exponent:
        return f"{sign}{digits[:exponent]}.{digits[exponent:]}"
    return f"{sign}0.{digits.rjust(-exponent, '0')}"


def _parts(text: str) -> tuple[str, str, int]:
    mantissa, mark, power = text.replace("E", "e").partition("e")
    unsigned = mantissa[1:] if mantissa[:1] in ("-", "+") else mantissa
    whole, _, fraction = unsigned.partition(".")
    digits = whole + fraction
    # int() would also accept "1_0", " 5" and "5 ", which DynamoDB refuses.
    exponent_digits = power[1:] if power[:1] in ("-", "+") else power
    right = digits.isdecimal() and (not mark or exponent_digits.isdecimal()) and text.isascii()
    if not right or len(text) > 400:
        raise ValueError("not a DynamoDB number")
    exponent = int(power or "0") - len(fraction)
    significant = digits.lstrip("0")
    trimmed = significant.rstrip("0")
    exponent += len(significant) - len(trimmed)
    if trimmed and not -260 <= exponent <= 260:
        raise ValueError("not a DynamoDB number")
    return "-" if mantissa[:1] == "-" else "", trimmed, exponent


def canonical(value: Value) -> Value:
    """Return the canonical form of a value: numbers by :func:`canonical_number`, sets sorted, at every depth."""
    ((kind, content),) = value.items()
    if kind in _ATOMS:
        return value
    if kind == "N":
        return {"N": canonical_number(content)}
    if kind == "M":
        return {"M": {name: canonical(part) for name, part in content.items()}}
    if kind == "L":
        return {"L": [canonical(part) for part in content]}
    if kind == "NS":
        return {"NS": sorted(canonical_number(number) for number in content)}
    if kind in ("SS", "BS"):
        return {kind: sorted(content)}
    raise ValueError(f"unknown DynamoDB type {kind!r}")


def same_value(one: Value | None, other: Value | None) -> bool:
    """Say whether two values are the same to DynamoDB; None means that the attribute is absent."""
    if one == other:
        return True
    if one is None or other is None or one.keys() != other.keys():
        return False
    return canonical(one) == canonical(other)


def data(item: Item) -> Item:
    """Return the item without WeAudit's own marker."""
    if MARKER not in item:
        return item
    return {name: value for name, value in item.items() if name != MARKER}


def spelled(value: Value) -> str:
    """Return the canonical value as compact JSON with sorted names; two values are the same if their texts are.

    The text equals ``json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)``, and is
    made by the C encoder unless the value holds a set or a number that is not canonical. Raises ValueError if it is not
    a value in DynamoDB JSON.
    """
    ((kind, content),) = value.items()
    if kind == "S" or kind == "B":
        return f'{{"{kind}":{quoted(content)}}}'
    if kind == "N":
        return f'{{"N":"{canonical_number(content)}"}}'
    if kind == "BOOL" and (content is True or content is False):
        return '{"BOOL":true}' if content else '{"BOOL":false}'
    if kind == "SS" or kind == "BS":
        return f'{{"{kind}":[{",".join(map(quoted, sorted(content)))}]}}'
    text = _encode(value)
    return text if kind in _KINDS and _is_canonical(text) else _encode(canonical(value))


def spelled_item(item: Item) -> str:
    """Return the canonical item as compact JSON with sorted names. Raises ValueError as :func:`spelled` does."""
    return f"{{{','.join(spelled_parts(item).values())}}}"


def spelled_whole(item: Item) -> str:
    """Return what :func:`spelled_item` returns, in one step where the item has no set and no odd number."""
    text = _encode(item)
    kinds = set().union(*item.values())
    return text if _KINDS.issuperset(kinds) and _is_canonical(text) else spelled_item(item)


def spelled_parts(item: Item, like: Item | None = None, parts: dict[str, str] | None = None) -> dict[str, str]:
    """Return each attribute's part of the canonical item, ``"name":value``, by name and sorted by name.

    ``parts`` may be those of a similar item ``like``: what is equal in both need not be spelled again.
    """
    if like is None or parts is None:
        return {name: f"{quoted(name)}:{spelled(item[name])}" for name in sorted(item)}
    return {
        name: parts[name] if like.get(name) == item[name] else f"{quoted(name)}:{spelled(item[name])}"
        for name in sorted(item)
    }


def _is_canonical(text: str) -> bool:
    """Return whether a JSON text with sorted names holds no set and no number that is not canonical.

    Within a string of JSON a quotation mark has a backslash before it, and an attribute, whatever its name, has an
    object as its value. So only a list or a set has a bracket after its name.
    """
    return 'S":[' not in text and ('"N":"' not in text or _ODD_NUMBER.search(text) is None)

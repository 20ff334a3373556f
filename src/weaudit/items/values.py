"""Values and items of DynamoDB: when two are the same, and the hash that identifies an item.

Two values are the same if DynamoDB says so: it compares numbers by value (``1.0`` is ``1``) and sets without order.
"""

from __future__ import annotations

import json
from hashlib import sha256
from json.encoder import encode_basestring as _quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# DynamoDB JSON: {"S": "text"}, {"N": "1"}, {"M": {...}} ...
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
Value = dict[str, "Any"]
Item = dict[str, Value]

# The marker that a logged update leaves on an item (docs/formats/audit-record.md): bookkeeping, not data.
MARKER = "_weaudit"

_ATOMS = frozenset(("S", "B", "BOOL", "NULL"))


def canonical_number(text: str) -> str:
    """Return the canonical text of a DynamoDB number: plain decimal, no exponent, no redundant zeros.

    DynamoDB keeps 38 digits and exponents of -130 to 125, so the result has at most 170 characters.
    Raises ValueError if the text is not a number in that range.
    """
    if text.isdecimal() and text.isascii() and text[0] != "0" and len(text) <= 38:
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

    The text equals ``json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)`` and
    takes a third of the time: it is most of the cost of an audited change. Raises ValueError as :func:`canonical` does.
    """
    ((kind, content),) = value.items()
    if kind == "S" or kind == "B":
        return f'{{"{kind}":{_quoted(content)}}}'
    if kind == "N":
        return f'{{"N":"{canonical_number(content)}"}}'
    if kind == "M":
        return f'{{"M":{{{",".join(sorted_spellings(content).values())}}}}}'
    if kind == "L":
        return f'{{"L":[{",".join([spelled(part) for part in content])}]}}'
    if kind == "SS":
        return f'{{"SS":[{",".join([_quoted(text) for text in sorted(content)])}]}}'
    if content is True and kind in _ATOMS:
        return f'{{"{kind}":true}}'
    return json.dumps(canonical(value), separators=(",", ":"), ensure_ascii=False)


def sorted_spellings(item: Item, like: Item | None = None, spellings: dict[str, str] | None = None) -> dict[str, str]:
    """Return each attribute's part of the item's canonical JSON, ``"name":value``, by name and sorted by name.

    ``spellings`` may hold the result for a similar item ``like``: the parts of equal attributes are reused.
    """
    if like is None or spellings is None:
        return {name: f"{_quoted(name)}:{spelled(item[name])}" for name in sorted(item)}
    return {
        name: spellings[name] if like.get(name) == item[name] else f"{_quoted(name)}:{spelled(item[name])}"
        for name in sorted(item)
    }


def image_hash(item: Item) -> str:
    """Return the SHA-256 that identifies an item, whatever the order of its attributes and sets: 64 hex digits.

    The hashed bytes are ``weaudit-image-v1``, a line feed, and the canonical item without the marker as compact JSON
    with sorted names in UTF-8 (docs/formats/audit-record.md).
    """
    return spellings_hash(sorted_spellings(data(item)))


def spellings_hash(spellings: dict[str, str]) -> str:
    """Return the :func:`image_hash` of the item whose :func:`sorted_spellings`, without the marker, these are."""
    text = f"weaudit-image-v1\n{{{','.join(spellings.values())}}}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""Values and images of items: when two are the same, and the hash that names an image.

Two values are the same where DynamoDB would say so: numbers by value (``1.0`` is ``1``), sets without order.
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
    """Return the one spelling of a DynamoDB number: plain decimal, no exponent, no idle zeros.

    DynamoDB keeps 38 digits and exponents of -130 to 125, so the result has at most 170 characters.
    Raises ValueError where the text is not a number of that range.
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
    # int() would also take "1_0", " 5" and "5 ", which DynamoDB refuses.
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
    """Return the one spelling of a value: numbers by :func:`canonical_number`, sets sorted, at every depth."""
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
    """Say whether two values are the same to DynamoDB; None stands for an attribute that is absent."""
    if one == other:
        return True
    if one is None or other is None or one.keys() != other.keys():
        return False
    return canonical(one) == canonical(other)


def data(image: Item) -> Item:
    """Return the image without WeAudit's own marker."""
    if MARKER not in image:
        return image
    return {name: value for name, value in image.items() if name != MARKER}


def spelled(value: Value) -> str:
    """Return the canonical value as compact JSON, names sorted: two values are the same where their texts are.

    The text is that of ``json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)``,
    in a third of its time: this is what an audited change mostly costs. Raises ValueError as :func:`canonical` does.
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


def sorted_spellings(image: Item, like: Item | None = None, spellings: dict[str, str] | None = None) -> dict[str, str]:
    """Return of each attribute its part of the image's canonical JSON, ``"name":value``, by name and in that order.

    ``spellings`` may be those of a similar image ``like``: what is equal there is taken from it.
    """
    if like is None or spellings is None:
        return {name: f"{_quoted(name)}:{spelled(image[name])}" for name in sorted(image)}
    return {
        name: spellings[name] if like.get(name) == image[name] else f"{_quoted(name)}:{spelled(image[name])}"
        for name in sorted(image)
    }


def image_hash(image: Item) -> str:
    """Return the SHA-256 (hex) that names an image, whatever the order of its attributes and sets.

    The input is ``weaudit-image-v1``, a line feed, and the canonical image without the marker as compact JSON with
    sorted names in UTF-8 (docs/formats/audit-record.md). Sixty-four hexadecimal characters.
    """
    return spellings_hash(sorted_spellings(data(image)))


def spellings_hash(spellings: dict[str, str]) -> str:
    """Return the hash of the image (without the marker) whose :func:`sorted_spellings` these are."""
    text = f"weaudit-image-v1\n{{{','.join(spellings.values())}}}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""Conversion of values to plain JSON and back, without loss (docs/formats/trail-json.md, Values).

:func:`typed` reads what :func:`plain` writes back as the same value.
"""

from __future__ import annotations

import binascii
import json

from weaudit.errors import InvalidInputError, ValidationError
from weaudit.items.sizes import DEEPEST_LEVEL
from weaudit.items.values import WITHHELD, canonical_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.items.values import Value

    # A text, or a path and the next step down: a name, or a position in a list. Only an error message spells it out:
    # a name may be long, and there may be many values below it.
    Path = str | tuple["Path", str | int]

# A map whose only name is one of these looks like a typed value, so it is written as {"M": {...}}.
_TYPED = frozenset(("B", "SS", "NS", "BS", "M"))

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
LONGEST_NAME_BYTES = 65535
_MOST_DIGITS = 38
_HIGHEST_EXPONENT, _LOWEST_EXPONENT = 125, -130
_SHOWN = 80
# Far more than DynamoDB's 32 levels need. Python's own limit differs between versions (1,000 in 3.11, 10,000 in 3.13),
# and any code that recurses into a deeper document fails.
_DEEPEST_DOCUMENT = 500


class Number(str):
    """A number kept as its digits, which are written to JSON unchanged. It is not a text, although it is a ``str``."""

    __slots__ = ()


def parse(text: str) -> Any:
    """Parse a JSON document, with every number as a Number. Raises InvalidInputError, also for a duplicate name."""
    try:
        found = json.loads(
            text, parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=_each_once
        )
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"not a JSON document: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > _DEEPEST_DOCUMENT and _deeper(found, _DEEPEST_DOCUMENT):
        raise _too_deep()
    return found


def _too_deep() -> InvalidInputError:
    return InvalidInputError(f"the document is nested too deep: {_DEEPEST_DOCUMENT} levels at most")


def _deeper(found: Any, levels: int) -> bool:
    parts = [found]
    for _ in range(levels):
        parts = [
            inner
            for part in parts
            if isinstance(part, (dict, list))
            for inner in (part.values() if isinstance(part, dict) else part)
        ]
    return any(isinstance(part, (dict, list)) for part in parts)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidInputError(f"the name {shown(name)} occurs twice in one object")
            seen.add(name)
    return found


def plain(value: Value) -> Any:
    """Return a value of DynamoDB JSON as plain JSON; two different values never become the same.

    Numbers keep every digit. Sets and binary stay typed: ``{"SS": [...]}``, ``{"NS": [...]}``, ``{"BS": [...]}``,
    ``{"B": "base64"}``. A masked place becomes ``[REDACTED]``, and an attribute of a map whose value could not be read
    is left out. Anything that is not a DynamoDB value is returned unchanged.
    """
    kind: str
    content: Any
    kind, content = next(iter(value.items())) if len(value) == 1 else ("", value)
    if kind in ("S", "BOOL"):
        return content
    if kind == "NULL":
        return None
    if kind == "N":
        return _digits(content)
    if kind == "L":
        return [plain(part) for part in content]
    if kind == "M":
        inner = {name: plain(part) for name, part in content.items() if not part.get(WITHHELD)}
        return {"M": inner} if len(content) == 1 and next(iter(content)) in _TYPED else inner
    if kind == "NS":
        return {"NS": [_digits(number) for number in content]}
    return "[REDACTED]" if kind == WITHHELD else value


def _digits(text: str) -> str:
    try:
        return Number(canonical_number(text))
    except ValueError:
        return text


def typed(found: Any, path: Path, levels: int = DEEPEST_LEVEL) -> Value:
    """Return plain JSON as a value of DynamoDB JSON, checked against every limit of DynamoDB except the item's size.

    Numbers may be int, float (by its shortest digits), Decimal or Number. ``levels`` is how deep values may be nested
    here. Raises ValidationError with the limit and the place, whose path begins with ``path``.
    """
    if levels < 1:
        raise refusal(path, f"values are nested deeper than {DEEPEST_LEVEL} levels", DEEPEST_LEVEL)
    if found is None:
        return {"NULL": True}
    if isinstance(found, bool):
        return {"BOOL": found}
    if isinstance(found, str) and not isinstance(found, Number):
        return {"S": _text(found, path)}
    if isinstance(found, list):
        return {"L": [typed(part, (path, place), levels - 1) for place, part in enumerate(found)]}
    if isinstance(found, dict):
        kind = next(iter(found)) if len(found) == 1 else ""
        if kind not in _TYPED:
            return {"M": _map(found, path, levels)}
        if kind == "M" and isinstance(found["M"], dict):
            return {"M": _map(found["M"], path, levels)}
        if kind == "B":
            return {"B": _binary(found["B"], path)}
        if kind in ("SS", "NS", "BS"):
            return {kind: _set(kind, found[kind], path)}
        raise refusal(path, 'an object whose only name is M must hold a map: {"M": {...}}')
    return {"N": _number(found, path)}


def _map(found: dict[Any, Any], path: Path, levels: int) -> dict[str, Value]:
    values = {}
    for name, part in found.items():
        inner = (path, name)
        values[check_name(name, inner)] = typed(part, inner, levels - 1)
    return values


def check_name(name: Any, path: Path) -> str:
    """Return the name of an attribute or a map's member. Raises ValidationError if DynamoDB does not allow the name."""
    if not isinstance(name, str):
        raise refusal(path, "a name must be a text")
    if not name:
        raise refusal(path, "a name must not be empty")
    if len(_text(name, path).encode()) > LONGEST_NAME_BYTES:
        raise refusal(path, f"a name has more than {LONGEST_NAME_BYTES} bytes", LONGEST_NAME_BYTES)
    return name


def _text(text: str, path: Path) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise refusal(path, "a text holds half of a surrogate pair, which UTF-8 cannot encode") from None
    return text


def _binary(found: Any, path: Path) -> str:
    if not isinstance(found, str) or isinstance(found, Number):
        raise refusal(path, 'binary must be {"B": "base64"}')
    try:
        raw = binascii.a2b_base64(found.encode("ascii"), strict_mode=True)
    except ValueError:
        raise refusal(path, "binary must be base64 with padding") from None
    return binascii.b2a_base64(raw, newline=False).decode()


def _set(kind: str, found: Any, path: Path) -> list[str]:
    if not isinstance(found, list):
        raise refusal(path, f'a set must be {{"{kind}": [members]}}')
    if not found:
        raise refusal(path, "a set must not be empty")
    member: Callable[[Any, Path], str] = {"SS": _member, "NS": _number, "BS": _binary}[kind]
    members = [member(part, (path, place)) for place, part in enumerate(found)]
    if len(set(members)) != len(members):
        raise refusal(path, "a set must not hold a member twice")
    return members


def _member(found: Any, path: Path) -> str:
    if not isinstance(found, str) or isinstance(found, Number):
        raise refusal(path, "a member of a string set must be a text")
    return _text(found, path)


def _number(found: Any, path: Path) -> str:
    # Numbers in a set may be texts, as in DynamoDB JSON.
    if isinstance(found, bool) or not (isinstance(found, int | float | str) or hasattr(found, "as_tuple")):
        raise refusal(path, f"{type(found).__name__} is not a JSON type")
    text = "a number" if isinstance(found, int) and found.bit_length() > 2000 else str(found)
    try:
        spelled = canonical_number(text)
    except ValueError:
        raise _out_of_range(path) from None
    whole, _, fraction = spelled.lstrip("-").partition(".")
    digits = len((whole + fraction).strip("0"))
    exponent = len(whole) - 1 if whole != "0" else len(fraction.lstrip("0")) - len(fraction) - 1
    if digits > _MOST_DIGITS or (digits and not _LOWEST_EXPONENT <= exponent <= _HIGHEST_EXPONENT):
        raise _out_of_range(path)
    return spelled


def _out_of_range(path: Path) -> ValidationError:
    return refusal(
        path,
        f"not a DynamoDB number: at most {_MOST_DIGITS} digits, from 1E-130 to 9.99E+125, their negatives, or 0",
        _MOST_DIGITS,
    )


def below(path: str, name: object) -> str:
    """Return the path of a map's member, with its name made safe and short for display."""
    return f"{path}.{shown(str(name), quoted=not name)}"


def spelled_path(path: Path) -> str:
    """Return a path as text: ``attributes.tags[2]``."""
    steps = []
    while not isinstance(path, str):
        path, step = path
        steps.append(step)
    for step in reversed(steps):
        path = f"{path}[{step}]" if isinstance(step, int) else below(path, step)
    return path


def shown(text: str, *, quoted: bool = True) -> str:
    """Return a text made safe to print anywhere: one line, no control characters, cut if it is long."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    safe = cut if cut.isprintable() else ascii(cut)[1:-1]
    return f'"{safe}"' if quoted else safe


def refusal(path: Path, reason: str, limit: int | None = None) -> ValidationError:
    """Return the error for a value at ``path`` that cannot be stored."""
    text = spelled_path(path)
    details: dict[str, Any] = {"path": text} if limit is None else {"path": text, "limit": limit}
    return ValidationError(f"{text}: {reason}", details)


def is_text(found: Any) -> bool:
    """Say whether a part of a document is a text. A Number is not, although it is a ``str``."""
    return isinstance(found, str) and not isinstance(found, Number)

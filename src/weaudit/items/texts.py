"""Writes JSON text without loss.

The ``json`` module would turn 38-digit numbers into floats and leave the control characters U+0080 to U+009F unescaped.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring

from weaudit.items.plain import Number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Written(str):
    """A part of a document that is JSON text already, and is written unchanged."""

    __slots__ = ()


def compact(value: Any) -> str:
    """Return JSON text on one line, without spaces; otherwise as :func:`dumps`."""
    if isinstance(value, str):
        return str(value) if isinstance(value, (Number, Written)) else _text(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{_text(str(name))}:{compact(part)}" for name, part in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([compact(part) for part in value]) + "]"
    return json.dumps(value)


def dumps(value: Any, indent: int | None = 2) -> str:
    """Return JSON text that keeps all digits and non-ASCII letters, and escapes what a terminal might obey."""
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


def escaped(text: str) -> str:
    """Return JSON text with everything escaped that a terminal might obey, except its line breaks."""
    return "\n".join([line if line.isprintable() else _escaped(line) for line in text.split("\n")])


def _text(text: str) -> str:
    quoted = encode_basestring(text)
    return quoted if quoted.isprintable() else _escaped(quoted)


def _escaped(line: str) -> str:
    return "".join([char if char.isprintable() else json.dumps(char)[1:-1] for char in line])

"""The tokens of a condition: DynamoDB's, and literals in place of placeholders (docs/updating.md)."""

from __future__ import annotations

import re

from weaudit.errors import InvalidInputError
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[^\W\d]\w*")
_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+")
_SYMBOL = re.compile(r"<>|<=|>=|[=<>(),.\[\]]")
_SPACE = re.compile(r"[ \t\r\n\f\v]*")
_ESCAPE = re.compile(r'u[0-9a-fA-F]{4}|["\'`\\/bfnrt]')
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
KEYWORDS = frozenset(("AND", "OR", "NOT", "BETWEEN", "IN"))
# What people used to other languages write.
_INSTEAD = {
    "!": "<> is not equal, and NOT negates",
    "&": "AND joins conditions",
    "|": "OR joins conditions",
    "-": "a name with this character is written in backticks: `a-b`",
}
_WINDOW = 60


@value
class Token:
    """A token. ``kind``: name, quoted (a name in backticks), keyword, number, text, literal, ":", "#", symbol, end."""

    kind: str
    text: str  # a keyword is in capitals, a text has no quotes and escapes
    at: int  # the position of its first character, from 0


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of a condition, then one of kind ``end``. Raises InvalidInputError."""
    at = 0
    while True:
        space = _SPACE.match(source, at)
        at = space.end() if space else at
        if at == len(source):
            yield Token("end", "", at)
            return
        token, at = _token(source, at)
        yield token


def _token(source: str, at: int) -> tuple[Token, int]:
    char = source[at]
    if char in "\"'`":
        return _text(source, at)
    if char in "#:":
        found = _PLACEHOLDER.match(source, at)
        if found is None:
            raise wrong(source, at, f"{char} begins a placeholder: letters, digits and _ follow")
        return Token(char, found.group(), at), found.end()
    number, name = _NUMBER.match(source, at), _NAME.match(source, at)
    if number:
        return Token("number", number.group(), at), number.end()
    if name:
        word = name.group()
        if word.isascii() and word.upper() in KEYWORDS:
            return Token("keyword", word.upper(), at), name.end()
        return Token("literal" if word in ("true", "false", "null") else "name", word, at), name.end()
    symbol = _SYMBOL.match(source, at)
    if symbol:
        return Token("symbol", symbol.group(), at), symbol.end()
    hint = f"; {_INSTEAD[char]}" if char in _INSTEAD else ""
    raise wrong(source, at, f"{char!a} has no meaning here{hint}")


def _text(source: str, start: int) -> tuple[Token, int]:
    quote, at, parts = source[start], start + 1, []
    while at < len(source) and source[at] != quote:
        if source[at] != "\\":
            parts.append(source[at])
            at += 1
            continue
        escape = _ESCAPE.match(source, at + 1)
        if escape is None:
            raise wrong(source, at, "no such escape: \\\\ \\\" \\' \\` \\/ \\b \\f \\n \\r \\t and \\uXXXX are known")
        code = escape.group()
        parts.append(chr(int(code[1:], 16)) if code[0] == "u" else _ESCAPED.get(code, code))
        at = escape.end()
    if at == len(source):
        raise wrong(source, start, f"this text has no closing {quote}")
    try:
        # Two \uXXXX may be one character.
        text = "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise wrong(source, start, "this text holds half of a surrogate pair") from None
    return Token("quoted" if quote == "`" else "text", text, start), at + 1


def wrong(source: str, at: int, reason: str) -> InvalidInputError:
    """Return an error that points at a character of the condition."""
    start = max(0, min(at - _WINDOW // 2, len(source) - _WINDOW))
    cut = source[start : start + _WINDOW]
    line = "".join(char if char.isprintable() else " " for char in cut)
    caret = " " * (at - start) + "^"
    where = "at the end" if at >= len(source) else f"at character {at + 1}"
    return InvalidInputError(f"condition_expression: {reason}, {where}\n  {line}\n  {caret}", {"character": at + 1})

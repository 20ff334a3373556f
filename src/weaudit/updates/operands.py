"""The operands of a condition: paths, literals, placeholders and size(), each aliased and checked by type."""

from __future__ import annotations

import binascii

from weaudit.errors import ValidationError
from weaudit.items import plain
from weaudit.updates.tokens import Token, tokens, wrong
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Value

# How many operands each function takes. All but size return a condition; size returns a number.
FUNCTIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}
_TYPES = ("S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M")
_SIZED = ("S", "SS", "NS", "B", "BS", "L", "M")
_LONGEST_PLACEHOLDER_BYTES = 255
_DEEPEST_PATH = 32
_HIGHEST_INDEX = 2**31 - 1


@value
class Operand:
    """One operand. ``kind`` is its DynamoDB type, "" if unknown: a path's type depends on the stored item."""

    text: str
    at: int
    kind: str = ""
    value: Value | None = None
    is_path: bool = False


class Operands:
    """Reads the tokens of a condition operand by operand, and keeps each name and value under an alias."""

    def __init__(self, source: str, values: dict[str, Value], names: dict[str, str]) -> None:
        self._source = source
        self._tokens = list(tokens(source))
        self._place = 0
        self._given_values, self._given_names = values, names
        self._used: set[str] = set()
        self._aliases: dict[str, str] = {}
        self._shared: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.values: dict[str, Value] = {}
        self.sizes = 0  # how often the condition uses size()

    @property
    def next(self) -> Token:
        return self._tokens[self._place]

    def take(self) -> Token:
        self._place += 1
        return self._tokens[self._place - 1]

    def unused(self) -> list[str]:
        """Return the given placeholders that the condition does not use."""
        return sorted((self._given_values.keys() | self._given_names.keys()) - self._used)

    def expect(self, text: str, kind: str, meaning: str) -> None:
        if self.next.kind != kind or self.next.text != text:
            raise wrong(self._source, self.next.at, f"{meaning} expected")
        self.take()

    def _is_symbol(self, text: str, ahead: int = 0) -> bool:
        token = self._tokens[min(self._place + ahead, len(self._tokens) - 1)]
        return token.kind == "symbol" and token.text == text

    def function(self) -> str:
        """Return the name of the condition function that comes next, or "" if something else does."""
        if self.next.kind != "name" or not self._is_symbol("(", 1) or self.next.text == "size":
            return ""
        if self.next.text not in FUNCTIONS:
            raise wrong(self._source, self.next.at, f"no such function; there are {', '.join(sorted(FUNCTIONS))}")
        return self.next.text

    def arguments(self, name: str) -> list[Operand]:
        """Consume the function that comes next and return its operands."""
        at = self.take().at
        found = self.list_of_operands(inside=name)
        if len(found) != FUNCTIONS[name]:
            raise wrong(self._source, at, f"{name} takes {FUNCTIONS[name]} operand{'s' * (FUNCTIONS[name] > 1)}")
        return found

    def list_of_operands(self, inside: str = "") -> list[Operand]:
        """Consume ``(a, b, …)`` and return its operands."""
        self.expect("(", "symbol", "( is")
        found = [self.operand(inside)]
        while self._is_symbol(","):
            self.take()
            found.append(self.operand(inside))
        self.expect(")", "symbol", ", or ) is")
        return found

    def operand(self, inside: str = "") -> Operand:
        """Consume one operand, in any number of parentheses, and return it."""
        opened = 0
        while self._is_symbol("("):
            self.take()
            opened += 1
        found = self._bare_operand(inside)
        for _ in range(opened):
            self.expect(")", "symbol", ") is")
        return found

    def _bare_operand(self, inside: str) -> Operand:
        token = self.next
        if token.kind == "name" and self._is_symbol("(", 1):
            return self._size(inside)
        if token.kind in ("name", "quoted", "#"):
            return self._path()
        if token.kind == ":":
            return self._placeholder()
        if token.kind in ("number", "text", "literal"):
            self.take()
            return self._valued(token.at, self._literal(token))
        what = "a value or the name of an attribute is expected"
        if token.kind == "keyword":
            what += f" ({token.text} is a keyword: write such a name in backticks)"
        raise wrong(self._source, token.at, what)

    def _literal(self, token: Token) -> Value:
        if token.kind == "text":
            return {"S": token.text}
        if token.kind == "literal":
            return {"NULL": True} if token.text == "null" else {"BOOL": token.text == "true"}
        try:
            return plain.typed(plain.Number(token.text), "the number")
        except ValidationError as error:
            raise wrong(self._source, token.at, str(error)) from None

    def _size(self, inside: str) -> Operand:
        token = self.next
        if token.text not in FUNCTIONS:
            raise wrong(self._source, token.at, f"no such function; there are {', '.join(sorted(FUNCTIONS))}")
        if token.text != "size":
            raise wrong(self._source, token.at, f"{token.text} is a condition and not a value")
        # Refuse before reading its parentheses: calls can then never nest, however long the condition is.
        if inside not in ("", "contains"):
            raise wrong(self._source, token.at, f"{inside} does not take a size()")
        (argument,) = self.arguments("size")
        self.check_kind(argument, _SIZED, "size")
        self.sizes += 1
        return Operand(f"size({argument.text})", token.at, "N")

    def _placeholder(self) -> Operand:
        token = self.take()
        value = self._given_values.get(token.text)
        if value is None:
            raise wrong(self._source, token.at, f"{token.text} is not in condition_values")
        self._check_placeholder(token)
        self._used.add(token.text)
        if token.text not in self._shared:
            self._shared[token.text] = self._valued(token.at, value).text
        return Operand(self._shared[token.text], token.at, next(iter(value)), value)

    def _check_placeholder(self, token: Token) -> None:
        if len(token.text) > _LONGEST_PLACEHOLDER_BYTES:
            raise wrong(self._source, token.at, f"a placeholder has at most {_LONGEST_PLACEHOLDER_BYTES} characters")

    def _valued(self, at: int, value: Value) -> Operand:
        alias = f":c{len(self.values)}"
        self.values[alias] = value
        return Operand(alias, at, next(iter(value)), value)

    def _path(self) -> Operand:
        at = self.next.at
        parts, levels = [self._name()], 1
        while self._is_symbol(".") or self._is_symbol("["):
            if self.take().text == ".":
                if self.next.kind not in ("name", "quoted", "#", "literal"):
                    raise wrong(self._source, self.next.at, "a name is expected after the dot")
                parts.append(f".{self._name()}")
            else:
                parts.append(f"[{self._index()}]")
                self.expect("]", "symbol", "] is")
            levels += 1
        if levels > _DEEPEST_PATH:
            raise wrong(self._source, at, f"this path has {levels} levels; {_DEEPEST_PATH} is the most")
        return Operand("".join(parts), at, is_path=True)

    def _name(self) -> str:
        token = self.take()
        name = token.text
        if not name:
            raise wrong(self._source, token.at, "a name must not be empty")
        if token.kind == "#":
            if name not in self._given_names:
                raise wrong(self._source, token.at, f"{name} is not in condition_names")
            self._check_placeholder(token)
            self._used.add(name)
            name = self._given_names[name]
        if name not in self._aliases:
            self._aliases[name] = f"#c{len(self._aliases)}"
            self.names[self._aliases[name]] = name
        return self._aliases[name]

    def _index(self) -> int:
        token = self.take()
        if token.kind != "number" or not token.text.isdecimal():
            raise wrong(self._source, token.at, "a position in a list is expected: 0, 1, 2 …")
        if len(token.text) > 10 or int(token.text) > _HIGHEST_INDEX:
            raise wrong(self._source, token.at, f"a position in a list is at most {_HIGHEST_INDEX}")
        return int(token.text)

    def check_kind(self, operand: Operand, allowed: tuple[str, ...], operator: str) -> None:
        """Refuse an operand of a type that the operator never takes; an empty ``allowed`` allows every type."""
        if allowed and operand.kind and operand.kind not in allowed:
            raise wrong(self._source, operand.at, f"{operator} takes {', '.join(allowed)}, and this is {operand.kind}")

    def check_distinct(self, first: Operand, others: list[Operand]) -> None:
        """Refuse to compare an attribute with itself."""
        for other in others:
            if first.is_path and other.is_path and other.text == first.text:
                raise wrong(self._source, other.at, "an attribute is compared with itself")

    def check_bounds(self, low: Operand, high: Operand) -> None:
        """Refuse BETWEEN bounds that no value can lie between. The values of paths and sizes are not known here."""
        if low.value is None or high.value is None:
            return
        if low.kind != high.kind:
            raise wrong(self._source, high.at, f"the bounds of BETWEEN are of two types, {low.kind} and {high.kind}")
        if low.kind in ("S", "N", "B") and _is_less(low.kind, high.value[low.kind], low.value[low.kind]):
            raise wrong(self._source, high.at, "the upper bound of BETWEEN is less than the lower")

    def check_arguments(self, name: str, operands: list[Operand]) -> None:
        """Refuse operands that a condition function never takes."""
        first, last = operands[0], operands[-1]
        if name in ("attribute_exists", "attribute_not_exists", "attribute_type") and not first.is_path:
            raise wrong(self._source, first.at, f"{name} takes the name of an attribute first")
        if name == "attribute_type":
            code = (last.value or {}).get("S")
            if code not in _TYPES:
                raise wrong(self._source, last.at, f"a type of DynamoDB in quotes is expected: {', '.join(_TYPES)}")
        elif name in ("begins_with", "contains"):
            self.check_distinct(first, [last])
            for operand in operands:
                self.check_kind(operand, ("S", "B") if name == "begins_with" else (), name)


def _is_less(kind: str, one: str, other: str) -> bool:
    """Return whether a value sorts before another in DynamoDB: numbers by value, strings and binary by bytes."""
    if kind == "N":
        from decimal import Decimal  # imported here: only conditions of this form pay for it

        return Decimal(one) < Decimal(other)
    if kind == "B":
        return binascii.a2b_base64(one) < binascii.a2b_base64(other)
    return one.encode() < other.encode()

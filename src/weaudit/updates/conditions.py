"""A condition as a user types it, made safe: names become aliases and literals become values (docs/updating.md).

The grammar is DynamoDB's, parsed without recursion. What DynamoDB would reject is rejected here:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

from weaudit.errors import InvalidInputError, ValidationError
from weaudit.items import plain
from weaudit.items.sizes import value_bytes
from weaudit.updates.operands import Operand, Operands
from weaudit.updates.tokens import wrong
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.items.values import Value

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
LONGEST_EXPRESSION_BYTES = 4096
MOST_OPERATORS = 300
# Every update has this condition beside the user's: DynamoDB's limits apply to both together.
EXISTS = "attribute_exists(#k)"
_OURS_BYTES, _OURS_OPERATORS = len(f"{EXISTS} AND ()"), 2
_MOST_CHOICES = 100
_LARGEST_VALUES_BYTES = 2 * 1024 * 1024
_COMPARATORS = frozenset(("=", "<>", "<", "<=", ">", ">="))
_ORDERED = ("S", "N", "B")
_OR, _AND, _NOT, _ATOM = 1, 2, 3, 4
_STRENGTH = {"OR": _OR, "AND": _AND, "NOT": _NOT}


@value
class Condition:
    """A condition that is safe to send: an expression without the user's own names and literals, and its aliases."""

    expression: str
    names: dict[str, str]  # "#c0" and so on
    values: dict[str, Value]  # ":c0" and so on, in DynamoDB JSON


def condition_of(text: str, values: Any = None, names: Any = None) -> Condition:
    """Parse a user's condition and return one that is safe to send.

    ``values`` and ``names`` define ``:v`` and ``#n`` in it: objects of plain JSON values, and of attribute names.
    Raises InvalidInputError, which points at the wrong character if there is one.
    """
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_EXPRESSION_BYTES:
        raise _over(f"has more than {LONGEST_EXPRESSION_BYTES} bytes", LONGEST_EXPRESSION_BYTES)
    operands = Operands(text, _given_values(values), _given_names(names))
    reader = _Reader(text, operands)
    expression = reader.read()
    unused = operands.unused()
    if unused:
        raise InvalidInputError(f"the condition does not use {', '.join(unused)}", {"unused": unused})
    sent_bytes = len(expression) + _OURS_BYTES
    if sent_bytes > LONGEST_EXPRESSION_BYTES:
        limit = f"{LONGEST_EXPRESSION_BYTES} bytes: {sent_bytes} with its names and values aliased, as it is sent"
        raise _over(f"has more than {limit}", LONGEST_EXPRESSION_BYTES)
    operators = reader.operators + operands.sizes + _OURS_OPERATORS
    if operators > MOST_OPERATORS:
        counted = f"{operators} operators and functions, {_OURS_OPERATORS} of them the check that the record exists"
        raise _over(f"has {counted}; {MOST_OPERATORS} is the most", MOST_OPERATORS)
    if sum(map(value_bytes, operands.values.values())) > _LARGEST_VALUES_BYTES:
        raise _over(f"has values of more than {_LARGEST_VALUES_BYTES} bytes", _LARGEST_VALUES_BYTES)
    return Condition(expression, operands.names, operands.values)


def _over(reason: str, limit: int) -> InvalidInputError:
    return InvalidInputError(f"condition_expression {reason}", {"limit": limit})


def _given_values(given: Any) -> dict[str, Value]:
    if given is None:
        return {}
    found = {}
    for name, plainly in _object(given, "condition_values").items():
        kind = next(iter(plainly)) if isinstance(plainly, dict) and len(plainly) == 1 else ""
        if kind in ("S", "N", "BOOL", "NULL", "L"):
            # Read as plain JSON it would be a map with this key: the condition would silently mean something else.
            raise InvalidInputError(
                f'condition_values.{name} looks like DynamoDB JSON: write the bare value, or {{"M": …}} for a map'
            )
        try:
            found[name] = plain.typed(plainly, f"condition_values.{plain.shown(name, quoted=False)}")
        except ValidationError as error:
            raise InvalidInputError(str(error), error.details) from None
    return found


def _given_names(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    for alias, name in _object(given, "condition_names").items():
        path = f"condition_names.{plain.shown(alias, quoted=False)}"
        if isinstance(name, plain.Number):
            raise InvalidInputError(f"{path}: a name must be a text")
        try:
            plain.check_name(name, path)
        except ValidationError as error:
            raise InvalidInputError(str(error), error.details) from None
    return dict(given)


def _object(given: Any, field: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidInputError(f"{field} must be an object")
    return given


class _Reader:
    """Reads a condition by operator precedence: finished parts on one stack, open operators on the other.

    A part is a string or a list of parts. Strings are joined once, at the end, however deeply they are nested.
    """

    def __init__(self, source: str, operands: Operands) -> None:
        self._source = source
        self._operands = operands
        self._done: list[tuple[int, Any]] = []  # how strongly a part binds, and the part
        self._open: list[tuple[str, int]] = []  # AND, OR, NOT or "(", and its position
        self.operators = 0

    def read(self) -> str:
        words = self._operands
        while True:
            self._read_condition()
            while words.next.text == ")" and words.next.kind == "symbol":
                self._close(words.take().at)
            word = words.next
            if word.kind == "end":
                break
            if word.kind != "keyword" or word.text not in ("AND", "OR"):
                raise wrong(self._source, word.at, "AND, OR or the end of the condition is expected")
            self._reduce(_STRENGTH[word.text])
            self._open.append((word.text, word.at))
            words.take()
        self._reduce(0)
        if self._open:
            raise wrong(self._source, self._open[-1][1], "this parenthesis is never closed")
        return _joined(self._done[0][1])

    def _read_condition(self) -> None:
        words = self._operands
        before = 0  # parentheses that may enclose only an operand: (a) = 1
        while True:
            word = words.next
            if word.kind == "keyword" and word.text == "NOT":
                before = 0
                self._open.append(("NOT", words.take().at))
            elif word.kind == "symbol" and word.text == "(":
                before += 1
                self._open.append(("(", words.take().at))
            else:
                break
        function = words.function()
        if function:
            self._finish(self._read_function(function))
            return
        first = words.operand()
        while before and words.next.kind == "symbol" and words.next.text == ")":
            words.take()
            self._open.pop()
            before -= 1
        self._finish(self._read_comparison(first))

    def _finish(self, text: str) -> None:
        self.operators += 1
        self._done.append((_ATOM, text))

    def _reduce(self, strength: int) -> None:
        while self._open and self._open[-1][0] != "(" and _STRENGTH[self._open[-1][0]] >= strength:
            operator, _ = self._open.pop()
            self.operators += 1
            own = _STRENGTH[operator]
            # Only the parentheses that are needed: DynamoDB rejects redundant ones.
            parts = [
                ["(", part, ")"] if binds < own else part
                for binds, part in self._done[-1 if operator == "NOT" else -2 :]
            ]
            del self._done[-len(parts) :]
            self._done.append((own, ["NOT ", *parts] if operator == "NOT" else [parts[0], f" {operator} ", parts[1]]))

    def _close(self, at: int) -> None:
        self._reduce(0)
        if not self._open:
            raise wrong(self._source, at, "this parenthesis was never opened")
        self._open.pop()

    def _read_function(self, name: str) -> str:
        arguments = self._operands.arguments(name)
        self._operands.check_arguments(name, arguments)
        return f"{name}({','.join(argument.text for argument in arguments)})"

    def _read_comparison(self, first: Operand) -> str:
        words = self._operands
        word = words.next
        if word.kind == "symbol" and word.text in _COMPARATORS:
            words.take()
            others = [words.operand()]
            text = f"{first.text}{word.text}{others[0].text}"
            allowed: tuple[str, ...] = () if word.text in ("=", "<>") else _ORDERED
        elif word.kind == "keyword" and word.text == "BETWEEN":
            words.take()
            others = [words.operand()]
            words.expect("AND", "keyword", "AND and the upper bound of BETWEEN")
            others.append(words.operand())
            text = f"{first.text} BETWEEN {others[0].text} AND {others[1].text}"
            allowed = _ORDERED
            words.check_bounds(others[0], others[1])
        elif word.kind == "keyword" and word.text == "IN":
            words.take()
            others = words.list_of_operands()
            text = f"{first.text} IN ({','.join(other.text for other in others)})"
            allowed = ()
            if len(others) > _MOST_CHOICES:
                raise wrong(self._source, word.at, f"IN has {len(others)} values; {_MOST_CHOICES} is the most")
        else:
            raise wrong(self._source, word.at, "a comparison is expected: = <> < <= > >=, BETWEEN or IN")
        words.check_distinct(first, others)
        for operand in (first, *others):
            words.check_kind(operand, allowed, word.text)
        return text


def _joined(part: Any) -> str:
    texts: list[str] = []
    left = [part]
    while left:
        part = left.pop()
        if isinstance(part, str):
            texts.append(part)
        else:
            left.extend(reversed(part))
    return "".join(texts)

"""How much work code does, counted and not timed: every step of it, weighed by the size of what it is done to.

A clock flickers, and a tracer of lines sees nothing of ``list.count``, of ``in`` a list, of slices and sums of texts:
each is one step of Python whose work grows with what it is given. So the package is compiled anew, with a count in each
of its loops, calls, comparisons, slices and sums. What C does is counted as if it looked once at all that it is given
and at all that it returns, but for what is known to do less.

Not seen: ``del`` of a slice, and what a generator passes through ``yield from``.
"""

import ast
import builtins
import importlib
import operator
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

PACKAGE = "weaudit"
_WORK = "__work__"
_TEXTS: tuple[type[Any], ...] = (str, bytes, bytearray, memoryview)
_VIEWS: tuple[type[Any], ...] = (type({}.keys()), type({}.values()), type({}.items()))
_SIZED: tuple[type[Any], ...] = (*_TEXTS, list, tuple, set, frozenset, dict, deque, *_VIEWS)
_HASHED: tuple[type[Any], ...] = (dict, set, frozenset, _VIEWS[0])


class TooMuchWorkError(BaseException):
    """More was done than the budget allows; nothing that catches Exception catches this."""


class Work:
    """The count, and what the compiled code calls in place of what it would do."""

    def __init__(self) -> None:
        self.done = 0
        self.budget: float = float("inf")

    def add(self, amount: int) -> None:
        self.done += 1 + amount
        if self.done > self.budget:
            raise TooMuchWorkError

    def of(self, call: Callable[[], object], budget: float = float("inf")) -> int:
        """Return how much work a call does; whatever else comes of it is its own affair."""
        self.done, self.budget = 0, budget
        try:
            call()
        finally:
            self.budget = float("inf")
        return self.done

    def call(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        if _is_counted(function):
            self.add(0)
            return function(*arguments, **named)
        known = _weight_before(function, arguments)
        if known is not None:
            self.add(known)
            return function(*arguments, **named)
        found = function(*arguments, **named)
        self.add(_weight(function, (*arguments, *named.values()), found))
        return found

    def step(self) -> None:
        self.add(0)

    def each(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self.add(0)
            yield value

    def made(self, value: Any) -> Any:
        self.add(_size(value))
        return value

    def sliced(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        return self.made(value[start:stop:step])

    def summed(self, name: str, one: Any, other: Any) -> Any:
        return self.made(_OPERATORS[name](one, other))

    def added(self, one: Any, other: Any) -> Any:
        # What cannot be changed is copied.
        self.add(_size(other) + (_size(one) if isinstance(one, (str, bytes, tuple)) else 0))
        return other

    def compared(self, name: str, one: Any, other: Any) -> Any:
        if name in ("In", "NotIn"):
            self.add(0 if isinstance(other, _HASHED) else _size(other))
        elif type(one) is type(other) and isinstance(one, _SIZED) and one is not other and len(one) == len(other):
            self.add(_deep_size(one))
        return _OPERATORS[name](one, other)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Mult": operator.mul,
    "Mod": operator.mod,
    "Sub": operator.sub,
    "BitOr": operator.or_,
    "BitAnd": operator.and_,
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "In": lambda one, other: one in other,
    "NotIn": lambda one, other: one not in other,
}


def _size(value: Any) -> int:
    return len(value) if isinstance(value, _SIZED) else 0


def _deep_size(value: Any) -> int:
    total, left = 0, [value]
    while left:
        part = left.pop()
        total += 1 + _size(part)
        if isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple, set, frozenset)):
            left += part
    return total


def _is_counted(function: Any) -> bool:
    """Say whether it is of the package itself: then its own work is counted in it."""
    if isinstance(function, MethodType):
        function = function.__func__
    return str(getattr(function, "__module__", "")).split(".")[0] == PACKAGE and isinstance(
        function, FunctionType | type
    )


# Methods that do the same however large their object is.
_QUICK = frozenset(
    (
        *("append", "appendleft", "popleft", "clear", "tell"),
        *("add", "discard", "get", "setdefault", "keys", "values", "items", "popitem"),
        *("group", "span", "start", "end", "isascii", "startswith", "endswith"),
    )
)
_QUICK_FUNCTIONS = frozenset(
    map(id, (len, isinstance, iter, next, getattr, hasattr, type, id, callable, zip, enumerate, range, reversed, bool))
)


def _weight_before(function: Any, arguments: tuple[Any, ...]) -> int | None:
    """Return the weight of a call that is known beforehand, None where it is not."""
    if id(function) in _QUICK_FUNCTIONS:
        return 0
    name = getattr(function, "__name__", "")
    owner = getattr(function, "__self__", None)
    if not isinstance(function, BuiltinFunctionType) or owner is None:
        return None
    if name in _QUICK or (name == "pop" and (isinstance(owner, dict) or arguments in ((), (-1,)))):
        return sum(map(_size, arguments)) if name in ("startswith", "endswith") else 0
    if name == "remove" and isinstance(owner, set):
        return 0
    if name in ("extend", "update", "issuperset"):
        return sum(map(_size, arguments))
    return None


def _weight(function: Any, arguments: tuple[Any, ...], found: Any) -> int:
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, re.Pattern) and name in ("match", "fullmatch"):
        return len(found.group()) if found else 0
    if isinstance(owner, _TEXTS) and name in ("find", "index", "rfind") and len(arguments) > 1:
        stop = min(arguments[2], len(owner)) if len(arguments) > 2 else len(owner)
        return max(0, int(found if found >= 0 else stop) - int(arguments[1]))
    if getattr(function, "__module__", "") in ("json", "copy", "json.encoder", "json.decoder"):
        return sum(map(_deep_size, arguments)) + _deep_size(found)
    return _size(owner) + sum(map(_size, arguments)) + _size(found)


class _Counting(ast.NodeTransformer):
    """Puts a count into everything whose work may depend on the size of what it is done to."""

    def _called(self, name: str, *arguments: ast.expr, of: ast.AST) -> ast.Call:
        method = ast.Attribute(ast.Name(_WORK, ast.Load()), name, ast.Load())
        return ast.copy_location(ast.Call(method, list(arguments), []), of)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            return node
        called = self._called("call", node.func, *node.args, of=node)
        called.keywords = node.keywords
        return called

    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        node.iter = self._called("each", node.iter, of=node.iter)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        self.generic_visit(node)
        node.iter = self._called("each", node.iter, of=node.iter)
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        self.generic_visit(node)
        node.body.insert(0, ast.copy_location(ast.Expr(self._called("step", of=node)), node.body[0]))
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        name = type(node.ops[0]).__name__
        if len(node.ops) > 1 or name not in _OPERATORS:
            return node
        return self._called("compared", ast.Constant(name), node.left, node.comparators[0], of=node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        name = type(node.op).__name__
        if name not in _OPERATORS:
            return node
        return self._called("summed", ast.Constant(name), node.left, node.right, of=node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AugAssign:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add):
            before: ast.expr = ast.Constant(None)
            if isinstance(node.target, ast.Name):
                before = ast.Name(node.target.id, ast.Load())
            elif isinstance(node.target, ast.Attribute):
                before = ast.Attribute(node.target.value, node.target.attr, ast.Load())
            node.value = self._called("added", before, node.value, of=node.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or not isinstance(node.slice, ast.Slice):
            return node
        ends = [end or ast.Constant(None) for end in (node.slice.lower, node.slice.upper, node.slice.step)]
        return self._called("sliced", node.value, *ends, of=node)

    def _display(self, node: Any) -> ast.expr:
        self.generic_visit(node)
        parts = node.keys if isinstance(node, ast.Dict) else node.elts
        unpacks = any(part is None or isinstance(part, ast.Starred) for part in parts)
        if not unpacks or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return node  # type: ignore[no-any-return]
        return self._called("made", node, of=node)

    visit_List = visit_Tuple = visit_Set = visit_Dict = _display  # noqa: N815 the names that ast looks for

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                part.value = self.visit(part.value)
        return self._called("made", node, of=node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.arguments:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body = [self.visit(part) for part in node.body]
        return node


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return compiled(self.get_data(path), path)


def compiled(source: bytes | str, path: str) -> Any:
    """Return the code of a module that counts its work."""
    tree = ast.fix_missing_locations(_Counting().visit(ast.parse(source)))
    return compile(tree, path, "exec", dont_inherit=True)


class _Finder:
    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name.split(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


WORK = Work()
setattr(builtins, _WORK, WORK)


def counted(*names: str) -> list[ModuleType]:
    """Import modules of the tests anew, over a package that counts its work in WORK; return them.

    For everybody else the modules of the package and of the tests stay as they are.
    """
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] in (PACKAGE, "tests")}
    finder = _Finder()
    for name in kept:
        if name not in ("tests", "tests.fuzz", __name__):
            del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] in (PACKAGE, "tests")]:
            del sys.modules[name]
        sys.modules.update(kept)

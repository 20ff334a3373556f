"""Frozen value classes for code that a function imports.

``@value`` replaces ``dataclass(frozen=True, slots=True)``. Importing ``dataclasses`` adds ten milliseconds to a cold
start, and ``typing`` is part of that, so no module that a function imports needs either at run time. For the same
reason those modules define ``TYPE_CHECKING`` themselves; type checkers treat it as the one of ``typing``. Code outside
the functions uses plain dataclasses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")

    @dataclass_transform(frozen_default=True)
    def value(cls: type[T]) -> type[T]:
        """Turn a class of annotated fields into a frozen value class."""
        raise NotImplementedError

else:

    def value(cls):
        """Return the class with ``__init__`` over its annotated fields, ``__eq__``, ``__hash__`` and ``__repr__``.

        The type checker refuses writes to a field. At run time only the project's tests check, by setting
        ``write_once``: a check at every field would cost a microsecond for each stream record.
        """
        fields = tuple(cls.__annotations__)
        space = {name: found for name, found in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        defaults = {name: space.pop(name) for name in fields if name in space}
        parameters = ", ".join(f"{name}=_d[{name!r}]" if name in defaults else name for name in fields)
        scope = {"_d": defaults}
        source = f"def __init__(self, {parameters}):" + "".join(f"\n self.{name} = {name}" for name in fields)
        exec(source, scope)  # noqa: S102  # nosec B102
        space |= {"__slots__": fields, "__init__": scope["__init__"], "__eq__": _equal, "__hash__": _hash}
        if write_once:
            space["__setattr__"] = _write_once
        return type(cls.__name__, cls.__bases__, {"__repr__": _text, **space})


write_once = False


def replaced(of: T, **fields: Any) -> T:
    """Return a copy of the value with some fields changed."""
    names: tuple[str, ...] = vars(type(of))["__slots__"]
    return type(of)(**{name: getattr(of, name) for name in names} | fields)


def _fields(of: Any) -> tuple[Any, ...]:
    return tuple(getattr(of, name) for name in of.__slots__)


def _equal(self: Any, other: object) -> bool:
    return type(other) is type(self) and _fields(self) == _fields(other)


def _hash(self: Any) -> int:
    return hash(_fields(self))


def _text(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


def _write_once(self: Any, name: str, to: object) -> None:
    if hasattr(self, name):
        raise AttributeError(f"{type(self).__name__} is a value: its {name} cannot be written to")
    object.__setattr__(self, name, to)

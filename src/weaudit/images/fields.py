"""The fields of an image pipeline, each checked: what is wrong is refused with its place and what would be right."""

from __future__ import annotations

from weaudit.errors import PipelineRefusedError
from weaudit.items.plain import spelled_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.items.plain import Path

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def plain(value: Any, path: Path) -> Any:
    """Return a value of DynamoDB JSON as plain JSON; a set or binary is refused."""
    ((kind, content),) = value.items()
    if kind == "N":
        number = float(content)
        return int(number) if number.is_integer() else number
    if kind in ("S", "BOOL"):
        return content
    if kind == "NULL":
        return None
    if kind == "L":
        return [plain(part, (path, place)) for place, part in enumerate(content)]
    if kind == "M":
        return {name: plain(part, (path, name)) for name, part in content.items()}
    raise PipelineRefusedError(f"{spelled_path(path)}: must be a text, a number, true, false, null, a list or a map")


def known(found: dict[str, Any], fields: tuple[str, ...], path: str) -> dict[str, Any]:
    """Return the map, if each of its fields is one of these."""
    for name in found:
        if name not in fields:
            place = f"{path}.{name[:64]}" if path else name[:64]
            raise PipelineRefusedError(f"{place}: there is no such field; there are {', '.join(fields)}")
    return found


def mapping(value: Any, path: str) -> dict[str, Any]:
    """Return a map."""
    if not isinstance(value, dict):
        raise PipelineRefusedError(f"{path}: must be a map")
    return value


def sequence(value: Any, path: str, most: int) -> list[Any]:
    """Return a list that holds no more than ``most``."""
    if not isinstance(value, list):
        raise PipelineRefusedError(f"{path}: must be a list")
    if len(value) > most:
        raise PipelineRefusedError(f"{path}: holds {len(value)}, and {most} at most are right")
    return value


def name(value: Any, path: str) -> str:
    """Return a name that may stand in an object's key: 1 to 64 letters, digits, - and _."""
    if not isinstance(value, str) or not 0 < len(value) <= 64 or not _NAME_CHARACTERS.issuperset(value):
        raise PipelineRefusedError(f"{path}: must be 1 to 64 letters, digits, - and _")
    return value


def choice(value: Any, choices: tuple[str, ...], path: str) -> str:
    """Return one of the choices."""
    if value not in choices:
        raise PipelineRefusedError(f"{path}: must be one of {', '.join(choices)}")
    return str(value)


def number(value: Any, lowest: float, highest: float, path: str, *, whole: bool = False) -> int | float:
    """Return a number of this range."""
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not lowest <= value <= highest:
        raise PipelineRefusedError(f"{path}: must be a {'whole ' * whole}number from {lowest:g} to {highest:g}")
    found: int | float = value
    return found


def flag(found: dict[str, Any], name: str, path: str) -> bool:
    """Return a field that is true or false; where it is absent, false."""
    value = found.get(name, False)
    if not isinstance(value, bool):
        raise PipelineRefusedError(f"{path}{name}: must be true or false")
    return value


def colour(value: Any, path: str) -> str:
    """Return a colour, "#rrggbb" in small letters."""
    text = value.lower() if isinstance(value, str) else ""
    if len(text) != 7 or text[0] != "#" or not frozenset("0123456789abcdef").issuperset(text[1:]):
        raise PipelineRefusedError(f'{path}: must be a colour as "#rrggbb"')
    return text


def no_doubles(names: list[str], path: str, what: str) -> None:
    """Refuse a name that stands twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PipelineRefusedError(f"{path}: two {what}s are named {name}")
        seen.add(name)

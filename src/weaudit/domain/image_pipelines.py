"""What is made of an image: the item IMAGE_PIPELINE of Configuration, checked (docs/images.md)."""

from __future__ import annotations

import json
from hashlib import sha256

from weaudit.domain.image_filters import FILTERS
from weaudit.domain.images import MARKER, image_hash
from weaudit.errors import PipelineRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from typing import Any

    from weaudit.domain.changes import Item
    from weaudit.domain.image_filters import Parameter

KEY = "IMAGE_PIPELINE"
FITS = ("inside", "cover", "contain", "fill")
FORMATS = ("jpeg", "png", "webp", "avif")
MOST_RENDITIONS, MOST_FILTERS, MOST_ALGORITHMS, LONGEST_SIDE = 20, 16, 16, 8192
_FIELDS = ("renditions", "algorithms", "keep_metadata")
_RENDITION_FIELDS = ("name", "width", "height", "fit", "format", "quality", "enlarge", "background", "filters")
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class Step:
    """A filter or an algorithm: its name, and its parameters as plain values (int, float, str, bool …), complete."""

    __slots__ = ("name", "parameters")

    def __init__(self, name: str, parameters: dict[str, Any]) -> None:
        self.name = name
        self.parameters = parameters


class RenditionPlan:
    """One rendition that is to be made. Nothing writes to it."""

    __slots__ = ("background", "enlarge", "filters", "fit", "format", "height", "name", "quality", "width")

    def __init__(
        self,
        name: str,
        width: int | None,  # pixels; None follows from the other one, both None keep the size
        height: int | None,
        fit: str = "inside",  # one of FITS
        format: str = "webp",  # noqa: A002  one of FORMATS
        quality: int = 80,  # 1 to 100
        enlarge: bool = False,
        background: str = "#ffffff",  # "#rrggbb"
        filters: tuple[Step, ...] = (),
    ) -> None:
        self.name = name
        self.width = width
        self.height = height
        self.fit = fit
        self.format = format
        self.quality = quality
        self.enlarge = enlarge
        self.background = background
        self.filters = filters


class Pipeline:
    """What is made of every image. ``version`` names it: the hash of its item, or ``built-in-<16 hex digits>``."""

    __slots__ = ("algorithms", "keep_metadata", "renditions", "version")

    def __init__(
        self, version: str, renditions: tuple[RenditionPlan, ...], algorithms: tuple[Step, ...], keep_metadata: bool
    ) -> None:
        self.version = version
        self.renditions = renditions
        self.algorithms = algorithms
        self.keep_metadata = keep_metadata


def built_in() -> Pipeline:
    """Return the pipeline that is in force where there is no item."""
    plans = (RenditionPlan("large", 1600, 1600), RenditionPlan("thumbnail", 320, 320))
    spelled = json.dumps([[str(getattr(plan, name)) for name in _RENDITION_FIELDS[:-1]] for plan in plans])
    return Pipeline(f"built-in-{sha256(spelled.encode()).hexdigest()[:16]}", plans, (), False)


def parse(item: Item, ignored: tuple[str, ...] = ("updatedBy", "note")) -> Pipeline:
    """Return the pipeline that the item (DynamoDB JSON, whole) describes; its version is ``images.image_hash(item)``.

    ``ignored`` are attributes that say nothing of images, as who wrote the item. Raises PipelineRefusedError, whose
    text names the place and what would be right: ``renditions[0].fit: must be one of inside, cover, contain, fill``.
    """
    given = {name: value for name, value in item.items() if name not in ("key", MARKER, *ignored)}
    found = {name: _plain(value, name) for name, value in given.items()}
    _known(found, _FIELDS, "")
    renditions = tuple(
        _rendition(part, f"renditions[{place}]")
        for place, part in enumerate(_list(found.get("renditions", []), "renditions", MOST_RENDITIONS))
    )
    _no_doubles([plan.name for plan in renditions], "renditions", "rendition")
    algorithms = tuple(
        _algorithm(part, f"algorithms[{place}]")
        for place, part in enumerate(_list(found.get("algorithms", []), "algorithms", MOST_ALGORITHMS))
    )
    _no_doubles([step.name for step in algorithms], "algorithms", "algorithm")
    if not renditions and not algorithms:
        raise PipelineRefusedError("renditions: must hold one rendition at least, where there is no algorithm either")
    return Pipeline(image_hash(item), renditions, algorithms, _bool(found, "keep_metadata", ""))


def _rendition(part: Any, path: str) -> RenditionPlan:
    found = _known(_map(part, path), _RENDITION_FIELDS, path)
    fit = _choice(found.get("fit", "inside"), FITS, f"{path}.fit")
    sides = [
        None if found.get(side) is None else int(_number(found[side], 1, LONGEST_SIDE, f"{path}.{side}", whole=True))
        for side in ("width", "height")
    ]
    if fit != "inside" and None in sides:
        raise PipelineRefusedError(f"{path}.fit: {fit} needs both width and height")
    filters = _list(found.get("filters", []), f"{path}.filters", MOST_FILTERS)
    return RenditionPlan(
        _name(found.get("name"), f"{path}.name"),
        sides[0],
        sides[1],
        fit,
        _choice(found.get("format", "webp"), FORMATS, f"{path}.format"),
        int(_number(found.get("quality", 80), 1, 100, f"{path}.quality", whole=True)),
        _bool(found, "enlarge", f"{path}."),
        _colour(found.get("background", "#ffffff"), f"{path}.background"),
        tuple(_filter(step, f"{path}.filters[{place}]") for place, step in enumerate(filters)),
    )


def _filter(part: Any, path: str) -> Step:
    found = _map(part, path)
    name = _choice(found.get("name"), tuple(FILTERS), f"{path}.name")
    takes = FILTERS[name]
    _known(found, ("name", *takes), path)
    return Step(name, {each: _parameter(found.get(each), takes[each], f"{path}.{each}") for each in takes})


def _parameter(value: Any, takes: Parameter, path: str) -> Any:
    value = takes.default if value is None else value
    if value is None:
        raise PipelineRefusedError(f"{path}: must be given, {takes.takes()}")
    if takes.kind == "colour":
        return _colour(value, path)
    if takes.kind == "choice":
        return _choice(value, takes.choices, path)
    return _number(value, takes.lowest, takes.highest, path, whole=takes.kind == "int")


def _algorithm(part: Any, path: str) -> Step:
    found = _map(part, path)
    name = _name(found.get("name"), f"{path}.name")
    return Step(name, {each: value for each, value in found.items() if each != "name"})


def _plain(value: Any, path: str) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        number = float(content)
        return int(number) if number.is_integer() else number
    if kind in ("S", "BOOL"):
        return content
    if kind == "NULL":
        return None
    if kind == "L":
        return [_plain(part, f"{path}[{place}]") for place, part in enumerate(content)]
    if kind == "M":
        return {name: _plain(part, f"{path}.{name}") for name, part in content.items()}
    raise PipelineRefusedError(f"{path}: must be a text, a number, true, false, null, a list or a map")


def _known(found: dict[str, Any], fields: tuple[str, ...], path: str) -> dict[str, Any]:
    for name in found:
        if name not in fields:
            place = f"{path}.{name[:64]}" if path else name[:64]
            raise PipelineRefusedError(f"{place}: there is no such field; there are {', '.join(fields)}")
    return found


def _map(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PipelineRefusedError(f"{path}: must be a map")
    return value


def _list(value: Any, path: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise PipelineRefusedError(f"{path}: must be a list")
    if len(value) > most:
        raise PipelineRefusedError(f"{path}: holds {len(value)}, and {most} at most are right")
    return value


def _name(value: Any, path: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 64 or not _NAME_CHARACTERS.issuperset(value):
        raise PipelineRefusedError(f"{path}: must be 1 to 64 letters, digits, - and _")
    return value


def _choice(value: Any, choices: tuple[str, ...], path: str) -> str:
    if value not in choices:
        raise PipelineRefusedError(f"{path}: must be one of {', '.join(choices)}")
    return str(value)


def _number(value: Any, lowest: float, highest: float, path: str, *, whole: bool = False) -> int | float:
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not lowest <= value <= highest:
        raise PipelineRefusedError(f"{path}: must be a {'whole ' * whole}number from {lowest:g} to {highest:g}")
    return value  # type: ignore[no-any-return]


def _bool(found: dict[str, Any], name: str, path: str) -> bool:
    value = found.get(name, False)
    if not isinstance(value, bool):
        raise PipelineRefusedError(f"{path}{name}: must be true or false")
    return value


def _colour(value: Any, path: str) -> str:
    text = value.lower() if isinstance(value, str) else ""
    if len(text) != 7 or text[0] != "#" or not frozenset("0123456789abcdef").issuperset(text[1:]):
        raise PipelineRefusedError(f'{path}: must be a colour as "#rrggbb"')
    return text


def _no_doubles(names: list[str], path: str, what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise PipelineRefusedError(f"{path}: two {what}s are named {name}")

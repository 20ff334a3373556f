"""What is made of an image: the item IMAGE_PIPELINE of Configuration, checked (docs/images.md)."""

from __future__ import annotations

import json
from hashlib import sha256

from weaudit.errors import PipelineRefusedError
from weaudit.images import fields
from weaudit.images.filters import FILTERS
from weaudit.items.values import MARKER, data, spelled_item
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.images.filters import Parameter
    from weaudit.items.values import Item

KEY = "IMAGE_PIPELINE"
FITS = ("inside", "cover", "contain", "fill")
FORMATS = ("jpeg", "png", "webp", "avif")
MOST_RENDITIONS, MOST_FILTERS, MOST_ALGORITHMS, LONGEST_SIDE = 20, 16, 16, 8192
_FIELDS = ("renditions", "algorithms", "keep_metadata")
_RENDITION_FIELDS = ("name", "width", "height", "fit", "format", "quality", "enlarge", "background", "filters")


@value
class Step:
    """A filter or an algorithm: its name, and its parameters as plain values (int, float, str, bool …), complete."""

    name: str
    parameters: dict[str, Any]


@value
class RenditionPlan:
    """One rendition that is to be made."""

    name: str
    width: int | None  # pixels; None follows from the other one, both None keep the size
    height: int | None
    fit: str = "inside"  # one of FITS
    format: str = "webp"
    quality: int = 80  # 1 to 100
    enlarge: bool = False
    background: str = "#ffffff"  # "#rrggbb"
    filters: tuple[Step, ...] = ()


@value
class Pipeline:
    """What is made of every image. ``version`` names it: the hash of its item, or ``built-in-<16 hex digits>``."""

    version: str
    renditions: tuple[RenditionPlan, ...]
    algorithms: tuple[Step, ...]
    keep_metadata: bool


def built_in() -> Pipeline:
    """Return the pipeline that is in force where there is no item."""
    plans = (RenditionPlan("large", 1600, 1600), RenditionPlan("thumbnail", 320, 320))
    spelled = json.dumps([[str(getattr(plan, name)) for name in _RENDITION_FIELDS[:-1]] for plan in plans])
    return Pipeline(f"built-in-{sha256(spelled.encode()).hexdigest()[:16]}", plans, (), False)


def parse(item: Item, ignored: tuple[str, ...] = ("updatedBy", "note")) -> Pipeline:
    """Return the pipeline that the item (DynamoDB JSON, whole) describes; its version is :func:`version_of`.

    ``ignored`` are attributes that say nothing of images, as who wrote the item. Raises PipelineRefusedError, whose
    text names the place and what would be right: ``renditions[0].fit: must be one of inside, cover, contain, fill``.
    """
    given = {name: value for name, value in item.items() if name not in ("key", MARKER, *ignored)}
    found = {name: fields.plain(value, name) for name, value in given.items()}
    fields.known(found, _FIELDS, "")
    renditions = tuple(
        _rendition(part, f"renditions[{place}]")
        for place, part in enumerate(fields.sequence(found.get("renditions", []), "renditions", MOST_RENDITIONS))
    )
    fields.no_doubles([plan.name for plan in renditions], "renditions", "rendition")
    algorithms = tuple(
        _algorithm(part, f"algorithms[{place}]")
        for place, part in enumerate(fields.sequence(found.get("algorithms", []), "algorithms", MOST_ALGORITHMS))
    )
    fields.no_doubles([step.name for step in algorithms], "algorithms", "algorithm")
    if not renditions and not algorithms:
        raise PipelineRefusedError("renditions: must hold one rendition at least, where there is no algorithm either")
    return Pipeline(version_of(item), renditions, algorithms, fields.flag(found, "keep_metadata", ""))


def version_of(item: Item) -> str:
    """Return the version of the pipeline that an item describes: the SHA-256 of the item, 64 hex digits."""
    text = f"weaudit-image-v1\n{spelled_item(data(item))}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _rendition(part: Any, path: str) -> RenditionPlan:
    found = fields.known(fields.mapping(part, path), _RENDITION_FIELDS, path)
    fit = fields.choice(found.get("fit", "inside"), FITS, f"{path}.fit")
    sides = [
        None
        if found.get(side) is None
        else int(fields.number(found[side], 1, LONGEST_SIDE, f"{path}.{side}", whole=True))
        for side in ("width", "height")
    ]
    if fit != "inside" and None in sides:
        raise PipelineRefusedError(f"{path}.fit: {fit} needs both width and height")
    filters = fields.sequence(found.get("filters", []), f"{path}.filters", MOST_FILTERS)
    return RenditionPlan(
        fields.name(found.get("name"), f"{path}.name"),
        sides[0],
        sides[1],
        fit,
        fields.choice(found.get("format", "webp"), FORMATS, f"{path}.format"),
        int(fields.number(found.get("quality", 80), 1, 100, f"{path}.quality", whole=True)),
        fields.flag(found, "enlarge", f"{path}."),
        fields.colour(found.get("background", "#ffffff"), f"{path}.background"),
        tuple(_filter(step, f"{path}.filters[{place}]") for place, step in enumerate(filters)),
    )


def _filter(part: Any, path: str) -> Step:
    found = fields.mapping(part, path)
    name = fields.choice(found.get("name"), tuple(FILTERS), f"{path}.name")
    takes = FILTERS[name]
    fields.known(found, ("name", *takes), path)
    return Step(name, {each: _parameter(found.get(each), takes[each], f"{path}.{each}") for each in takes})


def _parameter(value: Any, takes: Parameter, path: str) -> Any:
    value = takes.default if value is None else value
    if value is None:
        raise PipelineRefusedError(f"{path}: must be given, {takes.takes()}")
    if takes.kind == "colour":
        return fields.colour(value, path)
    if takes.kind == "choice":
        return fields.choice(value, takes.choices, path)
    return fields.number(value, takes.lowest, takes.highest, path, whole=takes.kind == "int")


def _algorithm(part: Any, path: str) -> Step:
    found = fields.mapping(part, path)
    name = fields.name(found.get("name"), f"{path}.name")
    return Step(name, {each: value for each, value in found.items() if each != "name"})

"""What is made of an image: the item IMAGE_PIPELINE of Configuration, checked (docs/images.md)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from typing import Any

    from weaudit.domain.changes import Item

KEY = "IMAGE_PIPELINE"


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
        fit: str,  # inside, cover, contain or fill
        format: str,  # noqa: A002  jpeg, png, webp or avif
        quality: int,  # 1 to 100
        enlarge: bool,
        background: str,  # "#rrggbb"
        filters: tuple[Step, ...],
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


def parse(item: Item) -> Pipeline:
    """Return the pipeline that the item (DynamoDB JSON, whole) describes; its version is ``images.image_hash(item)``.

    Raises PipelineRefusedError, whose text names the place and what would be right: ``renditions[0].fit: …``.
    """
    raise NotImplementedError


def built_in() -> Pipeline:
    """Return the pipeline that is in force where there is no item."""
    raise NotImplementedError

"""One image, one pipeline: measured and rendered in a process of its own, within limits."""

from __future__ import annotations

from weaudit.errors import ImageRejectedError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from typing import Any

    from weaudit.domain.image_pipelines import Pipeline


class Limits:
    """What one image may cost. What is beyond a limit is rejected with the code that stands beside it."""

    __slots__ = ("bytes", "cpu_seconds", "memory_bytes", "pages", "pixels", "wall_seconds")

    def __init__(
        self,
        *,
        bytes: int = 64 * 1024 * 1024,  # noqa: A002  of the file: TooManyBytes
        pixels: int = 100_000_000,  # width × height of one page: TooManyPixels
        pages: int = 10_000,  # frames or pages that a header may state; only the first is decoded: TooManyPages
        memory_bytes: int = 1024 * 1024 * 1024,  # private memory of the child, code aside: OutOfMemory
        cpu_seconds: int = 60,  # of the child, all threads: OutOfTime
        wall_seconds: float = 30.0,  # from its start to its whole answer: OutOfTime
    ) -> None:
        self.bytes = bytes
        self.pixels = pixels
        self.pages = pages
        self.memory_bytes = memory_bytes
        self.cpu_seconds = cpu_seconds
        self.wall_seconds = wall_seconds


class Rendition:
    """One rendition that was made: ``content`` is the whole file, ``format`` one of jpeg, png, webp, avif."""

    __slots__ = ("content", "format", "height", "name", "width")

    def __init__(self, name: str, format: str, width: int, height: int, content: bytes) -> None:  # noqa: A002
        self.name = name
        self.format = format
        self.width = width
        self.height = height
        self.content = content


class Worked:
    """What was found in one image and made of it."""

    __slots__ = (
        "algorithms",
        "bands",
        "bit_depth",
        "colour_space",
        "format",
        "has_alpha",
        "height",
        "pages",
        "renditions",
        "timings",
        "warnings",
        "width",
    )

    def __init__(
        self,
        *,
        format: str,  # noqa: A002  as sniffed
        width: int,  # pixels, after orientation
        height: int,
        pages: int,  # frames or pages in the file; renditions are of the first
        bands: int,  # channels as stored, alpha included
        colour_space: str,  # srgb, b-w, cmyk, rgb16, grey16, lab …: libvips' name of the stored one
        has_alpha: bool,
        bit_depth: int,  # of one channel as stored
        algorithms: dict[str, Any],  # plain JSON by algorithm name; one that failed is absent and warned of
        renditions: list[Rendition],  # in the pipeline's order
        warnings: list[str],
        timings: dict[str, float],  # milliseconds: measure, render
    ) -> None:
        self.format = format
        self.width = width
        self.height = height
        self.pages = pages
        self.bands = bands
        self.colour_space = colour_space
        self.has_alpha = has_alpha
        self.bit_depth = bit_depth
        self.algorithms = algorithms
        self.renditions = renditions
        self.warnings = warnings
        self.timings = timings


def work(source: bytes, pipeline: Pipeline, limits: Limits) -> Worked:
    """Return what the pipeline makes of an image, or raise ImageRejectedError; whatever the bytes, nothing else.

    The same bytes and pipeline give the same renditions, byte for byte. The pixel work runs in a forked child, which
    is gone when this returns. ``ImageRejectedError.code`` is one of NotAnImage, UnsupportedFormat, TooManyBytes,
    TooManyPixels, TooManyPages, Corrupt, OutOfTime, OutOfMemory, DecoderCrashed (docs/images.md). Call it from a
    process that has no libvips threads: it is all that this process does with images.
    """
    raise ImageRejectedError("UnsupportedFormat", "no image format is processed yet")

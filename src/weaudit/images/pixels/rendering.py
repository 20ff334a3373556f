"""Renditions of one image: upright, in sRGB with 8 bits, sized, filtered, and encoded without metadata.

Decoding is the dear part, so it is done at the smallest scale that will do, and shared: a small rendition comes from
one that is at least twice its size and in memory already.
"""

from __future__ import annotations

import math

from weaudit.images.pixels import filtering, libvips

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.images.pipeline import RenditionPlan
    from weaudit.images.pixels.samples import Samples

_ANY = 10_000_000  # libvips' VIPS_MAX_COORD: a side that does not bind
_MOST_SHARED_PIXELS = 16_000_000  # 48 MB in memory
ANALYSED_SIDE = 2048
# What the formats themselves can hold: ISO/IEC 10918-1 (JPEG), RFC 9649 (WebP), and libvips' limit for AVIF.
_LONGEST = {"jpeg": 65535, "webp": 16383, "avif": 16384, "png": _ANY}


class Source:
    """An image's bytes, from which scaled copies are made; ``samples`` says how those of a TIFF are to be taken."""

    __slots__ = ("_samples", "_shared", "_shared_scale", "bytes", "format", "height", "pyvips", "width")

    def __init__(
        self, pyvips: Any, source: bytes, sniffed: str, width: int, height: int, samples: Samples | None
    ) -> None:
        self.pyvips = pyvips
        self.bytes = source
        self.format = sniffed
        self.width = width  # upright
        self.height = height
        self._samples = samples
        self._shared: Any = None
        self._shared_scale = 0.0

    def share(self, scales: list[float]) -> None:
        """Keep one copy in memory from which the smaller ones of these scales can be made, where that saves work."""
        largest = min(1.0, max(scales, default=0.0))
        pixels = self.width * self.height * largest * largest
        if len(scales) < 2 or pixels > _MOST_SHARED_PIXELS or not any(2 * scale <= largest for scale in scales):
            return
        width, height = _at(largest, self.width, self.height)
        # What is made from memory again must not depend on the order of renditions.
        self._shared = self._decoded(width, height).copy_memory()
        self._shared_scale = largest

    def at(self, scale: float, width: int, height: int) -> Any:
        """Return a copy of exactly this size; ``scale`` is the larger of its scales."""
        if self._shared is None or not (scale == self._shared_scale or 2 * scale <= self._shared_scale):
            return self._decoded(width, height)
        if (self._shared.width, self._shared.height) == (width, height):
            return self._shared
        return _eight_bit(self._shared.thumbnail_image(width, height=height, size="force", no_rotate=True))

    def _decoded(self, width: int, height: int) -> Any:
        # Not thumbnail_buffer: it picks a loader by itself, and goes on after errors that a loader stops at.
        shrink = min(self.width / width, self.height / height)
        options: dict[str, Any] = {}
        if self.format == "jpeg":
            # libjpeg scales while it decodes, by these; what is left is done by the resampler.
            options["shrink"] = next(factor for factor in (8, 4, 2, 1) if factor <= max(1, shrink))
        elif self.format == "webp" and shrink > 1:
            options["scale"] = 1 / shrink
        image = libvips.opened(self.pyvips, self.bytes, self.format, **options)
        if self._samples is not None:
            image = self._samples.of(image)
        # Without a profile of its own an image is sRGB already, unless its colours are inks.
        if image.get_typeof("icc-profile-data") or image.interpretation == "cmyk":
            colours = {"output_profile": "srgb", "intent": "relative"}
        else:
            colours = {}
        return _eight_bit(image.thumbnail_image(width, height=height, size="force", **colours))


def scale_of(plan: RenditionPlan, width: int, height: int) -> float:
    """Return by how much an upright image of this size is scaled for a rendition; 1 keeps it."""
    wide = (plan.width or _ANY) / width
    high = (plan.height or _ANY) / height
    scale = max(wide, high) if plan.fit in ("cover", "fill") else min(wide, high)
    if plan.width is None and plan.height is None:
        scale = 1.0
    scale = scale if plan.enlarge else min(1.0, scale)
    return min(scale, _LONGEST[plan.format] / max(width, height)) if plan.fit == "inside" else scale


def render(source: Source, plan: RenditionPlan, keep_metadata: bool) -> tuple[int, int, bytes]:
    """Return width, height and the file of a rendition. Raises pyvips.Error where pixels cannot be had."""
    image = _sized(source, plan)
    if image.width * image.height <= _MOST_SHARED_PIXELS or plan.filters:
        image = image.copy_memory()  # filters look at pixels more than once; the file can be read once only
    for step in plan.filters:
        # Each step whole before the next one: line by line, a chain would be worked on again and again.
        image = filtering.apply(image, step, plan.background).copy_memory()
    content = _encoded(image, plan, keep_metadata)
    return image.width, image.height, content


def analysed(source: Source) -> Any:
    """Return what algorithms look at: upright, sRGB or b-w, 8 bits, at most 2,048 pixels a side, in memory."""
    scale = min(1.0, ANALYSED_SIDE / max(source.width, source.height))
    return source.at(scale, *_at(scale, source.width, source.height)).copy_memory()


def analysed_scale(width: int, height: int) -> float:
    """Return the scale of :func:`analysed`."""
    return min(1.0, ANALYSED_SIDE / max(width, height))


def _at(scale: float, width: int, height: int) -> tuple[int, int]:
    return max(1, math.floor(width * scale + 0.5)), max(1, math.floor(height * scale + 0.5))


def _sized(source: Source, plan: RenditionPlan) -> Any:
    scale = scale_of(plan, source.width, source.height)
    width, height = _at(scale, source.width, source.height)
    if plan.fit == "inside":
        return source.at(scale, width, height)
    wide, high = plan.width or width, plan.height or height
    if plan.fit == "fill":
        if not plan.enlarge:
            wide, high = min(wide, source.width), min(high, source.height)
        return source.at(scale, wide, high)
    image = source.at(scale, width, height)
    if plan.fit == "cover":
        wide, high = min(wide, image.width), min(high, image.height)
        return image.crop((image.width - wide) // 2, (image.height - high) // 2, wide, high)
    colour = filtering.rgb(plan.background)
    if len(set(colour)) > 1:
        image = filtering.in_colour(image)
    alpha = [255] if image.hasalpha() else []
    background = [*colour[: image.bands - len(alpha)], *alpha]
    left, top = (wide - image.width) // 2, (high - image.height) // 2
    return image.embed(left, top, wide, high, extend="background", background=background)


def _eight_bit(image: Any) -> Any:
    if image.interpretation not in ("srgb", "b-w"):
        image = image.colourspace("b-w" if image.interpretation == "grey16" else "srgb")
    return image if image.format == "uchar" else image.cast("uchar")


def _encoded(image: Any, plan: RenditionPlan, keep_metadata: bool) -> bytes:
    keep = "all" if keep_metadata else "none"
    if plan.format == "jpeg":
        if image.hasalpha():
            image = filtering.in_colour(image).flatten(background=filtering.rgb(plan.background))
        content = image.jpegsave_buffer(Q=plan.quality, optimize_coding=True, keep=keep)
    elif plan.format == "png":
        content = image.pngsave_buffer(compression=6, keep=keep)
    elif plan.format == "webp":
        content = image.webpsave_buffer(Q=plan.quality, effort=4, keep=keep)
    else:
        content = image.heifsave_buffer(Q=plan.quality, compression="av1", effort=4, bitdepth=8, keep=keep)
    return bytes(content)

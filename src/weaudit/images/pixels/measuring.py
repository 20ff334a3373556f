"""What an image's header says, read and held to limits before a single pixel is decoded."""

from __future__ import annotations

from weaudit.errors import ImageRejectedError
from weaudit.images.pixels import frames, libvips

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.images.pixels.samples import Samples

_MOST_BANDS = 5  # CMYK and alpha
_DEPTHS = {"uchar": 8, "char": 8, "ushort": 16, "short": 16, "uint": 32, "int": 32, "float": 32}
_TURNED = range(5, 9)  # Exif 2.32, 4.6.4: orientations that exchange width and height


def measure(
    pyvips: Any, source: bytes, sniffed: str, samples: Samples | None, pixels: int, pages: int
) -> tuple[dict[str, Any], list[str]]:
    """Return what the header says, as the fields of ``Worked`` by name, and what there is to warn of.

    Raises ImageRejectedError for TooManyPixels, TooManyPages and UnsupportedFormat, and pyvips.Error where there is no
    sound header. ``pixels`` is the limit of one page, ``pages`` of the file.
    """
    image = libvips.opened(pyvips, source, sniffed)
    width, height = image.width, image.height
    if width * height > pixels:
        raise ImageRejectedError(
            "TooManyPixels", f"{width} by {height} pixels are {width * height:,}, and {pixels:,} is the limit"
        )
    count, shown = frames.count(source, sniffed)
    if (count := max(count, _field(image, "n-pages", 1))) > pages:
        raise ImageRejectedError("TooManyPages", f"{count:,} pages, and {pages:,} is the limit")
    if image.bands > _MOST_BANDS or image.format not in _DEPTHS:
        raise ImageRejectedError(
            "UnsupportedFormat", f"{image.bands} channels of {image.format}: {_MOST_BANDS} of real numbers are the most"
        )
    if _field(image, "orientation", 1) in _TURNED:
        width, height = height, width
    # A palette's indexes may have fewer bits; its colours have eight.
    depth = 8 if image.get_typeof("palette") else _field(image, "bits-per-sample", _DEPTHS[image.format])
    found = {
        "format": sniffed,
        "width": width,
        "height": height,
        "pages": count,
        "bands": image.bands,
        "colour_space": image.interpretation,
        "has_alpha": bool(image.hasalpha()) if samples is None else samples.has_alpha,
        "bit_depth": depth,
    }
    return found, [f"{count} pages or frames: renditions are of {shown}"] if count > 1 else []


def _field(image: Any, name: str, default: int) -> int:
    return int(image.get(name)) if image.get_typeof(name) else default

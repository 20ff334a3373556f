"""The filters of a pipeline, one function each, named as in weaudit/images/filters.py.

Each takes an image of 8 bits in b-w or sRGB, with or without alpha, that is whole in memory, and gives one like it.
Alpha is left as it is, unless pixels move.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.images.pipeline import Step

# W3C Filter Effects Module Level 1, 9.3 (sepia) and Rec. 709 luma, by rows.
_SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_MIDDLE = 128


def apply(image: Any, step: Step, background: str) -> Any:
    """Return the image after a filter of a pipeline that was parsed; ``background`` fills corners that turn up."""
    if step.name == "rotate":
        return _rotate(image, step.parameters["degrees"], background)
    if step.name == "flip":
        return image.flip(step.parameters["direction"])
    colours, alpha = (image[: image.bands - 1], image[image.bands - 1]) if image.hasalpha() else (image, None)
    if step.name in ("blur", "median", "pixelate") and alpha is not None:
        return _moved(image, step)
    changed = _COLOURS[step.name](colours, **step.parameters)
    changed = changed.cast("uchar").copy(interpretation="srgb" if changed.bands == 3 else "b-w")
    return changed if alpha is None else changed.bandjoin(alpha)


def rgb(colour: str) -> list[int]:
    """Return the channels of a colour written "#rrggbb", 0 to 255."""
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def in_colour(image: Any) -> Any:
    """Return a b-w image as sRGB, any other one as it is."""
    return image.colourspace("srgb") if image.interpretation == "b-w" else image


def _moved(image: Any, step: Step) -> Any:
    # Colours of clear pixels must not leak into their neighbours.
    weighed = image.premultiply()
    changed = _COLOURS[step.name](weighed, **step.parameters)
    return changed.unpremultiply().cast("uchar").copy(interpretation=image.interpretation)


def _matrix(image: Any, rows: tuple[tuple[float, ...], ...]) -> Any:
    return in_colour(image).recomb([list(row) for row in rows])


def _blur(image: Any, sigma: float) -> Any:
    return image.gaussblur(sigma)


def _sharpen(image: Any, sigma: float, amount: float) -> Any:
    return image.sharpen(sigma=sigma, x1=2, m1=0, m2=amount).colourspace("srgb" if image.bands == 3 else "b-w")


def _greyscale(image: Any) -> Any:
    return image.colourspace("b-w")


def _sepia(image: Any, amount: float) -> Any:
    mixed = tuple(
        tuple(amount * new + (1 - amount) * old for new, old in zip(*rows, strict=True))
        for rows in zip(_SEPIA, _IDENTITY, strict=True)
    )
    return _matrix(image, mixed)


def _brightness(image: Any, factor: float) -> Any:
    return image * factor


def _contrast(image: Any, factor: float) -> Any:
    return image * factor + _MIDDLE * (1 - factor)


def _saturation(image: Any, factor: float) -> Any:
    if image.bands == 1:
        return image
    return (image.colourspace("lch") * [1, factor, 1]).copy(interpretation="lch").colourspace("srgb")


def _hue(image: Any, degrees: float) -> Any:
    if image.bands == 1:
        return image
    return image.colourspace("lch").linear([1, 1, 1], [0, 0, degrees]).copy(interpretation="lch").colourspace("srgb")


def _gamma(image: Any, value: float) -> Any:
    return image.gamma(exponent=value)


def _invert(image: Any) -> Any:
    return image.invert()


def _normalise(image: Any) -> Any:
    # The lightness from its 1st to its 99th percentile becomes the whole range; hues stay.
    if image.bands == 1:
        low, high = image.percent(1), image.percent(99)
        return image if high <= low else (image - low) * (255 / (high - low))
    lab = image.colourspace("lab")
    lightness = (lab[0] * 2.55).cast("uchar")
    low, high = lightness.percent(1) / 2.55, lightness.percent(99) / 2.55
    if high <= low:
        return image
    stretched = (lab[0] - low) * (100 / (high - low))
    return stretched.bandjoin(lab[1:]).copy(interpretation="lab").colourspace("srgb")


def _tint(image: Any, colour: str) -> Any:
    # The lightness is the image's own, the hue and the chroma are the colour's.
    black = image.new_from_image(rgb(colour)).copy(interpretation="srgb").colourspace("lab")
    lightness = in_colour(image).colourspace("lab")[0]
    return lightness.bandjoin(black[1:]).copy(interpretation="lab").colourspace("srgb")


def _threshold(image: Any, level: int) -> Any:
    return image.colourspace("b-w") >= level


def _median(image: Any, size: int) -> Any:
    return image.median(size)


def _pixelate(image: Any, size: int) -> Any:
    wide, high = -(-image.width // size) * size, -(-image.height // size) * size
    blocks = image.embed(0, 0, wide, high, extend="copy").shrink(size, size)
    return blocks.zoom(size, size).crop(0, 0, image.width, image.height)


def _vignette(image: Any, amount: float) -> Any:
    # 1 in the middle, 1 - amount in the corners, by the square of the distance.
    place = (type(image).xyz(image.width, image.height) + 0.5) / [image.width / 2, image.height / 2] - 1
    far = place[0] ** 2 + place[1] ** 2
    return image * (1 - far * (amount / 2))


def _rotate(image: Any, degrees: float, background: str) -> Any:
    degrees %= 360
    if degrees % 90 == 0:
        return image.rot(f"d{int(degrees)}")
    image = in_colour(image)
    return image.rotate(degrees, background=[*rgb(background), 255][: image.bands]).cast("uchar")


_COLOURS: dict[str, Callable[..., Any]] = {
    "blur": _blur,
    "sharpen": _sharpen,
    "greyscale": _greyscale,
    "sepia": _sepia,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
    "gamma": _gamma,
    "invert": _invert,
    "normalise": _normalise,
    "tint": _tint,
    "threshold": _threshold,
    "median": _median,
    "pixelate": _pixelate,
    "vignette": _vignette,
}

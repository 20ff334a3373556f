"""The filters of an image pipeline: their names, and what each parameter takes (docs/images.md)."""

from __future__ import annotations

from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@value
class Parameter:
    """What a filter's parameter takes: a kind, and a range or the values to choose from."""

    kind: str  # int, float, colour or choice
    default: Any  # None: it must be given
    meaning: str
    lowest: float = 0
    highest: float = 0
    choices: tuple[str, ...] = ()

    def takes(self) -> str:
        """Return in words what is right."""
        if self.kind == "colour":
            return 'a colour as "#rrggbb"'
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        return f"{'a whole number' if self.kind == 'int' else 'a number'} from {self.lowest:g} to {self.highest:g}"


def _factor(meaning: str) -> dict[str, Parameter]:
    return {"factor": Parameter("float", None, meaning, 0, 10)}


# Filter, parameter: each filter is carried out by the function of its name in weaudit/images/pixels/filtering.py.
FILTERS: dict[str, dict[str, Parameter]] = {
    "blur": {"sigma": Parameter("float", 2.0, "radius of the Gaussian, in pixels", 0.3, 100)},
    "sharpen": {
        "sigma": Parameter("float", 1.0, "radius of the mask, in pixels", 0.3, 10),
        "amount": Parameter("float", 3.0, "how much edges gain", 0, 20),
    },
    "greyscale": {},
    "sepia": {"amount": Parameter("float", 1.0, "1 is full, 0 leaves the image as it is", 0, 1)},
    "brightness": _factor("1 leaves it, 2 is twice as bright"),
    "contrast": _factor("1 leaves it, 0 is even grey"),
    "saturation": _factor("1 leaves it, 0 is greyscale"),
    "hue": {"degrees": Parameter("float", None, "how far hues turn", -360, 360)},
    "gamma": {"value": Parameter("float", 2.2, "above 1 lightens the mid-tones", 0.1, 10)},
    "invert": {},
    "normalise": {},
    "tint": {"colour": Parameter("colour", None, "the hue that greys become")},
    "threshold": {"level": Parameter("int", 128, "what is as light becomes white, the rest black", 1, 255)},
    "median": {"size": Parameter("int", 3, "width of the window, in pixels", 3, 25)},
    "pixelate": {"size": Parameter("int", 8, "width of a block, in pixels", 2, 512)},
    "vignette": {"amount": Parameter("float", 0.5, "how much of the light the corners lose", 0, 1)},
    "flip": {"direction": Parameter("choice", None, "which sides change places", choices=("horizontal", "vertical"))},
    "rotate": {"degrees": Parameter("float", None, "clockwise; corners take the background", -360, 360)},
}

"""The samples of a TIFF brought to what other images have: 8 or 16 bits from black to white, and at most an alpha.

Unsigned samples of 8 and 16 bits are that already. Of others the range is what the file states, or the type's, which
is TIFF's default. Floating-point has no range of its own: where the file states none it is guessed, and the row says
so. Nothing is clipped in silence.
"""

from __future__ import annotations

from weaudit.images.pixels import tiff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.images.pixels.tiff import Header

_LARGEST_FLOAT = 3.4028234663852886e38  # of 32 bits: what is larger is infinite
_BEYOND = float("inf")
_WHITE = 65535
_LEVELS = 256  # of a rendition: samples that share one of them would be an even grey
_INTERPRETATIONS = {1: "grey16", 3: "rgb16", 4: "cmyk"}
_SCALED = frozenset((tiff.WHITE_IS_ZERO, tiff.BLACK_IS_ZERO, tiff.RGB, tiff.CMYK))


class Samples:
    """How to take the pixels of one TIFF; ``warnings`` says what had to be guessed or left out."""

    __slots__ = ("_alpha", "_alpha_range", "_header", "_range", "warnings")

    def __init__(self, header: Header) -> None:
        self._header = header
        self.warnings: list[str] = []
        self._range: tuple[float, float] | None = None  # of the colours; None leaves them as they are
        self._alpha_range = header.whole or (0.0, 1.0)
        # Where the file says nothing of the channels beside its colours, the first is taken for alpha, as libtiff does.
        beside = header.samples - header.colours
        alphas = [number for number, kind in enumerate(header.extra or (2,)) if kind in (1, 2) and number < beside]
        self._alpha = alphas[0] if alphas else None
        if beside > len(alphas[:1]):
            left = beside - len(alphas[:1])
            self.warnings.append(f"{left} of {header.samples} channels left out: not said to be colour or alpha")

    @property
    def has_alpha(self) -> bool:
        """Say whether one of the channels is alpha."""
        return self._alpha is not None

    def look(self, image: Any) -> None:
        """Find the range of the samples, by reading all of them where that decides it. Raises pyvips.Error.

        ``image`` has just been opened, and is of no use after this.
        """
        header = self._header
        if header.photometric not in _SCALED or (header.format == tiff.UNSIGNED and header.bits <= 16):
            return
        colours, alpha = self._split(image)
        colours = self._as_stored(colours)
        valid = self._valid(colours)
        # Each channel twice: without what would spoil its least value, and without what would spoil its greatest.
        parts = [colours, colours] if valid is None else [valid.ifthenelse(colours, end) for end in (_BEYOND, -_BEYOND)]
        parts += [] if alpha is None else [alpha.cast("double")]
        found = parts[0].bandjoin(parts[1:]).stats()  # a row for all channels, then one for each: least, greatest, …
        rows = range(1, colours.bands + 1)
        least, most = min(found(0, row)[0] for row in rows), max(found(1, row + colours.bands)[0] for row in rows)
        self._range = self._ranged(least, most)
        if alpha is not None and header.format == tiff.FLOAT and 1 < (most := found(1, found.height - 1)[0]) < _BEYOND:
            self._alpha_range = (0.0, most)
            self.warnings.append(f"its alpha is floating-point above 1: taken as 0 to {most:g}, the greatest there is")

    def of(self, image: Any) -> Any:
        """Return an image that was opened, as it is meant."""
        colours, alpha = self._split(image)
        if self._range is None:
            if (
                image.bands == colours.bands + self.has_alpha
                and not self._alpha
                and self._header.photometric != tiff.CMYK
            ):
                return image
        else:
            low, high = self._range
            shown = self._as_stored(colours)
            measured = self._valid(shown, infinite=True)
            if self._header.photometric == tiff.WHITE_IS_ZERO:
                low, high = high, low
            shown = _between(shown, low, high)
            # What is no number, and what was not measured, is black.
            colours = shown if measured is None else measured.ifthenelse(shown, 0)
            colours = colours.copy(interpretation=_INTERPRETATIONS[colours.bands])
            alpha = None if alpha is None else _between(alpha.cast("double"), *self._alpha_range)
        if alpha is not None and self._header.photometric == tiff.CMYK and alpha.format != "uchar":
            alpha = (alpha // 257).cast("ushort")  # beside inks of 16 bits libvips takes it for one of 8
        return colours if alpha is None else colours.bandjoin(alpha)

    def _split(self, image: Any) -> tuple[Any, Any]:
        # Of a palette libvips makes three channels, or one; of some YCbCr four, the last of which is in no file.
        palette = self._header.photometric == tiff.PALETTE
        beside = max(0, self._header.samples - self._header.colours)
        count = image.bands - beside if palette else self._header.colours
        alpha = None if self._alpha is None else image[count + self._alpha]
        return image[:count], alpha

    def _as_stored(self, colours: Any) -> Any:
        values = colours.cast("double")
        # libvips has turned white and black round of unsigned samples, and of no others.
        if self._header.photometric == tiff.WHITE_IS_ZERO and self._header.format == tiff.UNSIGNED:
            return 2.0**self._header.bits - 1 - values
        return values

    def _valid(self, values: Any, *, infinite: bool = False) -> Any:
        """Return where there is a measured number, or None where there is one everywhere."""
        valid = None
        if self._header.format == tiff.FLOAT:
            valid = values == values if infinite else values.abs() <= _LARGEST_FLOAT
        if (nothing := self._header.no_data) is not None:
            valid = values != nothing if valid is None else valid & (values != nothing)
        return valid

    def _ranged(self, least: float, most: float) -> tuple[float, float]:
        """Return which values are the ends of the range; ``least`` and ``most`` are those that occur."""
        kind, whole, stated = self._header.kind, self._header.whole, self._header.stated
        if least > most:
            self.warnings.append(f"its {kind} samples hold no number: they are shown as black")
            return 0.0, 1.0
        if stated is not None:
            if least < stated[0] or most > stated[1]:
                self.warnings.append(
                    f"its {kind} samples go from {least:g} to {most:g}, and their stated range from {stated[0]:g} to "
                    f"{stated[1]:g}: what is beyond it is clipped"
                )
            return stated
        low, high = whole or (0.0, 1.0)
        unsaid = f"its {kind} samples have no stated range"
        if halved := low < 0 <= least:
            low = 0.0  # who keeps in signed numbers what is never negative means the upper half of them
            self._alpha_range = (low, high)
        if low <= least and most <= high and (least == most or most - least >= (high - low) / _LEVELS):
            if whole is None or halved:
                self.warnings.append(f"{unsaid}: taken as {low:g} to {high:g}")
            return low, high
        if least == most:
            self.warnings.append(f"{unsaid}, and are all {least:g}: shown as middle grey")
            return least - max(1.0, abs(least)), least + max(1.0, abs(least))
        self.warnings.append(f"{unsaid}: taken as {least:g} to {most:g}, the least and the greatest there are")
        return least, most


def _between(values: Any, low: float, high: float) -> Any:
    """Return 16 bits, 0 for ``low`` and 65,535 for ``high``, of values in double precision."""
    scale = _WHITE / (high - low)
    return values.linear(scale, 0.5 - low * scale).cast("ushort")

"""The first directory of a TIFF: what its samples are, and which kinds are refused before they are decoded.

libvips shows some kinds wrongly without an error, and refuses others in words that are those of damage. So the header
decides. Whatever is wrong with the header itself is left to the decoder, which names it.
Tags and their defaults: TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # SampleFormat
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8  # PhotometricInterpretation

_MOST_ENTRIES = 4096  # libtiff's own limit
_MOST_VALUES = 64  # of one tag; those below have a value a channel, or are short texts
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_NUMBERS = {**_INTEGERS, 6: "b", 8: "h", 9: "i", 17: "q", 11: "f", 12: "d"}
_TEXTS = {2: "c"}
# What each tag may hold, and what it counts as where it is absent.
_TAGS: dict[int, tuple[dict[int, str], tuple[Any, ...]]] = {
    258: (_INTEGERS, (1,)),  # BitsPerSample
    259: (_INTEGERS, (1,)),  # Compression
    262: (_INTEGERS, (-1,)),  # PhotometricInterpretation: it has no default
    277: (_INTEGERS, (1,)),  # SamplesPerPixel
    284: (_INTEGERS, (1,)),  # PlanarConfiguration
    322: (_INTEGERS, ()),  # TileWidth
    332: (_INTEGERS, (1,)),  # InkSet
    338: (_INTEGERS, ()),  # ExtraSamples
    339: (_INTEGERS, (1,)),  # SampleFormat
    340: (_NUMBERS, ()),  # SMinSampleValue
    341: (_NUMBERS, ()),  # SMaxSampleValue
    530: (_INTEGERS, (2, 2)),  # YCbCrSubSampling
    42113: (_TEXTS, ()),  # GDAL_NODATA: https://gdal.org/en/stable/drivers/raster/gtiff.html
}

_MOST_BITS = 32
_SHORTEST_RANGE, _LONGEST_RANGE = 1e-45, 1e39  # of numbers of 32 bits

_JPEG = 7
_COMPRESSIONS = frozenset((1, 2, 3, 4, 5, _JPEG, 8, 32766, 32771, 32773, 32809, 32946, 50001))
_OTHER_COMPRESSIONS = {
    6: "old-style JPEG",
    9: "JBIG",
    10: "JBIG",
    32908: "PixarFilm",
    32909: "PixarLog",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of a DNG",
    34925: "LZMA",
    50000: "Zstandard",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_OTHER_COLOURS = {
    4: "a transparency mask",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "the mosaic of a camera's sensor",
    32844: "LogL, a high dynamic range",
    32845: "LogLuv, a high dynamic range",
    34892: "the linear data of a camera's sensor",
    51177: "a depth map",
}
_FORMATS = {UNSIGNED: "unsigned", SIGNED: "signed", FLOAT: "floating-point", 5: "complex", 6: "complex"}
_FEW = frozenset((bits, UNSIGNED) for bits in (1, 2, 4))
_MANY = frozenset((bits, sign) for bits in (8, 16, 32) for sign in (UNSIGNED, SIGNED)) | {(16, FLOAT), (32, FLOAT)}
# By PhotometricInterpretation: its name, how many channels are colours, and the samples that come out true.
_COLOURS: dict[int, tuple[str, int, frozenset[tuple[int, int]], str]] = {
    WHITE_IS_ZERO: ("grey", 1, _FEW | _MANY, "1, 2, 4, 8, 16 or 32 bits, or floating-point of 16 or 32"),
    BLACK_IS_ZERO: ("grey", 1, _FEW | _MANY, "1, 2, 4, 8, 16 or 32 bits, or floating-point of 16 or 32"),
    RGB: ("RGB", 3, _MANY, "8, 16 or 32 bits, or floating-point of 16 or 32"),
    PALETTE: ("palette", 1, _FEW | {(8, UNSIGNED), (16, UNSIGNED)}, "unsigned of 1, 2, 4, 8 or 16 bits"),
    CMYK: ("CMYK", 4, _MANY, "8, 16 or 32 bits, or floating-point of 16 or 32"),
    YCBCR: ("YCbCr", 3, frozenset(((8, UNSIGNED),)), "unsigned of 8 bits"),
    CIELAB: ("CIELAB", 3, frozenset(((16, UNSIGNED), (32, FLOAT))), "unsigned of 16 bits, or floating-point of 32"),
}


class Header:
    """What a TIFF says of the samples of its first page."""

    __slots__ = ("_tags", "bits", "compression", "extra", "format", "photometric", "samples")

    def __init__(self, tags: dict[int, tuple[Any, ...]]) -> None:
        self._tags = tags
        self.bits = self._of(258)[0]  # of one sample
        self.compression = self._of(259)[0]
        self.photometric = self._of(262)[0]  # -1 where the file does not say it
        self.samples = self._of(277)[0]  # channels
        self.extra = self._of(338)  # of channels beside the colours: 0 is unspecified, 1 and 2 are alpha
        self.format = self._of(339)[0]
        if self.format == 4:  # "undefined", for which libtiff takes unsigned
            self.format = UNSIGNED

    def _of(self, tag: int) -> tuple[Any, ...]:
        return self._tags.get(tag) or _TAGS[tag][1]

    @property
    def kind(self) -> str:
        """Return what the samples are, in words: "32-bit floating-point"."""
        return f"{self.bits}-bit {_FORMATS.get(self.format, f'kind {self.format}')}"

    @property
    def colours(self) -> int:
        """Return how many channels are colours; what is left is alpha, or anything."""
        return _COLOURS[self.photometric][1] if self.photometric in _COLOURS else self.samples

    @property
    def whole(self) -> tuple[float, float] | None:
        """Return the least and the greatest value of the type; None for floating-point, whose ends mean nothing."""
        if self.bits > _MOST_BITS:  # which no decoder here reads
            return None
        if self.format == SIGNED:
            return -(2.0 ** (self.bits - 1)), 2.0 ** (self.bits - 1) - 1
        return (0.0, 2.0**self.bits - 1) if self.format == UNSIGNED else None

    @property
    def stated(self) -> tuple[float, float] | None:
        """Return the range that the file states (SMinSampleValue, SMaxSampleValue), or None where it states none."""
        if not self._of(340) and not self._of(341):
            return None
        low, high = self._of(340) or (self.whole or ())[:1], self._of(341) or (self.whole or ())[1:]
        if not low or not high:
            return None
        least, most = float(min(low)), float(max(high))
        return (least, most) if _SHORTEST_RANGE < most - least < _LONGEST_RANGE else None

    @property
    def no_data(self) -> float | None:
        """Return the value that GDAL writes where nothing was measured, or None."""
        text = b"".join(self._of(42113)).partition(b"\0")[0]
        try:
            value = float(text)
            # As a sample has it: the text may be of more digits, or of fewer.
            return float(struct.unpack("f", struct.pack("f", value))[0]) if self.format == FLOAT else value
        except (ValueError, OverflowError):  # no text among them
            return None

    @property
    def refusal(self) -> str:
        """Return why there is no true picture of it here; "" where no reason is known."""
        if self.compression not in _COMPRESSIONS:
            name = _OTHER_COMPRESSIONS.get(self.compression, "unknown")
            read = "none, PackBits, LZW, Deflate, JPEG, WebP and fax are read"
            return f"its compression is {name} ({self.compression}); {read}"
        depths = self._of(258)[: self.samples]
        if len(set(depths)) > 1 or len(set(self._of(339)[: self.samples])) > 1:
            return f"its channels are not all of one kind: {', '.join(map(str, depths))} bits"
        apart = self._of(284)[0] == 2 and self.samples > 1
        if apart and self._of(322):
            return "its channels lie apart, in tiles; in strips they are read"
        if self.photometric == -1:
            return ""
        if self.photometric not in _COLOURS:
            name = _OTHER_COLOURS.get(self.photometric, f"colours of the unknown kind {self.photometric}")
            return f"it holds {name}; grey, RGB, palettes, CMYK, YCbCr and CIELAB are read"
        if apart and (self.photometric not in (RGB, CMYK) or (self.bits, self.format) == (16, FLOAT)):
            return "its channels lie apart; so they are read of RGB and CMYK, but for floating-point of 16 bits"
        return self._refused_samples() or self._refused_alpha()

    def _refused_samples(self) -> str:
        name, colours, known, read = _COLOURS[self.photometric]
        if self.samples < colours:
            return f"{name} has {colours} channels, and it has {self.samples}"
        if self.photometric == CMYK and self._of(332)[0] != 1:
            return "its inks are not those of CMYK"
        if (self.bits, self.format) not in known:
            return f"its samples are {self.kind}; those of {name} may be {read}"
        if self.photometric == YCBCR and self.compression != _JPEG and self._of(530)[:2] == (1, 1):
            return "its YCbCr is neither JPEG nor subsampled"
        return ""

    def _refused_alpha(self) -> str:
        name = _COLOURS[self.photometric][0]
        if self.samples <= self.colours:
            return ""
        if self.photometric == CIELAB or self.bits < 8:
            return f"it has channels beside {self.bits}-bit {name}"
        usual = self.format == UNSIGNED and (self.bits == 8 or (self.bits == 16 and self.photometric != CMYK))
        if 1 in self.extra and not usual and not (self.format == FLOAT and self.photometric == RGB):
            return f"its {name} of {self.kind} samples is multiplied by alpha"
        return ""


def read(source: bytes) -> Header | None:
    """Return what the first directory says, or None where there is none to be read; never raises.

    The work is bounded by the number of entries, which is bounded here as it is by libtiff.
    """
    order = "<" if source[:2] == b"II" else ">"
    big = source[2:4] in (b"+\0", b"\0+")
    offset, counted, entry, at = ("Q", "Q", "HHQ8s", 8) if big else ("I", "H", "HHI4s", 4)
    entry_bytes, inline = struct.calcsize("=" + entry), struct.calcsize("=" + offset)
    tags: dict[int, tuple[Any, ...]] = {}
    try:
        (start,) = struct.unpack_from(order + offset, source, at)
        (count,) = struct.unpack_from(order + counted, source, start)
        if count > _MOST_ENTRIES:
            return None
        for number in range(count):
            place = start + struct.calcsize("=" + counted) + number * entry_bytes
            tag, kind, values, content = struct.unpack_from(order + entry, source, place)
            letter = _TAGS[tag][0].get(kind) if tag in _TAGS else None
            # Of a tag that is there twice, libtiff takes the first.
            if letter is None or not values or tag in tags:
                continue
            layout = f"{order}{min(values, _MOST_VALUES)}{letter}"
            if values * struct.calcsize("=" + letter) <= inline:
                tags[tag] = struct.unpack_from(layout, content)
            else:
                tags[tag] = struct.unpack_from(layout, source, *struct.unpack(order + offset, content))
    except (struct.error, OverflowError):
        return None
    return Header(tags)

"""TIFFs of every kind of sample, written by hand, and what is to be seen of them, read by hand: no library of ours.

https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
"""

import io
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

WIDTH, HEIGHT = 32, 8
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
LETTERS = {
    (bits, sign): letter
    for sign, letters in ((UNSIGNED, {8: "B", 16: "H", 32: "I"}), (SIGNED, {8: "b", 16: "h", 32: "i"}))
    for bits, letter in letters.items()
} | {(16, FLOAT): "e", (32, FLOAT): "f", (64, FLOAT): "d"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 9: 4, 11: 4, 12: 8, 16: 8}
_VALUES = {1: "B", 3: "H", 4: "I", 9: "i", 11: "f", 12: "d", 16: "Q"}
Tags = Mapping[int, tuple[int, Sequence[Any]]]


def ends(bits: int, sign: int) -> tuple[float, float]:
    """Return what is black and what is white of a kind of sample."""
    if sign == FLOAT:
        return 0.0, 1.0
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if sign == SIGNED else (0, 2**bits - 1)


def ramp(x: int, y: int, channel: int) -> float:
    """Return a part of the whole, 0 to 1, another one in each channel: all of the range is in each."""
    at = (x + y * WIDTH) / (WIDTH * HEIGHT - 1)
    return (at, 1 - at, (at * 3) % 1.0, at * at)[channel]


def made(
    bits: int,
    sign: int,
    photometric: int,
    *,
    colours: int,
    alpha: int | None = None,
    part: Callable[[int, int, int], float] = ramp,
    between: tuple[float, float] | None = None,
    extra: Sequence[int] = (),
    more: Tags | None = None,
    order: str = "<",
    planes: bool = False,
    tiled: bool = False,
) -> bytes:
    """Return an uncompressed TIFF of a picture of colours; ``alpha`` is its ExtraSamples, opaque at the right.

    ``between`` is what black and white are, where that is not the type's ends; ``extra`` are channels without meaning.
    """
    low, high = between or ends(bits, sign)
    whole = float if sign == FLOAT else round
    clear, opaque = ends(bits, sign)

    def sample(x: int, y: int, channel: int) -> float:
        if channel < colours:
            return whole(low + (high - low) * part(x, y, channel))
        return whole(clear + (opaque - clear) * (0.5 + 0.5 * x / (WIDTH - 1)))

    kinds = [*([] if alpha is None else [alpha]), *extra]
    channels = range(colours + len(kinds))
    width, height = (WIDTH, HEIGHT) if not tiled else (32, 16)
    rows = [[[sample(x, y % HEIGHT, channel) for channel in channels] for x in range(width)] for y in range(height)]
    flat = [[value for row in rows for pixel in row for value in pixel]]
    if planes:
        flat = [[pixel[channel] for row in rows for pixel in row] for channel in channels]
    tags: Tags = {
        258: (3, [bits] * len(channels)),
        262: (3, [photometric]),
        277: (3, [len(channels)]),
        284: (3, [2 if planes else 1]),
        339: (3, [sign] * len(channels)),
        **({338: (3, kinds)} if kinds else {}),
        **({322: (3, [32]), 323: (3, [16])} if tiled else {}),
        **(more or {}),
    }
    letter = LETTERS[bits, sign]
    return file(tags, [struct.pack(f"{order}{len(part)}{letter}", *part) for part in flat], order=order)


def file(
    tags: Tags, parts: Sequence[bytes], *, width: int = WIDTH, height: int = HEIGHT, order: str = "<", big: bool = False
) -> bytes:
    """Return a TIFF of one page with these tags, and what it takes to find its strips or tiles."""
    found: dict[int, tuple[int, Sequence[Any]]] = {256: (4, [width]), 257: (4, [height]), 259: (3, [1]), **tags}
    where, sizes = (324, 325) if 322 in tags else (273, 279)
    found |= {sizes: (4, [len(part) for part in parts]), where: (4, [0] * len(parts))}
    if where == 273:
        found |= {278: (4, [height])}
    offset, inline = ("Q", 8) if big else ("I", 4)
    start = 16 if big else 8
    end = start + (8 + 20 * len(found) + 8 if big else 2 + 12 * len(found) + 4)
    places, at = {}, end
    for tag, (kind, values) in sorted(found.items()):
        if len(values) * _SIZES[kind] > inline:
            places[tag] = at
            at += len(values) * _SIZES[kind]
    offsets = [at + sum(map(len, parts[:number])) for number in range(len(parts))]
    found[where] = (4, offsets)
    version = struct.pack(order + "HHHQ", 43, 8, 0, start) if big else struct.pack(order + "HI", 42, start)
    head = (b"II" if order == "<" else b"MM") + version
    entries, rest = b"", b""
    for tag, (kind, values) in sorted(found.items()):
        raw = bytes(values) if kind == 2 else struct.pack(f"{order}{len(values)}{_VALUES[kind]}", *values)
        entries += struct.pack(order + "HH" + offset, tag, kind, len(values))
        entries += struct.pack(order + offset, places[tag]) if tag in places else raw.ljust(inline, b"\0")
        rest += raw if tag in places else b""
    count = struct.pack(order + ("Q" if big else "H"), len(found))
    return head + count + entries + struct.pack(order + offset, 0) + rest + b"".join(parts)


def seen(content: bytes, between: tuple[float, float] | None = None) -> list[list[tuple[float, ...]]]:
    """Return the channels of each pixel of an uncompressed file, row by row, 0 to 255: colours, and then alpha."""
    order = "<" if content[:2] == b"II" else ">"
    tags: Any = ImageFileDirectory_v2(content[:8])
    stream = io.BytesIO(content)
    stream.seek(struct.unpack_from(order + "I", content, 4)[0])
    tags.load(stream)
    bits, sign, channels = tags[258][0], tags[339][0], tags[277]
    tiled = 322 in tags
    width, height = (tags[322], tags[323]) if tiled else (tags[256], tags[257])
    letter = LETTERS[bits, sign]
    parts = [
        struct.unpack_from(f"{order}{size * 8 // bits}{letter}", content, at)
        for at, size in zip(tags[324 if tiled else 273], tags[325 if tiled else 279], strict=True)
    ]
    if tags[284] == 2:
        pixels: list[tuple[float, ...]] = list(zip(*parts, strict=True))
    else:
        pixels = [tuple(parts[0][at : at + channels]) for at in range(0, width * height * channels, channels)]
    colours = {0: 1, 1: 1, 2: 3, 5: 4}[tags[262]]
    kinds = tags.get(338, ())
    kept = [*range(colours), *[colours + number for number, kind in enumerate(kinds) if kind in (1, 2)][:1]]
    low, high = between or ends(bits, sign)
    if tags[262] == 0:
        low, high = high, low
    alpha = (0.0, 1.0) if sign == FLOAT else ends(bits, sign)

    def shown(pixel: Iterable[float]) -> tuple[float, ...]:
        values = list(pixel)
        found = []
        for number in kept:
            least, most = (low, high) if number < colours else alpha
            found.append(255 * min(1.0, max(0.0, (values[number] - least) / (most - least))))
        return tuple(found)

    return [[shown(pixels[x + y * width]) for x in range(tags[256])] for y in range(tags[257])]

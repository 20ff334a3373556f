"""Perceptual hashes: images that look alike have hashes of which few bits differ, whatever their size and format.

An algorithm for WeAudit is a callable like these: it takes the image (a ``pyvips.Image``, upright, sRGB or b-w, 8 bits,
at most 2,048 pixels a side) and the parameters of its step in the pipeline, and returns plain JSON.
"""

import itertools
import math
from typing import Any


def dhash(image: Any, size: int = 8) -> str:
    """Return the difference hash as hex digits: for each pixel of a tiny copy, whether the next one is lighter.

    ``size`` is 2 to 32; the hash has size * size bits, the first one the highest.
    """
    if not 2 <= size <= 32:
        raise ValueError("size must be 2 to 32")
    rows = _grey(image, size + 1, size)
    return _hex([left < right for row in rows for left, right in itertools.pairwise(row)])


def phash(image: Any, size: int = 8) -> str:
    """Return the DCT hash as hex digits: for each low frequency, whether it is stronger than the median.

    ``size`` is 2 to 16; the hash has size * size bits. Slower than dhash, and firmer against changes of light.
    """
    if not 2 <= size <= 16:
        raise ValueError("size must be 2 to 16")
    side = size * 4
    waves = [[math.cos(math.pi * (2 * x + 1) * u / (2 * side)) for x in range(side)] for u in range(size)]
    across = [[sum(map(float.__mul__, row, wave)) for wave in waves] for row in _grey(image, side, side)]
    down = [[sum(row[u] * wave[y] for y, row in enumerate(across)) for u in range(size)] for wave in waves]
    found = [strength for row in down for strength in row]
    middle = sorted(found[1:])[len(found) // 2]  # the first one is the average, which says nothing
    return _hex([strength > middle for strength in found])


def distance(one: str, other: str) -> int:
    """Return in how many bits two hashes of the same size differ: a few of 64 for the same picture, about 32 else."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _grey(image: Any, width: int, height: int) -> list[list[float]]:
    if image.hasalpha():
        image = image.flatten(background=255)
    grey = image.colourspace("b-w")[0]
    tiny = grey.thumbnail_image(width, height=height, size="force").write_to_memory()
    return [[float(value) for value in tiny[at : at + width]] for at in range(0, width * height, width)]


def _hex(bits: list[bool]) -> str:
    number = int("".join("1" if bit else "0" for bit in bits), 2)
    return f"{number:0{-(-len(bits) // 4)}x}"

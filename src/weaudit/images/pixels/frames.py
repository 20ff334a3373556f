"""How many frames an animation has where libvips sees one image: PNG (APNG) and AVIF or HEIC with an image sequence."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# More of them at one place make no file worse known, and looking at all of them could take long.
_MOST_CHUNKS = 10_000
_MOST_BOXES = 100
_FIRST = "the first"


def count(source: bytes, sniffed: str) -> tuple[int, str]:
    """Return how many frames the file says it has, 1 where it says nothing, and which image is shown; never raises.

    The work is bounded: 10,000 chunks of a PNG are looked at, 100 boxes at a level of the other formats.
    """
    if sniffed == "png":
        return _of_png(source)
    if sniffed in ("avif", "heic"):
        return _of_sequence(source), "the primary image"
    return 1, _FIRST


def _of_png(source: bytes) -> tuple[int, str]:
    # https://www.w3.org/TR/png-3/#apng-frame-based-animation: acTL comes before IDAT; so does fcTL, if IDAT is a frame.
    frames, at, first = 1, 8, False
    for _ in range(_MOST_CHUNKS):
        kind = source[at + 4 : at + 8]
        if len(kind) < 4 or kind == b"IDAT":
            break
        if kind == b"acTL":
            stated = int.from_bytes(source[at + 8 : at + 12], "big")
            frames = stated if stated < 1 << 31 else 1  # the most that a PNG may state
        first = first or kind == b"fcTL"
        at += 12 + int.from_bytes(source[at : at + 4], "big")
    return max(1, frames), _FIRST if first or frames <= 1 else "the still image beside them"


def _of_sequence(source: bytes) -> int:
    """Return the samples of the longest track of pictures (ISO/IEC 14496-12: moov, trak, mdia, minf, stbl, stsz)."""
    most = 1
    whole = range(len(source))
    for movie in _boxes(source, whole, b"moov"):
        for track in _boxes(source, movie, b"trak"):
            media = next(_boxes(source, track, b"mdia"), whole[:0])
            handler = next(_boxes(source, media, b"hdlr"), whole[:0])
            # Of other tracks there may be alpha, sound, …
            if source[handler.start + 8 : handler.start + 12] != b"pict":
                continue
            information = next(_boxes(source, media, b"minf"), whole[:0])
            table = next(_boxes(source, information, b"stbl"), whole[:0])
            for sizes in (*_boxes(source, table, b"stsz"), *_boxes(source, table, b"stz2")):
                most = max(most, int.from_bytes(source[sizes.start + 8 : sizes.start + 12], "big"))
    return most


def _boxes(source: bytes, within: range, wanted: bytes) -> Iterator[range]:
    """Yield where the contents of the boxes of one kind are that lie side by side in a part of the file."""
    at = within.start
    for _ in range(_MOST_BOXES):
        if at + 8 > within.stop:
            return
        size, start = int.from_bytes(source[at : at + 4], "big") or within.stop - at, at + 8  # 0: up to the end
        if size == 1:  # it is too large for four bytes
            size, start = int.from_bytes(source[at + 8 : at + 16], "big"), at + 16
        end = min(at + size, within.stop)
        if end < start:
            return
        if source[at + 4 : at + 8] == wanted:
            yield range(start, end)
        at = end

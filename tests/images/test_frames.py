"""How many frames a file says that it has, where the decoder sees one image."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.images.corpus import animation, chunk, decoded, encoded, every_kind, png, scene
from weaudit.errors import ImageRejectedError
from weaudit.images.pipeline import Pipeline, RenditionPlan
from weaudit.images.pixels import frames, working

STILL = "the still image beside them"
PIPELINE = Pipeline("test", (RenditionPlan("one", None, None, format="png"),), (), False)


def control(count: int) -> tuple[bytes, bytes]:
    """Return the chunk that makes a PNG an animation: so many frames, shown for ever."""
    return b"acTL", struct.pack(">II", count, 0)


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def track(handler: bytes, samples: int, table: bytes = b"stsz") -> bytes:
    """Return a track of a film, ISO/IEC 14496-12: what it is, and the table of its samples."""
    sizes = box(table, bytes(8), struct.pack(">I", samples))
    media = box(b"mdia", box(b"hdlr", bytes(8), handler, bytes(12)), box(b"minf", box(b"stbl", sizes)))
    return box(b"trak", box(b"tkhd", bytes(84)), media)


def film(*tracks: bytes) -> bytes:
    return box(b"ftyp", b"avis", bytes(4), b"avifmif1") + box(b"meta", bytes(4)) + box(b"moov", *tracks)


@pytest.mark.parametrize("kind", every_kind())
def test_stills_have_one_and_pillows_animations_three(kind: str) -> None:
    sniffed, _, rest = kind.partition(" ")
    count, _ = frames.count(every_kind()[kind], sniffed)
    assert count == (3 if rest == "animated" and sniffed in ("png", "avif") else 1)


def test_the_picture_before_an_animation_may_be_none_of_its_frames() -> None:
    others = [Image.new("RGB", (120, 80), colour) for colour in ("black", "white")]
    content = encoded(scene(), "PNG", save_all=True, default_image=True, append_images=others, duration=100)
    worked = working.work(content, PIPELINE, working.Limits())
    assert (worked.pages, worked.warnings) == (2, [f"2 pages or frames: renditions are of {STILL}"])
    assert decoded(worked.renditions[0].content).convert("RGB").tobytes() == scene().tobytes()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (png(1, 1, bytes(4), chunks=(control(7),)), (7, STILL)),
        (
            png(1, 1, bytes(4), chunks=((b"tEXt", b"acTL\0" + bytes(8)), control(7), (b"fcTL", bytes(26)))),
            (7, "the first"),
        ),
        (png(1, 1, bytes(4), chunks=(control(1),)), (1, "the first")),
        (png(1, 1, bytes(4), chunks=(control(0),)), (1, "the first")),
        (png(1, 1, bytes(4), chunks=(control(2**31),)), (1, "the first")),
        (png(1, 1, bytes(4))[:-12] + chunk(*control(7)) + chunk(b"IEND", b""), (1, "the first")),
        (png(1, 1, bytes(4), chunks=((b"tEXt", b"k\0v"),) * 9_990 + (control(7),)), (7, STILL)),
        (png(1, 1, bytes(4), chunks=((b"tEXt", b"k\0v"),) * 10_001 + (control(7),)), (1, "the first")),
    ],
)
def test_frames_of_a_png(content: bytes, found: tuple[int, str]) -> None:
    assert frames.count(content, "png") == found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (film(track(b"pict", 5)), 5),
        (film(track(b"pict", 5, b"stz2")), 5),
        (film(track(b"pict", 5), track(b"auxv", 9), track(b"soun", 900)), 5),
        (film(track(b"soun", 900), track(b"pict", 2), track(b"pict", 8)), 8),
        (film(*[box(b"free")] * 99, track(b"pict", 5)), 5),
        (film(*[box(b"free")] * 100, track(b"pict", 5)), 1),
        (film(box(b"trak")), 1),
        (film(track(b"pict", 5))[:-1], 1),
        (b"\0\0\0\1moov" + struct.pack(">Q", 16 + len(track(b"pict", 5))) + track(b"pict", 5), 5),
        (b"\0\0\0\0moov" + track(b"pict", 5), 5),
        (b"\0\0\0\7moov" + track(b"pict", 5), 1),
        (b"\0\0\0\1moov" + bytes(8) + track(b"pict", 5), 1),
    ],
)
def test_frames_of_a_sequence(content: bytes, found: int) -> None:
    assert frames.count(content, "avif")[0] == frames.count(content, "heic")[0] == found


def test_too_many_frames_are_too_many_pages() -> None:
    for content in (png(1, 1, bytes(4), chunks=(control(10_001),)), animation("AVIF")):
        with pytest.raises(ImageRejectedError) as caught:
            working.work(content, PIPELINE, working.Limits(pages=2))
        assert caught.value.code == "TooManyPages"


@given(st.binary(max_size=200))
def test_counting_never_raises(content: bytes) -> None:
    for sniffed in ("png", "avif", "heic", "jpeg"):
        count, shown = frames.count(content, sniffed)
        assert count >= 1
        assert shown
    assert frames.count(film(content), "avif")[0] >= 1

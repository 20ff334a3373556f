"""Kinds of TIFF: each comes out true, or is refused by the name of what has no decoder; damage alone is damage."""

import io
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.images import tiffs
from tests.images.corpus import decoded, encoded, scene
from tests.images.test_samples import furthest, pixels, worked
from tests.images.tiffs import FLOAT, HEIGHT, UNSIGNED, WIDTH
from weaudit.errors import ImageRejectedError
from weaudit.images.pixels import tiff

ROOT = Path(__file__).parents[2]
GREY, RGB, PALETTE, MASK, CMYK, YCBCR, CIELAB = 1, 2, 3, 4, 5, 6, 8


def grey(bits: int, rows: list[bytes], **more: Any) -> bytes:
    """Return a grey picture of 8 by 2 pixels, or one of another kind by its tags."""
    tags = {258: (3, [bits]), 262: (3, [1]), 277: (3, [1]), **more.get("tags", {})}
    return tiffs.file(tags, [b"".join(rows)], width=8, height=len(rows))


def colours(photometric: int, pixel: bytes, channels: int = 3, bits: int = 8, **tags: Any) -> bytes:
    """Return eight equal pixels of so many channels."""
    found = {258: (3, [bits] * channels), 262: (3, [photometric]), 277: (3, [channels])}
    return tiffs.file({**found, **tags.get("tags", {})}, [pixel * 8], width=8, height=1)


def packed(levels: range | list[int], bits: int) -> bytes:
    """Return a row of numbers of so many bits."""
    return int("".join(f"{level:0{bits}b}" for level in levels), 2).to_bytes(len(levels) * bits // 8, "big")


LAB8 = encoded(Image.new("LAB", (8, 8), (150, 20, 30)), "TIFF")
TWELVE = grey(12, [packed([level * 585 for level in range(8)], 12)] * 2)
OTHER_COMPRESSIONS = {
    6: "old-style JPEG",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    32909: "PixarLog",
    34677: "SGI LogLuv",
    50002: "JPEG XL",
    12345: "unknown",
}


# ---- what is read, by photometric interpretation


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_of_few_bits(bits: int, photometric: int) -> None:
    levels = [number % 2**bits for number in range(8)]
    most = 2**bits - 1
    right = [(255 * (level if photometric else most - level) / most,) for level in levels]
    content = grey(bits, [packed(levels, bits)] * 2, tags={262: (3, [photometric])})
    assert furthest(pixels(content), [right, right]) == 0


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_palette(bits: int) -> None:
    most = 2**bits - 1
    reds, greens = (
        [level * 65535 // most for level in range(most + 1)],
        [65535 // (1 + level) for level in range(most + 1)],
    )
    levels = [number * most // 7 for number in range(8)]
    order = "little" if bits == 16 else "big"
    row = b"".join(level.to_bytes(2, order) for level in levels) if bits == 16 else packed(levels, bits)
    content = grey(bits, [row] * 2, tags={262: (3, [PALETTE]), 320: (3, [*reds, *greens, *reversed(reds)])})
    right = [(reds[level] / 257, greens[level] / 257, reds[most - level] / 257) for level in levels]
    assert furthest(pixels(content), [right, right]) <= 1


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_every_mode_of_pillow_by_every_compression(compression: str, mode: str) -> None:
    picture = scene(64, 48)
    if mode in ("RGBA", "LA"):
        picture.putalpha(Image.linear_gradient("L").resize(picture.size).point(lambda level: 128 + level // 2))
    content = encoded(picture.convert(mode), "TIFF", compression=compression)
    found = worked(content)
    assert found.warnings == []
    shown, right = decoded(found.renditions[0].content), decoded(content)
    assert shown.mode == {"P": "RGB", "1": "L"}.get(mode, mode)
    pairs = zip(shown.convert("RGBA").tobytes(), right.convert("RGBA").tobytes(), strict=True)
    assert max(abs(one - other) for one, other in pairs) <= (2 if "A" in mode else 0)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(compression: str) -> None:
    content = encoded(scene(64, 48).convert("1"), "TIFF", compression=compression)
    assert decoded(worked(content).renditions[0].content).tobytes() == decoded(content).convert("L").tobytes()


def test_ycbcr_by_jpeg() -> None:
    content = encoded(scene(64, 48), "TIFF", compression="jpeg", quality=95)
    found = worked(content)
    assert (found.bands, found.has_alpha, found.warnings) == (3, False, [])
    pairs = zip(decoded(found.renditions[0].content).tobytes(), decoded(content).tobytes(), strict=True)
    assert max(abs(one - other) for one, other in pairs) <= 8


def test_ycbcr_without_jpeg_has_no_alpha_of_its_own() -> None:
    # Blocks of two by two: four of light and one of each colour. ITU-R BT.601: red = Y + 1.402 (Cr - 128).
    tags = {258: (3, [8] * 3), 262: (3, [YCBCR]), 277: (3, [3]), 530: (3, [2, 2])}
    content = tiffs.file(tags, [bytes((100, 100, 100, 100, 128, 178)) * 4], width=8, height=2)
    found = worked(content)
    assert found.has_alpha is False
    assert furthest(pixels(content), [[(170, 64, 100)] * 8] * 2) <= 2


@pytest.mark.parametrize("kind", [(16, UNSIGNED), (32, FLOAT)])
def test_cielab(kind: tuple[int, int]) -> None:
    rows = []
    for lightness in range(0, 104, 13):
        whole = lightness * 65535 // 100
        rows.append(struct.pack("<Hhh", whole, 0, 0) if kind[1] == UNSIGNED else struct.pack("<fff", lightness, 0, 0))
    tags = {258: (3, [kind[0]] * 3), 262: (3, [CIELAB]), 277: (3, [3]), 339: (3, [kind[1]] * 3)}
    content = tiffs.file(tags, [b"".join(rows)], width=8, height=1)
    # CIE 15, and the transfer function of IEC 61966-2-1.
    linear = [((level + 16) / 116) ** 3 if level > 8 else level / 903.3 for level in range(0, 104, 13)]
    right = [255 * (12.92 * one if one <= 0.0031308 else 1.055 * one ** (1 / 2.4) - 0.055) for one in linear]
    assert furthest(pixels(content), [[(level,) * 3 for level in right]]) <= 2


# ---- what is refused


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LAB8, "its samples are 8-bit unsigned; those of CIELAB may be unsigned of 16 bits, or floating-point of 32"),
        (colours(CIELAB, bytes(4), 4, tags={338: (3, [2])}), "its samples are 8-bit unsigned; those of CIELAB may be "),
        (colours(CIELAB, bytes(8), 4, 16, tags={338: (3, [2])}), "it has channels beside 16-bit CIELAB"),
        (
            TWELVE,
            "its samples are 12-bit unsigned; those of grey may be 1, 2, 4, 8, 16 or 32 bits, or floating-point of ",
        ),
        (colours(RGB, bytes(3), 3, 4), "its samples are 4-bit unsigned; those of RGB may be "),
        (grey(4, [bytes(8)], tags={277: (3, [2]), 258: (3, [4, 4])}), "it has channels beside 4-bit grey"),
        (colours(YCBCR, b"\x80\x80\x80", tags={530: (3, [1, 1])}), "its YCbCr is neither JPEG nor subsampled"),
        (colours(CMYK, bytes(4), 4, tags={332: (3, [2])}), "its inks are not those of CMYK"),
        (colours(CMYK, bytes(3)), "CMYK has 4 channels, and it has 3"),
        (colours(RGB, b"\x80", 1), "RGB has 3 channels, and it has 1"),
        (grey(1, [b"\xaa", b"\xaa"], tags={262: (3, [MASK])}), "it holds a transparency mask; grey, RGB, "),
        (colours(9, b"\x80\x80\x80"), "it holds ICC L*a*b*; grey, RGB, palettes, CMYK, YCbCr and CIELAB are read"),
        (colours(10, b"\x80\x80\x80"), "it holds ITU L*a*b*; "),
        (grey(8, [bytes(8)] * 2, tags={262: (3, [32803])}), "it holds the mosaic of a camera's sensor; "),
        (grey(16, [bytes(16)] * 2, tags={262: (3, [32844])}), "it holds LogL, a high dynamic range; "),
        (colours(32845, bytes(6), 3, 16), "it holds LogLuv, a high dynamic range; "),
        (colours(34892, bytes(6), 3, 16), "it holds the linear data of a camera's sensor; "),
        (colours(99, bytes(3)), "it holds colours of the unknown kind 99; "),
        *(
            (
                grey(8, [bytes(8)] * 2, tags={259: (3, [number])}),
                f"its compression is {name} ({number}); none, PackBits, ",
            )
            for number, name in OTHER_COMPRESSIONS.items()
        ),
    ],
)
def test_what_has_no_decoder_is_refused_by_its_name(content: bytes, reason: str) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        worked(content)
    assert caught.value.code == "UnsupportedFormat"
    assert caught.value.reason.startswith(f"this tiff needs a decoder that is not here: {reason}")


def test_what_the_header_refuses_the_decoder_does_not_read_or_reads_wrongly(tmp_path: Path) -> None:
    """The day on which this fails, libvips reads more, and the header need not refuse it any longer."""
    apart = tiffs.made(8, UNSIGNED, GREY, colours=1, alpha=2, planes=True)
    halves = tiffs.made(16, FLOAT, RGB, colours=3, planes=True)
    wrong: dict[str, tuple[bytes, list[float]]] = {
        "grey and alpha in planes": (apart, [*tiffs.seen(apart)[1][5]]),
        "16-bit floating-point in planes": (halves, [one / 255 for one in tiffs.seen(halves)[1][5]]),
        "YCbCr": (colours(YCBCR, bytes((100, 128, 178)), tags={530: (3, [1, 1])}), [170, 64, 100]),
    }
    unread = {
        "8-bit CIELAB": LAB8,
        "12 bits": TWELVE,
        "64-bit floating-point": tiffs.made(64, FLOAT, GREY, colours=1),
        "tiles of planes": tiffs.made(8, UNSIGNED, RGB, colours=3, planes=True, tiled=True),
        "LZMA": encoded(scene(), "TIFF", compression="lzma"),
        "Zstandard": encoded(scene(), "TIFF", compression="zstd"),
    }
    for name, content in (*unread.items(), *((name, content) for name, (content, _) in wrong.items())):
        (tmp_path / name).write_bytes(content)
    script = """
import json, sys; from pathlib import Path; import pyvips
found = {}
for path in Path(sys.argv[1]).iterdir():
    try:
        image = pyvips.Image.tiffload(str(path), fail_on="error").copy_memory()
        found[path.name] = image(5, min(1, image.height - 1))
    except pyvips.Error:
        found[path.name] = None
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert {name for name, pixel in found.items() if pixel is None} == unread.keys()
    for name, (_, right) in wrong.items():
        assert max(abs(one - other) for one, other in zip(found[name], right, strict=True)) > max(right) / 20, name


def test_damage_is_damage() -> None:
    whole = encoded(scene(), "TIFF", compression="tiff_lzw")
    for content in (
        whole[:100],
        whole[:8] + b"\xff" * 20,
        whole[: len(whole) // 2],
        b"II*\0\xff\xff\xff\xff" + bytes(50),
    ):
        with pytest.raises(ImageRejectedError, match=r"^Corrupt: "):
            worked(content)


# ---- the header itself


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_header_is_read_in_every_layout(order: str, big: bool) -> None:
    tags: tiffs.Tags = {
        258: (3, [32] * 4),
        262: (3, [RGB]),
        277: (3, [4]),
        338: (3, [2]),
        339: (3, [FLOAT] * 4),
        340: (11, [-1.5] * 4),
        341: (12, [2.5] * 4),
        42113: (2, b"-9999\0"),
    }
    header = tiff.read(tiffs.file(tags, [bytes(WIDTH * HEIGHT * 16)], order=order, big=big))
    assert header is not None
    assert (header.kind, header.samples, header.colours, header.extra) == ("32-bit floating-point", 4, 3, (2,))
    assert (header.stated, header.no_data, header.compression, header.refusal) == ((-1.5, 2.5), -9999.0, 1, "")
    content = tiffs.file({**tags, 339: (3, [UNSIGNED] * 4)}, [bytes(WIDTH * HEIGHT * 16)], order=order, big=big)
    assert worked(content).bit_depth == 32


def test_of_a_tag_that_is_there_twice_the_first_counts_as_for_the_decoder() -> None:
    content = bytearray(tiffs.made(8, UNSIGNED, GREY, colours=1))
    at = content.index(b"\x1c\x01\x03\0")  # PlanarConfiguration becomes a second PhotometricInterpretation
    content[at : at + 12] = b"\x06\x01\x03\0\1\0\0\0\x04\0\0\0"
    header = tiff.read(bytes(content))
    assert header is not None
    assert header.photometric == GREY


@given(st.binary(max_size=300), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]))
def test_a_header_of_anything_is_read_or_not_and_never_raises(content: bytes, start: bytes) -> None:
    for source in (start + content, start + b"\x08\0\0\0" + content, start + b"\0\0\0\x08" + content):
        header = tiff.read(source)
        if header is not None:
            assert isinstance(header.refusal + header.kind, str)
            assert header.stated is None or header.stated[0] < header.stated[1]
            assert header.no_data is None or isinstance(header.no_data, float)


def test_pillow_agrees_with_what_is_written_by_hand() -> None:
    for content in (tiffs.made(8, UNSIGNED, RGB, colours=3), tiffs.made(8, UNSIGNED, RGB, colours=3, planes=True)):
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        rows = [[picture.getpixel((x, y)) for x in range(WIDTH)] for y in range(HEIGHT)]
        assert rows == tiffs.seen(content)

"""Every kind of sample that a TIFF may have comes out as the picture that it is, or is refused by name."""

import math
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image

from tests.images import tiffs
from tests.images.corpus import decoded, encoded, permuted_profile, scene
from tests.images.tiffs import FLOAT, HEIGHT, LETTERS, SIGNED, UNSIGNED, WIDTH
from weaudit.errors import ImageRejectedError
from weaudit.images.pipeline import Pipeline, RenditionPlan
from weaudit.images.pixels import working

GREY, WHITE_IS_ZERO, RGB, CMYK = 1, 0, 2, 5
READ = [kind for kind in LETTERS if kind[0] < 64]
THERE = ", the least and the greatest there are"
GUESSED = "its {}-bit floating-point samples have no stated range: taken as 0 to 1"
LAYOUTS: dict[str, dict[str, Any]] = {
    "grey": {"photometric": GREY, "colours": 1},
    "white is zero": {"photometric": WHITE_IS_ZERO, "colours": 1},
    "grey and alpha": {"photometric": GREY, "colours": 1, "alpha": 2},
    "white is zero and alpha": {"photometric": WHITE_IS_ZERO, "colours": 1, "alpha": 2},
    "RGB": {"photometric": RGB, "colours": 3},
    "RGB and alpha": {"photometric": RGB, "colours": 3, "alpha": 2},
    "RGB, big-endian": {"photometric": RGB, "colours": 3, "order": ">"},
    "RGB in planes": {"photometric": RGB, "colours": 3, "planes": True},
    "white is zero in planes": {"photometric": WHITE_IS_ZERO, "colours": 1, "planes": True},
    "RGB and alpha in planes": {"photometric": RGB, "colours": 3, "alpha": 2, "planes": True},
    "RGB in tiles": {"photometric": RGB, "colours": 3, "alpha": 2, "tiled": True},
    "RGB and a channel of no meaning": {"photometric": RGB, "colours": 3, "extra": [0]},
    "RGB, a channel of no meaning before alpha": {"photometric": RGB, "colours": 3, "alpha": 0, "extra": [2]},
}


def worked(content: bytes) -> working.Worked:
    plan = RenditionPlan("one", None, None, format="png")
    return working.work(content, Pipeline("test", (plan,), (), False), working.Limits())


def pixels(content: bytes, warnings: Sequence[str] = ()) -> list[list[tuple[int, ...]]]:
    """Return the pixels of the rendition of a file, of which these warnings are given."""
    found = worked(content)
    assert found.warnings == list(warnings)
    picture = decoded(found.renditions[0].content)
    values = [picture.getpixel((x, y)) for y in range(picture.height) for x in range(picture.width)]
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return [rows[at : at + picture.width] for at in range(0, len(rows), picture.width)]  # type: ignore[misc]


def furthest(shown: Sequence[Sequence[tuple[float, ...]]], right: Sequence[Sequence[tuple[float, ...]]]) -> float:
    """Return the greatest difference of any channel of any pixel, of 255."""
    assert [len(row) for row in shown] == [len(row) for row in right]
    pairs = zip((pixel for row in shown for pixel in row), (pixel for row in right for pixel in row), strict=True)
    return max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("bits", "sign"), READ)
def test_every_kind_of_sample_comes_out_as_another_decoder_reads_it(bits: int, sign: int, layout: str) -> None:
    content = tiffs.made(bits, sign, **LAYOUTS[layout])
    if (bits, sign) == (16, FLOAT) and "in planes" in layout and "RGB" in layout:
        with pytest.raises(ImageRejectedError, match=r"UnsupportedFormat: .* its channels lie apart; so they are read"):
            worked(content)
        return
    warnings = [GUESSED.format(bits)] if sign == FLOAT else []
    if "no meaning" in layout:
        channels = 5 if "before" in layout else 4
        left = f"1 of {channels} channels left out: not said to be colour or alpha"
        warnings = [left, *warnings]
    # Pixels with alpha are weighed by it on their way: 8 bits of a colour are not all of them there.
    near = 3 if "alpha" in layout or "tiles" in layout else 1
    assert furthest(pixels(content, warnings), tiffs.seen(content)) <= near


@pytest.mark.parametrize(("bits", "sign"), [(8, UNSIGNED), (16, UNSIGNED), (32, FLOAT)])
def test_the_other_decoder_reads_as_pillow_does(bits: int, sign: int) -> None:
    content = tiffs.made(bits, sign, GREY, colours=1)
    picture = decoded(content)
    scale = 255 / tiffs.ends(bits, sign)[1]
    rows = [[(picture.getpixel((x, y)) * scale,) for x in range(WIDTH)] for y in range(HEIGHT)]  # type: ignore[operator]
    assert furthest(rows, tiffs.seen(content)) < 0.001


@pytest.mark.parametrize(("bits", "sign"), [kind for kind in READ if kind != (16, UNSIGNED)])
@pytest.mark.parametrize("alpha", [None, 2])
def test_inks_of_every_kind_of_sample_are_those_of_16_bits(bits: int, sign: int, alpha: int | None) -> None:
    content, right = (tiffs.made(*kind, CMYK, colours=4, alpha=alpha) for kind in ((bits, sign), (16, UNSIGNED)))
    warnings = [GUESSED.format(bits)] if sign == FLOAT else []
    assert furthest(pixels(content, warnings), pixels(right)) <= 3


def test_colours_with_a_profile_are_converted_by_it_whatever_their_samples() -> None:
    profile = {34675: (1, permuted_profile())}
    shown = [
        pixels(tiffs.made(bits, sign, RGB, colours=3, more=profile), warnings)
        for bits, sign, warnings in (
            (16, UNSIGNED, ()), (32, UNSIGNED, ()), (16, SIGNED, ()), (32, FLOAT, [GUESSED.format(32)])
        )
    ]  # fmt: skip
    assert furthest(shown[0], tiffs.seen(tiffs.made(16, UNSIGNED, RGB, colours=3))) > 100
    assert max(furthest(shown[0], other) for other in shown[1:]) <= 1


# ---- what is black, and what is white


@pytest.mark.parametrize(
    ("bits", "sign", "between", "tags"),
    [
        (32, FLOAT, (-40.0, 8850.0), {340: (11, [-40.0]), 341: (11, [8850.0])}),
        (32, FLOAT, (0.0, 0.99999), {340: (12, [0.0]), 341: (12, [0.99999])}),
        (16, FLOAT, (0.0, 255.0), {340: (11, [0.0]), 341: (11, [255.0])}),
        (16, SIGNED, (-1024, 3071), {340: (9, [-1024]), 341: (9, [3071])}),
        (32, UNSIGNED, (0, 4095), {341: (4, [4095])}),
        (32, SIGNED, (-(2**31), 1000), {341: (9, [1000])}),
    ],
)
@pytest.mark.parametrize("photometric", [GREY, WHITE_IS_ZERO])
def test_the_range_that_a_file_states_is_its_range(
    bits: int, sign: int, between: tuple[float, float], tags: tiffs.Tags, photometric: int
) -> None:
    content = tiffs.made(bits, sign, photometric, colours=1, between=between, more=tags)
    assert furthest(pixels(content), tiffs.seen(content, between)) <= 1


def test_what_lies_beyond_the_stated_range_is_clipped_and_told() -> None:
    tags: tiffs.Tags = {340: (11, [0.25]), 341: (11, [0.75])}
    content = tiffs.made(32, FLOAT, GREY, colours=1, more=tags)
    told = "its 32-bit floating-point samples go from 0 to 1, and their stated range from 0.25 to 0.75: "
    assert furthest(pixels(content, [told + "what is beyond it is clipped"]), tiffs.seen(content, (0.25, 0.75))) <= 1


@pytest.mark.parametrize("tags", [{340: (11, [1.0]), 341: (11, [1.0])}, {340: (11, [math.nan])}, {341: (11, [9.0])}])
def test_a_stated_range_that_is_none_counts_for_nothing(tags: tiffs.Tags) -> None:
    content = tiffs.made(32, FLOAT, GREY, colours=1, more=tags)
    assert furthest(pixels(content, [GUESSED.format(32)]), tiffs.seen(content)) <= 1


@pytest.mark.parametrize(
    ("bits", "sign", "between", "kind"),
    [
        (32, FLOAT, (0.0, 255.0), "32-bit floating-point"),
        (32, FLOAT, (-1.0, 1.0), "32-bit floating-point"),
        (16, FLOAT, (0.0, 0.001953125), "16-bit floating-point"),
        (32, FLOAT, (-3.0e38, 3.0e38), "32-bit floating-point"),
        (32, UNSIGNED, (0, 4095), "32-bit unsigned"),
        (32, UNSIGNED, (4294960000, 4294967295), "32-bit unsigned"),
        (32, SIGNED, (0, 65535), "32-bit signed"),
        (16, SIGNED, (-50, 50), "16-bit signed"),
    ],
)
@pytest.mark.parametrize("photometric", [GREY, WHITE_IS_ZERO])
def test_where_the_usual_range_would_show_nothing_that_of_the_samples_is_taken_and_told(
    bits: int, sign: int, between: tuple[float, float], kind: str, photometric: int
) -> None:
    content = tiffs.made(bits, sign, photometric, colours=1, between=between)
    told = f"its {kind} samples have no stated range: taken as {between[0]:g} to {between[1]:g}{THERE}"
    assert furthest(pixels(content, [told]), tiffs.seen(content, between)) <= 1


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_signed_samples_of_which_none_is_negative_go_from_black_to_white(bits: int) -> None:
    between = (0, 2 ** (bits - 1) - 1)
    content = tiffs.made(bits, SIGNED, GREY, colours=1, between=between)
    told = f"its {bits}-bit signed samples have no stated range: taken as 0 to {between[1]:g}"
    assert furthest(pixels(content, [told]), tiffs.seen(content, between)) <= 1


@pytest.mark.parametrize(
    ("value", "level", "told"),
    [
        (0.0, 0, ": taken as 0 to 1"),
        (0.5, 128, ": taken as 0 to 1"),
        (1.0, 255, ": taken as 0 to 1"),
        (100.0, 128, ", and are all 100: shown as middle grey"),
        (-1e30, 128, ", and are all -1e+30: shown as middle grey"),
    ],
)
def test_samples_that_are_all_equal_are_an_even_grey(value: float, level: int, told: str) -> None:
    content = tiffs.made(32, FLOAT, GREY, colours=1, part=lambda *_: 0.0, between=(value, value))
    shown = pixels(content, [f"its 32-bit floating-point samples have no stated range{told}"])
    assert furthest(shown, [[(level,)] * WIDTH] * HEIGHT) <= 1


def test_what_is_no_number_is_black_and_decides_no_range() -> None:
    values = [math.nan, -math.inf, math.inf, -10.0, 0.0, 10.0]
    tags: tiffs.Tags = {258: (3, [32]), 262: (3, [GREY]), 277: (3, [1]), 339: (3, [FLOAT])}
    content = tiffs.file(tags, [struct.pack("<6f", *values)], width=6, height=1)
    told = "its 32-bit floating-point samples have no stated range: taken as -10 to 10" + THERE
    assert [pixel[0] for pixel in pixels(content, [told])[0]] == [0, 0, 255, 0, 128, 255]
    nothing = tiffs.file(tags, [struct.pack("<2f", math.nan, math.inf)], width=2, height=1)
    told = "its 32-bit floating-point samples hold no number: they are shown as black"
    assert [pixel[0] for pixel in pixels(nothing, [told])[0]] == [0, 255]


@pytest.mark.parametrize(
    ("bits", "sign", "nothing", "text"),
    [
        (32, FLOAT, -9999.0, b"-9999\0"),
        (32, FLOAT, -3.4028234663852886e38, b"-3.40282346638529e+38\0"),
        (32, SIGNED, -(2**31), b"-2147483648\0"),
        (32, UNSIGNED, 2**32 - 1, b"4294967295\0"),
    ],
)
def test_what_gdal_marks_as_not_measured_is_black_and_decides_no_range(
    bits: int, sign: int, nothing: float, text: bytes
) -> None:
    tags: tiffs.Tags = {258: (3, [bits]), 262: (3, [GREY]), 277: (3, [1]), 339: (3, [sign]), 42113: (2, text)}
    data = struct.pack(f"<4{LETTERS[bits, sign]}", *(nothing, 100, 150, 200))
    found = worked(tiffs.file(tags, [data], width=4, height=1))
    assert [decoded(found.renditions[0].content).getpixel((x, 0)) for x in range(4)] == [0, 0, 128, 255]
    assert found.warnings[0].endswith("taken as 100 to 200" + THERE)


def test_alpha_above_one_is_taken_as_opaque_where_it_is_greatest() -> None:
    tags: tiffs.Tags = {258: (3, [32] * 2), 262: (3, [GREY]), 277: (3, [2]), 339: (3, [FLOAT] * 2), 338: (3, [2])}
    data = struct.pack("<6f", *(0.0, 255.0, 1.0, 255.0, 1.0, 127.5))
    told = [GUESSED.format(32), "its alpha is floating-point above 1: taken as 0 to 255, the greatest there is"]
    shown = pixels(tiffs.file(tags, [data], width=3, height=1), told)
    assert furthest(shown, [[(0, 255), (255, 255), (255, 128)]]) <= 1


def test_colours_that_are_multiplied_by_alpha_come_out_divided_by_it() -> None:
    for bits, sign in ((8, UNSIGNED), (16, UNSIGNED), (16, FLOAT), (32, FLOAT)):
        whole = tiffs.ends(bits, sign)[1]
        whole = whole if sign == FLOAT else int(whole)
        tags: tiffs.Tags = {258: (3, [bits] * 4), 262: (3, [RGB]), 277: (3, [4]), 339: (3, [sign] * 4), 338: (3, [1])}
        half = whole / 2 if sign == FLOAT else whole // 2
        data = struct.pack(f"<8{LETTERS[bits, sign]}", *(half, 0, 0, half), *(whole, whole, 0, whole))
        warnings = [GUESSED.format(bits)] if sign == FLOAT else []
        shown = pixels(tiffs.file(tags, [data], width=2, height=1), warnings)
        assert furthest(shown, [[(255, 0, 0, 127), (255, 255, 0, 255)]]) <= 2, (bits, sign)


# ---- what is refused by name


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiffs.made(64, FLOAT, GREY, colours=1), "its samples are 64-bit floating-point; those of grey may be "),
        (tiffs.made(64, FLOAT, RGB, colours=3, more={339: (3, [1])}), "its samples are 64-bit unsigned; those of RGB "),
        (tiffs.made(32, UNSIGNED, GREY, colours=1, more={339: (3, [6])}), "its samples are 32-bit complex; "),
        (tiffs.made(32, UNSIGNED, GREY, colours=1, more={339: (3, [9])}), "its samples are 32-bit kind 9; "),
        (tiffs.made(32, UNSIGNED, RGB, colours=3, alpha=1), "its RGB of 32-bit unsigned samples is multipl"),
        (tiffs.made(32, FLOAT, GREY, colours=1, alpha=1), "its grey of 32-bit floating-point samples is multiplied"),
        (tiffs.made(8, UNSIGNED, RGB, colours=3, more={258: (3, [5, 6, 5])}), "its channels are not all of one kind"),
        (tiffs.made(8, UNSIGNED, GREY, colours=1, alpha=2, planes=True), "its channels lie apart; so they are read of"),
        (tiffs.made(8, UNSIGNED, RGB, colours=3, tiled=True, planes=True), "its channels lie apart, in tiles; in str"),
    ],
)  # fmt: skip
def test_samples_that_would_come_out_wrong_are_refused_by_name(content: bytes, reason: str) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        worked(content)
    assert caught.value.code == "UnsupportedFormat"
    assert caught.value.reason.startswith(f"this tiff needs a decoder that is not here: {reason}")


def test_16_bits_are_as_they_were() -> None:
    grey = scene().convert("L")
    deep = Image.frombytes("I;16", grey.size, struct.pack("<9600H", *(257 * level for level in grey.tobytes())))
    for kind in ("PNG", "TIFF"):
        found = worked(encoded(deep, kind))
        assert (found.bit_depth, found.warnings) == (16, [])
        assert decoded(found.renditions[0].content).tobytes() == grey.tobytes()

"""Images go in, renditions come out: their size, place, colour, and what is not in them."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from tests.images import corpus
from tests.images.corpus import decoded, encoded, scene
from weaudit.errors import ImageRejectedError
from weaudit.images.pipeline import Pipeline, RenditionPlan, built_in
from weaudit.images.pixels import sniffing, working

ROOT = Path(__file__).parents[2]
LIMITS = working.Limits()
KINDS = corpus.every_kind()
DEEP = ("tiff float", "tiff int")  # tests/images/test_samples.py looks at such


def made(content: bytes, *plans: RenditionPlan, keep_metadata: bool = False) -> working.Worked:
    return working.work(content, Pipeline("test", plans, (), keep_metadata), LIMITS)


def one(content: bytes, *arguments: Any, **options: Any) -> Image.Image:
    [rendition] = made(content, RenditionPlan("one", *arguments, **{"format": "png", **options})).renditions
    found = decoded(rendition.content)
    assert found.size == (rendition.width, rendition.height)
    return found


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of channels, 0 to 255."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_every_format(kind: str) -> None:
    plans = [RenditionPlan(each, 40, 40, format=each) for each in ("jpeg", "png", "webp", "avif")]
    worked = made(KINDS[kind], *plans)
    picture = decoded(KINDS[kind])
    assert (worked.format, (worked.width, worked.height)) == (kind.split()[0], picture.size)
    assert worked.pages == (3 if "animated" in kind or "pages" in kind else 1)
    assert worked.has_alpha == ("alpha" in kind) or kind == "gif animated"  # its later frames have clear pixels
    assert worked.bit_depth == (1 if "one bit" in kind else 16 if "16 bit" in kind else 32 if kind in DEEP else 8)
    assert [each.name for each in worked.renditions] == ["jpeg", "png", "webp", "avif"]
    for each in worked.renditions:
        assert sniffing.sniff(each.content) == each.format == each.name
        found = decoded(each.content)
        assert found.size == (each.width, each.height)
        assert max(found.size) <= 40
        if "16 bit" not in kind and kind not in DEEP and "profile" not in kind and "cmyk" not in kind:
            reference = Image.new("RGB", picture.size, "white")
            clear = picture.convert("RGBA")
            reference.paste(clear, mask=clear)
            shown = Image.new("RGB", found.size, "white")
            shown.paste(found.convert("RGBA"), mask=found.convert("RGBA"))
            assert difference(shown, reference.resize(found.size, Image.Resampling.LANCZOS)) < 9


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(kind: str, orientation: int) -> None:
    content = corpus.oriented(orientation, kind)
    upright = ImageOps.exif_transpose(decoded(content))
    worked = made(
        content, RenditionPlan("whole", None, None, format="png"), RenditionPlan("half", 60, 60, format="png")
    )
    assert (worked.width, worked.height) == upright.size
    whole, half = (decoded(each.content) for each in worked.renditions)
    assert difference(whole, upright) < 3
    assert difference(half, upright.resize(half.size, Image.Resampling.LANCZOS)) < 5
    assert not whole.getexif()


def test_colours_are_converted_by_the_profile() -> None:
    red = encoded(Image.new("RGB", (40, 30), (255, 0, 0)), "PNG", icc_profile=corpus.permuted_profile())
    found = one(red, 20, 20)
    shown = found.getpixel((5, 5))
    assert isinstance(shown, tuple)
    assert shown[1] > 240
    assert max(shown[0], shown[2]) < 20
    assert "icc_profile" not in found.info


def test_cmyk_becomes_srgb() -> None:
    shown = one(encoded(Image.new("CMYK", (40, 30), (255, 0, 0, 0)), "JPEG"), 20, 20).getpixel((5, 5))
    assert isinstance(shown, tuple)
    assert len(shown) == 3
    assert shown[0] < 60 < 120 < shown[2]


def test_sixteen_bits_become_eight() -> None:
    found = one(corpus.deep_png(), None, None)
    assert (found.mode, found.getpixel((0, 0)), found.getpixel((63, 47))) == ("RGB", (0, 0, 0), (255, 255, 0))
    # A colour of 16 bits that is mid-way stays there.
    middle = found.getpixel((32, 0))
    assert isinstance(middle, tuple)
    assert abs(middle[0] - 129) <= 2


def test_alpha_stays_or_gives_way_to_the_background() -> None:
    clear = encoded(Image.new("RGBA", (40, 30), (0, 0, 255, 0)), "PNG")
    assert one(clear, 20, 20, format="webp").convert("RGBA").getpixel((3, 3))[3] == 0  # type: ignore[index]
    flat = one(clear, 20, 20, format="jpeg", background="#ff0000").getpixel((3, 3))
    assert isinstance(flat, tuple)
    assert flat[0] > 250
    assert max(flat[1:]) < 6


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"width": 60, "height": None}, (60, 40)),
        ({"width": None, "height": 20}, (30, 20)),
        ({"width": None, "height": None}, (120, 80)),
        ({"width": 60, "height": 60}, (60, 40)),
        ({"width": 600, "height": 600}, (120, 80)),
        ({"width": 600, "height": 600, "enlarge": True}, (600, 400)),
        ({"width": 50, "height": 50, "fit": "cover"}, (50, 50)),
        ({"width": 400, "height": 50, "fit": "cover"}, (120, 50)),
        ({"width": 240, "height": 240, "fit": "cover", "enlarge": True}, (240, 240)),
        ({"width": 60, "height": 60, "fit": "contain"}, (60, 60)),
        ({"width": 200, "height": 300, "fit": "contain"}, (200, 300)),
        ({"width": 60, "height": 70, "fit": "fill"}, (60, 70)),
        ({"width": 600, "height": 20, "fit": "fill"}, (120, 20)),
        ({"width": 600, "height": 20, "fit": "fill", "enlarge": True}, (600, 20)),
    ],
)
def test_fits_give_their_sizes(options: dict[str, Any], size: tuple[int, int]) -> None:
    content = encoded(scene(), "PNG")
    found = one(content, **options)
    assert found.size == size
    fit = options.get("fit", "inside")
    if fit == "cover" and "enlarge" not in options:
        scale = max(size[0] / 120, size[1] / 80)
        whole = scene().resize((round(120 * scale), round(80 * scale)), Image.Resampling.LANCZOS)
        left, top = (whole.width - size[0]) // 2, (whole.height - size[1]) // 2
        assert difference(found, whole.crop((left, top, left + size[0], top + size[1]))) < 6
    elif fit == "contain":
        assert found.getpixel((0, 0)) == found.getpixel((size[0] - 1, size[1] - 1)) == (255, 255, 255)
    elif fit == "fill" or "enlarge" not in options:
        assert difference(found, scene().resize(size, Image.Resampling.LANCZOS)) < 8


def test_a_line_of_pixels_keeps_one_pixel() -> None:
    assert one(encoded(Image.new("L", (5000, 1)), "PNG"), 100, 100).size == (100, 1)


def test_small_renditions_do_not_depend_on_the_large_ones_beside_them() -> None:
    content = encoded(scene(1600, 1200), "JPEG")
    small = RenditionPlan("small", 300, 300, format="png")
    [alone] = made(content, small).renditions
    _, beside = made(content, RenditionPlan("large", 1000, 1000, format="png"), small).renditions
    # From half of the picture or from a larger rendition: not the same bytes, the same picture.
    assert difference(decoded(alone.content), decoded(beside.content)) < 1.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_personal_metadata_does_not_reach_renditions(kind: str) -> None:
    content = corpus.with_secrets(kind)
    assert corpus.SECRET.encode() in content
    plans = [RenditionPlan(each, None, 100, format=each) for each in ("jpeg", "png", "webp", "avif")]
    for each in made(content, *plans).renditions:
        assert corpus.SECRET.encode() not in each.content, each.name
        assert b"Exif" not in each.content
        assert not decoded(each.content).getexif()
    for each in made(content, *plans, keep_metadata=True).renditions:
        assert decoded(each.content).getexif().get(0x010E) == corpus.SECRET, each.name
        # It was turned upright: it must not say that it is to be turned.
        assert decoded(each.content).getexif().get(0x0112, 1) == 1
        assert decoded(each.content).size == (67, 100)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        *((kind, "the first") for kind in ("webp animated", "gif animated", "png animated", "tiff pages")),
        ("avif animated", "the primary image"),
    ],
)
def test_only_the_first_frame_is_shown(kind: str, shown: str) -> None:
    worked = made(KINDS[kind], RenditionPlan("one", 120, 80, format="png"))
    assert difference(decoded(worked.renditions[0].content), scene()) < 6
    assert worked.warnings == [f"3 pages or frames: renditions are of {shown}"]


def test_fifty_megapixels_pass_and_more_than_the_limit_do_not() -> None:
    content = encoded(Image.linear_gradient("L").resize((8660, 5774)), "JPEG")
    worked = working.work(content, built_in(), LIMITS)
    assert [(each.name, each.width, each.height) for each in worked.renditions] == [
        ("large", 1600, 1067),
        ("thumbnail", 320, 213),
    ]
    with pytest.raises(ImageRejectedError) as caught:
        working.work(content, built_in(), working.Limits(pixels=50_000_000))
    assert (caught.value.code, caught.value.reason) == (
        "TooManyPixels",
        "8660 by 5774 pixels are 50,002,840, and 50,000,000 is the limit",
    )


def test_limits_of_bytes_and_kinds() -> None:
    for content, limits, code in (
        (KINDS["png"], working.Limits(bytes=100), "TooManyBytes"),
        (KINDS["gif animated"], working.Limits(pages=2), "TooManyPages"),
        (b"plain text", LIMITS, "NotAnImage"),
        (b"", LIMITS, "NotAnImage"),
        (encoded(scene(), "BMP"), LIMITS, "UnsupportedFormat"),
    ):
        with pytest.raises(ImageRejectedError) as caught:
            working.work(content, built_in(), limits)
        assert caught.value.code == code


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"hevc"])
def test_a_heic_is_refused_for_want_of_a_decoder(brand: bytes) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        working.work(corpus.heic(brand), built_in(), LIMITS)
    assert (caught.value.code, caught.value.reason[:44]) == (
        "UnsupportedFormat",
        "this heic needs a decoder that is not here: ",
    )
    assert "HEVC" in caught.value.reason


@pytest.mark.parametrize(
    ("kind", "old", "new", "why"),
    [
        ("jpeg", b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c", "Unsupported JPEG data precision 12"),
        ("jpeg", b"\xff\xc0\0\x11\x08", b"\xff\xc3\0\x11\x08", "Unsupported color conversion request"),
        ("jpeg", b"\xff\xc0\0\x11\x08", b"\xff\xc5\0\x11\x08", "Unsupported JPEG process: SOF type 0xc5"),
        ("jpeg", b"\xff\xc0\0\x11\x08", b"\xff\xf7\0\x11\x08", "Unsupported marker type 0xf7"),
        ("png", b"\r\n\x1a\n", b"\r\n\x1a\n" + corpus.chunk(b"CgBI", bytes(4)), "CgBI: unhandled critical chunk"),
    ],
)
def test_a_sound_file_of_a_kind_without_a_decoder_is_not_damaged(kind: str, old: bytes, new: bytes, why: str) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        working.work(KINDS[kind].replace(old, new, 1), built_in(), LIMITS)
    assert caught.value.code == "UnsupportedFormat"
    assert caught.value.reason.startswith(f"this {kind} needs a decoder that is not here: ")
    assert why in caught.value.reason


def test_the_reason_of_a_png_whose_header_is_damaged_is_what_is_wrong_with_it() -> None:
    header = bytearray(KINDS["png"][16:29])
    header[8] = 3  # bits of a sample
    with pytest.raises(ImageRejectedError) as caught:
        working.work(KINDS["png"][:8] + corpus.chunk(b"IHDR", bytes(header)) + KINDS["png"][33:], built_in(), LIMITS)
    assert caught.value.code == "Corrupt"
    assert "Invalid bit depth in IHDR" in caught.value.reason


def test_the_reason_of_a_heic_cut_short_is_what_is_wrong_and_not_how_that_was_found_out() -> None:
    for content in (corpus.heic()[:24], corpus.heic()[:200]):
        with pytest.raises(ImageRejectedError) as caught:
            working.work(content, built_in(), LIMITS)
        assert caught.value.code == "Corrupt"
        assert caught.value.reason.startswith("heif: ")


def test_the_same_bytes_come_out_on_any_number_of_cores(tmp_path: Path) -> None:
    for name in ("jpeg", "png alpha", "avif", "webp", "jpeg cmyk"):
        (tmp_path / name).write_bytes(KINDS[name])
    (tmp_path / "large").write_bytes(encoded(scene(1500, 1100), "JPEG"))
    found = []
    for cores in (1, len(os.sched_getaffinity(0)), len(os.sched_getaffinity(0))):
        done = subprocess.run(
            [
                *(sys.executable, "-c"),
                "import os, sys; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv.pop(1))])\n"
                "from pathlib import Path; from tests.images import worker; worker.main(Path(sys.argv[1]), 1 << 30)",
                *(str(cores), str(tmp_path)),
            ],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PIPELINE": "formats"},
        )
        found.append(json.loads(done.stdout)["files"])
    assert found[0] == found[1] == found[2]
    assert all(len(each["renditions"]) == 4 for each in found[0].values())


def test_a_slightly_damaged_file_is_processed_with_a_warning() -> None:
    content = KINDS["jpeg"]
    damaged = content[:-2] + b"\x12\x34\x56" + content[-2:]
    worked = made(damaged, RenditionPlan("one", 60, 60))
    assert worked.renditions
    assert any("extraneous" in warning for warning in worked.warnings) or not worked.warnings


def test_the_built_in_pipeline_needs_no_item() -> None:
    worked = working.work(KINDS["jpeg"], built_in(), LIMITS)
    assert [(each.name, each.format) for each in worked.renditions] == [("large", "webp"), ("thumbnail", "webp")]
    assert Image.open(io.BytesIO(worked.renditions[0].content)).size == (120, 80)
    assert worked.timings.keys() == {"measure", "render", "analyse"}
    assert worked.peak_bytes > 1_000_000

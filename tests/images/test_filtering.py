"""Each filter does what its name says, in colour and in grey, with and without alpha."""

from typing import Any

import pytest
from PIL import Image, ImageFilter, ImageOps, ImageStat

from tests.images.corpus import decoded, encoded, scene
from weaudit.images.filters import FILTERS
from weaudit.images.pipeline import Pipeline, RenditionPlan, Step
from weaudit.images.pixels import filtering, working

REQUIRED: dict[str, dict[str, Any]] = {
    "brightness": {"factor": 1.5},
    "contrast": {"factor": 1.5},
    "saturation": {"factor": 2.0},
    "hue": {"degrees": 90.0},
    "tint": {"colour": "#3366cc"},
    "flip": {"direction": "horizontal"},
    "rotate": {"degrees": 30.0},
}


def filtered(picture: Image.Image, *steps: tuple[str, dict[str, Any]]) -> list[Image.Image]:
    """Return what each of the steps makes of the picture by itself."""
    plans = tuple(
        RenditionPlan(f"{number}", None, None, format="png", filters=(Step(*step),))
        for number, step in enumerate(steps)
    )
    worked = working.work(encoded(picture, "PNG"), Pipeline("test", plans, (), False), working.Limits())
    return [decoded(each.content) for each in worked.renditions]


def complete(name: str) -> dict[str, Any]:
    return {each: REQUIRED.get(name, {}).get(each, takes.default) for each, takes in FILTERS[name].items()}


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_every_filter_takes_every_kind_of_image(mode: str) -> None:
    picture = scene(60, 40).convert(mode)
    found = filtered(picture, *((name, complete(name)) for name in FILTERS))
    for name, each in zip(FILTERS, found, strict=True):
        assert each.mode in (("RGBA", "LA") if mode.endswith("A") else ("RGB", "L")), name
        assert name == "rotate" or each.size == picture.size
        if mode.endswith("A") and name != "rotate":
            assert each.getchannel("A").getextrema() == (255, 255), name


def test_there_is_one_function_a_filter() -> None:
    assert {*filtering._COLOURS, "flip", "rotate"} == FILTERS.keys()


def test_filters_do_what_they_say() -> None:
    picture = scene(60, 40)
    steps: list[tuple[str, dict[str, Any]]] = [
        ("invert", {}),
        ("greyscale", {}),
        ("threshold", {"level": 128}),
        ("flip", {"direction": "vertical"}),
        ("rotate", {"degrees": 90}),
        ("rotate", {"degrees": -45.5}),
        ("contrast", {"factor": 0}),
        ("saturation", {"factor": 0}),
        ("brightness", {"factor": 0.5}),
        ("brightness", {"factor": 1}),
        ("gamma", {"value": 2.2}),
        ("sepia", {"amount": 0}),
        ("pixelate", {"size": 10}),
        ("blur", {"sigma": 5}),
    ]
    found = filtered(picture, *steps)
    invert, grey, black, flipped, turned, tilted, flat, dull, dim, same, light, plain, blocks, soft = found
    assert invert.tobytes() == ImageOps.invert(picture).tobytes()
    assert grey.mode == "L"
    assert {value for _, value in black.convert("L").getcolors() or []} == {0, 255}
    assert flipped.tobytes() == ImageOps.flip(picture).tobytes()
    assert turned.tobytes() == picture.transpose(Image.Transpose.ROTATE_270).tobytes()
    assert tilted.width > 60
    assert tilted.height > 40
    assert tilted.getpixel((0, 0)) == (255, 255, 255)
    assert flat.getextrema() in (((128, 128),) * 3, (128, 128))
    channels = [band.tobytes() for band in dull.convert("RGB").split()]
    assert max(abs(a - b) for a, b in zip(channels[0], channels[2], strict=True)) <= 2
    assert dim.getpixel((59, 0)) == (20, 100, 30)
    assert same.tobytes() == picture.tobytes()
    assert sum(ImageStat.Stat(light).mean) > sum(ImageStat.Stat(picture).mean)
    assert plain.tobytes() == picture.tobytes()
    assert len(blocks.crop((0, 0, 10, 10)).getcolors() or []) == 1
    assert sum(ImageStat.Stat(soft).stddev) < sum(ImageStat.Stat(picture).stddev)


def test_filters_for_photographs() -> None:
    hazy = scene(60, 40).point(lambda value: 80 + value // 4).filter(ImageFilter.GaussianBlur(1))
    specks = Image.new("L", (40, 40), 100)
    specks.putpixel((20, 20), 255)
    [full, sharp, sepia, tint, dark] = filtered(
        hazy,
        ("normalise", {}),
        ("sharpen", {"sigma": 1.0, "amount": 10.0}),
        ("sepia", {"amount": 1.0}),
        ("tint", {"colour": "#0000ff"}),
        ("vignette", {"amount": 1.0}),
    )
    [clean] = filtered(specks, ("median", {"size": 3}))
    low, high = full.convert("L").getextrema()
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    assert high - low > 180
    assert sum(ImageStat.Stat(sharp).stddev) > sum(ImageStat.Stat(hazy).stddev)
    red, _, blue = ImageStat.Stat(sepia).mean
    assert red > blue
    red, _, blue = ImageStat.Stat(tint).mean
    assert blue > red
    corner, middle = dark.getpixel((0, 0)), dark.getpixel((30, 20))
    assert isinstance(corner, tuple)
    assert isinstance(middle, tuple)
    assert max(corner) < 25 < min(middle)
    assert clean.convert("L").getextrema() == (100, 100)


def test_filters_follow_one_another_in_order() -> None:
    steps = (Step("contrast", {"factor": 0}), Step("invert", {}))
    plan = RenditionPlan("one", None, None, format="png", filters=steps)
    worked = working.work(encoded(scene(), "PNG"), Pipeline("test", (plan,), (), False), working.Limits())
    assert decoded(worked.renditions[0].content).convert("L").getextrema() == (127, 127)


def test_blurred_edges_of_clear_pixels_take_no_colour_from_them() -> None:
    picture = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 20, 40))
    [found] = filtered(picture, ("blur", {"sigma": 3.0}))
    edge = found.getpixel((19, 20))
    assert isinstance(edge, tuple)
    assert edge[0] < 10 < 100 < edge[2]

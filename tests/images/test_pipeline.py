"""The item IMAGE_PIPELINE: what it may say, and how what is wrong is named."""

from typing import Any

import pytest

from weaudit.errors import PipelineRefusedError
from weaudit.images import pipeline as image_pipelines
from weaudit.images.filters import FILTERS
from weaudit.items.plain import typed

SMALL: dict[str, Any] = {"name": "small", "width": 100}


def item(**fields: Any) -> dict[str, Any]:
    return {"key": {"S": "IMAGE_PIPELINE"}, **{name: typed(value, name) for name, value in fields.items()}}


def test_a_pipeline_is_read_with_its_defaults() -> None:
    found = item(
        renditions=[
            SMALL,
            {
                "name": "Card-2_x",
                "width": 8192,
                "fit": "cover",
                "format": "jpeg",
                "quality": 100,
                "enlarge": True,
                "background": "#A0b1C2",
                "height": 600,
                "filters": [
                    {"name": "blur"},
                    {"name": "flip", "direction": "vertical"},
                    {"name": "hue", "degrees": -1.5},
                ],
            },
        ],
        algorithms=[{"name": "phash", "size": 8, "deep": {"a": [1, 2.5, None, True, "x"]}}],
        keep_metadata=True,
        updatedBy="ada",
        note="for the sale",
        _weaudit="a mark",
    )
    pipeline = image_pipelines.parse(found)
    assert pipeline.version == image_pipelines.version_of(found)
    small, card = pipeline.renditions
    assert (small.name, small.width, small.height, small.fit, small.format) == ("small", 100, None, "inside", "webp")
    assert (small.quality, small.enlarge, small.background, small.filters) == (80, False, "#ffffff", ())
    assert (card.name, card.width, card.height, card.fit, card.format) == ("Card-2_x", 8192, 600, "cover", "jpeg")
    assert (card.quality, card.enlarge, card.background) == (100, True, "#a0b1c2")
    assert [(step.name, step.parameters) for step in card.filters] == [
        ("blur", {"sigma": 2.0}),
        ("flip", {"direction": "vertical"}),
        ("hue", {"degrees": -1.5}),
    ]
    [algorithm] = pipeline.algorithms
    assert (algorithm.name, algorithm.parameters) == ("phash", {"size": 8, "deep": {"a": [1, 2.5, None, True, "x"]}})
    assert pipeline.keep_metadata


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "renditions: must hold one rendition at least, where there is no algorithm either"),
        ({"rendition": []}, "rendition: there is no such field; there are renditions, algorithms, keep_metadata"),
        ({"renditions": {}}, "renditions: must be a list"),
        ({"renditions": [1]}, "renditions[0]: must be a map"),
        (
            {"renditions": [{**SMALL, "name": f"r{n}"} for n in range(21)]},
            "renditions: holds 21, and 20 at most are right",
        ),
        ({"renditions": [SMALL, SMALL]}, "renditions: two renditions are named small"),
        ({"renditions": [{}]}, "renditions[0].name: must be 1 to 64 letters, digits, - and _"),
        ({"renditions": [{"name": "a/b"}]}, "renditions[0].name: must be 1 to 64 letters, digits, - and _"),
        ({"renditions": [{"name": "a" * 65}]}, "renditions[0].name: must be 1 to 64 letters, digits, - and _"),
        (
            {"renditions": [SMALL, {"name": "b", "width": 0}]},
            "renditions[1].width: must be a whole number from 1 to 8192",
        ),
        ({"renditions": [{**SMALL, "width": 8193}]}, "renditions[0].width: must be a whole number from 1 to 8192"),
        ({"renditions": [{**SMALL, "width": 10.5}]}, "renditions[0].width: must be a whole number from 1 to 8192"),
        ({"renditions": [{**SMALL, "width": "100"}]}, "renditions[0].width: must be a whole number from 1 to 8192"),
        ({"renditions": [{**SMALL, "width": True}]}, "renditions[0].width: must be a whole number from 1 to 8192"),
        ({"renditions": [{**SMALL, "fit": "cover"}]}, "renditions[0].fit: cover needs both width and height"),
        ({"renditions": [{**SMALL, "fit": "crop"}]}, "renditions[0].fit: must be one of inside, cover, contain, fill"),
        ({"renditions": [{**SMALL, "format": "gif"}]}, "renditions[0].format: must be one of jpeg, png, webp, avif"),
        ({"renditions": [{**SMALL, "format": ["webp"]}]}, "renditions[0].format: must be one of jpeg, png, webp, avif"),
        ({"renditions": [{**SMALL, "quality": 0}]}, "renditions[0].quality: must be a whole number from 1 to 100"),
        ({"renditions": [{**SMALL, "enlarge": 1}]}, "renditions[0].enlarge: must be true or false"),
        ({"renditions": [{**SMALL, "background": "red"}]}, 'renditions[0].background: must be a colour as "#rrggbb"'),
        ({"renditions": [{**SMALL, "colour": "red"}]}, "renditions[0].colour: there is no such field; there are name,"),
        ({"renditions": [{**SMALL, "filters": "blur"}]}, "renditions[0].filters: must be a list"),
        ({"renditions": [{**SMALL, "filters": ["blur"]}]}, "renditions[0].filters[0]: must be a map"),
        (
            {"renditions": [{**SMALL, "filters": [{"name": "blue"}]}]},
            "renditions[0].filters[0].name: must be one of blur,",
        ),
        ({"renditions": [{**SMALL, "filters": [{"name": "invert"}] * 17}]}, "renditions[0].filters: holds 17, and 16"),
        (
            {"renditions": [{**SMALL, "filters": [{"name": "blur", "radius": 1}]}]},
            "renditions[0].filters[0].radius: there is no such field; there are name, sigma",
        ),
        (
            {"renditions": [{**SMALL, "filters": [{"name": "blur", "sigma": 1000}]}]},
            "renditions[0].filters[0].sigma: must be a number from 0.3 to 100",
        ),
        (
            {"renditions": [{**SMALL, "filters": [{"name": "tint"}]}]},
            'renditions[0].filters[0].colour: must be given, a colour as "#rrggbb"',
        ),
        ({"renditions": [SMALL], "algorithms": [{}]}, "algorithms[0].name: must be 1 to 64 letters"),
        ({"algorithms": [{"name": "a"}, {"name": "a"}]}, "algorithms: two algorithms are named a"),
        ({"algorithms": [{"name": "a", "b": {"SS": ["x"]}}]}, "algorithms[0].b: must be a text, a number, true"),
        ({"renditions": [SMALL], "keep_metadata": "no"}, "keep_metadata: must be true or false"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(PipelineRefusedError) as caught:
        image_pipelines.parse(item(**fields))
    assert str(caught.value).startswith(text)


def test_parameters_take_their_bounds_and_no_more() -> None:
    for name, takes in FILTERS.items():
        for each, parameter in takes.items():
            if parameter.kind in ("colour", "choice"):
                continue
            given = {other: takes[other].default for other in takes if takes[other].default is not None}
            for value in (parameter.lowest, parameter.highest):
                image_pipelines.parse(
                    item(renditions=[{"name": "a", "filters": [{"name": name, **given, each: value}]}])
                )
            for value in (parameter.lowest - 1, parameter.highest + 1):
                with pytest.raises(PipelineRefusedError, match=rf"filters\[0\].{each}: must be"):
                    image_pipelines.parse(
                        item(renditions=[{"name": "a", "filters": [{"name": name, **given, each: value}]}])
                    )


def test_the_built_in_pipeline_has_a_name_of_its_own() -> None:
    pipeline = image_pipelines.built_in()
    assert pipeline.version == image_pipelines.built_in().version
    prefix, _, digits = pipeline.version.rpartition("-")
    assert prefix == "built-in"
    assert len(digits) == 16
    assert [plan.name for plan in pipeline.renditions] == ["large", "thumbnail"]

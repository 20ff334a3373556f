"""Whatever comes from outside is read, or refused by an error of ours; nothing else ever comes of it.

``corpus`` has a folder a parser: inputs that were trouble, or might be. Each goes through its parser in every run.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.fuzz.parsers import PARSERS, Parser
from tests.images.corpus import every_kind
from tests.sizes import sized
from weaudit.errors import ImageRejectedError
from weaudit.images import pipeline
from weaudit.images.pixels import working

CORPUS = Path(__file__).with_name("corpus")
# More by the environment, for a night: WEAUDIT_TEST_SIZE=1000 pytest tests/fuzz
EXAMPLES = sized(40)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "\ud800", "\0", "a" * 2000, "9" * 50, "1E999", "-0", "2024-01-01T00:00:00Z", "{}", "[", "%C3"]
    ),
)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["S", "N", "B", "L", "M", "SS", "NULL", "key", "name"]), inner, max_size=3),
    ),
    max_leaves=6,
)


def accepted(parser: Parser, given_input: Any) -> bool:
    """Say whether the input is read; any error but the documented ones fails the test."""
    try:
        parser.call(given_input)
    except parser.errors:
        return False
    return True


def mutated(draw: st.DrawFn, document: Any) -> Any:
    """Replace, remove or double one part of a document, anywhere in it."""
    found = copy.deepcopy(document)
    inner, steps = found, draw(st.integers(1, 8))
    for _ in range(steps):
        if not isinstance(inner, (dict, list)) or not inner:
            break
        name = draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if isinstance(inner[name], (dict, list)) and draw(st.booleans()):
            inner = inner[name]
            continue
        deed = draw(st.sampled_from(["replace", "remove", "wrap"]))
        if deed == "remove":
            del inner[name]
        else:
            inner[name] = draw(junk) if deed == "replace" else [inner[name]] * 2
        break
    return found


# An item comes from DynamoDB, which keeps values of its types only.
pipeline_values = st.recursive(
    strategies.atoms | st.sampled_from([{"S": "a"}, {"S": "sharpen"}, {"N": "16"}, {"N": "1E125"}]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"L": parts}),
        st.dictionaries(
            st.sampled_from(
                ["name", "width", "height", "fit", "format", "quality", "filters", "enlarge", "background"]
            ),
            inner,
            max_size=4,
        ).map(lambda parts: {"M": parts}),
    ),
    max_leaves=12,
)
pipelines = st.dictionaries(
    st.sampled_from(["key", "renditions", "algorithms", "keep_metadata", "note", "x"]), pipeline_values, max_size=4
)


@st.composite
def damaged(draw: st.DrawFn, parser: Parser) -> Any:
    """Draw an input that is junk, or sound but for some parts."""
    if parser.texts:
        text = draw(st.text(max_size=60) | st.sampled_from(parser.sound or ("WzEsIjAiXQ",)))
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 4))
        between = draw(st.text(max_size=4) | st.sampled_from(["(" * 400, "\ud800", "'", "%", "\0"]))
        return text[:at] + between + text[at + length :]
    found = draw(st.sampled_from(parser.sound))
    for _ in range(draw(st.integers(1, 3))):
        found = mutated(draw, found)
    return found if draw(st.integers(0, 9)) else draw(junk)


@pytest.mark.parametrize("name", PARSERS)
def test_sound_inputs_are_read(name: str) -> None:
    assert all(accepted(PARSERS[name], one) for one in PARSERS[name].sound)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_damaged_inputs_are_read_or_refused(name: str, data: st.DataObject) -> None:
    accepted(PARSERS[name], data.draw(pipelines if name == "pipelines" else damaged(PARSERS[name])))


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_corpus_is_read_or_refused_as_it_is_named(path: Path) -> None:
    parser = PARSERS[path.parent.name]
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    read = accepted(parser, text if parser.texts else json.loads(text))
    # The name says which: "read …" or "refused …".
    assert read == (path.name.partition(" ")[0] == "read")


def test_every_parser_has_a_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == PARSERS.keys()


IMAGES = every_kind()


@settings(max_examples=max(24, EXAMPLES // 4))
@given(
    kind=st.sampled_from(sorted(IMAGES)),
    at=st.floats(0, 1),
    bytes_there=st.binary(max_size=8),
    cut=st.booleans(),
)
@example(kind="png", at=0.2, bytes_there=b"\xff\xff\xff\xff", cut=False)
@example(kind="jpeg", at=0.5, bytes_there=b"", cut=True)
def test_damaged_images_are_processed_or_rejected(kind: str, at: float, bytes_there: bytes, cut: bool) -> None:
    content = IMAGES[kind]
    place = int(at * len(content))
    damaged_content = content[:place] + bytes_there + (b"" if cut else content[place + len(bytes_there) :])
    try:
        found = working.work(damaged_content, pipeline.built_in(), working.Limits())
    except ImageRejectedError:
        return
    assert found.renditions

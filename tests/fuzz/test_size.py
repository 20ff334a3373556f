"""Work on outside input grows as its bytes do, whatever its shape: counted (counted.py), and never timed.

Four times the input may be six times the work (sorting is a little more than four times), and not sixteen times.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.counted import WORK, TooMuchWorkError, compiled, counted
from tests.fuzz.large import LARGE
from tests.fuzz.parsers import PARSERS, Parser
from tests.fuzz.test_parsers import EXAMPLES

TIMES, MOST = 4, 6
# Of an input that is refused early where it is small, and read where it is large: what reading costs, for each byte.
READING = 40


@functools.cache
def over_counted_code() -> Any:
    (large,) = counted("tests.fuzz.large")
    return large


def work_of(name: str, given_input: Any, budget: float = float("inf")) -> int:
    """Return how much work it is; any error but the documented ones fails the test."""
    growing = over_counted_code().LARGE[name]

    def call() -> None:
        try:
            growing.call(given_input)
        except growing.errors:
            return

    return WORK.of(call, budget)


def grows_no_faster(name: str, make: Callable[[int], Any], most: int, reading: int = 0) -> None:
    small, large = make(most // TIMES), make(most)
    allowed = MOST * work_of(name, small) + (reading and reading * len(json.dumps(large)))
    try:
        work_of(name, large, budget=allowed)
    except TooMuchWorkError:
        pytest.fail(f"more than {allowed} steps for {TIMES} times the input that took {work_of(name, small)}")


CASES = [(name, shape) for name, growing in LARGE.items() for shape in growing.shapes]


@pytest.mark.parametrize(("name", "shape"), CASES, ids=lambda value: value.replace(" ", "-"))
def test_work_grows_as_the_input_does(name: str, shape: str) -> None:
    growing = over_counted_code().LARGE[name]
    grows_no_faster(name, growing.shapes[shape], growing.most)


def test_every_parser_is_given_large_inputs() -> None:
    assert PARSERS.keys() <= LARGE.keys()
    assert all(len(LARGE[name].shapes) >= 4 for name in PARSERS)


def grown(document: Any, path: list[Any], count: int) -> Any:
    """Return a document with what is at a place of it many times: a list's parts, a map's names, a text's letters."""
    if path:
        inner = grown(document[path[0]], path[1:], count)
        if isinstance(document, dict):
            return {**document, path[0]: inner}
        return [*document[: path[0]], inner, *document[path[0] + 1 :]]
    if isinstance(document, dict):
        part = next(iter(document.values()), None)
        return {**document, **{f"n{number}": part for number in range(count)}}
    return document * count if isinstance(document, (list, str)) else [document] * count


@st.composite
def growths(draw: st.DrawFn, parser: Parser) -> Callable[[int], Any]:
    """Draw an input that is sound but for one part of it, and that part many times."""
    sound = draw(st.sampled_from(parser.sound))
    if parser.texts:
        start = draw(st.integers(0, len(sound)))
        end = draw(st.integers(start, len(sound)))
        cut = draw(st.booleans())
        return lambda count: sound[:start] + sound[start:end] * count + ("" if cut else sound[end:])
    path: list[Any] = []
    inner = sound
    while isinstance(inner, (dict, list)) and inner and draw(st.integers(0, 4)):
        path.append(draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner)))))
        inner = inner[path[-1]]
    return lambda count: grown(sound, path, count)


# The parts of a pipeline are values of DynamoDB: what is grown of them is among the shapes.
@pytest.mark.parametrize("name", sorted(name for name in PARSERS if PARSERS[name].sound and name != "pipelines"))
@settings(max_examples=EXAMPLES // 2)
@given(data=st.data())
def test_work_grows_as_any_part_of_the_input_does(name: str, data: st.DataObject) -> None:
    grows_no_faster(name, data.draw(growths(PARSERS[name])), 400, READING)


# What the count must see, each given a list of texts and a text of n letters: all but the last three look at everything
# for everything.
QUADRATIC = {
    "count": "for part in parts: parts.count(part)",
    "in a list": "for part in parts: 'x' in parts",
    "not in a tuple": "kept = tuple(parts)\n    for part in parts: 'x' not in kept",
    "in a text": "for part in parts: 'x' in text",
    "index": "for part in parts: parts.index(part)",
    "the first of a list": "left = list(parts)\n    while left: left.pop(0)",
    "slices": "for at in range(len(parts)): parts[at:]",
    "slices of a text": "while text: text = text[1:]",
    "a text that grows": "made = ''\n    for part in parts: made += part",
    "a list made anew": "made = []\n    for part in parts: made = [*made, part]",
    "lists added": "made = []\n    for part in parts: made = made + [part]",
    "a format that grows": "made = ''\n    for part in parts: made = f'{made}.{part}'",
    "a dict made anew": "made = {}\n    for part in parts: made = {**made, part: 1}",
    "copies": "for part in parts: list(parts)",
    "sorting": "for part in parts: sorted(parts)",
    "comparing": "other = list(parts)\n    for part in parts: parts == other",
    "replacing": "for part in parts: text.replace('y', 'z')",
    "partitions": "for part in parts: text.partition('x')",
    "finding": "for part in parts: text.find('x')",
    "joining": "for part in parts: ''.join(parts)",
    "two loops": "for part in parts:\n        for other in parts: pass",
    "any": "for part in parts: any(other == 'x' for other in parts)",
    "a function of its own": "for part in parts: walked(parts)",
}
LINEAR = {
    "a set": "seen = set()\n    for part in parts:\n        if part in seen: return\n        seen.add(part)",
    "appending": "made = []\n    for part in parts: made.append(part)\n    return ''.join(made)",
    "finding further on": "at = 0\n    while at < len(text): at = text.find('a', at) + 1",
    "the last of a list": "left = list(parts)\n    while left: left.pop()",
    "sorting once": "return sorted(set(parts))",
}
SNIPPET = """
def walked(parts):
    for part in parts: pass

def run(parts, text):
    {}
"""


@pytest.mark.parametrize("name", [*QUADRATIC, *LINEAR])
def test_the_count_sees_what_grows_too_fast(name: str) -> None:
    namespace: dict[str, Any] = {"__name__": "weaudit.snippet"}
    exec(compiled(SNIPPET.format({**QUADRATIC, **LINEAR}[name]), name), namespace)  # noqa: S102 a snippet of ours
    works = [
        WORK.of(lambda size=size: namespace["run"]([f"p{number}" for number in range(size)], "a" * size))  # type: ignore[misc]
        for size in (100, 400)
    ]
    assert (works[1] > MOST * works[0]) == (name in QUADRATIC)

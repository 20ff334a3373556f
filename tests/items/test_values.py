"""When two values are the same to DynamoDB, and the canonical text of each."""

import json
import re
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import strategies
from weaudit.items.values import canonical, canonical_number, same_value, spelled, spelled_item


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0.00", "0"),
        ("1.0", "1"),
        ("007", "7"),
        ("+5", "5"),
        ("1E2", "100"),
        ("1.5e-3", "0.0015"),
        ("-12.340", "-12.34"),
        ("1E+125", "1" + "0" * 125),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
    ],
)
def test_a_number_has_one_spelling(spelled: str, canonical: str) -> None:
    assert canonical_number(spelled) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "-",
            ".",
            "x",
            "1x",
            "1e",
            "e5",
            "NaN",
            "Infinity",
            "1_0",
            "\N{ARABIC-INDIC DIGIT ONE}",
            "1e999999999",
            "--1",
        ],
        # What int() takes, and DynamoDB does not.
        *["1e1_0", "1e 5", "1e+5 ", "1e5\n", "1e+-5", "1e5e3", " 1", "1 ", "1 e5", "1e\N{ARABIC-INDIC DIGIT ONE}"],
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a DynamoDB number"):
        canonical_number(text)


# What a number of DynamoDB looks like: a sign, digits with or without a point among them, a whole exponent.
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@given(
    st.from_regex(NUMBER, fullmatch=True).filter(lambda text: len(text) < 400)
    | st.text("019+-.eE_ \t\n\u0661\u00b2", max_size=12)
)
@example("1e1_0")
@example("1e 5")
@example("1e+5 ")
def test_a_text_is_a_number_exactly_where_the_grammar_says_so(text: str) -> None:
    try:
        spelled = canonical_number(text)
    except ValueError:
        spelled = None
    if NUMBER.fullmatch(text) is None:
        assert spelled is None
        return
    if re.search(r"[eE][+-]?0*[0-9]{10}", text):
        assert spelled in (None, "0")  # beyond what Decimal holds
        return
    exact = Context(prec=500, Emin=-(10**12), Emax=10**12).create_decimal(text)
    if spelled is not None:
        assert Decimal(spelled) == exact
    else:
        # Refused for its range alone: far beyond the exponents that DynamoDB has.
        assert exact
        assert not -200 < exact.adjusted() < 200


@given(strategies.numbers)
def test_the_canonical_spelling_keeps_the_value_and_is_stable(number: str) -> None:
    spelled = canonical_number(number)
    assert Decimal(spelled) == Context(prec=200).create_decimal(number)
    assert canonical_number(spelled) == spelled


@given(strategies.numbers, strategies.numbers)
def test_two_numbers_are_the_same_exactly_where_their_values_are(one: str, other: str) -> None:
    assert same_value({"N": one}, {"N": other}) == (Decimal(one) == Decimal(other))


@given(strategies.values, st.randoms(use_true_random=False))
def test_a_value_is_the_same_however_its_sets_and_maps_are_ordered(value: dict[str, Any], random: Any) -> None:
    def shuffled(part: dict[str, Any]) -> dict[str, Any]:
        ((kind, content),) = part.items()
        if kind in ("SS", "NS", "BS"):
            return {kind: random.sample(content, len(content))}
        if kind == "L":
            return {kind: [shuffled(inner) for inner in content]}
        if kind == "M":
            return {kind: {name: shuffled(content[name]) for name in random.sample(list(content), len(content))}}
        return part

    assert same_value(value, shuffled(value))
    assert spelled(value) == spelled(shuffled(value))


@given(strategies.values, strategies.values)
def test_values_have_the_same_text_exactly_if_they_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (spelled(one) == spelled(other)) == same_value(one, other)


def test_null_text_and_absent_are_different() -> None:
    kinds: list[dict[str, Any] | None] = [None, {"NULL": True}, {"S": ""}, {"L": []}, {"M": {}}, {"S": "1"}, {"N": "1"}]
    assert not [(a, b) for a in kinds for b in kinds if a is not b and same_value(a, b)]


def as_json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# Names and texts that look like what the quick way looks for.
TRAPS = st.sampled_from(["N", "SS", "S", "NS", "#", "", '"N":"01"', 'S":[', '\\"N":"01', "\ud800", "\0"])


@given(strategies.values)
def test_the_quick_text_is_the_canonical_value_as_json(value: dict[str, Any]) -> None:
    assert spelled(value) == as_json(canonical(value))


@given(
    st.dictionaries(
        TRAPS,
        strategies.values | TRAPS.map(lambda text: {"S": text}) | strategies.numbers.map(lambda number: {"N": number}),
        max_size=4,
    )
)
def test_names_and_texts_that_look_like_types_mislead_nobody(inner: dict[str, Any]) -> None:
    for value in ({"M": inner}, {"L": [{"M": inner}, *inner.values()]}):
        assert spelled(value) == as_json(canonical(value))


@given(st.dictionaries(strategies.names, strategies.values))
def test_the_text_of_an_item_is_its_canonical_values_as_json(item: dict[str, Any]) -> None:
    assert spelled_item(item) == as_json({name: canonical(value) for name, value in item.items()})


@pytest.mark.parametrize("value", [{"X": "x"}, {"X": ["x"]}, {"": ""}])
def test_an_unknown_type_has_no_text(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown DynamoDB type"):
        spelled(value)

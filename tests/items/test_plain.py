"""Plain JSON is read as values without loss, and every limit of DynamoDB is named before the call."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from weaudit.errors import InvalidInputError, ValidationError
from weaudit.items.plain import Number, parse, plain, typed
from weaudit.items.sizes import item_bytes, value_bytes
from weaudit.items.texts import dumps
from weaudit.items.values import canonical


@given(strategies.values)
def test_what_is_printed_can_be_given_back(value: dict[str, Any]) -> None:
    for indent in (2, None):
        try:
            again = typed(parse(dumps(plain(value), indent)), "value")
        except ValidationError as error:
            assert "empty" in str(error)  # noqa: PT017 the strategy makes names that DynamoDB has not
            return
        assert canonical(again) == canonical(value)


@pytest.mark.parametrize(
    ("given_as", "kept_as"),
    [
        (0, "0"),
        (7, "7"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e16, "10000000000000000"),
        (Decimal("1.10"), "1.1"),
        (Number("12345678901234567890123456789012345678"), "12345678901234567890123456789012345678"),
        (Number("1e125"), "1" + "0" * 125),
        (Number("9.9999999999999999999999999999999999999e125"), "99999999999999999999999999999999999999" + "0" * 88),
        (Number("1E-130"), "0." + "0" * 129 + "1"),
        (Number("0.00e-400"), "0"),
    ],
)
def test_numbers_are_exact(given_as: Any, kept_as: str) -> None:
    assert typed(given_as, "n") == {"N": kept_as}


@pytest.mark.parametrize(
    "number",
    [
        float("nan"),
        float("inf"),
        Number("NaN"),
        Number("-Infinity"),
        Decimal("NaN"),
        Number("1" * 39),
        Number("1e126"),
        Number("1e-131"),
        Number("1e99999999"),
        10**126,
        pytest.param(10**5000, id="5001 digits"),
        Number("12345678901234567890123456789012345678.9"),
    ],
)
def test_numbers_that_dynamodb_has_not_are_refused(number: Any) -> None:
    with pytest.raises(ValidationError, match="38 digits") as caught:
        typed({"deep": [number]}, "attributes.n")
    assert caught.value.details == {"path": "attributes.n.deep[0]", "limit": 38}


@pytest.mark.parametrize(
    ("found", "value"),
    [
        ({"B": "AAEC"}, {"B": "AAEC"}),
        ({"B": ""}, {"B": ""}),
        ({"SS": ["a", ""]}, {"SS": ["a", ""]}),
        ({"NS": [Number("1.0"), 2, "3"]}, {"NS": ["1", "2", "3"]}),
        ({"BS": ["AA=="]}, {"BS": ["AA=="]}),
        ({"M": {"B": "not binary"}}, {"M": {"B": {"S": "not binary"}}}),
        ({"S": "x"}, {"M": {"S": {"S": "x"}}}),
        ({"SS": ["a"], "other": 1}, {"M": {"SS": {"L": [{"S": "a"}]}, "other": {"N": "1"}}}),
        (None, {"NULL": True}),
        (False, {"BOOL": False}),
        ("", {"S": ""}),
        ([], {"L": []}),
        ({}, {"M": {}}),
    ],
)
def test_every_type_can_be_written(found: Any, value: dict[str, Any]) -> None:
    assert typed(found, "value") == value


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("found", "path", "reason"),
    [
        ({"SS": []}, "v", "not be empty"),
        ({"SS": ["a", "a"]}, "v", "twice"),
        ({"NS": [1, Number("1.0")]}, "v", "twice"),
        ({"NS": [True]}, "v[0]", "not a JSON type"),
        ({"NS": ["x"]}, "v[0]", "not a DynamoDB number"),
        ({"SS": [Number("1")]}, "v[0]", "must be a text"),
        ({"SS": "a"}, "v", "a set must be"),
        ({"B": "x"}, "v", "base64"),
        ({"B": "AA==AA=="}, "v", "base64"),
        ({"B": "é"}, "v", "base64"),
        ({"B": Number("1234")}, "v", "base64"),
        ({"M": 1}, "v", "must hold a map"),
        ({"a": {"": 1}}, 'v.a.""', "name must not be empty"),
        ({"x" * 65536: 1}, "v." + "x" * 80 + "…", "65535 bytes"),
        ({"a": "\ud800"}, "v.a", "surrogate"),
        ({"\ud800": 1}, "v.\\ud800", "surrogate"),
        ({"a": [b"bytes"]}, "v.a[0]", "not a JSON type"),
        (nested(33), "v" + "[0]" * 32, "32 levels"),
        ({"a\nb\x1b": {"SS": []}}, "v.a\\nb\\x1b", "not be empty"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_path(found: Any, path: str, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        typed(found, "v")
    assert caught.value.details["path"] == path
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


def test_thirty_two_levels_are_stored() -> None:
    assert typed(nested(32), "v")


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "{", "", pytest.param("[" * 100_000, id="deep"), '{"a": 1} x'])
def test_a_text_that_is_not_one_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse(text)


@pytest.mark.parametrize("inner", ["[{}]", '{{"a": {}}}', '[1, {{"b": {}}}]'])
def test_how_deep_a_document_is_read_is_the_same_on_every_python(inner: str) -> None:
    levels = inner.count("[") + inner.count("{{")
    text = "0"
    for _ in range(500 // levels):
        text = inner.format(text)
    assert parse(text)
    with pytest.raises(InvalidInputError, match="nested too deep: 500 levels at most"):
        parse(f"[{text}]")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_any_json_is_a_value_or_refused(document: Any) -> None:
    try:
        assert typed(document, "v")
    except ValidationError as error:
        assert error.details["path"].startswith("v")  # noqa: PT017 every other kind of error fails the test


@pytest.mark.parametrize(
    ("value", "size"),
    [
        # Measured against DynamoDB Local 1.25: the largest item with this value in it.
        ({"N": "1234567890"}, 6),
        ({"N": "123"}, 3),
        ({"N": "-123"}, 4),
        ({"N": "0.001"}, 2),
        ({"N": "100000"}, 2),
        ({"N": "1" * 38}, 20),
        ({"L": []}, 3),
        ({"M": {}}, 3),
        ({"L": [{"N": "1"}]}, 6),
        ({"M": {"a": {"N": "1"}}}, 7),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "b"]}, 2),
        ({"NS": ["1", "2"]}, 4),
        ({"B": "YWJj"}, 3),
        ({"BS": ["YQ==", "YWI="]}, 3),
        ({"S": "é"}, 2),
    ],
)
def test_sizes_are_dynamodbs(value: dict[str, Any], size: int) -> None:
    assert value_bytes(value) == size
    assert item_bytes({"né": value}) == size + 3


def test_a_number_is_not_a_text_though_json_may_print_it_so() -> None:
    assert typed(json.loads("[1.50]", parse_float=Number), "v") == {"L": [{"N": "1.5"}]}

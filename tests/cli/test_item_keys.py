"""An item's key as people type it becomes the item key of the trail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from weaudit.errors import InvalidInputError
from weaudit.installation.item_keys import item_keys
from weaudit.items import keys

COMPOSITE = {"pk": "S", "sk": "N"}


@given(strategies.texts)
def test_one_string_key_is_taken_as_it_stands(text: str) -> None:
    assert item_keys(text, {"key": "S"}, "T") == [text]


@pytest.mark.parametrize(
    "typed",
    [
        '{"pk":"a","sk":7}',
        '{"sk": 7.0, "pk": "a"}',
        '{"pk": {"S": "a"}, "sk": {"N": "7"}}',
        '{"pk": "a", "sk": "7e0"}',
    ],
)
def test_a_key_of_several_parts_is_loose_or_typed_json(typed: str) -> None:
    assert item_keys(typed, COMPOSITE, "T") == ['{"pk":{"S":"a"},"sk":{"N":"7"}}']


def test_digits_are_kept() -> None:
    number = "12345678901234567890123456789012345678"
    assert item_keys(number, {"id": "N"}, "T") == [f'{{"id":{{"N":"{number}"}}}}']
    assert item_keys(f'{{"id": {number}}}', {"id": "N"}, "T") == [f'{{"id":{{"N":"{number}"}}}}']


def test_one_key_of_another_type_may_be_given_bare() -> None:
    assert item_keys("AAEC", {"id": "B"}, "T") == ['{"id":{"B":"AAEC"}}']
    assert item_keys("-1.50", {"id": "N"}, "T") == ['{"id":{"N":"-1.5"}}']


@given(strategies.texts.filter(bool), st.integers(-(10**37), 10**37))
def test_the_item_key_that_a_command_prints_can_be_typed_back(text: str, number: int) -> None:
    printed = keys.item_key({"pk": {"S": text}, "sk": {"N": str(number)}})
    assert item_keys(printed, COMPOSITE, "T") == [printed]
    assert item_keys(printed, None, "T") == [printed]


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "a",
            "7",
            "[]",
            "null",
            "{",
            '{"pk":"a"}',
            '{"pk":"a","sk":7,"x":1}',
            '{"pk":1,"sk":7}',
            '{"pk":"a","sk":"b"}',
        ),
        *('{"pk":"a","sk":null}', '{"pk":"a","sk":true}', '{"pk":{"N":"1"},"sk":7}', '{"pk":{"S":1},"sk":7}'),
        *('{"pk":{"S":{"S":"a"}},"sk":7}', '{"pk":{},"sk":7}', '{"pk":["a"],"sk":7}'),
        pytest.param('{"pk":' * 100_000, id="nested deeper than Python reads"),
    ],
)
def test_what_is_no_key_of_the_table_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        item_keys(typed, COMPOSITE, "T")
    assert str(refused.value).endswith("""whose key is pk (S), sk (N)\nGive it as JSON: '{"pk": "a", "sk": 7}'""")


def test_of_a_table_that_is_gone_both_meanings_are_tried() -> None:
    assert item_keys("plain", None, "T") == ["plain"]
    assert item_keys("7", None, "T") == ["7"]
    loose = '{"pk": "a", "sk": 7}'
    assert item_keys(loose, None, "T") == [loose, '{"pk":{"S":"a"},"sk":{"N":"7"}}']
    assert item_keys('{"a": [1]}', None, "T") == ['{"a": [1]}']

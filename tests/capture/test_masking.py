"""Masked places: taken out whole, shown as such, and found again by their paths."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from weaudit.capture.masking import masked, path_of, path_text, redacted, unredacted

NAMES = st.text(min_size=1, max_size=6) | st.sampled_from(["a.b", ".", "\\", "a\\.b", "\\\\."])


@given(st.lists(NAMES, min_size=1, max_size=4).map(tuple))
def test_a_path_is_read_as_it_was_written(path: tuple[str, ...]) -> None:
    assert path_of(path_text(path)) == path


def test_a_plain_path_is_its_names_with_dots_between() -> None:
    assert path_text(("address", "street")) == "address.street"
    assert path_text(("a.b", "c")) == "a\\.b.c"


def test_a_masked_place_is_taken_out_with_all_that_is_in_it() -> None:
    item: dict[str, Any] = {
        "address": {"M": {"street": {"M": {"name": {"S": "x"}}}, "city": {"S": "y"}}},
        "pin": {"N": "1"},
    }
    found, taken = masked(item, [("address", "street"), ("pin",), ("absent",), ("pin", "deeper")])
    assert found == {"address": {"M": {"street": {"#": ""}, "city": {"S": "y"}}}, "pin": {"#": ""}}
    assert taken == {"address.street": {"M": {"name": {"S": "x"}}}, "pin": {"N": "1"}}
    assert item["pin"] == {"N": "1"}


def test_a_path_through_what_is_no_map_masks_nothing() -> None:
    item: dict[str, Any] = {"a": {"S": "x"}, "b": {"L": [{"M": {"c": {"S": "x"}}}]}}
    assert masked(item, [("a", "b"), ("b", "c"), ("b", "0")]) == (item, {})


@given(strategies.attributes, st.lists(st.lists(strategies.names, min_size=1, max_size=3).map(tuple), max_size=4))
def test_a_record_shows_what_is_masked_and_its_paths_lead_back(item: dict[str, Any], places: Any) -> None:
    for name, inner in item.items():
        if "M" in inner:
            places = [*places, *((name, part) for part in inner["M"])]
    clear, taken = masked(item, places)
    paths = [path_of(text) for text in taken]
    shown = redacted({"M": clear})
    assert "#" not in str(shown) or "#" in str(item)
    assert unredacted(None, shown, paths) == {"M": clear}
    for name in clear:
        own = [path for path in paths if path[0] == name]
        assert unredacted(name, redacted(clear[name]), own) == clear[name]

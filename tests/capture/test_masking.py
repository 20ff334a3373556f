"""Masked places: taken out whole, shown as such, and found again by their paths."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.trails import decide
from weaudit.capture.masking import masked, redacted, unredacted
from weaudit.items.paths import path_of, path_text
from weaudit.trail.history import changes

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
    found, taken = masked(
        item, [("address", "street"), ("pin",), ("absent",), ("pin", "deeper"), ("address", "street", "name")]
    )
    assert found == {"address": {"M": {"street": {"#": ""}, "city": {"S": "y"}}}, "pin": {"#": ""}}
    assert taken == {"address.street": {"M": {"name": {"S": "x"}}}, "pin": {"N": "1"}}
    assert item["pin"] == {"N": "1"}


def test_a_path_that_meets_something_other_than_a_map_masks_the_whole_of_it() -> None:
    """What a rule hides must not show because a writer nested it in another way."""
    inner: dict[str, Any] = {"M": {"c": {"S": "x"}}}
    item: dict[str, Any] = {"a": {"S": "x"}, "b": {"L": [inner]}, "c": {"M": {"d": {"N": "1"}}}, "n": {"NULL": True}}
    found, taken = masked(item, [("a", "b"), ("b", "c"), ("b", "0"), ("c", "d", "e"), ("n", "x")])
    assert found == {"a": {"#": ""}, "b": {"#": ""}, "c": {"M": {"d": {"#": ""}}}, "n": {"NULL": True}}
    assert taken == {"a": {"S": "x"}, "b": {"L": [inner]}, "c.d": {"N": "1"}}


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


def test_of_a_record_only_the_value_that_is_masked_is_read_as_masked() -> None:
    """A path that met a text masked the whole of it; after the change there is a map, of which a part is masked."""
    text: dict[str, Any] = {"S": "secret"}
    parts: dict[str, Any] = {"M": {"pin": {"S": "1"}, "name": {"S": "x"}}}
    shown = {"M": {"pin": {"#": ""}, "name": {"S": "x"}}}
    for old, new, expected in ((text, parts, ({"#": ""}, shown)), (parts, text, (shown, {"#": ""}))):
        one = strategies.change({"key": {"S": "k"}, "who": old}, {"key": {"S": "k"}, "who": new})
        (found,) = changes(decide(one, redact=["who.pin"]))
        (part,) = found.attributes
        assert part.masked == ("who", "who.pin")
        assert (part.old, part.new) == expected

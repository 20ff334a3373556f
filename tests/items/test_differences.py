"""Differences are found path by path, and none is invented."""

from typing import Any

from hypothesis import given

from tests.strategies import values
from weaudit.items.differences import Difference, differences
from weaudit.items.values import same_value


def N(*numbers: int) -> list[dict[str, str]]:  # noqa: N802  (the type's name on the wire)
    """Return a list of numbers on the wire."""
    return [{"N": str(number)} for number in numbers]


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return the value at a path, None where there is none."""
    for step in path:
        if value is None:
            return None
        container = value.get("M" if isinstance(step, str) else "L")
        if isinstance(container, list):
            value = container[step] if isinstance(step, int) and step < len(container) else None
        else:
            value = None if container is None else container.get(step)
    return value


@given(values, values)
def test_every_difference_is_where_it_says(old: dict[str, Any], new: dict[str, Any]) -> None:
    """And there is none exactly where the values are the same."""
    found = list(differences(old, new))
    assert bool(found) != same_value(old, new)
    for place in found:
        if not place.member:
            # What a list gained has its place in the new one, what it lost in the old one.
            assert place.old is None or same_value(at(old, place.path), place.old)
            assert place.new is None or same_value(at(new, place.path), place.new)
            assert not same_value(place.old, place.new)


@given(values)
def test_what_was_not_there_is_one_difference(value: dict[str, Any]) -> None:
    """An added or removed value is shown whole."""
    assert list(differences(None, value, ("a",))) == [Difference(("a",), None, value)]
    assert list(differences(value, None, ("a",))) == [Difference(("a",), value, None)]
    assert list(differences(value, value)) == []


def test_nested_maps_and_lists_are_followed_down() -> None:
    """To the number that changed, and the one that came."""
    old = {"M": {"b": {"L": N(0, 1, 1)}, "same": {"S": "x"}}}
    new = {"M": {"b": {"L": N(0, 1, 2, 5)}, "same": {"S": "x"}, "new": {"NULL": True}}}
    assert list(differences(old, new, ("a",))) == [
        Difference(("a", "b", 2), {"N": "1"}, {"N": "2"}),
        Difference(("a", "b", 3), None, {"N": "5"}),
        Difference(("a", "new"), None, {"NULL": True}),
    ]


def test_an_element_put_in_the_middle_is_one_difference() -> None:
    """What follows it only moved."""
    assert list(differences({"L": N(1, 2, 3)}, {"L": N(1, 9, 2, 3)})) == [Difference((1,), None, {"N": "9"})]
    assert list(differences({"L": N(1, 9, 2, 3)}, {"L": N(1, 2, 3)})) == [Difference((1,), {"N": "9"}, None)]


def test_sets_tell_what_they_lost_and_gained() -> None:
    """Numbers by value, binary as it is."""
    assert list(differences({"NS": ["1.0", "2"]}, {"NS": ["1", "3e0"]}, ("s",))) == [
        Difference(("s",), {"N": "2"}, None, member=True),
        Difference(("s",), None, {"N": "3"}, member=True),
    ]
    assert list(differences({"BS": ["AA=="]}, {"BS": ["AQ=="]})) == [
        Difference((), {"B": "AA=="}, None, member=True),
        Difference((), None, {"B": "AQ=="}, member=True),
    ]


def test_another_type_is_one_difference() -> None:
    """A number that became its text is a change."""
    assert list(differences({"N": "1"}, {"S": "1"})) == [Difference((), {"N": "1"}, {"S": "1"})]
    assert list(differences({"N": "1"}, {"N": "1.0"})) == []

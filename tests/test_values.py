"""Value classes: they do what frozen dataclasses with slots do."""

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from weaudit import values
from weaudit.values import replaced, value


@value
class Point:
    """A place."""

    x: int
    y: int = 0
    names: tuple[str, ...] = ()

    @property
    def far(self) -> bool:
        """Whether it is not the origin."""
        return (self.x, self.y) != (0, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    x: int
    y: int = 0
    names: tuple[str, ...] = ()


@pytest.mark.parametrize("words", [(1,), (1, 2), (1, 2, ("a",))])
def test_it_is_made_shown_compared_and_hashed_as_a_dataclass_is(words: tuple[Any, ...]) -> None:
    ours, theirs = Point(*words), Reference(*words)
    assert [getattr(ours, field.name) for field in dataclasses.fields(theirs)] == list(dataclasses.astuple(theirs))
    assert repr(ours) == repr(theirs).replace("Reference", "Point")
    assert hash(ours) == hash(theirs)
    assert ours == Point(*words) != Point(9)
    another: Any = theirs
    assert ours != another
    assert ours.far
    assert (Point.__doc__, Point.__module__, Point.__qualname__) == ("A place.", __name__, "Point")


@pytest.mark.parametrize(("words", "fields"), [((), {}), ((1, 2, (), 4), {}), ((1,), {"x": 1}), ((1,), {"z": 1})])
def test_wrong_fields_are_refused_as_a_dataclass_refuses_them(words: tuple[Any, ...], fields: dict[str, Any]) -> None:
    for made in (Point, Reference):
        with pytest.raises(TypeError):
            made(*words, **fields)


def test_a_value_with_other_fields_is_another_value() -> None:
    one = Point(1, 2)
    assert replaced(one, y=3) == Point(1, 3)
    assert one == Point(1, 2)
    with pytest.raises(TypeError, match="z"):
        replaced(one, z=3)


def test_it_has_no_room_for_more_and_in_tests_nothing_writes_to_it() -> None:
    assert values.write_once
    point: Any = Point(1, 2)
    with pytest.raises(AttributeError, match="Point is a value: its x cannot be written to"):
        point.x = 2
    with pytest.raises(AttributeError):
        point.z = 2
    assert point == Point(1, 2)


def test_what_holds_a_dictionary_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point({}))  # type: ignore[arg-type]


def test_it_can_be_copied_and_pickled() -> None:
    point = Point(1, 2, ("a",))
    assert copy.deepcopy(point) == point == pickle.loads(pickle.dumps(point))  # noqa: S301 our own

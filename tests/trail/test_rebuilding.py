"""A state of the past is right, or says that it is not: held to the images that were there."""

import copy
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.strategies import change
from tests.trails import decide, decision
from weaudit.items.values import canonical, data, same_value
from weaudit.trail.changes import AuditedChange, ValueReference
from weaudit.trail.history import changes
from weaudit.trail.rebuilding import MOST_LATER, rebuild
from weaudit.trail.states import AsOf, between

Image = dict[str, Any] | None
KEY = {"key": {"S": "k"}}


def number(value: object) -> dict[str, str]:
    return {"N": str(value)}


def nothing(reference: ValueReference, salt: bytes) -> None:
    """No value of these trails was too large for its record, but for those that are lost."""


class Life:
    """An item's images one after the other, and the records of the changes between them."""

    def __init__(self, images: Sequence[Image]) -> None:
        told = [
            (step, change(*step, sequence=str(place), created_at_ms=place * 1000))
            for place, step in enumerate(itertools.pairwise(images), 1)
            if step != (None, None)
        ]
        made = [(step, decide(one)) for step, one in told]
        # A write that changed nothing has no records, and no state of its own.
        self.images = [after for (_, after), records in made if records]
        self.records = [record for _, records in made for record in records]

    def changes(self) -> list[AuditedChange]:
        return list(changes(self.records))


def told(found: Sequence[AuditedChange], place: int, **options: Any) -> AsOf:
    """Return the state after the change at a place."""
    options = {"exact": True, **options}
    return rebuild(reversed(found[: place + 1]), found[place + 1 :], nothing, **options)


def codes(state: AsOf) -> list[str]:
    return [problem.code for problem in state.problems]


def assert_right(state: AsOf, image: Image) -> None:
    """Whatever is told is so: all of it where the state is complete, every single part where it is not."""
    if state.complete:
        assert state.exists == (image is not None)
        assert (None if state.item is None else canonical({"M": state.item})) == (
            None if image is None else canonical({"M": data(image)})
        )
        assert state.unknown == ()
        return
    there = data(image or {})
    assert state.exists in (None, image is not None)
    for name, value in (state.item or {}).items():
        assert same_value(value, there.get(name))
    assert not state.absent & there.keys()
    assert not set(state.unknown) & (state.item or {}).keys()


def respelled(value: dict[str, Any]) -> dict[str, Any]:
    return {"N": value["N"] + (".0" if value["N"].lstrip("-").isdecimal() else "")} if "N" in value else value


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Creations, deletions, new creations; the marker of logged updates; numbers that are only spelled otherwise."""
    images: list[Image] = [None]
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["set", "set", "set", "delete", "respell"]))
        before = images[-1]
        if kind == "delete":
            images.append(None)
        elif kind == "respell" and before is not None:
            images.append({name: respelled(value) for name, value in before.items()})
        else:
            kept = {name: before[name] for name in before if draw(st.booleans())} if before else {}
            marked = {"_weaudit": {"S": str(len(images))}} if draw(st.booleans()) else {}
            images.append({**kept, **draw(strategies.attributes), **marked, **KEY})
    return Life(images)


@given(lives())
def test_every_state_is_what_was_there(life: Life) -> None:
    found = life.changes()
    for place, image in enumerate(life.images):
        for exact in (True, False):
            state = told(found, place, exact=exact)
            assert state.complete
            assert_right(state, image)
            assert state.last_change == found[place]
            assert state.next_change == (found[place + 1] if place + 1 < len(found) else None)


@given(lives(), st.data())
def test_where_changes_are_missing_nothing_wrong_is_told(life: Life, draws: st.DataObject) -> None:
    found = life.changes()
    kept = sorted(draws.draw(st.sets(st.integers(0, max(0, len(found) - 1)))))
    left = [found[place] for place in kept if place < len(found)]
    live = life.images[-1] if life.images else None
    for place, original in enumerate(kept[: len(left)]):
        for options in ({}, {"live": lambda: live}):
            assert_right(told(left, place, **options), life.images[original])


@given(lives(), st.data())
def test_where_records_are_missing_or_altered_no_state_is_called_whole_that_is_not(
    life: Life, draws: st.DataObject
) -> None:
    records = copy.deepcopy(life.records)
    for _ in range(draws.draw(st.integers(1, 2))):
        if not records:
            return
        victim = draws.draw(st.integers(0, len(records) - 1))
        field = draws.draw(st.sampled_from(["oldValue", "newValue", "record"]))
        if field == "record" or field not in records[victim]:
            del records[victim]
        elif "updatedAttribute" in records[victim]:
            records[victim][field] = draws.draw(strategies.values)
    by_sequence = {one.sequence: image for one, image in zip(life.changes(), life.images, strict=True)}
    left = list(changes(records))
    for place, one in enumerate(left):
        state = told(left, place)
        if state.complete:
            assert_right(state, by_sequence[one.sequence])


def life(*images: Image) -> list[AuditedChange]:
    return Life([None if image is None else {**KEY, **image} for image in images]).changes()


V: list[Image] = [{"v": number(place), "w": {"S": "same"}} for place in range(6)]


def test_an_item_that_nobody_audited() -> None:
    state = rebuild([], [], nothing)
    assert (state.exists, state.item, codes(state)) == (None, None, ["NotRecorded"])


def test_before_the_first_record_nothing_is_told_but_of_a_table_audited_from_birth() -> None:
    state = rebuild([], life(None, V[0]), nothing)
    assert (state.exists, codes(state)) == (None, ["BeforeFirstRecord"])
    assert rebuild([], life(V[0], V[1]), nothing, from_birth=True).exists is None
    state = rebuild([], life(None, V[0]), nothing, from_birth=True)
    assert (state.exists, state.complete, state.last_change) == (False, True, None)


def test_after_a_deletion_there_is_no_item() -> None:
    found = life(None, V[0], None, V[1])
    assert (told(found, 1).exists, told(found, 1).item, told(found, 1).complete) == (False, None, True)
    assert told(found, 2).item == {**KEY, **(V[1] or {})}


def test_of_an_item_older_than_its_trail_what_later_changes_say_is_known() -> None:
    found = life({"a": number(1), "b": number(1), "c": number(1)}, {"a": number(2), "b": number(1)}, {"b": number(2)})
    state = told(found, 0)
    assert codes(state) == ["AuditingBeganLater"]
    assert state.item == {"a": number(2), "b": number(1)}
    assert state.absent == {"c"}
    assert codes(told(found, 0, from_birth=True)) == ["Gap"]


def test_an_item_older_than_its_trail_is_whole_once_it_was_deleted_or_can_be_read() -> None:
    images = [V[0], V[1], V[2], {"v": number(9)}]
    found = life(*images)
    live = {**KEY, **(images[-1] or {}), "_weaudit": {"S": "mark"}}
    for place in range(3):
        for state in (told([*found, *life(*images, None)[-1:]], place), told(found, place, live=lambda: live)):
            assert state.complete
            assert state.item == {**KEY, **(images[place + 1] or {})}
        assert not told(found, place, live=lambda: {**live, "v": number(8)}).complete


def test_an_altered_value_on_the_way_back_from_a_deletion_is_not_believed() -> None:
    records = Life([{**KEY, **image} for image in V[:3] if image] + [None]).records
    records[1]["oldValue"] = number(7)
    state = told(list(changes(records)), 0)
    assert codes(state) == ["AuditingBeganLater"]


def test_a_gap_leaves_in_doubt_what_was_told_before_it() -> None:
    found = life(
        None, {"a": number(1), "b": number(1)}, {"a": number(2), "b": number(2)}, {"a": number(3), "b": number(2)}
    )
    del found[1]
    state = told(found, 1)
    assert codes(state) == ["Gap"]
    assert state.item == {"a": number(3)}
    assert state.unknown == ("b", "key")
    # What is missing was made before the point or after it.
    state = told(found, 0, exact=False)
    assert (codes(state), state.exists, state.item) == (["Gap"], True, None)
    assert told(found, 0).complete


def test_a_gap_does_no_harm_where_everything_it_may_hide_was_written_again() -> None:
    found = life(None, {"a": number(1)}, {"a": number(2)}, {"a": number(3)})
    del found[1]
    assert told(found, 1).complete


class Evidence:
    """The large values of an item's life, and the attributes whose values were read, with their commitments."""

    def __init__(self, *images: Image) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.read: list[tuple[str, str]] = []
        self.of_change: list[list[str]] = []
        self.changes: list[AuditedChange] = []
        for place, (old, new) in enumerate(itertools.pairwise(images), 1):
            made = decision(change(old, new, sequence=str(place), created_at_ms=place * 1000))
            self.kept.update((large.commitment, json.loads(large.text)) for large in made.large_values)
            self.of_change.append([large.commitment for large in reversed(made.large_values)])
            self.changes.extend(changes(made.records))

    def follow(self, reference: ValueReference, salt: bytes) -> dict[str, Any] | None:
        assert salt == self.changes[0].salt
        self.read.append((reference.name, reference.commitment))
        return self.kept.get(reference.commitment)

    def told(self, place: int, **options: Any) -> AsOf:
        return rebuild(reversed(self.changes[: place + 1]), self.changes[place + 1 :], self.follow, **options)


def large(letter: str) -> dict[str, str]:
    return {"S": letter * 5000}


def test_large_values_are_read_only_where_they_are_needed() -> None:
    images = [{**KEY, "v": large(letter), "w": {"S": "same"}} for letter in "abc"]
    there = Evidence(None, *images)
    state = there.told(2)
    assert (state.complete, state.item) == (True, images[2])
    assert there.read == [("v", there.of_change[2][-1])]


def test_no_large_value_is_read_of_an_item_that_does_not_exist() -> None:
    there = Evidence(None, {**KEY, "v": large("a")}, None)
    assert (there.told(1).exists, there.read) == (False, [])


def test_a_large_value_is_read_for_a_state_that_only_later_changes_make_known() -> None:
    images = [{**KEY, "v": large(letter), "w": large("w"), "n": {"S": letter}} for letter in "abc"]
    there = Evidence(*images, None)
    state = there.told(0)
    assert (state.complete, state.item) == (True, images[1])
    assert sorted(name for name, _ in there.read) == ["v", "w"]


def test_a_lost_value_is_unknown_and_named_and_everything_else_is_known() -> None:
    """The other records know no more than its commitment."""
    images = [{**KEY, "v": large(letter), "u": large("u"), "w": {"S": "same"}} for letter in "abc"]
    there = Evidence(None, *images)
    (gone,) = set(there.of_change[1]) & set(there.of_change[2])
    del there.kept[gone]
    state = there.told(1)
    assert codes(state) == ["ValueLost"]
    assert "a large value of v" in state.problems[0].message
    assert (state.item, state.unknown) == ({**KEY, "u": large("u"), "w": {"S": "same"}}, ("v",))
    assert state.absent == frozenset()
    for place in (0, 2):
        assert (there.told(place).complete, there.told(place).item) == (True, images[place])
    there.kept.clear()
    state = there.told(1)
    assert {problem.message.split()[4] for problem in state.problems} == {"u", "v"}
    assert (state.item, state.unknown) == ({**KEY, "w": {"S": "same"}}, ("u", "v"))


def test_a_recorded_value_that_has_not_the_hash_makes_every_value_doubtful() -> None:
    records = Life([None, {**KEY, "v": number(1)}, {**KEY, "v": number(2)}]).records
    records[1]["newValue"] = number(7)
    state = told(list(changes(records)), 1)
    assert (codes(state), state.item, state.unknown) == (["HashMismatch"], None, ("key", "v"))


@pytest.mark.parametrize("value", [{"Q": "?"}, {}, {"N": 5}, {"N": "many"}, {"M": 3}])
def test_what_someone_wrote_by_hand_breaks_nothing(value: Any) -> None:
    records = Life([None, {**KEY, "v": number(1)}, {**KEY, "v": number(2)}]).records
    records[1]["newValue"] = value
    assert not told(list(changes(records)), 1).complete
    records[1] = {name: records[1][name] for name in ("id", "changeOrder", "updatedAttribute")}
    assert codes(told(list(changes(records)), 1)) == ["HashMismatch"]


def test_nothing_is_read_that_is_not_needed() -> None:
    found = life(None, V[0], None, *V, None)
    at = 4
    earlier, later = iter(found[at::-1]), iter(found[at + 1 :])
    assert rebuild(earlier, later, nothing).complete
    assert len(list(earlier)) == 2
    assert len(list(later)) == len(found) - at - 2


def test_of_later_changes_only_so_many_are_asked() -> None:
    asked = []

    def endless() -> Iterable[AuditedChange]:
        for place in range(2, MOST_LATER * 3):
            asked.append(place)
            (one,) = life({"v": number(place)}, {"v": number(place + 1)})
            yield one

    state = rebuild(life({"v": number(1)}, {"v": number(2)}), endless(), nothing)
    assert codes(state) == ["AuditingBeganLater"]
    assert len(asked) == MOST_LATER + 1


@given(lives(), st.data())
def test_what_differs_between_two_states_is_what_differed(life: Life, draws: st.DataObject) -> None:
    found = life.changes()
    if not found:
        return
    one, other = (draws.draw(st.integers(0, len(found) - 1)) for _ in range(2))
    compared = between(told(found, one), told(found, other))
    before, after = (data(life.images[place] or {}) for place in (one, other))
    names = {name for name in before.keys() | after.keys() if not same_value(before.get(name), after.get(name))}
    assert compared.complete
    assert {place.path[0] for place in compared.differences} == names


def test_states_that_are_not_whole_are_compared_as_far_as_they_are_known() -> None:
    found = life({"a": number(1), "b": number(1)}, {"a": number(2), "b": number(1)}, {"a": number(2), "c": number(1)})
    compared = between(told(found, 0), told(found, 1))
    assert not compared.complete
    assert [(place.path, place.old, place.new) for place in compared.differences] == [
        (("b",), number(1), None),
        (("c",), None, number(1)),
    ]
    # Before the trail begins nothing is known: what is there later may have been there.
    compared = between(rebuild([], found, nothing), told(found, 1))
    assert (compared.differences, compared.unknown) == ((), ("a", "c"))

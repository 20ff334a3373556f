"""What rules would make of recorded changes is what audit_producer makes of them; and what records still hold."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import attributes, change, names
from tests.trails import decide, decision, rules_of
from weaudit.capture.rules import PLACES, Rules, resolved
from weaudit.errors import InvalidInputError
from weaudit.trail.changes import AuditedChange
from weaudit.trail.history import changes
from weaudit.values import replaced
from weaudit.watch.trying import Affected, Held, held, tried

KEY = {"key": {"S": "k"}}
OLD: dict[str, Any] = {
    **KEY, "status": {"S": "placed"}, "at": {"N": "1"}, "card": {"M": {"number": {"S": "4111"}, "kind": {"S": "x"}}},
    "email": {"S": "a@b"}, "note": {"S": "hush"},
}  # fmt: skip


def recorded(old: dict[str, Any] | None, new: dict[str, Any] | None, **rules: Any) -> list[AuditedChange]:
    return [*changes(decide(change(old, new), **rules))]


def trial(found: list[AuditedChange], **rules: Any) -> Any:
    return tried(found, lambda _: resolved(rules_of(**rules), KEY))


RULES = st.dictionaries(
    st.sampled_from([name for name in PLACES if name != "only"]),
    st.lists(st.lists(names, min_size=1, max_size=2).map(tuple), max_size=2),
)
ONLY = st.none() | st.lists(names.map(lambda name: (name,)), min_size=1, max_size=3)


def valid(places: dict[str, Any], only: Any) -> dict[str, Any] | None:
    """Return rules about places, or None if they contradict each other."""
    found = {**places, **({"only": [*only, ("key",)]} if only else {})}
    try:
        rules_of(**found)
    except InvalidInputError:
        return None
    return found


@given(st.none() | attributes, st.none() | attributes, RULES, ONLY)
def test_changes_that_were_recorded_whole_would_make_the_records_that_they_make_under_the_rules(
    old: dict[str, Any] | None, new: dict[str, Any] | None, places: dict[str, Any], only: Any
) -> None:
    rules = valid(places, only)
    if rules is None or (old is None and new is None):
        return
    before, after = (None if item is None else {**KEY, **item} for item in (old, new))
    found = recorded(before, after)
    made = trial(found, **rules)
    then = decide(change(before, after), **rules)
    assert (made.changes, made.records) == (len(found), sum(len(one.attributes) for one in found))
    assert made.records_then == len(then)
    assert made.silent == (len(found) if not then else 0)
    assert made.incomplete == 0


@given(st.none() | attributes, st.none() | attributes, RULES, ONLY)
def test_the_rules_of_the_time_change_nothing(
    old: dict[str, Any] | None, new: dict[str, Any] | None, places: dict[str, Any], only: Any
) -> None:
    rules = valid(places, only)
    if rules is None or (old is None and new is None):
        return
    before, after = (None if item is None else {**KEY, **item} for item in (old, new))
    made = trial(recorded(before, after, **rules), **rules)
    assert (made.silent, made.records_then) == (0, made.records)


def test_a_trial_says_which_places_are_affected_how_and_in_how_many_changes() -> None:
    paid = {**OLD, "status": {"S": "paid"}, "at": {"N": "2"}}
    touched = {**paid, "at": {"N": "3"}}
    moved = {**touched, "card": {"M": {"number": {"S": "5500"}, "kind": {"S": "x"}}}}
    steps = [(None, OLD), (OLD, paid), (paid, touched), (touched, moved), (moved, None)]
    made_at = [change(old, new, sequence=str(at), created_at_ms=1000 * at) for at, (old, new) in enumerate(steps, 1)]
    found = [one for each in made_at for one in changes(decide(each))]
    made = trial(found, exclude=["note"], ignore=["at"], redact=["card.number"], hash=["email"])
    assert (made.changes, made.records, made.records_then, made.silent) == (5, 6, 5, 1)
    assert (made.first, made.last) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:05.000Z")
    assert made.places == (
        Affected("at", "ignore", 4),
        Affected("card.number", "redact", 3),
        Affected("email", "hash", 2),
        Affected("note", "exclude", 2),
    )
    only = trial(found, only=["status"])
    assert (only.records_then, only.silent) == (3, 2)
    assert {(one.place, one.rule) for one in only.places} == {
        (name, "only") for name in OLD if name not in ("key", "status")
    }
    assert trial([]).changes == 0


def test_what_the_trail_does_not_hold_counts_as_changed_and_is_said() -> None:
    """Which of the two parts of the map changed, its record does not say any more."""
    moved = {**OLD, "card": {"M": {"number": {"S": "5500"}, "kind": {"S": "x"}}}}
    found = recorded(OLD, moved, redact=["card.number"])
    for rules in ({}, {"redact": ["card.number"]}, {"ignore": ["card.kind"]}, {"hash": ["card"]}):
        made = trial(found, **rules)
        assert (made.records_then, made.silent, made.incomplete) == (1, 0, 1)
    assert trial(found, exclude=["card"]).silent == 1
    assert trial(found, ignore=["card"]).silent == 1
    lines = [tuple(replaced(part, old=None, new=None) for part in one.attributes) for one in found]
    erased = [replaced(one, erased=True, attributes=parts) for one, parts in zip(found, lines, strict=True)]
    made = trial(erased, exclude=["card"])
    assert (made.records_then, made.silent, made.incomplete, made.places) == (1, 0, 1, ())
    # A large value whose object is gone is not known either.
    large = {**OLD, "note": {"S": "x" * 5000}}
    lost = [*changes(decision(change(large, {**large, "note": {"S": "y" * 5000}})).records)]
    assert (trial(lost).incomplete, trial(lost).records_then, trial(lost, ignore=["note"]).silent) == (1, 1, 1)


@pytest.mark.parametrize("step", [(None, OLD), (OLD, None), (OLD, {**OLD, "card": {"S": "4111"}}), (OLD, KEY)])
def test_records_hold_in_the_clear_what_no_rule_hid(step: tuple[Any, Any]) -> None:
    paths = [("card", "number"), ("absent",), ("card",)]
    at = "2024-01-01T00:00:00.000Z"
    assert held(recorded(*step), paths) == {"card.number": Held(1, at), "absent": Held(), "card": Held(1, at)}
    inner: list[dict[str, Any]] = [{name: ["card.number"]} for name in ("redact", "hash", "exclude")]
    for rules in inner:
        found = held(recorded(*step, **rules), paths)
        assert found["card.number"] == Held()
    outer: list[dict[str, Any]] = [{name: ["card"]} for name in ("redact", "hash", "exclude")]
    for rules in [*outer, {"only": ["key", "status"]}]:
        found = held(recorded(*step, **rules), paths)
        assert found["card.number"] == found["card"] == Held()


def test_of_an_only_rule_each_attribute_that_it_leaves_out_is_looked_for() -> None:
    at = "2024-01-01T00:00:00.000Z"
    found = held(
        recorded(None, OLD, redact=["email"]) + recorded(OLD, {**OLD, "at": {"N": "2"}}), [], ["key", "status"]
    )
    assert found == {"at": Held(2, at), "card": Held(1, at), "note": Held(1, at)}
    assert held(recorded(None, OLD), [], []) == {}


def test_no_rules_leave_every_record_as_it_is() -> None:
    found = recorded(OLD, {**OLD, "at": {"N": "2"}})
    made = tried(found, lambda _: Rules())
    assert (made.records, made.records_then, made.silent, made.places) == (1, 1, 0, ())

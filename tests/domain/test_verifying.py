"""Whether a trail is whole: an untouched one always is, and whatever is planted in it is found where it is."""

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.strategies import change
from weaudit.domain import auditing, histories
from weaudit.domain.verifying import Verdict, verify_item

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/Configuration"
Records = list[dict[str, Any]]


def trail(images: Sequence[dict[str, Any] | None]) -> Records:
    """Return the records of an item that takes these images one after the other (None: it is not there)."""
    steps = enumerate(itertools.pairwise(images), 1)
    return [
        record
        for number, (old, new) in steps
        if old is not None or new is not None
        for record in auditing.decide(change(old, new, sequence=str(number)))
    ]


def verdict(records: Records, live: dict[str, Any] | None, *, from_birth: bool = True) -> Verdict:
    in_order = sorted(records, key=lambda record: record["changeOrder"]["S"])
    told = histories.changes(in_order)
    return verify_item(told, live, table="Configuration", table_arn=ARN, item_key="k", audited_from_birth=from_birth)


def kinds(records: Records, live: dict[str, Any] | None, **options: bool) -> list[tuple[str, str]]:
    return [(finding.kind, finding.sequence) for finding in verdict(records, live, **options).findings]


def number(text: str) -> dict[str, str]:
    return {"N": text}


V = [{"key": {"S": "k"}, "v": {"N": str(number)}, "w": {"S": "same"}} for number in range(9)]

images = st.lists(st.none() | strategies.attributes, max_size=6)


@given(images)
def test_an_untouched_trail_is_whole(taken: list[Any]) -> None:
    assert kinds(trail([None, *taken]), taken[-1] if taken else None) == []


@given(images, strategies.attributes)
def test_an_untouched_trail_that_began_after_the_item_is_whole_and_said_to_begin_late(
    taken: list[Any], first: dict[str, Any]
) -> None:
    found = verdict(trail([first, *taken]), ([first, *taken])[-1], from_birth=False)
    assert found.findings == ()
    assert (
        found.begins_late or not trail([first, *taken])[:1] or trail([first, *taken])[0]["eventName"]["S"] == "INSERT"
    )


@given(st.data())
def test_whatever_record_is_removed_something_is_found(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 6))
    records = trail([None, *V[:count]])
    del records[data.draw(st.integers(0, len(records) - 1))]
    assert kinds(records, V[count - 1])


def test_a_removed_record_is_a_gap_before_the_next_change() -> None:
    records = [record for record in trail([None, *V[:4]]) if record["sequenceNumber"]["S"].lstrip("0") != "2"]
    assert kinds(records, V[3]) == [("gap", "3")]


def test_a_removed_first_record_is_a_gap_where_the_table_was_audited_from_birth() -> None:
    assert kinds(trail([None, *V[:3]])[1:], V[2]) == [("gap", "2")]
    assert kinds(trail([None, *V[:3]])[1:], V[2], from_birth=False) == []


def test_a_removed_last_record_shows_at_the_live_item() -> None:
    assert kinds(trail([None, *V[:3]])[:-1], V[2]) == [("unaudited", "")]


def test_one_record_of_several_of_a_change_removed_shows_at_the_change() -> None:
    records = trail([None, {"a": {"N": "1"}, "b": {"N": "1"}}, {"a": {"N": "2"}, "b": {"N": "2"}}])
    assert kinds(records[:-1], {"a": {"N": "2"}, "b": {"N": "2"}}) == [("edited", "2")]


@pytest.mark.parametrize("field", ["oldValue", "newValue"])
def test_an_edited_value_shows_at_its_change(field: str) -> None:
    records = copy.deepcopy(trail([None, *V[:4]]))
    records[2][field] = {"N": "77"}
    assert kinds(records, V[3]) == [("edited", "3")]


def test_an_edited_insert_and_an_edited_delete_show_at_their_change() -> None:
    records = copy.deepcopy(trail([None, V[0], None]))
    records[0]["newValue"] = {"M": V[1]}
    assert kinds(records, None) == [("edited", "1")]
    records = copy.deepcopy(trail([None, V[0], None]))
    records[1]["oldValue"] = {"M": V[1]}
    assert kinds(records, None) == [("edited", "2")]


def test_a_value_edited_before_the_first_whole_state_is_found_too() -> None:
    records = copy.deepcopy(trail(V[:4]))
    records[1]["newValue"] = {"N": "77"}
    assert kinds(records, V[3], from_birth=False) == [("edited", "2")]


def test_a_lost_value_is_all_that_is_found_also_where_the_trail_begins_late() -> None:
    images = [{"a": number("1"), "b": number("1")}, {"a": number("2"), "b": number("1")}]
    images.append({"a": number("2"), "b": number("2")})
    records = copy.deepcopy(trail(images))
    del records[1]["oldValue"]
    reference = {"bucket": {"S": "b"}, "key": {"S": "spill/x"}, "sha256": {"S": "0" * 64}, "bytes": {"N": "1"}}
    records[1]["oldValueRef"] = {"M": reference}
    assert kinds(records, images[-1], from_birth=False) == [("lost", "2")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("modificationTime", "2025-01-01T00:00:00.000Z"),
        ("actor", {"M": {"kind": {"S": "stated"}, "name": {"S": "mallory"}}}),
        ("changesKey", "Other#2024-01#0"),
    ],
)
def test_an_edited_time_actor_or_index_key_of_one_record_shows_at_its_change(field: str, value: Any) -> None:
    records = copy.deepcopy(trail([{"a": {"N": "1"}, "b": {"N": "1"}}, {"a": {"N": "2"}, "b": {"N": "2"}}]))
    records[1][field] = {"S": value} if isinstance(value, str) else value
    live = {"a": {"N": "2"}, "b": {"N": "2"}}
    assert ("edited", "1") in kinds(records, live, from_birth=False)


def test_a_forged_change_is_a_fork_and_its_record_a_leftover() -> None:
    records = trail([None, *V[:3]])
    (forged,) = auditing.decide(change(V[0], V[7], sequence="15", stream_arn="arn:forged"))
    forged["changeOrder"] = {"S": records[1]["changeOrder"]["S"] + "5"}
    found = kinds([*records, forged], V[2])
    assert ("leftover", "15") in found
    assert ("fork", "15") in found


def test_a_copied_record_is_a_leftover() -> None:
    records = trail([None, *V[:3]])
    copied = {**records[1], "id": {"S": "00000000-0000-4000-8000-000000000000"}}
    assert ("leftover", "2") in kinds([*records, copied], V[2])


def test_writes_made_while_nobody_watched_are_found() -> None:
    records = trail([None, *V[:3]])
    assert kinds(records, V[5]) == [("unaudited", "")]
    assert kinds(records, None) == [("unaudited", "")]
    assert kinds(trail([None, V[0], None]), V[0]) == [("unaudited", "")]
    assert kinds([], V[0]) == [("unaudited", "")]
    assert kinds([], V[0], from_birth=False) == []
    assert verdict([], V[0], from_birth=False).begins_late


def test_an_unaudited_write_followed_by_an_audited_one_is_a_gap() -> None:
    before = auditing.decide(change(None, V[0], sequence="1"))
    after = auditing.decide(change(V[1], V[2], sequence="3"))
    assert kinds([*before, *after], V[2]) == [("gap", "3")]

"""Whether a trail is whole: an untouched one always is, and whatever is planted in it is found where it is."""

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.fakes import SECRETS
from tests.strategies import change
from tests.trails import decide
from weaudit.capture import records as auditing
from weaudit.capture.store_secrets import Secrets
from weaudit.trail import history
from weaudit.trail.verification.verifying import Verdict, verify_item

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/Configuration"
Records = list[dict[str, Any]]


def trail(images: Sequence[dict[str, Any] | None]) -> Records:
    """Return the records of an item that takes these images one after the other (None: it is not there)."""
    steps = enumerate(itertools.pairwise(images), 1)
    return [
        record
        for number, (old, new) in steps
        if old is not None or new is not None
        for record in decide(change(old, new, sequence=str(number)))
    ]


def verdict(
    records: Records, live: dict[str, Any] | None, *, from_birth: bool = True, secrets: Secrets | None = None
) -> Verdict:
    in_order = sorted(records, key=lambda record: record["changeOrder"]["S"])
    told = history.changes(in_order)
    return verify_item(
        told,
        live,
        table="Configuration",
        table_arn=ARN,
        item_key="k",
        audited_from_birth=from_birth,
        secrets=secrets,
    )


def kinds(records: Records, live: dict[str, Any] | None, **options: Any) -> list[tuple[str, str]]:
    return [(finding.kind, finding.sequence) for finding in verdict(records, live, **options).findings]


def number(text: str) -> dict[str, str]:
    return {"N": text}


V = [{"key": {"S": "k"}, "v": {"N": str(number)}, "w": {"S": "same"}} for number in range(9)]

images = st.lists(st.none() | strategies.attributes, max_size=6)


@given(images)
def test_an_untouched_trail_is_whole(taken: list[Any]) -> None:
    for secrets in (None, SECRETS):
        assert kinds(trail([None, *taken]), taken[-1] if taken else None, secrets=secrets) == []


@given(images, strategies.attributes)
def test_an_untouched_trail_that_began_after_the_item_is_whole_and_said_to_begin_late(
    taken: list[Any], first: dict[str, Any]
) -> None:
    found = verdict(trail([first, *taken]), ([first, *taken])[-1], from_birth=False, secrets=SECRETS)
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
    live = {"a": {"N": "2"}, "b": {"N": "2"}}
    assert kinds(records, live) == []
    for left in (records[:-1], [records[0], records[2]]):
        assert kinds(left, live) == [("gap", "2"), ("edited", "2")]


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
    large = {"S": "x" * 5000}
    images = [{"a": number("1"), "b": large}, {"a": number("2"), "b": large}, {"a": number("2"), "b": number("2")}]
    records = trail(images)
    assert kinds(records, images[-1], from_birth=False, secrets=SECRETS) == [("lost", "2")]


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


def rewritten(records: Records, sequence: int, at: str = "", **fields: Any) -> Records:
    """Return a trail in which all records of one change agree on another time, and on other fields (None: without)."""
    found = copy.deepcopy(records)
    for record in found:
        padded = record["sequenceNumber"]["S"]
        if int(padded) != sequence:
            continue
        if at:
            record["modificationTime"], record["changesOrder"] = {"S": at}, {"S": f"{at}#{padded}"}
            shard = record["changesKey"]["S"][-1]
            record["changesKey"] = {"S": auditing.changes_key("Configuration", at[:7], shard)}
        record.update({name: value for name, value in fields.items() if value is not None})
        for name in [name for name, value in fields.items() if value is None]:
            record.pop(name, None)
    return found


def signed(stamps: Sequence[int], names: Sequence[str] = ()) -> tuple[Records, dict[str, Any]]:
    """Return the trail of an item that is written at each of these seconds, by whom it says; and the item."""
    images: list[Any] = [None]
    for number, name in itertools.zip_longest(range(len(stamps)), names, fillvalue="ada"):
        images.append({"key": {"S": "k"}, "v": {"N": str(number)}, "updatedBy": {"S": name}})
    steps = zip(itertools.pairwise(images), stamps, strict=True)
    records = [
        record
        for number, (pair, at) in enumerate(steps, 1)
        for record in decide(
            change(*pair, sequence=str(number), created_at_ms=1_704_067_200_000 + at * 1000), actor="updatedBy"
        )
    ]
    return records, images[-1]


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 60)), min_size=1, max_size=8), st.data())
def test_times_that_lie_out_of_order_by_a_minute_at_most_are_whole(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Whoever states to have written, and whether or not it changed."""
    at = itertools.accumulate(step for step, _ in steps)
    names = data.draw(st.lists(st.sampled_from(["ada", "bob", "7"]), max_size=len(steps)))
    records, live = signed([now - late for now, (_, late) in zip(at, steps, strict=True)], names)
    assert kinds(records, live, secrets=SECRETS) == []


def test_a_time_moved_before_the_change_before_shows_there_and_one_moved_on_at_the_next_change() -> None:
    records, live = signed([0, 100_000, 200_000, 300_000])
    assert kinds(rewritten(records, 2, "2020-01-01T00:00:00.000Z"), live) == [("misdated", "2")]
    assert kinds(rewritten(records, 2, "2023-12-31T23:58:59.000Z"), live) == [("misdated", "2")]
    assert kinds(rewritten(records, 2, "2031-01-01T00:00:00.000Z"), live) == [("misdated", "3")]
    assert kinds(rewritten(records, 2, "then"), live) == [("misdated", "2")]
    assert kinds(rewritten(records, 4, "2024-01-01T00:00:00.000Z"), live) == [("misdated", "4")]


def test_times_that_creep_backwards_are_found_where_they_are_a_minute_behind() -> None:
    records, live = signed([500 - 40 * number for number in range(5)])
    assert kinds(records, live) == [("misdated", "3"), ("misdated", "5")]


SERVICE = {"M": {"kind": {"S": "service"}, "name": {"S": "dynamodb.amazonaws.com"}}}


def stated(name: str, kind: str = "stated") -> dict[str, Any]:
    return {"M": {"kind": {"S": kind}, "name": {"S": name}}}


@pytest.mark.parametrize("sequence", [1, 2])
@pytest.mark.parametrize(
    "actor",
    [
        stated("mallory"),
        stated("None"),
        stated("mallory", "carried"),
        SERVICE,
        stated("ada", "logged"),
        stated("x", ""),
    ],
)
def test_an_actor_that_such_a_change_cannot_have_shows_at_it(sequence: int, actor: dict[str, Any]) -> None:
    """In a created item as in a changed one, though all records of the change agree."""
    records, live = signed([0, 10, 20], ["ada", "bob", "eve"])
    assert kinds(rewritten(records, sequence, actor=actor), live) == [("edited", str(sequence))]


def test_a_deletion_is_by_nobody_or_by_a_service_and_has_no_change_id() -> None:
    records = trail([None, V[0], None])
    assert kinds(rewritten(records, 2, actor=SERVICE), None) == []
    for fields in ({"actor": stated("ada")}, {"actor": stated("ada", "carried")}, {"changeId": {"S": "log-1"}}):
        assert kinds(rewritten(records, 2, **fields), None) == [("edited", "2")]


def test_a_name_is_no_value_that_is_too_large_for_a_record() -> None:
    """So a name is never missing because an object is lost: what refers to one there is forged."""
    long = "b" * 1025
    records, live = signed([0, 10], ["ada", long])
    assert all("actor" not in record for record in records if record["sequenceNumber"]["S"].endswith("2"))
    assert kinds(records, live, secrets=SECRETS) == []
    records, live = signed([0, 10], ["ada", "bob"])
    (record,) = (one for one in records if one.get("newValue") == {"S": "bob"})
    del record["newValue"]
    reference = {"bucket": {"S": "b"}, "key": {"S": "values/x"}, "commitment": {"S": "0" * 64}, "bytes": {"N": "1"}}
    record["newValueRef"] = {"M": reference}
    assert {("lost", "2"), ("edited", "2")} <= set(kinds(records, live))


def test_what_no_hash_is_over_is_found_only_with_the_secrets() -> None:
    """As docs/verifying.md says: should one of these be found one day, the page has to say so."""
    records, live = signed([0, 100_000, 200_000], ["ada", "bob", "eve"])
    for moved in (
        rewritten(records, 2, "2024-01-02T00:00:00.000Z"),  # between its neighbours
        rewritten(records, 3, "2031-01-01T00:00:00.000Z"),  # the last one, on
        rewritten(records, 2, actor=None),
        rewritten(records, 2, changeId={"S": "11111111-1111-4111-8111-111111111111"}),
    ):
        assert moved != records
        assert kinds(moved, live) == []
        found = set(kinds(moved, live, secrets=SECRETS))
        assert found <= {("edited", "2"), ("edited", "3")}
        assert found


def test_a_forged_change_is_a_fork_and_its_record_a_leftover() -> None:
    records = trail([None, *V[:3]])
    (forged,) = decide(change(V[0], V[7], sequence="15", stream_arn=f"{ARN}/stream/another"))
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
    before = decide(change(None, V[0], sequence="1"))
    after = decide(change(V[1], V[2], sequence="3"))
    assert kinds([*before, *after], V[2]) == [("gap", "3")]

"""Which records a change becomes, and what they hold."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.fakes import SECRETS
from tests.strategies import change
from tests.trails import decide, decision, rules_of
from weaudit.capture import records as auditing
from weaudit.capture.hashes import from_base64, in_base64, origin, record_hash
from weaudit.items.keys import history_key, item_key
from weaudit.items.sizes import item_bytes
from weaudit.items.values import same_value, spelled_item
from weaudit.trail import history
from weaudit.trail.changes import filled


@given(strategies.attributes, strategies.attributes)
def test_applying_the_records_to_the_old_image_gives_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    rebuilt = dict(old)
    for record in decide(change(old, new)):
        name = record["updatedAttribute"]["S"]
        assert same_value(record.get("oldValue"), rebuilt.get(name))
        rebuilt.pop(name, None)
        if "newValue" in record:
            rebuilt[name] = record["newValue"]
    assert spelled_item(rebuilt) == spelled_item(new)
    assert all(rebuilt[name] is new[name] or same_value(rebuilt[name], new[name]) for name in new)


@given(strategies.attributes, strategies.attributes)
def test_records_are_made_for_the_attributes_that_differ_and_for_no_others(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    records = decide(change(old, new))
    told = [record["updatedAttribute"]["S"] for record in records]
    assert told == sorted(name for name in old.keys() | new.keys() if not same_value(old.get(name), new.get(name)))
    assert not any("oldValue" not in record and "newValue" not in record for record in records)


@given(strategies.items)
def test_an_insert_and_a_delete_each_keep_the_whole_item_untouched(item: dict[str, Any]) -> None:
    (inserted,) = decide(change(None, item))
    (deleted,) = decide(change(item, None))
    assert inserted["newValue"] == {"M": item}
    assert "oldValue" not in inserted
    assert deleted["oldValue"] == {"M": item}
    assert "newValue" not in deleted
    assert inserted["afterHash"] == deleted["beforeHash"]


@given(st.integers(0, 10**40 - 1), st.none() | strategies.names)
def test_an_id_reads_as_a_version_4_uuid_and_is_derived(sequence: int, attribute: str | None) -> None:
    told = change(None, {"key": {"S": "k"}}, sequence=str(sequence))
    derived = auditing.record_id(told, attribute)
    parsed = uuid.UUID(derived)
    assert (str(parsed), parsed.version, parsed.variant) == (derived, 4, uuid.RFC_4122)
    assert auditing.record_id(told, attribute) == derived


def test_ids_differ_by_stream_sequence_and_attribute() -> None:
    image = {"key": {"S": "k"}}
    told = [
        change(None, image),
        change(None, image, sequence="2"),
        change(None, image, stream_arn="arn:aws:dynamodb:eu-west-1:111122223333:table/Other/stream/x"),
    ]
    ids = {auditing.record_id(one, attribute) for one in told for attribute in (None, "a", "b")}
    assert len(ids) == 9


composite_keys = st.fixed_dictionaries(
    {
        "pk": st.one_of(strategies.texts.map(lambda s: {"S": s}), strategies.binaries.map(lambda b: {"B": b})),
        "sk": strategies.digits.map(lambda n: {"N": str(n)}),
    }
)


@given(composite_keys, composite_keys)
def test_two_different_keys_never_have_the_same_item_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (item_key(one) == item_key(other)) == (one == other)


def test_a_key_of_one_string_is_its_own_name_and_any_other_is_typed_json() -> None:
    assert item_key({"id": {"S": '{"pk":1}'}}) == '{"pk":1}'
    assert item_key({"id": {"N": "7.0"}}) == '{"id":{"N":"7"}}'
    assert item_key({"id": {"B": "AAH/"}}) == '{"id":{"B":"AAH/"}}'
    assert item_key({"sk": {"S": "é"}, "pk": {"S": "a"}}) == '{"pk":{"S":"a"},"sk":{"S":"é"}}'


def test_the_history_of_an_item_can_be_found_with_a_shell() -> None:
    # printf 'Configuration\0CACHE_TTL_SEC' | sha256sum | cut -c-40
    assert history_key("Configuration", "CACHE_TTL_SEC") == "f74f595c3d3cffc25110fa334aaa503a17451c54"
    assert history_key("ab", "c") != history_key("a", "bc")


ANA, BO = {"updatedBy": {"S": "ana"}}, {"updatedBy": {"S": "bo"}}


def actor(old: dict[str, Any] | None, new: dict[str, Any] | None, fresh: str = "", **fields: Any) -> Any:
    found = decide(change(old, new, **fields), actor="updatedBy", fresh=fresh)[0].get("actor", {}).get("M")
    return found and (found["kind"]["S"], found["name"]["S"])


def test_an_actor_is_stated_by_the_write_that_names_one() -> None:
    assert actor(None, BO) == actor(ANA, {**BO, "v": {"N": "1"}}) == ("stated", "bo")
    assert actor(BO, None) is None
    assert actor(None, {"updatedBy": {"S": "x" * 1025}}) is None
    assert actor(None, {"updatedBy": {"SS": ["x"]}}) is None
    assert actor(BO, None, service="dynamodb.amazonaws.com") == ("service", "dynamodb.amazonaws.com")


def test_an_actor_that_this_write_did_not_set_is_carried_unless_the_write_confirms_it() -> None:
    later = {**BO, "v": {"N": "1"}, "updatedAt": {"N": "2"}}
    assert actor(BO, later) == ("carried", "bo")
    assert actor(BO, later, fresh="updatedAt") == ("stated", "bo")
    assert actor({**BO, "updatedAt": {"N": "2.0"}}, later, fresh="updatedAt") == ("carried", "bo")
    assert actor({"updatedAt": {"N": "1"}}, {"updatedAt": {"N": "2"}}, fresh="updatedAt") is None


def test_an_actor_attribute_that_is_ignored_names_the_actor_still() -> None:
    later = {**BO, "v": {"N": "1"}}
    for rules, kind in (({}, "carried"), ({"fresh": "v"}, "stated")):
        found = decide(change(BO, later), actor="updatedBy", ignore=["updatedBy"], **rules)
        assert [record["actor"]["M"]["kind"]["S"] for record in found] == [kind]
    assert decide(change(BO, {"updatedBy": {"S": "cy"}}), actor="updatedBy", ignore=["updatedBy"]) == []


@given(strategies.attributes, strategies.attributes, strategies.texts, strategies.texts)
def test_the_marker_of_a_logged_update_is_in_no_value_and_no_image(
    old: dict[str, Any], new: dict[str, Any], before: str, after: str
) -> None:
    marked = decide(change({**old, "_weaudit": {"S": before}}, {**new, "_weaudit": {"S": after}}))
    plain = decide(change(old, new))
    # The mark of its origin covers the id as well.
    left = [{name: value for name, value in record.items() if name not in ("changeId", "origin")} for record in marked]
    assert left == [{name: value for name, value in record.items() if name != "origin"} for record in plain]
    for record in marked:
        assert record.get("changeId") == ({"S": after} if after and after != before else None)


@given(strategies.attributes, strategies.attributes, st.sampled_from([0, 1024, 4096]))
def test_the_mark_of_its_origin_is_that_of_the_records_hash(
    old: dict[str, Any], new: dict[str, Any], padding: int
) -> None:
    long = {"long": {"S": "x" * padding}} if padding else {}
    for pair in ((old | long, new), (old, new | long), (None, new | long), (old | long, None)):
        for record in decide(change(*pair), actor="updatedBy"):
            assert is_ours(record)


def is_ours(record: dict[str, Any], read: dict[str, Any] | None = None) -> bool:
    [one] = history.changes([record])
    [part] = one.attributes
    old, new = (filled(part.name, value, read or {}) for value in (part.old, part.new))
    return from_base64(record["origin"]) == origin(SECRETS.origin, record_hash(record, old, new))


@given(strategies.items, st.integers(1000, 6000))
def test_the_hash_of_a_record_does_not_depend_on_what_is_kept_inline(item: dict[str, Any], size: int) -> None:
    one = change(None, {**item, "long": {"S": "x" * size}})
    inline, moved = (decision(one, inline_bytes=limit) for limit in (100_000, 1024))
    assert not inline.large_values
    assert inline.records[0]["origin"] == moved.records[0]["origin"]
    assert (size > 1015) == bool(moved.large_values)


def test_a_record_of_one_small_attribute_costs_one_write_unit_in_the_table_and_in_each_index() -> None:
    table, name = "t" * 24, "a" * 24
    arn = f"arn:aws:dynamodb:ap-southeast-2:111122223333:table/{table}"
    label = "2024-01-01T00:00:00.000"
    old = {"key": {"S": "k" * 32}, name: {"S": "x" * 16}, "updatedBy": {"S": "ana"}}
    new = old | {name: {"S": "y" * 16}, "updatedAt": {"N": "1704067200"}, "_weaudit": {"S": str(uuid.UUID(int=7))}}
    new["updatedBy"] = {"S": "b" * 40}
    one = change(
        old, new, table=table, stream_arn=f"{arn}/stream/{label}", stream_label=label, sequence="9" * 40,
        keys={"key": {"S": "k" * 32}},
    )  # fmt: skip
    for record in decide(one, actor="updatedBy"):
        assert record["changeId"]
        assert record["actor"]
        # A reason of a sentence, and the names of the rules and of the time of expiry, come later.
        later = {"reason": {"S": "r" * 60}, "rules": {"B": "A" * 16}, "expiresAt": {"N": "1704067200"}}
        assert item_bytes({**record, **later}) <= 1024


def test_a_change_within_a_masked_place_shows_and_says_nothing() -> None:
    old, new = (
        {"key": {"S": "k"}, "who": {"M": {"pin": {"S": pin}, "name": {"S": "ana"}}}} for pin in ("4711", "0815")
    )
    [record] = decide(change(old, new), redact=(("who", "pin"),))
    assert record["oldValue"] == record["newValue"] == {"M": {"pin": {"S": "[REDACTED]"}, "name": {"S": "ana"}}}
    assert record["masked"] == {"L": [{"S": "who.pin"}]}
    assert record["beforeHash"] == record["afterHash"]
    assert record["beforeMasked"] != record["afterMasked"]
    assert record["rules"] == {"B": in_base64(rules_of(redact=["who.pin"]).digest)}
    assert is_ours(record)
    assert decide(change(old, old | {"x": {"N": "1"}}), redact=(("who", "pin"),))[0]["beforeMasked"]
    assert not decide(change(old, old), redact=(("who", "pin"),))


@given(strategies.attributes, strategies.attributes, st.integers(0, 8000))
def test_no_byte_of_a_masked_value_is_kept(old: dict[str, Any], new: dict[str, Any], size: int) -> None:
    canary = "canary" + "x" * size
    place = {"M": {"deep": {"M": {"pin": {"S": canary}, "more": {"S": "y" * size}}}}}
    masked = (("who", "deep", "pin"), ("plain",))
    for pair in (
        (old, new | {"who": place, "plain": {"S": canary}}),
        (old | {"plain": {"S": canary}}, new),
        (None, {"who": place}),
    ):
        decided = decision(change(*pair), redact=masked)
        written = json.dumps(decided.records).encode() + b"".join(large.text for large in decided.large_values)
        assert b"canary" not in written
        assert b"[REDACTED]" in written or b'{"#":""}' in written
        assert all(is_ours(record) for record in decided.records if not decided.large_values)


def test_a_redelivery_gives_the_same_bytes_whatever_was_decided_between() -> None:
    one = change({"key": {"S": "k"}, "a": {"S": "1"}}, {"key": {"S": "k"}, "a": {"S": "2"}, "b": {"S": "z" * 9000}})
    first = decision(one)
    decision(change(None, {"key": {"S": "other"}}), actor="by")
    assert decision(one) == first


@pytest.mark.parametrize("kind", ["L", "M"])
def test_a_value_as_deep_as_dynamodb_allows_leaves_a_whole_items_record(kind: str) -> None:
    def deep(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {"S": "x"}
        for _ in range(levels - 1):
            value = {kind: [value] if kind == "L" else {"m": value}}
        return value

    for levels, moved in ((31, False), (32, True)):
        decided = decision(change(None, {"key": {"S": "k"}, "deep": deep(levels)}))
        assert ("newValueRefs" in decided.records[0]) == bool(decided.large_values) == moved
        assert is_ours(decided.records[0], {large.commitment: json.loads(large.text) for large in decided.large_values})
    # In its own record, no map is around it.
    assert not decision(change({"key": {"S": "k"}}, {"key": {"S": "k"}, "deep": deep(32)})).large_values

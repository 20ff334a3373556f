"""The decision what a change leaves in the trail."""

import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.strategies import change
from weaudit.capture import records as auditing
from weaudit.items.keys import history_key, item_key
from weaudit.items.values import image_hash, same_value


@given(strategies.attributes, strategies.attributes)
def test_applying_the_records_to_the_old_image_gives_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    rebuilt = dict(old)
    for record in auditing.decide(change(old, new)):
        name = record["updatedAttribute"]["S"]
        assert same_value(record.get("oldValue"), rebuilt.get(name))
        rebuilt.pop(name, None)
        if "newValue" in record:
            rebuilt[name] = record["newValue"]
    assert image_hash(rebuilt) == image_hash(new)
    assert all(rebuilt[name] is new[name] or same_value(rebuilt[name], new[name]) for name in new)


@given(strategies.attributes, strategies.attributes)
def test_records_are_made_for_the_attributes_that_differ_and_for_no_others(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    records = auditing.decide(change(old, new))
    told = [record["updatedAttribute"]["S"] for record in records]
    assert told == sorted(name for name in old.keys() | new.keys() if not same_value(old.get(name), new.get(name)))
    assert not any("oldValue" not in record and "newValue" not in record for record in records)


@given(strategies.items)
def test_an_insert_and_a_delete_each_keep_the_whole_item_untouched(item: dict[str, Any]) -> None:
    (inserted,) = auditing.decide(change(None, item))
    (deleted,) = auditing.decide(change(item, None))
    assert inserted["newValue"] == {"M": item}
    assert "oldValue" not in inserted
    assert deleted["oldValue"] == {"M": item}
    assert "newValue" not in deleted
    assert inserted["afterHash"] == deleted["beforeHash"] == {"S": image_hash(item)}


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
    # printf 'Configuration\0CACHE_TTL_SEC' | sha256sum
    assert (
        history_key("Configuration", "CACHE_TTL_SEC")
        == "f74f595c3d3cffc25110fa334aaa503a17451c540ae82b31edf54eb3b06a80be"
    )
    assert history_key("ab", "c") != history_key("a", "bc")


def test_an_actor_is_known_only_where_this_write_named_one() -> None:
    def actor(old: dict[str, Any] | None, new: dict[str, Any] | None, **fields: Any) -> Any:
        return auditing.decide(change(old, new, **fields), "updatedBy")[0].get("actor")

    ana, bo = {"updatedBy": {"S": "ana"}}, {"updatedBy": {"S": "bo"}}
    stated = {"M": {"kind": {"S": "stated"}, "name": {"S": "bo"}}}
    assert actor(None, bo) == stated
    assert actor(ana, {**bo, "v": {"N": "1"}}) == stated
    assert actor(bo, {**bo, "v": {"N": "1"}}) is None
    assert actor(bo, None) is None
    assert actor(None, {"updatedBy": {"S": "x" * 1025}}) is None
    assert actor(None, {"updatedBy": {"SS": ["x"]}}) is None
    service = {"M": {"kind": {"S": "service"}, "name": {"S": "dynamodb.amazonaws.com"}}}
    assert actor(bo, None, service="dynamodb.amazonaws.com") == service


@given(strategies.attributes, strategies.attributes, strategies.texts, strategies.texts)
def test_the_marker_of_a_logged_update_is_in_no_value_and_no_image(
    old: dict[str, Any], new: dict[str, Any], before: str, after: str
) -> None:
    marked = auditing.decide(change({**old, "_weaudit": {"S": before}}, {**new, "_weaudit": {"S": after}}))
    plain = auditing.decide(change(old, new))
    assert [{**record, "changeId": None} for record in marked] == [{**record, "changeId": None} for record in plain]
    for record in marked:
        assert record.get("changeId") == ({"S": after} if after and after != before else None)

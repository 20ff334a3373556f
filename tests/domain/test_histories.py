"""Records are gathered into the changes that made them, whole and lossless."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import attributes, change, items, values
from tests.trails import changed
from weaudit.domain.audited_changes import Actor, AttributeChange, AuditedChange, ValueReference
from weaudit.domain.auditing import decide
from weaudit.domain.histories import changes, narrowed
from weaudit.domain.images import data, image_hash, same_value

NULL = {"NULL": True}


def gathered(*told: Any, **fields: Any) -> list[AuditedChange]:
    """Return what the records of one change, or of several, come to."""
    several = told if not fields and not isinstance(told[0], dict | None) else [change(*told, **fields)]
    return list(changes(record for one in several for record in decide(one)))


@given(items, attributes, st.randoms(use_true_random=False))
def test_a_change_gathered_from_its_records_leads_from_the_old_image_to_the_new_one(
    old: dict[str, Any], rest: dict[str, Any], shuffler: random.Random
) -> None:
    """Whatever the order of the records within the change."""
    new = {"key": old["key"], **rest}
    records = decide(change(old, new))
    shuffler.shuffle(records)
    found = list(changes(records))
    if not records:
        assert image_hash(old) == image_hash(new)
        return
    (one,) = found
    applied = dict(data(old))
    for part in one.attributes:
        assert part.name is not None
        assert same_value(part.old, applied.get(part.name))
        if part.new is None:
            del applied[part.name]
        else:
            applied[part.name] = part.new
    assert image_hash(applied) == image_hash(new) == one.after_hash
    assert one.before_hash == image_hash(old)
    assert [part.name for part in one.attributes] == sorted(part.name or "" for part in one.attributes)
    assert len(one.record_ids) == len(one.attributes) == len(records)


def test_everything_a_record_says_of_its_change_is_there() -> None:
    """Every field of the value, spelled out once."""
    old: dict[str, Any] = {"key": {"S": "k"}, "a": {"N": "1"}, "gone": NULL}
    new = {"key": {"S": "k"}, "a": {"N": "2"}, "_weaudit": {"S": "update-7"}, "by": {"S": "alice"}}
    records = decide(change(old, new), actor_attribute="by")
    assert list(changes(records)) == [
        AuditedChange(
            table="Configuration",
            item_key="k",
            at="2024-01-01T00:00:00.000Z",
            sequence="100000000000000000001",
            order="2024-01-01T00:00:00.000#0000000000000000000100000000000000000001",
            event_name="MODIFY",
            actor=Actor("stated", "alice"),
            change_id="update-7",
            before_hash=image_hash(old),
            after_hash=image_hash(new),
            attributes=(
                AttributeChange("a", {"N": "1"}, {"N": "2"}),
                AttributeChange("by", None, {"S": "alice"}),
                AttributeChange("gone", NULL, None),
            ),
            record_ids=tuple(record["id"]["S"] for record in records),
        )
    ]


def test_a_created_and_a_deleted_item_are_one_attribute_without_a_name() -> None:
    """And have a hash on one side only."""
    image: dict[str, Any] = {"key": {"S": "k"}, "a": NULL}
    ((created,), (deleted,)) = (gathered(None, image), gathered(image, None))
    assert created.attributes == (AttributeChange(None, None, {"M": image}),)
    assert deleted.attributes == (AttributeChange(None, {"M": image}, None),)
    assert (created.before_hash, deleted.after_hash) == (None, None)
    assert created.after_hash == deleted.before_hash == image_hash(image)
    assert (created.actor, created.change_id) == (None, None)


def test_a_value_kept_elsewhere_is_a_reference_and_not_an_absent_value() -> None:
    """So that nobody takes a spilled value for an added or a removed one."""
    (record,) = decide(change({"key": {"S": "k"}, "a": {"S": "x"}}, {"key": {"S": "k"}, "a": {"S": "y"}}))
    del record["oldValue"]
    record["oldValueRef"] = {
        "M": {"bucket": {"S": "b"}, "key": {"S": "spill/1"}, "sha256": {"S": "0f"}, "bytes": {"N": "380000"}}
    }
    ((part,),) = (one.attributes for one in changes([record]))
    assert part == AttributeChange("a", None, {"S": "y"}, old_ref=ValueReference("b", "spill/1", "0f", 380000))
    assert part.had_old
    assert part.has_new


def test_changes_of_one_instant_are_kept_apart_even_where_their_records_alternate() -> None:
    """Sequence numbers are unique in a stream, and the two may come from two streams."""
    told = [decide(change(None, {"key": {"S": k}}, keys={"key": {"S": k}})) for k in "ab"]
    more = [
        decide(change({"key": {"S": k}}, {"key": {"S": k}, "x": NULL, "y": NULL}, keys={"key": {"S": k}})) for k in "ab"
    ]
    found = list(changes([told[0][0], told[1][0], more[0][0], more[1][0], more[0][1], more[1][1]]))
    assert [(one.item_key, len(one.attributes)) for one in found] == [("a", 3), ("b", 3)]


def test_gathering_is_lazy() -> None:
    """The first change is out before the third is read."""
    read = []
    told = [record for one in changed("k", [None, {}, {"a": NULL}, None], at_ms=0) for record in decide(one)]

    def reading() -> Any:
        for record in told:
            read.append(record)
            yield record

    next(changes(reading()))
    assert len(read) == 2


def test_a_record_that_lacks_everything_is_shown_as_it_is() -> None:
    """Someone may have written it by hand: reading does not break on it."""
    (found,) = changes([{"id": {"S": "forged"}}])
    assert found.record_ids == ("forged",)
    assert (found.table, found.item_key, found.sequence, found.actor) == ("", "", "0", None)


@given(values, values)
def test_narrowing_keeps_one_attribute_of_a_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Also of a created and a deleted item; a change that does not concern it is None."""
    before = {"key": {"S": "k"}, "a": old}
    after = {"key": {"S": "k"}, "a": new, "b": NULL}
    created, modified, deleted = gathered(None, before)[0], gathered(before, after)[0], gathered(after, None)[0]
    kept = narrowed(created, "a")
    assert kept is not None
    assert kept.attributes == (AttributeChange("a", None, old),)
    assert kept.record_ids == created.record_ids
    kept = narrowed(modified, "a")
    assert (kept is None) == same_value(old, new)
    assert kept is None or kept.attributes == (AttributeChange("a", old, new),)
    kept = narrowed(deleted, "b")
    assert kept is not None
    assert kept.attributes == (AttributeChange("b", NULL, None),)
    assert narrowed(created, "b") is narrowed(modified, "key") is None


def test_narrowing_keeps_an_item_whose_values_are_elsewhere() -> None:
    """Nobody can say without reading it whether the attribute is in it."""
    whole = AttributeChange(None, None, None, new_ref=ValueReference("b", "k", "0f", 1))
    (found,) = gathered(None, {"key": {"S": "k"}})
    spilled = AuditedChange(**{**{name: getattr(found, name) for name in found.__slots__}, "attributes": (whole,)})
    assert narrowed(spilled, "anything") == spilled

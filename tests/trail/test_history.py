"""Records are gathered into the changes that made them, whole and lossless."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import SECRETS
from tests.strategies import attributes, change, items, values
from tests.trails import EVIDENCE, changed, decide, decision, hash_of, rules_of
from weaudit.capture.hashes import from_base64
from weaudit.items.hashes import commitment
from weaudit.items.keys import item_key
from weaudit.items.values import data, same_value, spelled
from weaudit.trail.changes import Actor, AttributeChange, AuditedChange, ValueReference, unread
from weaudit.trail.history import NEAR, attributed, changes, fits, narrowed, not_used_before
from weaudit.updates.log import log_entry
from weaudit.updates.requests import Caller, UpdateRequest
from weaudit.values import replaced

NULL = {"NULL": True}
AT_MS = 1_704_067_200_000  # of strategies.change
LOG_ID = "11111111-1111-4111-8111-111111111111"
ADA = "arn:aws:iam::111122223333:user/ada"
NEAR_MS = int(NEAR.total_seconds()) * 1000


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
    made = change(old, new)
    records = decide(made)
    shuffler.shuffle(records)
    found = list(changes(records))
    if not records:
        assert hash_of(old, made) == hash_of(new, made)
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
    assert hash_of(applied, made) == hash_of(new, made) == one.after_hash
    assert one.before_hash == hash_of(old, made)
    assert [part.name for part in one.attributes] == sorted(part.name or "" for part in one.attributes)
    assert len(one.record_ids) == len(one.attributes) == len(records)


def test_everything_a_record_says_of_its_change_is_there() -> None:
    """Every field of the value, spelled out once."""
    old: dict[str, Any] = {"key": {"S": "k"}, "a": {"N": "1"}, "gone": NULL}
    new = {"key": {"S": "k"}, "a": {"N": "2"}, "_weaudit": {"S": "update-7"}, "by": {"S": "alice"}}
    made = change(old, new)
    records = decide(made, actor="by", redact=(("secret",),))
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
            before_hash=hash_of(old, made),
            after_hash=hash_of(data(new), made),
            attributes=(
                AttributeChange("a", {"N": "1"}, {"N": "2"}),
                AttributeChange("by", None, {"S": "alice"}),
                AttributeChange("gone", NULL, None),
            ),
            records=tuple(records),
            salt=from_base64(records[0]["salt"]),
            kid=SECRETS.kid.hex(),
            rules=rules_of(redact=["secret"]).digest.hex(),
        )
    ]
    (found,) = changes(records)
    assert found.record_ids == tuple(record["id"]["S"] for record in records)


def test_a_created_and_a_deleted_item_are_one_attribute_without_a_name() -> None:
    """And have a hash on one side only."""
    image: dict[str, Any] = {"key": {"S": "k"}, "a": NULL}
    ((created,), (deleted,)) = (gathered(None, image), gathered(image, None))
    assert created.attributes == (AttributeChange(None, None, {"M": image}),)
    assert deleted.attributes == (AttributeChange(None, {"M": image}, None),)
    assert (created.before_hash, deleted.after_hash) == (None, None)
    assert created.after_hash == deleted.before_hash == hash_of(image, change(None, image))
    assert (created.actor, created.change_id) == (None, None)


LARGE = {"S": "x" * 5000}


def test_a_value_kept_elsewhere_is_a_reference_and_not_an_absent_value() -> None:
    """So that nobody takes a large value for an added or a removed one."""
    made = decision(change({"key": {"S": "k"}, "a": LARGE}, {"key": {"S": "k"}, "a": {"S": "y"}}))
    (moved,) = made.large_values
    ((part,),) = (one.attributes for one in changes(made.records))
    reference = ValueReference("a", EVIDENCE, moved.key, moved.commitment, 5008)
    assert part == AttributeChange("a", {"#": moved.commitment}, {"S": "y"}, old_refs=(reference,))
    assert part.lost
    assert not replaced(part, old=LARGE).lost


@pytest.mark.parametrize("side", ["old", "new"])
def test_the_large_attributes_of_a_whole_item_are_references_among_its_other_values(side: str) -> None:
    image = {"key": {"S": "k"}, "a": LARGE, "b": LARGE, "c": NULL}
    made = decision(change(None, image) if side == "new" else change(image, None))
    ((part,),) = (one.attributes for one in changes(made.records))
    found = {"old": (part.old, part.old_refs), "new": (part.new, part.new_refs)}[side]
    digests = {name: large.commitment for name, large in zip("ab", made.large_values, strict=True)}
    assert found[0] == {"M": {"key": {"S": "k"}, "c": NULL} | {name: {"#": digest} for name, digest in digests.items()}}
    assert {reference.name: reference.commitment for reference in found[1]} == digests
    assert list(unread(None, found[0])) == list(digests.items())


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


def test_narrowing_keeps_the_reference_of_a_value_that_is_elsewhere_and_no_other() -> None:
    (found,) = gathered(None, {"key": {"S": "k"}, "a": LARGE, "b": LARGE})
    ((whole,), kept) = (found.attributes, narrowed(found, "a"))
    reference, other = whole.new_refs
    assert (reference.name, other.name) == ("a", "b")
    assert kept is not None
    assert kept.attributes == (AttributeChange("a", None, {"#": reference.commitment}, new_refs=(reference,)),)
    assert kept.records == found.records
    assert narrowed(found, "anything") is None


def test_narrowing_keeps_the_masked_places_of_its_attribute_and_no_other() -> None:
    image = {"key": {"S": "k"}, "a": {"M": {"pin": {"S": "1"}, "b": NULL}}, "a.b": {"S": "2"}, "c": {"S": "3"}}
    (found,) = changes(decide(change(None, image), redact=(("a", "pin"), ("a.b",))))
    kept = narrowed(found, "a")
    assert kept is not None
    assert kept.attributes == (AttributeChange("a", None, {"M": {"pin": {"#": ""}, "b": NULL}}, masked=("a.pin",)),)
    kept = narrowed(found, "a.b")
    assert kept is not None
    assert kept.attributes == (AttributeChange("a.b", None, {"#": ""}, masked=("a\\.b",)),)


def entry_of(
    asked: dict[str, Any], *, key: str = "k", at_ms: int = AT_MS, status: str = "success", reason: str = ""
) -> dict[str, Any]:
    """Return the log entry that an update of these values leaves."""
    request = UpdateRequest(key, asked, "Configuration", logged=True, reason=reason)
    return log_entry(request, item_key({"key": {"S": key}}), Caller(ADA), status, at_ms, LOG_ID, ())


def updated(old: dict[str, Any], asked: dict[str, Any], key: str = "k", **fields: Any) -> AuditedChange:
    """Return the change that an update of these values makes of an item."""
    before = {"key": {"S": key}, **old}
    marked = {**before, **asked, "_weaudit": {"S": LOG_ID}}
    (found,) = gathered(before, marked, keys={"key": {"S": key}}, **fields)
    return found


@given(attributes, attributes.filter(bool), st.integers(-NEAR_MS, NEAR_MS))
def test_an_entry_fits_the_change_that_was_written_with_it(
    old: dict[str, Any], asked: dict[str, Any], apart_ms: int
) -> None:
    """Whatever the update found there already, however values are spelled, and whichever clock is ahead."""
    if all(same_value(old.get(name), value) for name, value in asked.items()):
        return  # nothing changed, so that there is no record
    made = updated(old, asked)
    entry = entry_of(asked, at_ms=AT_MS + apart_ms)
    assert attributed(made, entry).actor == Actor("logged", ADA)
    assert attributed(made, entry, used_before=True) == made
    assert attributed(made, None) == made
    assert not_used_before(entry) <= made.at


def test_a_change_has_the_reason_of_its_entry() -> None:
    """And of no other entry; the reason that a record itself has gives way to it, and stays where there is none."""
    made = updated(OLD, ASKED)
    assert made.reason is None
    assert attributed(made, entry_of(ASKED)).reason is None
    entry = entry_of(ASKED, reason="ticket 4711")
    assert attributed(made, entry).reason == "ticket 4711"
    assert attributed(made, entry, used_before=True).reason is None
    assert attributed(made, {**entry, "record_id": {"S": "other"}}).reason is None
    (own,) = changes({**record, "reason": {"S": "its own"}} for record in made.records)
    assert own.reason == "its own"
    assert attributed(own, entry).reason == "ticket 4711"
    assert attributed(own, entry_of(ASKED)).reason == "its own"
    kept = narrowed(attributed(made, entry), "n")
    assert kept is not None
    assert kept.reason == "ticket 4711"


OLD: dict[str, Any] = {"n": {"N": "1"}, "gone": {"S": "x"}}
ASKED: dict[str, Any] = {"n": {"N": "2"}, "m": {"SS": ["a", "b"]}}


def test_values_are_compared_as_dynamodb_does() -> None:
    """Numbers by value, sets without order, at every depth."""
    made = updated(OLD, {"n": {"L": [{"N": "1.50"}, {"NS": ["1", "2"]}]}, "m": {"SS": ["b", "a"]}})
    assert fits(made, entry_of({"n": {"L": [{"N": "15e-1"}, {"NS": ["2.0", "1"]}]}, "m": {"SS": ["a", "b"]}}))
    assert not fits(made, entry_of({"n": {"L": [{"N": "1.5"}, {"NS": ["2", "1"]}]}, "m": {"L": [{"S": "a"}]}}))


@pytest.mark.parametrize(
    ("old", "written"),
    [
        (OLD, {**ASKED, "n": {"N": "3"}}),  # another value
        (OLD, {**ASKED, "n": {"S": "2"}}),  # of another type
        (OLD, {**ASKED, "more": NULL}),  # another attribute, too
        (OLD, {"gone": {"S": "y"}}),  # another attribute alone
    ],
)
def test_an_entry_does_not_fit_a_change_of_anything_else(old: dict[str, Any], written: dict[str, Any]) -> None:
    """Nor is the rest of the change of no account where a part of it is right."""
    made = updated(old, written)
    assert attributed(made, entry_of(ASKED)) == made


def test_an_entry_does_not_fit_what_no_update_does() -> None:
    """An update removes no attribute, creates no item, and deletes none."""
    before = {"key": {"S": "k"}, **OLD}
    after = {"key": {"S": "k"}, **ASKED, "_weaudit": {"S": LOG_ID}}
    (removed,), (created,) = gathered(before, after), gathered(None, after)
    assert (removed.change_id, created.change_id) == (LOG_ID, LOG_ID)
    assert not fits(removed, entry_of(ASKED))
    assert not fits(created, entry_of({**ASKED, "key": {"S": "k"}}))


@pytest.mark.parametrize("apart_ms", [NEAR_MS + 1, -NEAR_MS - 1, 30 * 24 * 3_600_000])
def test_an_entry_does_not_fit_a_change_of_another_time(apart_ms: int) -> None:
    made = updated(OLD, ASKED)
    assert fits(made, entry_of(ASKED))
    assert not fits(made, entry_of(ASKED, at_ms=AT_MS + apart_ms))


@pytest.mark.parametrize(
    "other",
    [
        {"log_id": {"S": LOG_ID.replace("1", "2")}},
        {"table_name": {"S": "Other"}},
        {"record_id": {"S": "other"}},
        {"status": {"S": "ConditionalCheckFailed"}},
        {"timestamp": {"S": "then"}},
        {"timestamp": {"S": "2024-01-01T00:00:00"}},
        {"timestamp": NULL},
        {"updated_attributes": NULL},
        {"updated_attributes": {"M": {}}},
    ],
)
def test_an_entry_that_tells_of_something_else_does_not_fit(other: dict[str, Any]) -> None:
    """Also one that was written by hand."""
    made = updated(OLD, ASKED)
    assert not fits(made, {**entry_of(ASKED), **other})
    for name in other:
        assert not fits(made, {field: value for field, value in entry_of(ASKED).items() if field != name})


def test_a_key_too_long_for_the_index_of_the_log_is_known_by_its_hash() -> None:
    key = "k" * 2049
    assert fits(updated(OLD, ASKED, key=key), entry_of(ASKED, key=key))
    assert not fits(updated(OLD, ASKED, key=key), entry_of(ASKED, key=key + "k"))


def test_a_large_value_that_is_gone_is_known_by_its_commitment() -> None:
    """Its record holds that, and the entry the value."""
    asked = {**ASKED, "m": LARGE}
    made = updated(OLD, asked)
    digest = commitment(made.salt, "m", spelled(LARGE).encode())
    assert ("m", {"#": digest}) in [(part.name, part.new) for part in made.attributes]
    assert fits(made, entry_of(asked))
    assert not fits(made, entry_of({**asked, "m": {"S": "x" * 5001}}))
    assert not fits(made, entry_of({**asked, "n": LARGE}))


def test_an_entry_fits_a_masked_value_whatever_it_was() -> None:
    """Neither the record nor the entry says what it became; everything else must be right."""
    before = {"key": {"S": "k"}, **OLD, "m": {"S": "1234"}}
    after = {"key": {"S": "k"}, **OLD, **ASKED, "_weaudit": {"S": LOG_ID}}
    (made,) = changes(decide(change(before, after), redact=(("m",),)))
    assert fits(made, entry_of({**ASKED, "m": {"S": "[REDACTED]"}}))
    assert not fits(made, entry_of({**ASKED, "m": {"S": "[REDACTED]"}, "n": {"N": "3"}}))
    assert not fits(made, entry_of({"n": ASKED["n"]}))

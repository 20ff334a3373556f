"""Whatever is done to a row behind the log's back is found, and named: which row, what kind, when."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import SECRETS
from tests.strategies import change
from tests.trail.sealed_logs import (
    ARRIVALS,
    AUDIT,
    DAY_MS,
    START_MS,
    STREAM,
    UPDATES,
    World,
    arrival_row,
    record_entry,
    records_of,
    row_entry,
    update_row,
)
from tests.trail.test_erased import erased
from tests.trails import decide, decision
from weaudit.capture.hashes import in_base64, origin
from weaudit.items.times import iso_time
from weaudit.items.values import Item
from weaudit.ledger.entries import entry
from weaudit.ledger.faults import LedgerError
from weaudit.trail.verification.matching import Matching
from weaudit.trail.verification.rows import row_hash, stored_hash
from weaudit.trail.verification.sealed import SealedRows
from weaudit.trail.verification.walking import LedgerFinding

TIME = iso_time(START_MS)


@pytest.fixture
def world() -> World:
    return World()


def named(found: list[LedgerFinding]) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.table, one.id, one.time) for one in found]


def test_rows_as_they_were_sealed_match(world: World) -> None:
    verdict, matching, found = world.matched()
    assert (verdict.whole, found) == (True, [])
    assert matching.compared == {"Audit": 9, "audit_logs": 3, "lambda-invocation-logs": 3}
    assert (matching.unsealed, matching.not_compared) == ({}, {})


# ---- tampering


def edited(world: World) -> Item:
    record = world.rows[AUDIT][1]
    record["newValue"] = {"N": "99"}
    return record


def moved_in_time(world: World) -> Item:
    record = world.rows[AUDIT][2]
    record["modificationTime"] = {"S": "2024-01-01T00:00:09.000Z"}
    return record


def given_to_another_actor(world: World) -> Item:
    record = world.rows[AUDIT][3]
    record["actor"] = {"M": {"kind": {"S": "stated"}, "name": {"S": "eve"}}}
    return record


def given_another_actor_and_origin(world: World) -> Item:
    record = given_to_another_actor(world)
    digest = stored_hash(record)
    assert digest is not None
    record["origin"] = {"B": in_base64(origin(SECRETS.origin, digest))}
    return record


@pytest.mark.parametrize(
    "tamper",
    [edited, moved_in_time, given_to_another_actor, given_another_actor_and_origin],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize("secret", [SECRETS.origin, None], ids=["with the secret", "without"])
def test_a_record_that_was_altered_is_named(
    world: World, tamper: Callable[[World], Item], secret: bytes | None
) -> None:
    times = {record["id"]["S"]: record["modificationTime"]["S"] for record in world.rows[AUDIT]}
    record_id = tamper(world)["id"]["S"]
    # The time is the one that was sealed, whatever the record says now.
    assert named(world.findings(secret=secret)) == [("altered", "", record_id, times[record_id])]


def test_a_record_that_was_removed_is_named(world: World) -> None:
    record = world.rows[AUDIT].pop(5)
    [found] = world.findings()
    assert named([found]) == [("missing", "", record["id"]["S"], record["modificationTime"]["S"])]
    assert found.leaf is not None


def test_records_that_changed_places_are_both_named(world: World) -> None:
    one, other = world.rows[AUDIT][0], world.rows[AUDIT][6]
    one["id"], other["id"] = other["id"], one["id"]
    assert sorted(named(world.findings())) == sorted(
        ("altered", "", record["id"]["S"], at)
        for record, at in ((one, other["modificationTime"]["S"]), (other, one["modificationTime"]["S"]))
    )


def test_a_record_that_was_added_is_named_whatever_its_origin(world: World) -> None:
    [ours, forged] = (records_of(key, changes=1)[0] for key in ("d", "e"))
    forged["origin"] = {"B": in_base64(bytes(16))}
    world.rows[AUDIT] += [ours, forged]
    at = ours["modificationTime"]["S"]
    expected = [("added", "", ours["id"]["S"], at), ("foreign", "", forged["id"]["S"], at)]
    assert named(world.findings()) == expected
    # Whoever may not read the secret cannot tell the two apart.
    assert [found.kind for found in world.findings(secret=None)] == ["added", "added"]


def test_a_row_of_a_log_that_was_renamed_is_missing_and_added(world: World) -> None:
    world.rows[UPDATES][1]["log_id"] = {"S": "log-9"}
    assert named(world.findings()) == [
        ("missing", "audit_logs", "log-1", TIME),
        ("added", "audit_logs", "log-9", TIME),
    ]


@pytest.mark.parametrize("source", [UPDATES, ARRIVALS], ids=["audit_logs", "invocation log"])
def test_rows_of_the_logs_are_compared_by_who_has_the_secret(world: World, source: Any) -> None:
    row_id = source.id_of(world.rows[source][1])
    world.rows[source][1]["more"] = {"S": "x"}
    assert named(world.findings()) == [("altered", source.label, row_id, TIME)]
    verdict, matching, found = world.matched(secret=None)
    assert (verdict.whole, found) == (True, [])
    assert matching.not_compared == {"audit_logs": 3, "lambda-invocation-logs": 3}
    assert matching.compared == {"Audit": 9}
    # That a row is gone needs no secret.
    del world.rows[source][1]
    assert named(world.findings(secret=None)) == [("missing", source.label, row_id, TIME)]


def test_a_row_that_the_log_says_is_gone_is_added(world: World) -> None:
    record = world.rows[AUDIT][0]
    world.seal([record_entry(record, "expired")])
    assert named(world.findings()) == [("added", "", record["id"]["S"], record["modificationTime"]["S"])]
    del world.rows[AUDIT][0]
    assert world.findings() == []


def test_a_row_in_the_place_of_one_of_another_table_is_no_match(world: World) -> None:
    row = world.rows[UPDATES].pop(0)
    world.rows[AUDIT].append({**row, "id": row["log_id"]})
    assert sorted(named(world.findings())) == [("foreign", "", "log-0", ""), ("missing", "audit_logs", "log-0", TIME)]


# ---- what the log says itself


def test_what_the_log_has_as_altered_is_said_once(world: World) -> None:
    record = edited(world)
    world.seal([record_entry(record, "altered")])
    found = world.findings()
    assert [(one.kind, one.id) for one in found] == [("altered", record["id"]["S"])]
    assert found[0].text == "it was changed after it was written"


def test_a_foreign_row_has_either_hash(world: World) -> None:
    forged, strange = records_of("f", changes=1)[0], {"id": {"S": "strange"}, "salt": {"N": "1"}}
    forged["origin"] = {"B": in_base64(bytes(16))}
    assert stored_hash(strange) is None
    digest = row_hash(SECRETS.origin, "Audit", "strange", strange).hex()
    world.rows[AUDIT] += [forged, strange]
    world.seal([record_entry(forged, "foreign"), entry("foreign", TIME, id="strange", hash=digest)])
    assert [(one.kind, one.id) for one in world.findings()] == [
        ("foreign", forged["id"]["S"]),
        ("foreign", "strange"),
    ]
    _, matching, _ = world.matched(secret=None)
    assert matching.not_compared == {"Audit": 1, "audit_logs": 3, "lambda-invocation-logs": 3}


def test_an_expiry_an_erasure_and_an_adoption_leave_the_hash(world: World) -> None:
    first, second, third = world.rows[AUDIT][:3]
    first["expiresAt"] = {"N": "1"}
    kept = copy.deepcopy(second)
    world.seal([record_entry(first, "expiry"), record_entry(second, "erased"), record_entry(third, "adopted")])
    world.rows[AUDIT][1] = erased(kept)
    assert [(one.kind, one.id) for one in world.findings()] == [("erased", second["id"]["S"])]


def test_after_a_gap_rows_are_still_compared(world: World) -> None:
    world.seal([entry("gap", TIME, stream=STREAM)])
    edited(world)
    assert [found.kind for found in world.findings()] == ["gap", "altered"]


# ---- what is not sealed yet


@pytest.mark.parametrize(
    ("before_complete_ms", "kinds", "unsealed"),
    [
        (20 * 60_000, ["added"], 0),
        (16 * 60_000, ["added"], 0),
        (14 * 60_000, [], 1),
        (0, [], 1),
        (-5 * 60_000, [], 1),
        (-7 * 60_000, ["added"], 0),  # to come
    ],
)
def test_a_young_row_is_not_sealed_yet(world: World, before_complete_ms: int, kinds: list[str], unsealed: int) -> None:
    world.rows[UPDATES].append(update_row(7, world.at_ms - before_complete_ms))
    _, matching, found = world.matched()
    assert ([one.kind for one in found], matching.unsealed["audit_logs"]) == (kinds, unsealed)


def test_how_far_the_log_is_complete_decides_and_not_its_last_seal(world: World) -> None:
    row = update_row(7, world.at_ms + 3_600_000)
    world.rows[UPDATES].append(row)
    world.at_ms += DAY_MS
    world.seal(behind=True)
    _, matching, found = world.matched()
    assert (found, matching.unsealed) == ([], {"audit_logs": 1})
    world.seal()
    assert named(world.findings()) == [("added", "audit_logs", "log-7", row["timestamp"]["S"])]
    world.seal([row_entry(UPDATES, row)])
    assert world.findings() == []


def test_without_any_complete_seal_nothing_has_to_be_sealed(world: World) -> None:
    matching = Matching(SealedRows(), "", iso_time(world.at_ms), SECRETS.origin)
    matching.finish(AUDIT)
    for record in world.rows[AUDIT]:
        matching.take(AUDIT, record)
    assert matching.findings(lambda _: pytest.fail("there is no entry")) == []
    assert matching.unsealed == {"Audit": 9}


def test_a_row_without_a_time_is_added(world: World) -> None:
    world.rows[UPDATES].append({"log_id": {"S": "timeless"}})
    assert named(world.findings()) == [("added", "audit_logs", "timeless", "")]


def test_remembered_requests_are_not_sealed(world: World) -> None:
    world.rows[UPDATES].append({"log_id": {"S": "request#ab"}, "timestamp": {"S": TIME}})
    assert world.findings() == []


def test_rows_of_a_table_that_is_not_read_are_not_missed(world: World) -> None:
    world.rows[UPDATES].clear()
    assert world.findings(without=UPDATES) == []
    assert [found.kind for found in world.findings()] == ["missing"] * 3


def test_a_row_is_named_by_its_leaf_where_its_bundle_is_gone(world: World) -> None:
    world.rows[AUDIT].clear()
    rows = world.verdict().verified.rows
    matching = Matching(rows, "", TIME, None)
    matching.finish(AUDIT)

    def gone(_leaf: int) -> Any:
        raise LedgerError("gone")

    other = entry("record", TIME, id="another", hash="0" * 64)
    for entry_at in (gone, lambda _: other):
        found = matching.findings(entry_at)
        assert [(one.leaf, one.id) for one in found] == [(leaf, "") for leaf in (*range(4), *range(5, 10))]


# ---- hashes


LONG = {"S": "x" * 2_000}


@pytest.mark.parametrize(
    ("old", "new", "rules", "inline"),
    [
        (None, {"value": {"N": "1"}, "card": {"S": "4111"}}, {"redact": ["card"]}, 4096),
        ({"value": {"N": "1"}}, {"value": LONG}, {}, 1_000),
        ({"value": LONG, "other": LONG}, None, {}, 1_000),
        (None, {"value": LONG}, {}, 4096),
        ({"who": {"M": {"pin": {"S": "1"}}}}, {"who": {"M": {"pin": {"S": "2"}}}}, {"hash": ["who.pin"]}, 4096),
    ],
)
def test_records_with_masked_and_large_values_have_the_hash_that_their_origin_covers(
    old: Item | None, new: Item | None, rules: dict[str, Any], inline: int
) -> None:
    key = {"key": {"S": "k"}}
    one = change(None if old is None else {**key, **old}, None if new is None else {**key, **new})
    records = decision(one, inline, **rules).records
    assert all(("masked" in record) == bool(rules) for record in records)
    for record in records:
        digest = stored_hash(record)
        assert digest is not None
        assert record["origin"] == {"B": in_base64(origin(SECRETS.origin, digest))}


def test_the_hash_of_a_row_depends_on_the_secret_the_table_the_id_and_every_value() -> None:
    row = arrival_row(1)
    digest = row_hash(SECRETS.origin, "t", "i", row)
    assert digest == row_hash(SECRETS.origin, "t", "i", {**row, "size": {"N": "3.0"}})
    assert len({
        digest,
        row_hash(SECRETS.root, "t", "i", row),
        row_hash(SECRETS.origin, "u", "i", row),
        row_hash(SECRETS.origin, "t", "j", row),
        row_hash(SECRETS.origin, "t", "i", {**row, "size": {"N": "4"}}),
        row_hash(SECRETS.origin, "t", "i", {**row, "more": {"S": ""}}),
    }) == 6  # fmt: skip


ANY = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["S", "M", "B", "L", "p"]), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(decide(change({"key": {"S": "k"}}, None))[0])), ANY)
def test_any_row_has_a_hash_or_none(name: str, value: Any) -> None:
    record = {**decide(change({"key": {"S": "k"}}, None))[0], name: {"S": "x"} if value is None else value}
    assert stored_hash(record) is None or len(stored_hash(record) or b"") == 32


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b"]), st.text(max_size=3), st.sampled_from(["record", "deleted"])),
        max_size=20,
    )
)
def test_the_last_entry_of_each_row_is_kept(entries: list[tuple[str, str, str]]) -> None:
    rows, expected = SealedRows(), {}
    for leaf, (table, row_id, kind) in enumerate(entries):
        rows.put(table, row_id, kind, f"{leaf:064x}", leaf)
        expected[table, row_id] = (kind, table, leaf.to_bytes(32, "big"), leaf)
    again = SealedRows.read(rows.document(), memoryview(b"".join(rows.parts())))
    for found in (rows, again):
        assert len(found) == len(expected)
        for (table, row_id), last in expected.items():
            slot = found.slot(table, row_id)
            assert slot is not None
            assert (found.kind(slot), found.table(slot), found.hash(slot), found.leaf(slot)) == last
        assert found.slot("c", "") is None
    with pytest.raises(LedgerError, match="not the rows"):
        SealedRows.read(rows.document(), memoryview(b"".join(rows.parts()) + b"x"))

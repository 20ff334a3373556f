"""The log grows by what the streams say, once each, whatever fails on the way."""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sealing.worlds import DAY_S, SOURCES, Killed, World, every_place, unanswered
from weaudit.errors import StoreUnavailableError
from weaudit.ledger.checkpoints import CHECKPOINT, archived
from weaudit.ledger.faults import LedgerError
from weaudit.sealing.sealer import HEARTBEAT_S, Sealer, SupersededError
from weaudit.sealing.store_bucket import commit_path


def test_what_happened_is_sealed_once_and_proven() -> None:
    world = World()
    [record] = world.record()
    row = world.log_row()
    world.write("audit_logs", {"log_id": {"S": "request#1"}, "expires_at": {"N": "1"}})
    world.write("lambda-invocation-logs-dev", {"requestId": {"S": "r"}, "timestamp": {"S": "t"}})
    summary = world.run()
    assert (summary.sealed, summary.findings, summary.behind) == (3, [], False)
    assert world.said() == [("record", record["id"]["S"]), ("log", "l1"), ("log", "r/t")]
    assert {one.fields.get("table") for one in world.entries()} == {None, "audit_logs", "lambda-invocation-logs-dev"}
    again = world.run()
    assert (again.sealed, again.size) == (0, summary.size)
    assert row in world.rows["audit_logs"].values()
    world.assert_whole()


def test_a_log_to_which_nothing_comes_says_so_once_an_hour() -> None:
    world = World()
    sealer = world.sealer()
    for _ in range(3):
        world.run(sealer)
        world.now += 60
    assert [one.kind for one in world.entries()] == ["seal"]
    world.now += HEARTBEAT_S
    world.run(sealer)
    world.run(world.sealer())
    assert [(one.kind, one.fields["n"]) for one in world.entries()] == [("seal", 0), ("seal", 0)]


def test_a_large_backlog_is_sealed_in_commits_of_bounded_size() -> None:
    world = World()
    [record] = world.record()
    for number in range(10_000):
        row = {**record, "id": {"S": f"{number:08d}"}}
        world.write("audit_logs", {"log_id": row["id"]})
    summary = world.run()
    assert summary.sealed == 10_001
    assert not summary.behind
    seals = [one for one in world.entries() if one.kind == "seal"]
    assert all(int(str(one.fields["n"])) < 6_000 for one in seals)
    assert [bool(one.fields.get("behind")) for one in seals] == [True] * (len(seals) - 1) + [False]
    assert len(set(world.said())) == 10_001
    world.assert_whole()


def test_a_run_without_time_left_goes_on_with_the_next() -> None:
    world = World()
    for number in range(50):
        world.write("audit_logs", {"log_id": {"S": f"{number:03d}"}})
    sealer, runs = world.sealer(page=7), 0
    while sealer.run(lambda: False).behind:
        runs += 1
    assert runs > 5
    assert [name for _, name in world.said()] == [f"{number:03d}" for number in range(50)]
    world.assert_whole()


def busy() -> World:
    """A world with a log of some age, and with something new of every kind."""
    world = World()
    for number in range(300):
        world.write("audit_logs", {"log_id": {"S": f"{number:03d}"}})
    world.run()
    world.record()
    for number in range(300, 600):
        world.write("audit_logs", {"log_id": {"S": f"{number:03d}"}})
    world.write("audit_logs", {"log_id": {"S": "000"}, "status": {"S": "changed"}})
    return world


@pytest.mark.parametrize("carried_out", [False, True], ids=["lost", "carried out, unanswered"])
@pytest.mark.parametrize("error", [Killed(), unanswered()], ids=["killed", "failed"])
def test_a_sealer_that_stops_anywhere_leaves_what_the_next_one_completes(
    error: BaseException, *, carried_out: bool
) -> None:
    whole = busy()
    whole.run()
    expected = whole.said()
    for place, world in every_place(lambda world: world.run(), busy):
        world.faults.fail_at, world.faults.carried_out, world.faults.error = place, carried_out, error
        with pytest.raises(type(error)):
            world.run()
        # What readers see is whole between the two as well.
        world.assert_whole()
        [later] = world.record()
        world.run()
        assert {(one.kind, one.id) for one in world.told} == {("altered", "000")}, "whichever run told it"
        assert sorted(world.said()) == sorted([*expected, ("record", later["id"]["S"])])
        world.assert_whole()


def test_a_sealer_that_failed_goes_on_itself() -> None:
    for place, world in every_place(lambda world: world.run(), busy):
        sealer = world.sealer()
        world.faults.fail_at, world.faults.error = place, unanswered()
        with pytest.raises(StoreUnavailableError):
            world.run(sealer)
        world.run(sealer)
        assert len(world.said()) == len(set(world.said())) == 602
        world.assert_whole()


class Between:
    """A bucket before whose n-th request something else happens: another sealer's whole run, say."""

    def __init__(self, bucket: Any, at: int, happens: Callable[[], None]) -> None:
        self._bucket, self._at, self._happens = bucket, at, happens
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._bucket, name)

        def asked(*args: Any, **named: Any) -> Any:
            self.count += 1
            if self.count - 1 == self._at:
                self._happens()
            return method(*args, **named)

        return asked


@pytest.mark.parametrize("remembers", [False, True], ids=["new", "with a memory of the log"])
@pytest.mark.parametrize("runs", [1, 2])
def test_two_sealers_at_once_never_disagree(*, remembers: bool, runs: int) -> None:
    """Whole runs of another sealer come between any two requests of the first one."""
    at, asked = 0, 1
    while at < asked:
        world = World()
        for number in range(5):
            world.write("audit_logs", {"log_id": {"S": f"{number}"}})
        sealer, other = world.sealer(page=3), world.sealer()
        if remembers:
            world.run(sealer)
            world.run(other)
        world.write("audit_logs", {"log_id": {"S": "x"}})
        names = iter("yz")

        def between(world: World = world, other: Sealer = other, names: Iterator[str] = names) -> None:
            for _ in range(runs):
                world.write("audit_logs", {"log_id": {"S": next(names)}})
                world.run(other)

        counting = Between(world.bucket, at, between)
        sealer._bucket._s3 = counting  # type: ignore[assignment]
        with contextlib.suppress(SupersededError):
            world.run(sealer)
        at, asked = at + 1, counting.count
        world.assert_whole()
        world.run()
        assert sorted(name for _, name in world.said()) == sorted({"0", "1", "2", "3", "4", "x", *"yz"[:runs]})
        world.assert_whole()


# ---- what somebody does to the bucket


def test_a_checkpoint_that_was_rolled_back_is_not_followed() -> None:
    world = World()
    world.log_row("a")
    world.run()
    old = world.bucket.body(CHECKPOINT)
    world.log_row("b")
    world.run()
    world.bucket.store(CHECKPOINT, old)
    world.log_row("c")
    world.run()
    assert [name for _, name in world.said()] == ["a", "b", "c"]
    world.assert_whole()


@pytest.mark.parametrize("hidden", [False, True], ids=["checkpoint alone", "with commit and archive behind markers"])
def test_a_log_that_was_cut_goes_on_from_what_was_signed(*, hidden: bool) -> None:
    world = World()
    world.log_row("a")
    world.run()
    cut, size = world.bucket.body(CHECKPOINT), world.checkpoint().size
    world.log_row("b")
    world.run()
    if hidden:
        for key in (commit_path(size), archived(world.checkpoint().size)):
            world.bucket.store(key, None)
    world.bucket.store(CHECKPOINT, cut)
    world.log_row("c")
    world.run()
    assert [name for _, name in world.said()] == ["a", "b", "c"]
    world.assert_whole()


def test_a_sealer_that_remembers_an_old_log_signs_no_other_continuation() -> None:
    world = World()
    world.log_row("a")
    stale = world.sealer()
    world.run(stale)
    cut, size = world.bucket.body(CHECKPOINT), world.checkpoint().size
    world.log_row("b")
    world.run()
    # Everything that could tell the first one is hidden; versions stay.
    world.bucket.store(commit_path(size), None)
    world.bucket.store(archived(world.checkpoint().size), None)
    world.bucket.store(CHECKPOINT, cut)
    for key in [key for key in world.bucket.objects() if ".p/" in key]:
        world.bucket.store(key, None)
    world.log_row("c")
    signed = len(world.signed)
    with pytest.raises((SupersededError, LedgerError)):
        world.run(stale)
    assert len(world.signed) == signed


def test_a_commit_that_somebody_else_put_there_is_not_signed_and_is_told() -> None:
    world = World()
    world.log_row("a")
    world.run()
    size = world.checkpoint().size
    forged = bytearray(world.bucket.body(commit_path(0)) or b"")
    world.bucket.store(commit_path(size), bytes(forged))
    world.log_row("b")
    summary = world.run()
    assert summary.foreign_commits == 1
    assert [name for _, name in world.said()] == ["a", "b"]
    world.assert_whole()


def test_a_commit_that_was_altered_before_it_was_completed_is_not_signed() -> None:
    world = World()
    world.log_row("a")
    world.faults.fail_at = 1  # the commit is put, and nothing else
    with pytest.raises(Killed):
        world.run()
    world.faults.fail_at = -1
    content = world.bucket.body(commit_path(0)) or b""
    world.bucket.store(commit_path(0), content.replace(b'"id":"a"', b'"id":"x"'))
    summary = world.run()
    assert summary.foreign_commits == 1
    assert [name for _, name in world.said()] == ["a"]
    world.assert_whole()


def test_a_tile_that_was_altered_stops_the_log_and_signs_nothing() -> None:
    world = World()
    for number in range(300):
        world.write("audit_logs", {"log_id": {"S": f"{number:03d}"}})
    world.run()
    size = world.checkpoint().size
    [partial] = [key for key in world.bucket.objects() if key.startswith("tile/0/001.p")]
    content = world.bucket.body(partial) or b""
    world.bucket.store(partial, bytes([content[0] ^ 1]) + content[1:])
    signed = len(world.signed)
    world.log_row("b")
    with pytest.raises(LedgerError, match="not the root of the tree"):
        world.run()
    assert (len(world.signed), world.checkpoint().size) == (signed, size)


# ---- what is missing


def test_a_stream_that_was_turned_off_and_on_again_is_a_gap() -> None:
    world = World()
    world.log_row("a")
    world.run()
    world.log_row("b")
    world.streams.of_table["audit_logs"][-1].shards["shardId-000"]["closed"] = True
    old = world.streams.of_table["audit_logs"][-1].arn
    world.streams.turn_on("audit_logs", "2024-01-02T00:00:00.000")
    world.log_row("c")
    summary = world.run()
    assert [one.kind for one in world.entries() if one.kind != "seal"] == ["log", "log", "gap", "log"]
    assert [one.fields["stream"] for one in summary.findings] == [old]
    assert world.run().findings == []


def test_what_was_not_read_within_a_day_is_a_gap() -> None:
    world = World()
    world.log_row("a")
    world.run()
    world.log_row("b")
    world.now += 2 * DAY_S
    for source in SOURCES:
        for shard in world.streams.of_table[source.name][-1].shards.values():
            shard["trimmed"] = len(shard["records"])
    world.log_row("c")
    summary = world.run()
    assert {one.kind for one in summary.findings} == {"gap"}
    assert [name for kind, name in world.said() if kind == "log"] == ["a", "c"]
    assert world.run().findings == []


def test_a_record_that_comes_late_is_sealed_when_it_is_written() -> None:
    """Replayed from quarantine, say: it states a time long before those of records that are sealed."""
    world = World()
    written = world.now
    world.now -= 10 * DAY_S
    [late] = world.record()
    shard = world.streams.of_table["Audit"][-1].shards["shardId-000"]
    [event] = shard["records"]
    shard["records"].clear()
    world.now = written
    [record] = world.record()
    world.run()
    event["dynamodb"]["ApproximateCreationDateTime"] = world.now
    world.streams.emit("Audit", event)
    assert world.run().findings == []
    assert world.said() == [("record", record["id"]["S"]), ("record", late["id"]["S"])]
    assert [one.time for one in world.entries() if one.id == late["id"]["S"]] == ["2024-03-31T21:59:55.000Z"]


def test_a_table_that_was_restored_is_a_gap() -> None:
    world = World()
    world.log_row("a")
    world.run()
    [old] = world.streams.of_table.pop("audit_logs")
    world.streams.turn_on("audit_logs", "2024-02-01T00:00:00.000")
    world.log_row("b")
    summary = world.run()
    assert {(one.kind, one.fields["stream"]) for one in summary.findings} == {("gap", old.arn)}
    assert [name for kind, name in world.said() if kind == "log"] == ["a", "b"]
    assert world.run().findings == []
    world.assert_whole()


def test_an_idle_shard_whose_last_record_is_old_is_no_gap() -> None:
    world = World()
    world.log_row("a")
    sealer = world.sealer()
    for _ in range(26):
        world.run(sealer)
        world.now += HEARTBEAT_S
    shard = world.streams.of_table["audit_logs"][-1].shards["shardId-000"]
    shard["trimmed"] = len(shard["records"])
    world.log_row("b")
    assert world.run().findings == []
    assert [name for _, name in world.said()] == ["a", "b"]


def test_shards_are_read_parents_first_and_each_once_though_they_split() -> None:
    world = World()
    stream = world.streams.of_table["audit_logs"][-1]

    def write(name: str, shard: str) -> None:
        body = {"Keys": {"log_id": {"S": name}}, "ApproximateCreationDateTime": world.now}
        body["NewImage"] = {"log_id": {"S": name}}
        world.streams.emit("audit_logs", {"eventName": "INSERT", "dynamodb": body}, shard)

    write("1", "shardId-000")
    world.run()
    write("2", "shardId-000")
    stream.shards["shardId-000"]["closed"] = True
    stream.add_shard("shardId-002", "shardId-000")
    stream.add_shard("shardId-001", "shardId-000")
    write("3", "shardId-001")
    write("4", "shardId-002")
    stream.shards["shardId-001"]["closed"] = True
    stream.add_shard("shardId-0005", "shardId-001")  # by its name before its parent
    write("5", "shardId-0005")
    world.run(page=1)
    names = [name for _, name in world.said()]
    assert sorted(names) == ["1", "2", "3", "4", "5"]
    assert names.index("2") < min(names.index("3"), names.index("4"))
    assert names.index("3") < names.index("5")
    del stream.shards["shardId-000"]  # a day later
    assert world.run().findings == []
    del stream.shards["shardId-002"]  # it was open when it was read last
    assert [one.fields.get("shard") for one in world.run().findings] == ["shardId-002"]


def test_the_same_records_in_another_stream_position_are_sealed_by_marks_alone() -> None:
    """A record that comes again under its old sequence number, as after TRIM_HORIZON, adds nothing."""
    world = World()
    world.log_row("a")
    world.log_row("b")
    world.run()
    shard = world.streams.of_table["audit_logs"][-1].shards["shardId-000"]
    copied = copy.deepcopy(shard["records"])
    shard["trimmed"] = 0
    shard["records"] = copied
    entries = len(world.entries())
    fresh = world.sealer()
    assert fresh.run(lambda: True).sealed == 0
    assert len(world.entries()) == entries


def test_marks_that_do_not_fit_one_seal_are_said_by_several() -> None:
    world = World()
    stream = world.streams.of_table["audit_logs"][-1]
    for number in range(1, 1000):
        stream.add_shard(f"shardId-{number:020d}-{'x' * 40}")
    world.run()
    seals = [one for one in world.entries() if one.kind == "seal"]
    assert len(seals) == 3
    world.log_row("a")
    world.run()
    world.run()
    assert [name for _, name in world.said()] == ["a"]
    world.assert_whole()


def test_rows_from_before_the_log_are_adopted_once() -> None:
    world = World()
    sealer = world.sealer()
    world.run(sealer)
    [record] = world.record()
    world.streams.of_table["Audit"][-1].shards["shardId-000"]["records"].clear()
    foreign = {"id": {"S": "mine"}}
    source = SOURCES[0]
    for _ in range(2):
        size = 0
        summary = world.run(sealer)
        found = [world.outcomes().of_row(source, row, "2024-01-01T00:00:00.000Z") for row in (record, foreign)]
        sealer.adopt([one for one in found if one is not None], size, summary)
    assert world.said() == [("adopted", record["id"]["S"]), ("foreign", "mine")]
    world.assert_whole()


def test_requests_are_few_when_little_or_nothing_comes() -> None:
    world = World()
    sealer = world.sealer()
    world.run(sealer)
    world.now += 60
    world.bucket.requests.clear()
    world.streams.requests.clear()
    world.run(sealer)
    assert world.bucket.requests == {"get": 2}
    assert world.streams.requests == {"ListStreams": 3, "DescribeStream": 3, "GetRecords": 3}
    world.log_row("a")
    world.bucket.requests.clear()
    world.run(sealer)
    # The commit, a partial bundle and tile, the archived checkpoint and the hint.
    assert world.bucket.requests["put"] == 5
    assert world.bucket.requests["list"] == 1
    assert world.bucket.requests["get"] == 3


def test_full_bundles_tiles_and_checkpoints_are_locked_and_nothing_else() -> None:
    world = busy()
    world.run()
    locked = {key for key, versions in world.bucket.versions.items() if versions[-1][2]}
    assert all(
        lock in ("", "GOVERNANCE 2025-03-31T21:59:55.000Z")
        for versions in world.bucket.versions.values()
        for _, _, lock in versions
    )
    assert {key for key in world.bucket.objects() if key.startswith("checkpoints/")} <= locked
    assert locked == {
        key for key in world.bucket.objects() if key.startswith(("checkpoints/", "tile/")) and ".p/" not in key
    }


def test_nothing_but_the_hint_is_ever_overwritten() -> None:
    world = busy()
    world.run()
    assert {key for key, versions in world.bucket.versions.items() if len(versions) > 1} == {CHECKPOINT}
    assert json.loads((world.bucket.body(commit_path(0)) or b"").partition(b"\n")[0])["before"] == 0

"""Every way in which a log can be changed is found, and named: which entry or object, what kind, when."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.keys import signer, witness
from tests.trail.sealed_logs import LOG, ORIGIN, POLICY, STREAM, Log, note_of
from weaudit.items.times import iso_time
from weaudit.ledger import checkpoints, notes, policies
from weaudit.ledger.entries import entry
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import EMPTY_ROOT
from weaudit.ledger.tiles import added
from weaudit.trail.verification import resuming
from weaudit.trail.verification.walking import LogVerdict, objects, verify_log

TIME = iso_time(1_704_067_200_000)


def about(verdict: LogVerdict) -> list[tuple[str, int | None]]:
    """Return the kinds of findings, and the entries that they are about."""
    return [(found.kind, found.leaf) for found in verdict.findings]


def record(number: int, kind: str = "record", **fields: Any) -> Any:
    return entry(kind, TIME, id=f"id-{number}", hash=f"{number:064x}", **fields)


@pytest.fixture(scope="module")
def sealed() -> Log:
    """A log of 700 entries that grew in five steps."""
    log = Log()
    for size in (3, 256, 257, 600, 700):
        log.fill(size)
    return log


@pytest.fixture
def log(sealed: Log) -> Log:
    return sealed.copy()


# ---- whole logs


def test_an_empty_log_is_whole() -> None:
    log = Log()
    log.objects["checkpoint"] = note_of(0, EMPTY_ROOT)
    verdict = log.verdict()
    assert (verdict.whole, verdict.findings, verdict.checkpoint.size) == (True, [], 0)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_537])
def test_a_log_of_any_size_is_whole(size: int) -> None:
    log = Log().fill(size)
    verdict = log.verdict(kept=log.objects["checkpoint"])
    assert (verdict.whole, verdict.findings, verdict.proven) == (True, [], size)
    assert verdict.verified.edge.root() == log.tail.edge().root()
    assert (verdict.bundles, verdict.archived, verdict.kept) == (-(-size // 256), 1, verdict.checkpoint)
    assert len(verdict.verified.rows) == size - 1
    assert verdict.verified.seals.last == verdict.verified.seals.complete == iso_time(log.at_ms)


@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_every_object_of_a_log_is_read_after_those_that_it_holds(one: int, other: int) -> None:
    start, size = sorted((one, other))
    assert sorted(objects(0, size)) == sorted(added(0, size))
    assert set(added(start, size)) <= set(objects(start, size)) if start < size else not list(objects(start, size))
    done: set[tuple[int, int]] = set()
    for tile in objects(0, size):
        # A full tile comes once all below it have come; -1 is a bundle.
        below = [(tile.level - 1, tile.index * 256 + at) for at in range(256)] if tile.level > 0 else [(-1, tile.index)]
        assert tile.level == -1 or tile.width < 256 or done.issuperset(below)
        done.add((tile.level, tile.index))


def test_partial_objects_may_be_gone_once_the_full_ones_are_there(log: Log) -> None:
    grown = log.copy()
    grown.fill(1_200)
    old = log.objects["checkpoint"]
    objects_now = {path: body for path, body in grown.objects.items() if ".p/" not in path and "check" not in path}
    verdict = verify_log(POLICY, {**objects_now, "checkpoint": old}.get, lambda _: [])
    assert (verdict.whole, [found.kind for found in verdict.findings]) == (True, ["tile"])  # level 1 has no full tile


def test_progress_says_how_far(log: Log) -> None:
    seen: list[tuple[int, int]] = []
    log.verdict(progress=lambda *at: seen.append(at))
    assert seen[0] == (256, 700)
    assert seen[-1] == (700, 700)


# ---- 1. The checkpoint.


def test_without_a_checkpoint_nothing_can_be_said(log: Log) -> None:
    pauses = []
    with pytest.raises(LedgerError, match="there is no object checkpoint"):
        verify_log(POLICY, Log().objects.get, lambda _: [], pause=lambda: pauses.append(1))
    assert len(pauses) == 3
    with pytest.raises(LedgerError, match="not signed by any key"):
        verify_log(policies.of_log(signer("other").key), log.objects.get, lambda _: [])


def test_a_checkpoint_that_is_being_written_is_waited_for(log: Log) -> None:
    old, new = log.objects[f"checkpoints/{600:020d}"], log.objects["checkpoint"]
    log.objects["checkpoint"] = old
    verdict = log.verdict(pause=lambda: log.objects.update(checkpoint=new))
    assert (verdict.whole, verdict.findings, verdict.checkpoint.size) == (True, [], 700)


def test_a_checkpoint_that_was_rolled_back_is_found(log: Log) -> None:
    log.objects["checkpoint"] = log.objects[f"checkpoints/{600:020d}"]
    verdict = log.verdict()
    assert (verdict.whole, verdict.proven, about(verdict)) == (True, 700, [("rolledBack", None)])
    assert verdict.archived == 5
    assert "of 600 entries" in verdict.findings[0].text
    assert "700 were signed" in verdict.findings[0].text


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_checkpoint_that_is_no_use_is_found(log: Log, how: str) -> None:
    if how == "gone":
        del log.objects["checkpoint"]
    else:
        log.flip("checkpoint", 5)
    verdict = log.verdict()
    assert (verdict.whole, verdict.proven) == (True, 700)
    assert [found.kind for found in verdict.findings] == [*["unsigned"] * (how == "damaged"), "rolledBack"]


def test_a_policy_with_a_witness_asks_only_the_latest_for_it(log: Log) -> None:
    seen = witness("witness")
    policy = policies.read(policies.text_of(LOG.key, seen.key).encode())
    verdict = verify_log(policy, log.objects.get, log.listed)
    assert (verdict.whole, [found.kind for found in verdict.findings]) == (True, ["unwitnessed"])
    text = checkpoints.text_of(ORIGIN, 700, verdict.checkpoint.root)
    log.objects["checkpoint"] = notes.written(text, [LOG.signature(text), seen.signature(text, 1)])
    assert verify_log(policy, log.objects.get, log.listed).findings == []


# ---- 2. The root, from every bundle.


def test_an_entry_that_was_changed_is_named(log: Log) -> None:
    path = "tile/entries/001"
    log.objects[path] = log.objects[path].replace(b'"id":"id-41"', b'"id":"id-42"', 1)
    verdict = log.verdict()
    [found] = verdict.findings
    leaf = 256 + 1 + 41  # the third step added ids from 0 on, after 257 entries
    assert (found.kind, found.leaf, found.id, found.time) == ("changed", leaf, "id-42", TIME)
    assert "entry 298 is not the one that was signed" in found.text
    # What was signed before it is proven all the same.
    assert (verdict.whole, verdict.proven) == (False, 257)


@pytest.mark.parametrize("at", [0, 1, 2, 700, -1])
def test_a_flipped_byte_of_a_bundle_is_found_where_it_is(log: Log, at: int) -> None:
    log.flip("tile/entries/000", at)
    verdict = log.verdict()
    assert not verdict.whole
    assert verdict.findings[0].kind == "changed"
    assert verdict.findings[0].leaf in range(256)


def test_entries_that_changed_places_are_named(log: Log) -> None:
    log.objects["tile/entries/001"] = (
        log.objects["tile/entries/001"]
        .replace(b'"id":"id-41"', b'"id":"id-xx"')
        .replace(b'"id":"id-42"', b'"id":"id-41"')
        .replace(b'"id":"id-xx"', b'"id":"id-42"')
    )
    assert about(log.verdict()) == [("changed", 298), ("changed", 299)]


def test_entries_that_were_cut_off_are_missing(log: Log) -> None:
    del log.objects["tile/entries/002.p/188"]
    verdict = log.verdict()
    assert about(verdict) == [("cut", 512)]
    assert "tile/entries/002.p/188 is missing: 700 entries were signed, 512 can be read" in verdict.findings[0].text
    assert (verdict.whole, verdict.proven) == (False, 257)


def test_a_log_that_was_cut_with_its_checkpoint_still_has_its_archive(log: Log) -> None:
    small = Log()
    for size in (3, 256, 257):
        small.fill(size)
    archive = {path: body for path, body in log.objects.items() if path.startswith("checkpoints/")}
    small.objects |= archive
    assert [found.kind for found in small.verdict().findings] == ["rolledBack", "cut"]


def test_entries_and_tiles_that_were_changed_together_do_not_have_the_root_that_was_signed(log: Log) -> None:
    other = Log().fill(700)
    log.objects |= {path: body for path, body in other.objects.items() if path.startswith("tile/")}
    verdict = log.verdict()
    assert (about(verdict), verdict.proven) == ([("changed", None)], 0)
    assert "neither do the tiles" in verdict.findings[0].text


# ---- 3. The tiles.


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2"])
@pytest.mark.parametrize("how", ["flipped", "gone", "longer"])
def test_a_tile_that_is_not_the_one_of_the_entries_is_found(log: Log, path: str, how: str) -> None:
    if how == "flipped":
        log.flip(path)
    elif how == "gone":
        del log.objects[path]
    else:
        log.objects[path] += bytes(32)
    verdict = log.verdict()
    assert (verdict.whole, about(verdict)) == (True, [("tile", None)])
    assert path in verdict.findings[0].text


# ---- 4. Checkpoints from earlier.


@pytest.mark.parametrize("size", [3, 257, 700])
def test_a_second_history_that_was_signed_is_found_in_the_archive(log: Log, size: int) -> None:
    other = Log()
    other.at_ms += 1
    other.fill(size)
    log.objects[f"checkpoints/{size:020d}"] = other.objects["checkpoint"]
    verdict = log.verdict()
    assert (verdict.whole, about(verdict)) == (True, [("fork", size)])
    assert "signed two histories" in verdict.findings[0].text


def test_of_two_roots_of_one_size_it_is_found_which_one_the_log_has(log: Log) -> None:
    log.objects["checkpoint"] = Log().fill(700).objects["checkpoint"]
    verdict = log.verdict()
    assert (verdict.whole, about(verdict)) == (True, [("fork", 700)])
    assert verdict.checkpoint.root == log.tail.edge().root()


@pytest.mark.parametrize("size", [3, 257, 700])
def test_a_checkpoint_that_was_kept_is_compared(log: Log, size: int) -> None:
    kept = log.objects[f"checkpoints/{size:020d}"]
    rewritten = Log()
    rewritten.at_ms += 1
    for steps in (3, 256, 257, 600, 700):
        rewritten.fill(steps)
    assert log.verdict(kept=kept).findings == []
    assert about(rewritten.verdict(kept=kept)) == [("fork", size)]


def test_a_log_that_is_smaller_than_it_was_is_found(log: Log) -> None:
    small = Log().fill(400)
    verdict = small.verdict(kept=log.objects["checkpoint"])
    assert about(verdict) == [("cut", 400)]
    assert "700 entries when you kept its checkpoint, and has 400 now" in verdict.findings[0].text


def test_a_kept_checkpoint_of_another_log_is_refused(log: Log) -> None:
    other = signer("weaudit/1/eu-west-1/other")
    text = checkpoints.text_of(other.key.name, 0, EMPTY_ROOT)
    kept = notes.written(text, [other.signature(text)])
    both = policies.Policy([LOG.key, other.key], {}, {})
    with pytest.raises(LedgerError, match="not signed by any key"):
        log.verdict(kept=kept)
    with pytest.raises(LedgerError, match="of another log"):
        verify_log(both, log.objects.get, log.listed, kept=kept)
    log.objects[f"checkpoints/{0:020d}"] = kept
    assert [found.kind for found in verify_log(both, log.objects.get, log.listed).findings] == ["unsigned"]


def test_what_is_no_checkpoint_in_the_archive_is_found_and_not_believed(log: Log) -> None:
    log.objects["checkpoints/latest"] = log.objects["checkpoint"]
    log.objects[f"checkpoints/{2**63:020d}"] = b"rubbish"
    log.objects[f"checkpoints/{900:020d}"] = log.objects["checkpoint"]
    verdict = log.verdict()
    assert (verdict.whole, verdict.checkpoint.size) == (True, 700)
    assert [found.kind for found in verdict.findings] == ["unsigned"] * 3


def test_an_archived_checkpoint_that_goes_while_it_is_read_is_missing(log: Log) -> None:
    verdict = verify_log(POLICY, log.objects.get, lambda _: [*log.listed("checkpoints/"), f"checkpoints/{650:020d}"])
    assert about(verdict) == [("cut", None)]


# ---- 5. The entries.


def test_findings_of_the_log_name_row_kind_and_time() -> None:
    log = Log()
    log.seal([record(1), record(2)])
    log.seal([record(1, "altered"), record(2, "deleted"), record(3, "foreign"), record(1, "erased", by="e")])
    log.seal([entry("gap", TIME, stream=STREAM, shard="shard-1", after="107"), entry("gap", TIME, stream=STREAM)])
    found = log.verdict().findings
    assert [(one.kind, one.id, one.table, one.time, one.leaf) for one in found] == [
        ("altered", "id-1", "", TIME, 3),
        ("deleted", "id-2", "", TIME, 4),
        ("foreign", "id-3", "", TIME, 5),
        ("erased", "id-1", "", TIME, 6),
        ("gap", "", "", TIME, 8),
        ("gap", "", "", TIME, 9),
    ]
    assert f"shard shard-1 of {STREAM}, after 107" in found[4].text


def test_a_seal_that_miscounts_is_found() -> None:
    log = Log()
    log.seal([record(1)], n=2)
    log.seal([record(2)], n=0)
    assert about(log.verdict()) == [("seal", 1), ("seal", 3)]
    assert "1 entries came with this seal, and it says 2" in log.verdict().findings[0].text


def test_marks_that_move_back_are_found() -> None:
    log = Log()
    log.seal(marks={STREAM: {"a": "1000", "b": "7"}})
    log.seal(marks={STREAM: {"a": "999", "b": "8"}})
    log.seal(marks={STREAM: {"b": "8", "c": "1", "d": "9" * 9_000}, "another": {"a": ""}})
    verdict = log.verdict()
    assert about(verdict) == [("seal", 1)]
    assert "shard a of" in verdict.findings[0].text
    assert verdict.verified.seals.marks[STREAM] == {"a": "1000", "b": "8", "c": "1", "d": "9" * 9_000}


def test_a_seal_from_before_the_last_one_is_found() -> None:
    log = Log()
    log.seal([record(1)])
    log.at_ms -= 180_000
    log.seal([record(2)])
    assert about(log.verdict()) == [("seal", 3)]


def test_entries_behind_the_last_seal_are_found() -> None:
    log = Log()
    log.seal([record(1)])
    log.add([record(2)])
    verdict = log.verdict()
    assert about(verdict) == [("unfinished", 2)]


def test_a_seal_that_is_behind_completes_nothing() -> None:
    log = Log()
    log.seal([record(1)])
    complete = iso_time(log.at_ms)
    log.seal([record(2)], behind=True)
    seals = log.verdict().verified.seals
    assert (seals.complete, seals.last, seals.behind) == (complete, iso_time(log.at_ms), True)
    # Marks that did not fit: two seals, of which the second says it.
    at = iso_time(log.at_ms)
    log.add([record(3), entry("seal", at, n=1, marks={}, more=True), entry("seal", at, n=2, marks={}, behind=True)])
    assert log.verdict().findings == []
    assert log.verdict().verified.seals.complete == complete
    log.seal()
    seals = log.verdict().verified.seals
    assert (seals.complete, seals.behind) == (iso_time(log.at_ms), False)


def test_an_entry_of_a_later_version_is_counted_and_one_that_is_none_is_found() -> None:
    class Text:
        def __init__(self, text: bytes) -> None:
            self.text = text

    log = Log()
    later = Text(b'{"format":"weaudit-entry-1","kind":"later","time":"2024-01-01T00:00:00.000Z"}')
    log.seal([later, Text(b"rubbish"), record(1)])  # type: ignore[list-item]
    verdict = log.verdict()
    assert about(verdict) == [("unreadable", 1)]
    assert verdict.verified.kinds == {"later": 1, "record": 1, "seal": 1}


# ---- anything at all

SMALL = Log().fill(3).fill(260).fill(300)
SERVED = sorted({tile.path for tile in added(0, 300)} | set(SMALL.listed("check")))


@settings(deadline=None)
@given(st.sampled_from(SERVED), st.data())
def test_no_bit_of_a_log_can_be_changed_and_no_object_removed(path: str, data: st.DataObject) -> None:
    log = SMALL.copy()
    # That an archived checkpoint is gone shows only to who kept it.
    if path.startswith("checkpoints/") or data.draw(st.booleans()):
        log.flip(path, data.draw(st.integers(0, len(log.objects[path]) - 1)), 1 << data.draw(st.integers(0, 7)))
    else:
        del log.objects[path]
    assert log.verdict().findings


# ---- going on from where it ended


def state(verdict: LogVerdict) -> Any:
    return resuming.read(b"".join(resuming.written(verdict.verified)))


KINDS = st.sampled_from(["record", "altered", "deleted", "expired", "log"])
STEPS = st.lists(st.tuples(KINDS, st.integers(0, 40)), max_size=9) | st.integers(200, 600)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=5), st.data())
def test_resuming_says_the_same_as_beginning_again(steps: list[tuple[Any, bool]], data: st.DataObject) -> None:
    log, before, sizes = Log(), None, []
    for entries, stops in steps:
        if isinstance(entries, int):
            log.seal(record(number) for number in range(entries))
        else:
            log.seal(
                (record(number, kind) for kind, number in entries), n=data.draw(st.sampled_from([len(entries), 3]))
            )
        sizes.append(log.tail.size)
        if stops:
            before = state(log.verdict(before=before))
    size = data.draw(st.sampled_from(sizes))
    kept = log.objects[f"checkpoints/{size:020d}"]
    if data.draw(st.booleans()) and (before is None or before.size < size):
        log.flip([path for path in log.objects if path.startswith("tile/0/")][-1])
    scratch, resumed = log.verdict(kept=kept), log.verdict(kept=kept, before=before)
    assert resumed.findings == scratch.findings
    assert (resumed.whole, resumed.proven, resumed.checkpoint) == (scratch.whole, scratch.proven, scratch.checkpoint)
    assert b"".join(resuming.written(resumed.verified)) == b"".join(resuming.written(scratch.verified))


@pytest.mark.parametrize(
    ("path", "kept"),
    [("", True), ("tile/0/001", False), ("tile/entries/001", False), (f"checkpoints/{257:020d}", False)],
)
def test_nothing_is_kept_of_a_log_whose_objects_are_wrong(log: Log, path: str, kept: bool) -> None:
    if path:
        log.flip(path)
    assert log.verdict().may_be_kept is kept


def test_what_is_kept_says_what_the_entries_say(log: Log) -> None:
    log.seal([record(1, "deleted")], n=7)
    verdict = log.verdict()
    assert verdict.may_be_kept
    assert log.verdict(before=state(verdict)).findings == verdict.findings != []


def test_a_log_that_ended_hours_ago_is_stale(log: Log) -> None:
    seals = log.verdict().verified.seals
    assert [seals.stale(iso_time(log.at_ms + hours * 3_600_000)) for hours in (0, 2, 3)] == [False, False, True]
    assert not Log().fill(1).verdict().verified.seals.stale("")


def test_resuming_reads_only_what_came_later(log: Log) -> None:
    before = state(log.verdict())
    log.fill(1_000)
    asked: list[str] = []

    def fetch(path: str) -> bytes | None:
        asked.append(path)
        return log.objects.get(path)

    verdict = verify_log(POLICY, fetch, log.listed, before=before)
    assert (verdict.whole, verdict.findings, verdict.begun) == (True, [], 700)
    assert "tile/entries/001" not in asked
    assert f"checkpoints/{257:020d}" not in asked


def test_a_kept_checkpoint_of_less_than_was_verified_is_compared_by_tiles(log: Log) -> None:
    before = state(log.verdict())
    assert log.verdict(before=before, kept=log.objects[f"checkpoints/{257:020d}"]).findings == []
    before = state(log.verdict())
    other = Log().fill(257).objects["checkpoint"]
    assert [found.kind for found in log.verdict(before=before, kept=other).findings] == ["fork"]


def test_a_state_that_does_not_fit_the_log_is_refused(log: Log) -> None:
    before = state(log.verdict())
    with pytest.raises(LedgerError, match=r"700 entries were verified before, and the log has 300 now"):
        Log().fill(300).verdict(before=before)
    with pytest.raises(LedgerError, match="not the beginning of this log"):
        Log().fill(700).verdict(before=state(log.verdict()))
    with pytest.raises(LedgerError, match="not the beginning of this log"):
        Log().fill(1_024).verdict(before=state(log.verdict()))
    before.origin = "weaudit/1/eu-west-1/other"
    with pytest.raises(LedgerError, match="another log"):
        log.verdict(before=before)


def test_a_damaged_state_is_refused(log: Log) -> None:
    content = b"".join(resuming.written(log.verdict().verified))
    assert resuming.read(content).size == 700
    for at in (0, 20, content.index(b"\n") + 5, len(content) - 1):
        damaged = bytearray(content)
        damaged[at] ^= 1
        with pytest.raises(LedgerError, match="damaged"):
            resuming.read(bytes(damaged))
    with pytest.raises(LedgerError, match="damaged"):
        resuming.read(content[:-1])

"""Every entry of a row is found, wherever it is in the log, and what cannot hold one is not read."""

import functools
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.logs import AT, LEAVES, Log, lookup, seal, sealed
from weaudit.ledger import finding
from weaudit.ledger.entries import Entry
from weaudit.ledger.faults import LedgerError

if TYPE_CHECKING:
    from weaudit.ledger.finding import Each


def found(log: Log, row_id: str, since: str = "", each: "Each" = map) -> list[tuple[int, Entry]]:
    return finding.entries_of(row_id, log.tree(), log.fetch, log.part, since, each)


def day(number: int) -> str:
    return f"2024-01-{number:02}T00:00:00.000Z"


PLACES = (0, 1, 8, 65_535, 65_536, 70_000, 99_999, 131_071, 131_072, 131_370)


@functools.cache
def large() -> Log:
    """A log of two lookups and 300 entries more, a day in each 16,384; "twice" is in the first and in the last part."""
    days = [sealed("filler", time=day(number)) for number in range(1, 10)]
    entries = [days[at // 16_384] for at in range(2 * LEAVES + 300)]
    for at in PLACES:
        entries[at] = sealed(f"row-{at}", time=entries[at].time)
    entries[7] = sealed("twice", time=day(1))
    entries[LEAVES + 5] = sealed("é \U0001f600", time=day(5))
    entries[LEAVES + 6] = seal(6, day(5))
    entries[2 * LEAVES + 299] = sealed("twice", "altered", day(9))
    return Log(entries)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 512, 700])
def test_each_row_of_a_small_log_is_found(size: int) -> None:
    log = Log([sealed(f"row-{at}") for at in range(size)])
    for at in {0, size // 2, size - 1}:
        assert found(log, f"row-{at}") == [(at, log.entries[at])]
    assert found(log, "row") == found(log, f"row-{size}") == []


def test_an_empty_log_has_no_row() -> None:
    assert found(Log([]), "row") == []


def test_rows_are_found_by_lookups_and_after_them() -> None:
    log = large()
    for at in PLACES:
        assert found(log, f"row-{at}") == [(at, log.entries[at])]
    assert [leaf for leaf, _ in found(log, "twice")] == [7, 2 * LEAVES + 299]
    assert [leaf for leaf, _ in found(log, "é \U0001f600")] == [LEAVES + 5]
    assert found(log, "nothing") == []


def test_several_threads_find_the_same() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert found(large(), "twice", each=pool.map) == found(large(), "twice")


def test_no_bundle_of_a_lookup_is_read_but_that_of_the_row() -> None:
    log = large()
    log.asked.clear()
    assert len(found(log, "row-70000")) == 1
    bundles = [path for path in log.asked if path.startswith("tile/entries/")]
    assert bundles == ["tile/entries/513.p/44", "tile/entries/512", "tile/entries/273"]


def test_little_of_a_lookup_is_read() -> None:
    log, read = Log([]), []
    rows = sorted(hashlib.sha256(b"row-%d" % at).digest()[:8] + at.to_bytes(2, "big") for at in range(LEAVES))
    log.objects["lookup/0"] = whole = lookup([sealed("x")]).partition(b"\n")[0] + b"\n" + b"".join(rows)

    def part(path: str, first: int, count: int) -> tuple[bytes, int] | None:
        read.append(count)
        return log.part(path, first, count)

    for at in range(0, LEAVES, 1_000):
        read.clear()
        assert finding._rows(f"row-{at}", 0, part) == ([at], AT)
        assert sum(read) < len(whole) / 30


def test_what_was_sealed_before_is_not_read() -> None:
    log = large()
    log.asked.clear()
    assert [leaf for leaf, _ in found(log, "twice", since=day(6))] == [2 * LEAVES + 299]
    assert "lookup/0" in log.asked, "the second lookup ends on day 8"
    log.asked.clear()
    assert found(log, "row-8", since=day(9)) == []
    assert [path for path in log.asked if path.startswith("lookup/")] == ["lookup/1"], "its first line, and no rows"


def test_bundles_take_the_place_of_a_lookup_that_nobody_has_made() -> None:
    whole = large()
    log = Log([])
    log.entries, log.size, log.root = whole.entries, whole.size, whole.root
    log.objects = {path: content for path, content in whole.objects.items() if path != "lookup/1"}
    assert [leaf for leaf, _ in found(log, "é \U0001f600")] == [LEAVES + 5]
    assert [leaf for leaf, _ in found(log, "twice")] == [7, 2 * LEAVES + 299]


def test_the_beginning_of_a_full_bundle_takes_the_place_of_a_partial_one() -> None:
    log = Log([sealed(f"row-{at}") for at in range(300)], seals=[200])
    early = Log(log.entries[:200])
    early.objects = {path: content for path, content in log.objects.items() if ".p/200" not in path}
    assert found(early, "row-199")[0][0] == 199
    assert found(early, "row-200") == []


@pytest.mark.parametrize("first", [b"\x00", b"\xff"])
def test_rows_are_found_among_ids_that_somebody_chose_by_their_hashes(first: bytes) -> None:
    hostile = (str(number) for number in range(10**9))
    chosen = [
        one for one in (next(hostile) for _ in range(150_000)) if hashlib.sha256(one.encode()).digest()[:1] == first
    ]
    entries = [sealed(f"row-{at}") for at in range(1_000)] + [sealed(one) for one in chosen]
    log = Log([])
    log.objects["lookup/0"] = lookup(entries)
    for at in (0, 250, 500, 999):
        assert finding._rows(f"row-{at}", 0, log.part) == ([at], AT)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4), max_size=60), st.data())
def test_a_lookup_has_every_leaf_of_an_id(ids: list[str], data: st.DataObject) -> None:
    log = Log([])
    entries = [sealed(one) for one in ids] or [seal(0)]
    log.objects["lookup/3"] = lookup(entries)
    one = data.draw(st.sampled_from(ids)) if ids else "x"
    expected = [3 * LEAVES + at for at, other in enumerate(ids) if other == one]
    assert finding._rows(one, 3, log.part) == (expected, AT)


SOUND = lookup([sealed("one"), sealed("two")])


@pytest.mark.parametrize(
    "wrong",
    [
        b"", SOUND[:-1], SOUND + b"\0", SOUND[:50], SOUND.replace(b"\n", b" ", 1), SOUND + bytes(10 * LEAVES),
        SOUND.replace(b"lookup-1", b"lookup-2"), SOUND.replace(b'"least"', b'"leaSt"'), b" " + SOUND, b"[" + SOUND[1:],
    ],
)  # fmt: skip
def test_a_lookup_of_another_form_is_refused(wrong: bytes) -> None:
    log = Log([])
    log.objects["lookup/0"] = wrong
    with pytest.raises(LedgerError, match=r"lookup/0|canonical"):
        finding._rows("one", 0, log.part)


def test_a_lookup_cannot_pass_off_another_entry() -> None:
    whole = large()
    log = Log([])
    log.size, log.root = whole.size, whole.root
    log.objects = {**whole.objects, "lookup/0": lookup([sealed("row-99999"), *whole.entries[1:LEAVES]])}
    assert [leaf for leaf, _ in found(log, "row-99999")] == [99_999], "leaf 0 has another id"


def test_an_altered_bundle_is_refused() -> None:
    log = Log([sealed(f"row-{at}") for at in range(300)])
    log.objects["tile/entries/000"] = log.objects["tile/entries/000"].replace(b'row-7"', b'row-X"')
    with pytest.raises(LedgerError, match="not the one"):
        found(log, "row-X")
    del log.objects["tile/entries/000"]
    with pytest.raises(LedgerError, match="missing"):
        found(log, "row-7")

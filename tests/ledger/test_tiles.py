"""Tiles and bundles have the paths and the content of the specification, and nothing of them is believed unproven."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger import trees
from weaudit.ledger import merkle, tiles
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import Edge, check_consistency, check_inclusion, leaf_hash, leaf_hashes
from weaudit.ledger.tiles import ENTRIES, Tail, Tile, TileReader, added, bundle, parse_bundle, parse_path

SIZE = 1_000
LONG = 70_000


def entries_between(start: int, end: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, end)]


def written(*sizes: int) -> dict[str, bytes]:
    """Return the objects of a log that grew to each of these sizes in turn."""
    objects: dict[str, bytes] = {}
    tail = Tail()
    for size in sizes:
        since = tail.size
        new = [*tail.append(entries_between(since, size)), *tail.partial(since)]
        assert len(dict(new)) == len(new)
        assert sorted(path for path, _ in new) == sorted(tile.path for tile in added(since, size))
        assert not objects.keys() & dict(new).keys(), "an object is never written again"
        objects |= dict(new)
    return objects


def root(size: int) -> bytes:
    return Edge().extended(leaf_hashes(entries_between(0, size))).root()


def reader(size: int, objects: dict[str, bytes]) -> TileReader:
    return TileReader(size, root(size), objects.get)


def nothing(path: str) -> bytes | None:
    return None


# ---- paths


PATHS = [
    (Tile(0, 0), "tile/0/000"),
    (Tile(0, 273, 112), "tile/0/273.p/112"),
    (Tile(1, 0), "tile/1/000"),
    (Tile(2, 0, 1), "tile/2/000.p/1"),
    (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
    (Tile(3, 123_456_789, 255), "tile/3/x123/x456/789.p/255"),
    (Tile(63, 1_000), "tile/63/x001/000"),
    (Tile(ENTRIES, 0), "tile/entries/000"),
    (Tile(ENTRIES, 1_234_067, 8), "tile/entries/x001/x234/067.p/8"),
    (Tile(0, merkle.MOST_LEAVES // 256), "tile/0/x036/x028/x797/x018/x963/967"),
]


@pytest.mark.parametrize(("tile", "path"), PATHS, ids=str)
def test_paths_are_those_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_path(path) == tile


@given(st.integers(-1, 63), st.integers(0, merkle.MOST_LEAVES // 256), st.integers(1, 256))
def test_every_path_is_read_as_it_is_written(level: int, index: int, width: int) -> None:
    assert parse_path(Tile(level, index, width).path) == Tile(level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/-1/000",
        "tile/data/000", "tile/8/0/000", "/tile/0/000", "tile/0/000/", "tile/0/000\n", "tile/0/x000/001", "tile/0/x001",
        "tile/0/001/000", "tile/0/x001/x000", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01",
        "tile/0/000.p/256", "tile/0/000.p/1/", "tile/0/000.P/1",
        "tile/0/x1/000", "tile/0/X001/000", "tile/0/\u0660\u0660\u0660",
        "tile/0/../000", "checkpoint", "tile/0/" + "x001/" * 2_000 + "000",
    ],
)  # fmt: skip
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(LedgerError):
        parse_path(path)


# ---- how a log grows


def test_a_tree_has_the_tiles_that_the_specification_counts() -> None:
    found = list(added(0, 70_000))
    assert [(level, sum(one[0] == level and one.width == 256 for one in found)) for level in (ENTRIES, 0, 1, 2)] == [
        (ENTRIES, 273), (0, 273), (1, 1), (2, 0),
    ]  # fmt: skip
    assert [one for one in found if one.width < 256] == [
        Tile(ENTRIES, 273, 112), Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1),
    ]  # fmt: skip
    assert list(added(0, 256)) == [Tile(ENTRIES, 0), Tile(0, 0), Tile(1, 0, 1)]
    assert list(added(256, 257)) == [Tile(ENTRIES, 1, 1), Tile(0, 1, 1)]
    assert list(added(255, 512))[-1] == Tile(1, 0, 2)
    assert list(added(5, 5)) == list(added(0, 0)) == []


def test_tiles_hold_what_the_specification_says() -> None:
    objects = written(LONG)
    leaves = [leaf_hash(entry) for entry in entries_between(0, LONG)]
    assert objects["tile/0/007"] == b"".join(leaves[7 * 256 : 8 * 256])
    assert objects["tile/0/273.p/112"] == b"".join(leaves[273 * 256 :])
    above = [trees.tree_hash(entries_between(n * 256, (n + 1) * 256)) for n in (0, 255, 256, 272)]
    assert objects["tile/1/000"][:32] == above[0]
    assert objects["tile/1/000"][-32:] == above[1]
    assert (objects["tile/1/001.p/17"][:32], objects["tile/1/001.p/17"][-32:]) == (above[2], above[3])
    assert objects["tile/2/000.p/1"] == trees.tree_hash(entries_between(0, 65_536))
    assert objects["tile/entries/001"].startswith(b"\0\x09entry 256\0\x09entry 257")
    assert {path: len(data) for path, data in objects.items() if path.startswith("tile/1/")} == {
        "tile/1/000": 8_192, "tile/1/001.p/17": 544,
    }  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=6))
def test_a_log_that_grows_in_steps_has_the_objects_of_one_that_grows_at_once(steps: list[int]) -> None:
    sizes = [sum(steps[: at + 1]) for at in range(len(steps))]
    grown, whole = written(*sizes), written(sizes[-1])
    assert whole.items() <= grown.items()
    # All that the steps wrote besides are the partial objects of the sizes between, each a beginning of a later one.
    for path in grown.keys() - whole.keys():
        tile = parse_path(path)
        later = [found for other, found in whole.items() if parse_path(other)[:2] == tile[:2]]
        assert tile.width < 256
        assert len(later) == 1
        assert later[0].startswith(grown[path])
    for size in sizes:
        assert reader(size, grown).root == root(size)


@given(st.integers(0, 2_000), st.integers(1, 600))
def test_a_tail_read_from_the_log_grows_as_the_one_that_was_kept(size: int, step: int) -> None:
    kept = Tail()
    objects = dict([*kept.append(entries_between(0, size)), *kept.partial(0)])
    read = Tail.of(size, kept.edge().root(), objects.get)
    assert (read.size, read.edge().hashes) == (size, Edge().extended(leaf_hashes(entries_between(0, size))).hashes)
    more = entries_between(size, size + step)
    assert read.append(more) == kept.append(more)
    assert read.partial(size) == kept.partial(size)
    assert read.edge().root() == root(size + step)


def test_an_entry_that_is_too_long_changes_nothing() -> None:
    tail = Tail()
    tail.append([b"a"])
    with pytest.raises(LedgerError, match="65535"):
        tail.append([b"b", bytes(65_536)])
    assert tail.edge().root() == trees.tree_hash([b"a"])
    tail.append([bytes(65_535)])
    assert tail.edge().root() == trees.tree_hash([b"a", bytes(65_535)])


def test_large_steps_cross_every_level() -> None:
    tail = Tail()
    tail.size = 256**3 - 1
    tail._runs = [bytes(255 * 32)] * 3 + [b""] * 5
    paths = [path for path, _ in tail.append([b"last"])]
    assert paths == ["tile/entries/x065/535", "tile/0/x065/535", "tile/1/255", "tile/2/000"]
    assert [path for path, _ in tail.partial(256**3 - 1)] == ["tile/3/000.p/1"]


# ---- bundles


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_bundles_are_read_as_they_are_written(entries: list[bytes]) -> None:
    data = bundle(entries)
    assert parse_bundle(data, len(entries)) == entries
    for other in {len(entries) - 1, len(entries) + 1} - {-1}:
        with pytest.raises(LedgerError):
            parse_bundle(data, other)
    for end in range(len(data)):
        with pytest.raises(LedgerError):
            parse_bundle(data[:end], len(entries))
    with pytest.raises(LedgerError):
        parse_bundle(data + b"\0", len(entries))


def test_a_bundle_is_what_the_specification_says() -> None:
    assert bundle([b"", b"a", bytes(258)]) == b"\0\0" + b"\0\1a" + b"\1\2" + bytes(258)
    with pytest.raises(LedgerError):
        bundle([bytes(65_536)])


# ---- reading


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 512, 767, SIZE])
def test_a_reader_proves_every_entry_and_every_earlier_tree(size: int) -> None:
    found = reader(size, written(size))
    chosen = random.Random(size)  # noqa: S311
    for index in {0, size - 1, *(chosen.randrange(size) for _ in range(40))}:
        assert found.entry(index) == b"entry %d" % index
        check_inclusion(index, size, leaf_hash(found.entry(index)), found.inclusion_proof(index), root(size))
    for old_size in {0, 1, size, *(chosen.randrange(size) for _ in range(20))}:
        check_consistency(old_size, root(old_size), size, root(size), found.consistency_proof(old_size))


def test_proofs_read_from_tiles_are_those_of_the_definition() -> None:
    found, all_entries = reader(600, written(600)), entries_between(0, 600)
    for at in [1, 77, 255, 256, 257, 511, 512, 599]:
        assert found.inclusion_proof(at) == trees.path(at, all_entries)
        assert found.consistency_proof(at) == trees.proof(at, all_entries)


def test_a_large_log_is_read_across_levels() -> None:
    found = reader(LONG, written(LONG))
    for index in [0, 65_535, 65_536, LONG - 1]:
        check_inclusion(index, LONG, leaf_hash(b"entry %d" % index), found.inclusion_proof(index), root(LONG))
    check_consistency(65_537, root(65_537), LONG, root(LONG), found.consistency_proof(65_537))
    for index in range(LONG // 256):
        found.bundle(index)
    assert len(found._known) <= 64


def test_an_empty_log_has_a_root_and_nothing_to_read() -> None:
    found = TileReader(0, merkle.EMPTY_ROOT, nothing)
    assert found.consistency_proof(0) == []
    with pytest.raises(LedgerError):
        TileReader(0, bytes(32), nothing)
    for read in (found.entry, found.bundle, found.inclusion_proof):
        with pytest.raises(LedgerError):
            read(0)
    assert Tail.of(0, merkle.EMPTY_ROOT, nothing).size == 0


def test_what_is_not_in_the_log_is_refused() -> None:
    found = reader(SIZE, written(SIZE))
    for index in [-1, SIZE, SIZE + 1, merkle.MOST_LEAVES]:
        with pytest.raises(LedgerError):
            found.entry(index)
        with pytest.raises(LedgerError):
            found.inclusion_proof(index)
    for level, index in [(-1, 0), (0, -1), (0, SIZE), (1, 500), (8, 3), (9, 1), (10, 0), (64, 0), (2, 249 + 1)]:
        with pytest.raises(LedgerError):
            found.node(level, index)
    for level, index in [(-1, 0), (0, -1), (0, 4), (1, 1), (2, 0), (8, 0)]:
        with pytest.raises(LedgerError):
            found.tile(level, index)
    for size in [-1, merkle.MOST_LEAVES + 1]:
        with pytest.raises(LedgerError):
            TileReader(size, root(0), nothing)


def everything(size: int, objects: dict[str, bytes]) -> None:
    """Read all of a log."""
    found = reader(size, objects)
    for index in range(-(-size // 256)):
        found.tile(0, index)
        found.bundle(index)


@pytest.mark.parametrize("size", [3, 256, 300, SIZE])
def test_a_changed_byte_in_any_object_is_found(size: int) -> None:
    objects = written(size)
    everything(size, objects)
    chosen = random.Random(size)  # noqa: S311
    for path, data in objects.items():
        for at in {0, len(data) - 1, *(chosen.randrange(len(data)) for _ in range(20))}:
            with pytest.raises(LedgerError):
                everything(size, {**objects, path: trees.flipped(data, at * 8 + chosen.randrange(8))})
        for wrong in [b"", data[:-1], data[:-32], data + b"\0", data + data[-32:]]:
            with pytest.raises(LedgerError):
                everything(size, {**objects, path: wrong})


def test_an_error_names_the_object() -> None:
    objects = written(SIZE)
    for path in ["tile/0/001", "tile/entries/001", "tile/1/000.p/3", "tile/entries/003.p/232", "tile/0/003.p/232"]:
        with pytest.raises(LedgerError, match=path):
            everything(SIZE, {other: data for other, data in objects.items() if other != path})
        with pytest.raises(LedgerError, match=path):
            everything(SIZE, {**objects, path: trees.flipped(objects[path], 100)})
        with pytest.raises(LedgerError, match=path):
            everything(SIZE, {**objects, path: objects[path][:-1]})
    altered = objects["tile/entries/001"].replace(b"entry 300", b"entry 3x0")
    with pytest.raises(LedgerError, match=r"tile/entries/001: entry 300 is not"):
        everything(SIZE, {**objects, "tile/entries/001": altered})


def test_a_full_object_takes_the_place_of_a_partial_one() -> None:
    # Of a log that grew further, partial objects of earlier sizes may be gone.
    objects = {path: data for path, data in written(SIZE, 1_100).items() if ".p/" not in path or "/1/" in path}
    everything(SIZE, objects)
    assert reader(SIZE, objects).bundle(3) == entries_between(768, SIZE)
    assert Tail.of(SIZE, root(SIZE), objects.get).partial(0) == Tail.of(SIZE, root(SIZE), written(SIZE).get).partial(0)
    with pytest.raises(LedgerError, match=r"tile/0/003.p/232"):
        everything(SIZE, {**objects, "tile/0/003": objects["tile/0/002"]})


def test_tiles_and_bundles_that_agree_with_each_other_and_not_with_the_root_are_refused() -> None:
    other = Tail()
    changed = [b"other" if number == 300 else entry for number, entry in enumerate(entries_between(0, SIZE))]
    forged = dict([*other.append(changed), *other.partial(0)])
    with pytest.raises(LedgerError):
        reader(SIZE, forged)
    # The partial tiles are the right ones, but what is below them is not.
    right = {path: data for path, data in written(SIZE).items() if ".p/" in path}
    with pytest.raises(LedgerError, match=r"tile/0/001 is not"):
        reader(SIZE, forged | right).entry(300)
    with pytest.raises(LedgerError, match=r"tile/0/001 is not"):
        reader(SIZE, forged | right).inclusion_proof(300)
    assert tiles.TILE_BYTES == 8_192

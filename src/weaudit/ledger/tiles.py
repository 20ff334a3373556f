"""Tiles and bundles of entries as c2sp.org/tlog-tiles lays them out: their paths, how a log grows, and how it is read.

A tile is a run of up to 256 hashes. At level 0 they are hashes of leaves, at each level above the hashes of whole tiles
of the level below. A bundle holds the entries whose hashes the tile of level 0 with the same number holds. Where the
last tile of a level is partial, its width is a part of its path, so that no object ever changes.
"""

from __future__ import annotations

import re
from collections import namedtuple

from weaudit.ledger import merkle
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import EMPTY_ROOT, HASH_BYTES, MOST_LEAVES, Edge, leaf_hash, leaf_hashes, top

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Fetch = Callable[[str], bytes | None]
    """Returns the object at a path, or None if there is none."""

WIDTH = 256
HEIGHT = 8
TILE_BYTES = WIDTH * HASH_BYTES
LEVELS = range(HEIGHT)
"""A tree of :data:`merkle.MOST_LEAVES` leaves has tiles at these levels."""
ENTRIES = -1
"""The level of bundles in a :class:`Tile`."""
MOST_ENTRY_BYTES = 65_535
MOST_BUNDLE_BYTES = WIDTH * (2 + MOST_ENTRY_BYTES)
_KEPT_TILES = 64
_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?")
_MOST_PATH = 64


class Tile(namedtuple("Tile", "level index width", defaults=(WIDTH,))):
    """Where a tile is, or a bundle (level :data:`ENTRIES`); ``width`` is the number of its hashes or entries."""

    __slots__ = ()
    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Return the path of its object: the index in groups of three digits, and the width if it is partial."""
        rest, last = divmod(self.index, 1000)
        number = f"{last:03d}"
        while rest > 0:
            rest, last = divmod(rest, 1000)
            number = f"x{last:03d}/{number}"
        level = "entries" if self.level == ENTRIES else self.level
        return f"tile/{level}/{number}" + (f".p/{self.width}" if self.width < WIDTH else "")


def parse_path(path: str) -> Tile:
    """Return the tile or bundle at a path. Raises LedgerError unless the path is spelled as the log spells it."""
    found = _PATH.fullmatch(path) if len(path) <= _MOST_PATH else None
    if found is not None:
        level, number, width = found.groups()
        index = int(number.replace("x", "").replace("/", ""))
        tile = Tile(ENTRIES if level == "entries" else int(level), index, int(width or WIDTH))
        if tile.level <= 63 and tile.width > 0 and (not width or tile.width < WIDTH) and tile.path == path:
            return tile
    raise LedgerError(f"no tile or bundle has the path {path[:_MOST_PATH]!r}")


def added(old_size: int, size: int) -> Iterator[Tile]:
    """Yield what a log writes to grow from one size to another: bundles, then tiles level by level.

    From size 0, that is everything that a log of the other size serves, and a reader may need.
    """
    for level in (ENTRIES, *LEVELS):
        old, new = _whole(old_size, level), _whole(size, level)
        if old < new:
            yield from (Tile(level, index) for index in range(old // WIDTH, new // WIDTH))
            if new % WIDTH:
                yield Tile(level, new // WIDTH, new % WIDTH)


def bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries as a bundle holds them: each after its length, two bytes, the higher first.

    Raises LedgerError if an entry has more than 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MOST_ENTRY_BYTES:
            raise LedgerError(f"an entry has {MOST_ENTRY_BYTES} bytes at most, not {len(entry)}")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def parse_bundle(data: bytes, count: int) -> list[bytes]:
    """Return the entries of a bundle. Raises LedgerError unless they are ``count`` and nothing follows them."""
    entries: list[bytes] = []
    at, end = 0, len(data)
    for _ in range(count):
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1]) if start <= end else end + 1
        if at > end:
            raise LedgerError(f"a bundle of {count} entries ends after {len(entries)}")
        entries.append(data[start:at])
    if at != end:
        raise LedgerError(f"a bundle of {count} entries has {end - at} more bytes")
    return entries


class Tail:
    """What must be kept of a log to append to it: the tiles and the bundle that are not full yet."""

    __slots__ = ("_bundle", "_runs", "size")

    def __init__(self) -> None:
        self.size = 0
        self._bundle = b""
        self._runs = [b"" for _ in LEVELS]

    @classmethod
    def of(cls, size: int, root: bytes, fetch: Fetch) -> Tail:
        """Read the tail of a log of this size. Raises LedgerError unless all of it is proven by the root."""
        reader, tail = TileReader(size, root, fetch), cls()
        tail.size = size
        tail._runs = [reader.last(level) for level in LEVELS]
        tail._bundle = bundle(reader.bundle(size // WIDTH)) if size % WIDTH else b""
        return tail

    def append(self, entries: Sequence[bytes]) -> list[tuple[str, bytes]]:
        """Append entries, and return path and content of each bundle and tile that became full.

        Memory holds what is given and what is returned: append many entries in portions. Raises LedgerError, and
        appends nothing, if one of them is too long.
        """
        if self.size + len(entries) > MOST_LEAVES:
            raise LedgerError(f"a log has {MOST_LEAVES} entries at most")
        if any(len(entry) > MOST_ENTRY_BYTES for entry in entries):
            raise LedgerError(f"an entry has {MOST_ENTRY_BYTES} bytes at most")
        filled: list[tuple[str, bytes]] = []
        at = 0
        while at < len(entries):
            part = entries[at : at + WIDTH - self.size % WIDTH]
            at += len(part)
            self.size += len(part)
            self._bundle += bundle(part)
            self._runs[0] += leaf_hashes(part)
            if self.size % WIDTH == 0:
                filled += self._full()
        return filled

    def _full(self) -> Iterator[tuple[str, bytes]]:
        yield Tile(ENTRIES, self.size // WIDTH - 1).path, self._bundle
        self._bundle = b""
        for level in LEVELS:
            run = self._runs[level]
            if len(run) < TILE_BYTES:
                break
            yield Tile(level, _whole(self.size, level) // WIDTH - 1).path, run
            self._runs[level] = b""
            self._runs[level + 1] += top(run)

    def partial(self, since: int) -> list[tuple[str, bytes]]:
        """Return path and content of the partial bundle and tiles that a log of size ``since`` did not have."""
        found = []
        for level, content in zip((ENTRIES, *LEVELS), (self._bundle, *self._runs), strict=True):
            count = _whole(self.size, level)
            if content and count != _whole(since, level):
                found.append((Tile(level, count // WIDTH, count % WIDTH).path, content))
        return found

    def edge(self) -> Edge:
        """Return the edge of the tree."""
        return _edge(self.size, self._runs)


class TileReader:
    """The tree and the entries of a log, read from tiles and bundles, of which nothing is believed unproven.

    The partial tiles together give the root; the hash of every other tile is in the tile above it. Objects are asked
    for one at a time, by path. Where a partial one is gone, which is allowed once the full one is there, the beginning
    of the full one takes its place.

    Every method raises LedgerError if an object that it needs is missing, is not of its form, or is not the one that
    the root proves. At most 64 tiles are kept.
    """

    __slots__ = ("_fetch", "_known", "_runs", "root", "size")

    def __init__(self, size: int, root: bytes, fetch: Fetch) -> None:
        """Read the partial tiles: none for an empty log, or else one a level at most."""
        if not 0 <= size <= MOST_LEAVES:
            raise LedgerError(f"no log has {size} entries")
        self.size, self.root = size, root
        self._fetch = fetch
        self._known: dict[tuple[int, int], bytes] = {}
        tiles = [Tile(level, count // WIDTH, count % WIDTH) for level in LEVELS if (count := _whole(size, level))]
        self._runs = [self._run(tile) if tile.width else b"" for tile in tiles]
        if _edge(size, self._runs).root() != root:
            paths = ", ".join(tile.path for tile in tiles if tile.width)
            raise LedgerError(f"not the root of the tree of {size} leaves: {paths or EMPTY_ROOT.hex()}")

    def last(self, level: int) -> bytes:
        """Return the hashes of the partial tile of a level; b"" if the level has none."""
        return self._runs[level] if 0 <= level < len(self._runs) else b""

    def tile(self, level: int, index: int) -> bytes:
        """Return the hashes of a tile."""
        if not (0 <= level < len(self._runs) and index >= 0):
            raise LedgerError(f"a log of {self.size} entries has no {Tile(level, index).path}")
        full = _whole(self.size, level) // WIDTH
        if index >= full:
            if index > full or not self._runs[level]:
                raise LedgerError(f"a log of {self.size} entries has no {Tile(level, index).path}")
            return self._runs[level]
        run = self._known.get((level, index))
        if run is None:
            above, at = self.tile(level + 1, index // WIDTH), index % WIDTH * HASH_BYTES
            run = self._run(Tile(level, index))
            if top(run) != above[at : at + HASH_BYTES]:
                raise LedgerError(f"{Tile(level, index).path} is not the tile that the root proves")
            if len(self._known) >= _KEPT_TILES:
                del self._known[next(iter(self._known))]
            self._known[level, index] = run
        return run

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a node of the tree, as :mod:`weaudit.ledger.merkle` counts them."""
        above, below = divmod(level, HEIGHT)
        at = index << below
        run = self.tile(above, at // WIDTH)
        part = run[at % WIDTH * HASH_BYTES :][: HASH_BYTES << below]
        if len(part) < HASH_BYTES << below:
            raise LedgerError(f"a tree of {self.size} leaves has no node {index} of level {level}")
        return top(part)

    def bundle(self, index: int) -> list[bytes]:
        """Return the entries of a bundle."""
        proven = self.tile(0, index)
        count = len(proven) // HASH_BYTES
        path, data, width = self._object(Tile(ENTRIES, index, count))
        try:
            found = parse_bundle(data, width)[:count]
        except LedgerError as error:
            raise LedgerError(f"{path}: {error}") from error
        if leaf_hashes(found) != proven:
            at = next(at for at, entry in enumerate(found) if leaf_hash(entry) != _hash(proven, at))
            raise LedgerError(f"{path}: entry {index * WIDTH + at} is not the one that the root proves")
        return found

    def entry(self, index: int) -> bytes:
        """Return the entry at an index."""
        if not 0 <= index < self.size:
            raise LedgerError(f"a log of {self.size} entries has no entry {index}")
        return self.bundle(index // WIDTH)[index % WIDTH]

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Return the proof that the entry at an index is in the tree."""
        return merkle.inclusion_proof(index, self.size, self.node)

    def consistency_proof(self, old_size: int) -> list[bytes]:
        """Return the proof that the tree begins with the tree of ``old_size`` leaves."""
        return merkle.consistency_proof(old_size, self.size, self.node)

    def _run(self, tile: Tile) -> bytes:
        path, data, width = self._object(tile)
        if len(data) != width * HASH_BYTES:
            raise LedgerError(f"{path}: a tile of {width} hashes has {width * HASH_BYTES} bytes, not {len(data)}")
        return data[: tile.width * HASH_BYTES]

    def _object(self, tile: Tile) -> tuple[str, bytes, int]:
        for one in dict.fromkeys((tile, tile._replace(width=WIDTH))):
            path = one.path
            data = self._fetch(path)
            if data is not None:
                return path, data, one.width
        raise LedgerError(f"{tile.path} is missing")


def _edge(size: int, runs: Sequence[bytes]) -> Edge:
    """Return the edge of a tree, given the hashes of its partial tiles, one run a level, the lowest first."""
    return Edge(size, [found for run in reversed(runs) for found in Edge().extended(run).hashes])


def _hash(run: bytes, at: int) -> bytes:
    return run[at * HASH_BYTES : (at + 1) * HASH_BYTES]


def _whole(size: int, level: int) -> int:
    """Return how many hashes the tiles of a level have together, or how many entries the bundles have."""
    return size >> HEIGHT * max(level, 0)

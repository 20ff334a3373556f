"""Verifies a whole log from the objects that it serves, in the steps of docs/formats/ledger.md, How to verify.

Every bundle is read once, in order, and one at a time, so that memory holds no more than a few lines about each row,
and each finding. What was verified (:class:`Verified`) can be kept: the next time, only what came later is read.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from weaudit.ledger import checkpoints, entries
from weaudit.ledger.checkpoints import ARCHIVE, CHECKPOINT, Checkpoint
from weaudit.ledger.entries import FINDINGS, Entry
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import HASH_BYTES, Edge, check_consistency, leaf_hashes, top
from weaudit.ledger.policies import Policy
from weaudit.ledger.tiles import ENTRIES, HEIGHT, LEVELS, WIDTH, Tile, TileReader, parse_bundle
from weaudit.trail.verification.sealed import SealedRows
from weaudit.trail.verification.seals import Seals

Fetch = Callable[[str], bytes | None]
"""Returns the object at a path, or None if there is none."""
Ahead = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Works as ``map`` does; it may call the function for later arguments before it yields the results of earlier ones."""


_ARCHIVED = re.compile(ARCHIVE + "([0-9]{20})")
_TRIES = 4
# Of so many bundles that do not fit, each changed entry is named.
_LOCATED = 100


class LedgerFinding(NamedTuple):
    """What is wrong with the log, what the log says is wrong, or how rows differ from it.

    ``step`` is where it was found. ``id`` and ``table`` are those of a row, if it is about one (``table`` "":
    ``Audit``), and ``time`` is the entry's or the row's. ``leaf`` is the entry, if it is about one.
    """

    step: int
    kind: str
    text: str
    id: str = ""
    table: str = ""
    time: str = ""
    leaf: int | None = None


@dataclass
class Verified:
    """The first ``size`` entries of a log, as far as they were verified, and what they say.

    ``runs`` are the hashes in the tiles that are not full yet, one run a level.
    """

    origin: str
    size: int = 0
    edge: Edge = field(default_factory=Edge)
    runs: list[bytes] = field(default_factory=lambda: [b"" for _ in LEVELS])
    rows: SealedRows = field(default_factory=SealedRows)
    seals: Seals = field(default_factory=Seals)
    kinds: Counter[str] = field(default_factory=Counter)
    findings: list[LedgerFinding] = field(default_factory=list)


@dataclass
class LogVerdict:
    """The result of steps 1 to 5.

    ``proven`` is the number of first entries whose root was signed; no more of the log is known. Of these, ``verified``
    says what they say, unless more was read than is proven.
    """

    checkpoint: Checkpoint
    verified: Verified
    proven: int
    begun: int = 0
    bundles: int = 0
    tiles: int = 0
    archived: int = 0
    kept: Checkpoint | None = None
    faults: list[LedgerFinding] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all entries are proven."""
        return self.proven == self.checkpoint.size

    @property
    def may_be_kept(self) -> bool:
        """Whether ``verified`` is enough for the next time: what is wrong with objects shows only in them."""
        return self.whole and not any(found.step in (2, 3, 4) for found in self.faults)

    @property
    def findings(self) -> list[LedgerFinding]:
        """What is wrong with the log, and then what proven entries say is wrong."""
        said = (found for found in self.verified.findings if found.leaf is not None and found.leaf < self.proven)
        return [*self.faults, *said]


def verify_log(
    policy: Policy,
    fetch: Fetch,
    listed: Callable[[str], Iterable[str]],
    *,
    kept: bytes | None = None,
    before: Verified | None = None,
    ahead: Ahead = map,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    pause: Callable[[], None] = lambda: None,
) -> LogVerdict:
    """Verify a log by what it serves; ``listed`` returns the paths that begin with a prefix.

    ``kept`` is a checkpoint of this log, from earlier, that was kept elsewhere. ``before`` is what was verified last
    time: it is taken over and extended. ``progress`` is called with the number of entries read and of all. ``pause``
    is called before ``checkpoint`` is read again, because a sealer may just be writing it.

    Raises LedgerError if nothing here is a checkpoint that the policy accepts, or ``before`` is not of this log.
    """
    return _Verification(policy, fetch, ahead).verdict(listed, kept, before, progress, pause)


class _Verification:
    def __init__(self, policy: Policy, fetch: Fetch, ahead: Ahead) -> None:
        self._policy = policy
        # Whether the log signed is one question, and whether enough others did is another, which only the latest needs.
        self._log_alone = Policy(policy.logs, {}, {})
        self._fetch = fetch
        self._ahead = ahead
        self._faults: list[LedgerFinding] = []

    def verdict(
        self,
        listed: Callable[[str], Iterable[str]],
        kept: bytes | None,
        before: Verified | None,
        progress: Callable[[int, int], None],
        pause: Callable[[], None],
    ) -> LogVerdict:
        # 1. The checkpoint. The archive is listed first: a sealer writes there before it writes `checkpoint`.
        begun = 0 if before is None else before.size
        archive = self._archived(listed, begun)
        latest = self._latest(archive, begun, pause)
        if before is not None:
            _check_before(before, latest)
        verified = Verified(latest.origin) if before is None else before

        # 4., first half: what the roots must be. They are compared on the way.
        roots: dict[int, dict[bytes, str]] = {}
        for path, checkpoint in [*archive.items(), (CHECKPOINT, latest)]:
            if checkpoint.origin == latest.origin:
                roots.setdefault(checkpoint.size, {}).setdefault(checkpoint.root, path)
            else:
                self._report(4, "unsigned", f"{path} is a checkpoint of another log, {checkpoint.origin}")
        mine = self._kept(kept, latest)
        if mine is not None and mine.size >= begun:
            roots.setdefault(mine.size, {}).setdefault(mine.root, "the checkpoint that you kept")

        # 2., 3. and 5., in one pass.
        root = verified.edge.root()
        reading = _Reading(verified, roots, self._fetch)
        tiles = objects(begun, latest.size)
        for tile, (width, content) in zip(tiles, self._ahead(reading.read, objects(begun, latest.size)), strict=True):
            if tile.level == ENTRIES and content is None:
                self._report_unread("cut", f"{tile.path} is missing", verified.size, latest)
                break
            try:
                reading.take(tile, width, content)
            except LedgerError as error:
                self._report_unread("changed", f"{tile.path}: {error}", verified.size, latest)
                break
            progress(verified.size, latest.size)
        fits = latest.size in reading.fitting
        if fits:
            # Where two roots of this size were signed, the log is the one that its entries have.
            latest = Checkpoint(latest.origin, latest.size, reading.roots[latest.size])
            self._faults += reading.faults
        elif verified.size == latest.size:
            self._locate(latest, reading, begun, root)
        for size, found in sorted(roots.items()):
            # Where the latest root does not fit either, the entries were changed: that is no second history.
            if fits or len(found) > 1:
                for root, path in found.items():
                    if root != reading.roots.get(size):
                        self._report_fork(path, size, latest)
        if mine is not None and mine.size < begun:
            self._compare_by_tiles(mine, latest)
        if fits and verified.seals.since:
            text = f"{verified.seals.since:,} entries at the end of the log have no seal"
            self._report(5, "unfinished", text, leaf=verified.size - verified.seals.since)
        proven = max([begun, *reading.fitting])
        return LogVerdict(
            latest,
            verified,
            proven,
            begun,
            reading.bundles,
            reading.tiles,
            len(archive) - (CHECKPOINT in archive),
            mine,
            self._faults,
        )

    # ---- 1.

    def _archived(self, listed: Callable[[str], Iterable[str]], begun: int) -> dict[str, Checkpoint]:
        """Return the archived checkpoints of at least ``begun`` entries that the log signed, by path."""
        paths = []
        for path in sorted(listed(ARCHIVE)):
            named = _ARCHIVED.fullmatch(path)
            if named is None:
                self._report(4, "unsigned", f"{path}: no archived checkpoint has such a name")
            elif int(named[1]) >= begun:
                paths.append(path)
        found = {}
        for path, content in zip(paths, self._ahead(self._fetch, paths), strict=True):
            checkpoint = self._opened(path, content)
            if checkpoint is not None:
                if int(path.removeprefix(ARCHIVE)) == checkpoint.size:
                    found[path] = checkpoint
                else:
                    self._report(4, "unsigned", f"{path} is the checkpoint of {checkpoint.size:,} entries")
        return found

    def _opened(self, path: str, content: bytes | None) -> Checkpoint | None:
        if content is None:
            self._report(4, "cut", f"{path} is gone")
            return None
        try:
            return checkpoints.opened(content, self._log_alone)[0]
        except LedgerError as error:
            self._report(1 if path == CHECKPOINT else 4, "unsigned", f"{path}: {error}")
            return None

    def _latest(self, archive: dict[str, Checkpoint], begun: int, pause: Callable[[], None]) -> Checkpoint:
        """Return the largest checkpoint that the log signed: `checkpoint` is no more than a hint."""
        largest = max(archive.items(), key=lambda found: found[1].size, default=None)
        for attempt in range(_TRIES):
            if attempt:
                pause()
            content = self._fetch(CHECKPOINT)
            faults = len(self._faults)
            found = None if content is None else self._opened(CHECKPOINT, content)
            if found is not None and (largest is None or found.size >= largest[1].size):
                break
            if attempt < _TRIES - 1:
                del self._faults[faults:]
        if largest is None:
            if found is None:
                why = self._faults[-1].text if content is not None else "there is no object checkpoint"
                raise LedgerError(f"the log has no checkpoint that is signed by its key: {why}")
            path, latest = CHECKPOINT, found
        elif found is None or found.size < largest[1].size:
            path, latest = largest
            size = "gone" if content is None else "not signed" if found is None else f"of {found.size:,} entries"
            text = f"the object checkpoint is {size}, but {path} says that {latest.size:,} were signed"
            self._report(1, "rolledBack", text)
            content = self._fetch(path)
            if found is not None and found.size >= begun:
                archive[CHECKPOINT] = found
        else:
            path, latest = CHECKPOINT, found
        try:
            checkpoints.opened(content or b"", self._policy)
        except LedgerError as error:
            self._report(1, "unwitnessed", f"{path}: {error}")
        return latest

    # ---- 2.

    def _locate(self, latest: Checkpoint, reading: "_Reading", begun: int, root: bytes) -> None:
        """Name the entries that are not those that were signed, as far as the tiles say which they are."""
        try:
            reader = TileReader(latest.size, latest.root, self._fetch)
            proof = reader.consistency_proof(begun)
        except LedgerError as error:
            text = f"the entries do not have the root that was signed, and neither do the tiles: {error}"
            self._report(2, "changed", text)
            return
        try:
            check_consistency(begun, root, latest.size, latest.root, proof)
        except LedgerError as error:
            raise LedgerError(
                f"what was verified before, {begun:,} entries, is not the beginning of this log: it was changed "
                "since, or another log was verified then"
            ) from error
        entry_at = entries_of(self._fetch, latest.size)
        for index, leaves in reading.differing.items():
            try:
                signed = reader.tile(0, index)
            except LedgerError as error:
                self._report(2, "changed", f"the entries do not have the root that was signed: {error}")
                continue
            for at in range(len(signed) // HASH_BYTES):
                part = slice(at * HASH_BYTES, (at + 1) * HASH_BYTES)
                if signed[part] != leaves[part]:
                    self._report_changed(index * WIDTH + at, entry_at)

    def _report_changed(self, leaf: int, entry_at: Callable[[int], Entry]) -> None:
        try:
            found = entry_at(leaf)
            now = f"it now is of the kind {found.kind}"
            row = {"id": found.id or "", "table": str(found.fields.get("table", "")), "time": found.time}
        except LedgerError:
            now, row = "it cannot be read now", {}
        self._report(2, "changed", f"entry {leaf:,} is not the one that was signed; {now}", leaf=leaf, **row)

    # ---- 4.

    def _kept(self, content: bytes | None, latest: Checkpoint) -> Checkpoint | None:
        """Return the checkpoint that was kept elsewhere, unless it is of no use. Raises LedgerError then."""
        if content is None:
            return None
        found = checkpoints.opened(content, self._log_alone)[0]
        if found.origin != latest.origin:
            raise LedgerError(f"the checkpoint that you kept is of another log, {found.origin}")
        if found.size > latest.size:
            text = f"the log had {found.size:,} entries when you kept its checkpoint, and has {latest.size:,} now"
            self._report(4, "cut", text, leaf=latest.size)
            return None
        return found

    def _compare_by_tiles(self, mine: Checkpoint, latest: Checkpoint) -> None:
        """Compare a checkpoint of fewer entries than were verified before: their roots are not kept."""
        path = "the checkpoint that you kept"
        try:
            proof = TileReader(latest.size, latest.root, self._fetch).consistency_proof(mine.size)
        except LedgerError as error:
            self._report(
                4, "tile", f"{path} cannot be compared, since it is older than what was verified before: {error}"
            )
            return
        try:
            check_consistency(mine.size, mine.root, latest.size, latest.root, proof)
        except LedgerError:
            self._report_fork(path, mine.size, latest)

    def _report_unread(self, kind: str, text: str, leaf: int, latest: Checkpoint) -> None:
        self._report(2, kind, f"{text}: {latest.size:,} entries were signed, {leaf:,} can be read", leaf=leaf)

    def _report_fork(self, path: str, size: int, latest: Checkpoint) -> None:
        text = (
            f"{path} has another root of the first {size:,} entries than the log has now: "
            f"the key of {latest.origin} signed two histories"
        )
        self._report(4, "fork", text, leaf=size)

    def _report(self, step: int, kind: str, text: str, **about: Any) -> None:
        self._faults.append(LedgerFinding(step, kind, text, **about))


def _check_before(before: Verified, latest: Checkpoint) -> None:
    if before.origin != latest.origin:
        raise LedgerError(f"what was verified before is another log, {before.origin}")
    if before.size > latest.size:
        raise LedgerError(
            f"{before.size:,} entries were verified before, and the log has {latest.size:,} now: entries were cut off, "
            "or an old state of the log was put back"
        )


class _Reading:
    """Takes the objects of a log in the order of :func:`objects`, and extends what is verified by each bundle."""

    def __init__(self, verified: Verified, roots: dict[int, dict[bytes, str]], fetch: Fetch) -> None:
        self._to = verified
        self._fetch = fetch
        self._wanted = roots
        self._cuts = sorted(size for size in roots if size > verified.size)
        self.roots: dict[int, bytes] = {}
        self.fitting: list[int] = []
        self.faults: list[LedgerFinding] = []
        self.differing: dict[int, bytes] = {}
        self.bundles = self.tiles = 0
        self._compare_root()

    def read(self, tile: Tile) -> tuple[int, bytes | None]:
        """Return the width and the content of the object of a tile."""
        return read(self._fetch, tile)

    def take(self, tile: Tile, width: int, content: bytes | None) -> None:
        """Take the next object. Raises LedgerError if it is a bundle that cannot be read."""
        if tile.level == ENTRIES:
            self._take_bundle(tile, width, content or b"")
        else:
            self._compare_tile(tile, width, content)

    # 2. Every bundle, in order: hash its entries as leaves, and compute the root.
    def _take_bundle(self, tile: Tile, width: int, content: bytes) -> None:
        found = parse_bundle(content, width)[: tile.width]
        verified = self._to
        found = found[verified.size % WIDTH :]
        while found:
            # The root is computed where a checkpoint has one to compare.
            count = self._cuts[0] - verified.size if self._cuts else len(found)
            part, found = found[:count], found[count:]
            leaves = leaf_hashes(part)
            verified.edge = verified.edge.extended(leaves)
            verified.runs[0] += leaves
            for text in part:
                self._take_entry(text)
            self._compare_root()
        self.bundles += 1

    def _compare_root(self) -> None:
        size = self._to.size
        if self._cuts and self._cuts[0] == size:
            del self._cuts[0]
        if size in self._wanted:
            self.roots[size] = self._to.edge.root()
            if self.roots[size] in self._wanted[size]:
                self.fitting.append(size)

    # 3. Every tile is computed and compared.
    def _compare_tile(self, tile: Tile, width: int, content: bytes | None) -> None:
        runs = self._to.runs
        run = runs[tile.level]
        if content is None or len(content) != width * HASH_BYTES or not content.startswith(run):
            state = "missing" if content is None else "not the tile of the entries"
            self.faults.append(LedgerFinding(3, "tile", f"{tile.path} is {state}"))
            if tile.level == 0 and len(self.differing) < _LOCATED:
                self.differing[tile.index] = run
        if tile.width == WIDTH:
            runs[tile.level] = b""
            runs[tile.level + 1] += top(run)
        self.tiles += 1

    # 5. The entries: what they say of rows, the seals, and the findings.
    def _take_entry(self, text: bytes) -> None:
        verified = self._to
        leaf, verified.size = verified.size, verified.size + 1
        try:
            found = entries.parse(text)
        except LedgerError as error:
            verified.findings.append(LedgerFinding(5, "unreadable", f"entry {leaf:,}: {error}", leaf=leaf))
            verified.seals.count()
            return
        kind = found.kind
        verified.kinds[kind] += 1
        if kind == "seal":
            for fault in verified.seals.take(found):
                verified.findings.append(LedgerFinding(5, "seal", fault, time=found.time, leaf=leaf))
            return
        verified.seals.count()
        table = str(found.fields.get("table", ""))
        if kind in entries.ROWS:
            verified.rows.put(table, found.id or "", kind, found.hash or "", leaf)
        if kind in FINDINGS:
            about = LedgerFinding(5, kind, _said(found), found.id or "", table, found.time, leaf)
            verified.findings.append(about)


def _said(found: Entry) -> str:
    fields = found.fields
    match found.kind:
        case "foreign":
            return "it was written with another hash or origin than audit_producer gives"
        case "altered":
            return "it was changed after it was written"
        case "deleted":
            return "it was deleted, and not because it had expired"
        case "erased":
            return f"its values were erased by {fields.get('by', 'an unnamed erasure')}, which the log does not have"
        case _:
            where = f"shard {fields['shard']} of " if "shard" in fields else ""
            after = f", after {fields['after']}" if "after" in fields else ""
            return f"what happened in {where}{fields['stream']}{after} cannot be known any more"


def objects(start: int, size: int) -> Iterator[Tile]:
    """Yield the bundles and tiles that a log of ``size`` entries has from entry ``start`` on, each after what it holds.

    A bundle comes before its tile, and a tile before the one above it.
    """
    if start == size:
        return
    for index in range(start // WIDTH, -(-size // WIDTH)):
        width = min(WIDTH, size - index * WIDTH)
        yield Tile(ENTRIES, index, width)
        yield Tile(0, index, width)
        level, full = 1, index + 1
        while width == WIDTH and full % WIDTH == 0:
            full //= WIDTH
            yield Tile(level, full - 1)
            level += 1
    for level in LEVELS[1:]:
        index, width = divmod(size >> HEIGHT * level, WIDTH)
        if width:
            yield Tile(level, index, width)


def read(fetch: Fetch, tile: Tile) -> tuple[int, bytes | None]:
    """Return the width and the content of the object of a tile or bundle; None if it is missing.

    A partial one may be gone once the full one is there, which begins with it.
    """
    content = fetch(tile.path)
    if content is None and tile.width < WIDTH:
        return WIDTH, fetch(tile._replace(width=WIDTH).path)
    return tile.width, content


def entries_of(fetch: Fetch, size: int) -> Callable[[int], Entry]:
    """Return what returns the entry of a leaf of a log of ``size`` entries, unproven; the last bundle is kept.

    It raises LedgerError if the entry cannot be read.
    """

    @lru_cache(maxsize=1)
    def bundle(index: int) -> list[bytes]:
        tile = Tile(ENTRIES, index, min(WIDTH, size - index * WIDTH))
        width, content = read(fetch, tile)
        if content is None:
            raise LedgerError(f"{tile.path} is missing")
        return parse_bundle(content, width)

    return lambda leaf: entries.parse(bundle(leaf // WIDTH)[leaf % WIDTH])

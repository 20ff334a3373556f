"""Seals what came: reads, commits, completes, signs, publishes (docs/formats/ledger.md, How it is written).

One conditional put decides what the log becomes. Everything after it follows from that object, so a sealer that stops
anywhere leaves what the next one completes, and two at once cannot both have their way. What was read is sealed with
how far it was read: no record is missed, and none is sealed twice.
"""

from __future__ import annotations

import time

from weaudit.items.times import iso_time, moment
from weaudit.ledger import checkpoints, finding, notes
from weaudit.ledger.entries import FINDINGS, parse
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import EMPTY_ROOT, leaf_hashes
from weaudit.ledger.tiles import WIDTH, Tail, TileReader
from weaudit.sealing import commits
from weaudit.sealing.commits import Commit
from weaudit.sealing.marks import last_seals, seals
from weaudit.sealing.store_bucket import commit_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from weaudit.ledger.checkpoints import Checkpoint
    from weaudit.ledger.entries import Entry
    from weaudit.ledger.notes import VerifierKey
    from weaudit.sealing.marks import Marks
    from weaudit.sealing.reading import Reading
    from weaudit.sealing.store_bucket import LedgerBucket

MOST_ENTRIES = 4_096
"""A commit has about so many entries at most, and memory holds no more than one commit."""

HEARTBEAT_S = 3_600
"""A log to which nothing came still says so once an hour."""

KEPT_S = 23 * 3_600
"""Streams keep records for 24 hours. Where nothing was sealed for longer than this, some may be gone unread."""


class Log:
    """The log as it is signed: ``tail`` grows with it, and the last seal said ``at``, ``marks`` and ``behind``."""

    __slots__ = ("at", "behind", "marks", "root", "tail")

    def __init__(self, root: bytes, tail: Tail, at: str, marks: Marks, *, behind: bool) -> None:
        self.root, self.tail, self.at, self.marks, self.behind = root, tail, at, marks, behind

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return self.tail.size


class Summary:
    """What a run did: entries ``sealed``, the ``findings`` among them, and how large the log is now.

    ``behind`` says that more is waiting. ``foreign_commits`` counts objects in the place of a commit that no sealer
    put there.
    """

    def __init__(self) -> None:
        self.sealed = 0
        self.findings: list[Entry] = []
        self.foreign_commits = 0
        self.size = 0
        self.behind = False


class SupersededError(Exception):
    """Another sealer has put its commit first: nothing of this one's is lost, the marks have not moved."""


class Sealer:
    """Grows one log. ``sign`` returns the signature, 64 bytes, of a message by the key; ``clock`` seconds since 1970.

    ``tell`` gets the findings of a commit before it is signed: where the sealer stops in between, it gets them again.
    ``cosigned`` returns a signed note with a witness's cosignature, if it gets one; the tree is that of the note.

    What it keeps between two runs saves requests and is compared with the bucket before it is used.
    """

    def __init__(
        self,
        bucket: LedgerBucket,
        reading: Reading,
        key: VerifierKey,
        sign: Callable[[bytes], bytes],
        origin: bytes,
        tell: Callable[[list[Entry]], None],
        clock: Callable[[], float] = time.time,
        cosigned: Callable[[bytes, TileReader], bytes] | None = None,
    ) -> None:
        self._bucket = bucket
        self._reading = reading
        self._key = key
        self._sign = sign
        self._origin = origin
        self._tell = tell
        self._clock = clock
        self._cosigned = cosigned
        self._kept: Log | None = None

    def run(self, may_go_on: Callable[[], bool]) -> Summary:
        """Complete what an earlier run left, then seal what came, until nothing more does or ``may_go_on`` says no.

        Raises StoreError, LedgerError if the bucket holds what cannot be, and SupersededError. The next run goes on
        where this one stopped.
        """
        summary = Summary()
        kept, self._kept = self._kept, None
        log = self._current(kept, summary)
        entries: list[Entry] = []
        marks, stopped = log.marks, False
        now = self._clock()
        missed = bool(log.at) and _seconds(log.at) < now - KEPT_S
        for batch in self._reading.since(log.marks, self._now(log), missed=missed, behind=log.behind):
            entries += batch.entries
            marks = batch.marks
            stopped = bool(batch.entries) and not may_go_on()
            if len(entries) >= MOST_ENTRIES or stopped:
                self._seal(log, entries, marks, summary, behind=True)
                entries = []
            if stopped:
                break
        is_due = log.behind or not log.at or _seconds(log.at) <= now - HEARTBEAT_S
        if not stopped and (entries or is_due):
            self._seal(log, entries, marks, summary, behind=False)
        summary.size, summary.behind = log.size, log.behind
        self._kept = log
        return summary

    def adopt(self, found: Iterable[Entry], since: int, summary: Summary) -> None:
        """Seal entries of rows that were never seen being written, after a :meth:`run`, but for those that are sealed.

        ``since`` is the size of the log up to which the caller has looked for them. Raises what ``run`` raises.
        """
        log, self._kept = self._kept, None
        if log is None:
            raise LedgerError("the log is not known: run first")
        sealed: set[object] = set()
        if log.size > since:
            reader = TileReader(log.size, log.root, self._bucket.get)
            for index in range(since // WIDTH, (log.size - 1) // WIDTH + 1):
                sealed.update((one.fields.get("table"), one.id) for one in map(parse, reader.bundle(index)))
        entries = [one for one in found if (one.fields.get("table"), one.id) not in sealed]
        if entries:
            self._seal(log, entries, log.marks, summary, behind=log.behind)
        summary.size, self._kept = log.size, log

    def _now(self, log: Log) -> str:
        return max(iso_time(round(self._clock() * 1000)), log.at)  # a log's time does not run backwards

    # ---- where the log stands

    def _current(self, kept: Log | None, summary: Summary) -> Log:
        """Return the log as it is, after completing what was committed and not signed."""
        hint = self._opened(self._bucket.get(checkpoints.CHECKPOINT) or b"")
        log = kept
        if log is None or hint is None or (hint.size, hint.root) != (log.size, log.root):
            log = self._loaded(self._largest(hint))
        while (found := self._bucket.read(commit_path(log.size))) is not None:
            try:
                commit = commits.opened(found[0], log.size, self._origin)
            except LedgerError:
                summary.foreign_commits += 1
                return log  # _commit puts ours in its place
            self._complete(log, commit, [parse(text) for text in commit.entries], summary)
        return log

    def _largest(self, hint: Checkpoint | None) -> Checkpoint | None:
        """Return the largest checkpoint that was signed, and hint at it: the hint may be an old one, or gone."""
        largest, newest = hint, b""
        for content in self._bucket.archived_after(-1 if hint is None else hint.size):
            found = self._opened(content)
            if found is None:
                continue
            if largest is not None and found.size == largest.size and found.root != largest.root:
                raise LedgerError(f"two checkpoints of {found.size} entries are signed, and differ")
            if largest is None or found.size > largest.size:
                largest, newest = found, content
        if newest:
            self._bucket.put_hint(newest)
        return largest

    def _opened(self, content: bytes) -> Checkpoint | None:
        """Return the checkpoint of a note, or None if it is not one that this log's key has signed."""
        try:
            note = notes.read(content)
            notes.verified(note, [self._key])
            found = checkpoints.read(note.text)
        except LedgerError:
            return None
        return found if found.origin == self._key.name else None

    def _loaded(self, checkpoint: Checkpoint | None) -> Log:
        """Read what must be known of a log to append to it. Raises LedgerError unless its root proves it."""
        if checkpoint is None or checkpoint.size == 0:
            return Log(EMPTY_ROOT, Tail(), "", {}, behind=False)
        reader = TileReader(checkpoint.size, checkpoint.root, self._bucket.get)
        at, marks, behind = last_seals(_backwards(reader))
        tail = Tail.of(checkpoint.size, checkpoint.root, self._bucket.get)
        return Log(checkpoint.root, tail, at, marks, behind=behind)

    # ---- what it becomes

    def _seal(self, log: Log, entries: list[Entry], marks: Marks, summary: Summary, *, behind: bool) -> None:
        ends = seals(self._now(log), len(entries), marks, behind=behind)
        added = [*entries, *ends]
        texts = [one.text for one in added]
        root = log.tail.edge().extended(leaf_hashes(texts)).root()
        commit = Commit(log.size, root, texts)
        self._commit(commit)
        self._complete(log, commit, added, summary)

    def _commit(self, commit: Commit) -> None:
        path, content = commit_path(commit.before), commits.packed(commit, self._origin)
        found = self._bucket.read(path)
        if found is None:
            try:
                self._bucket.put_new(path, content)
            except LedgerError:
                raise SupersededError from None
            return
        try:
            commits.opened(found[0], commit.before, self._origin)
        except LedgerError:
            self._bucket.put_over(path, content, found[1])
            return
        if found[0] != content:
            raise SupersededError

    def _complete(self, log: Log, commit: Commit, entries: list[Entry], summary: Summary) -> None:
        """Write everything that follows from a commit, and sign. Whatever of it is there already stays as it is.

        ``entries`` are those of the commit.
        """
        filled = log.tail.append(commit.entries)
        if log.tail.edge().root() != commit.root:
            raise LedgerError(f"the commit after {commit.before} entries does not have the root that it says")
        for path, content in filled:
            self._bucket.put_new(path, content, locked=True)
        for path, content in log.tail.partial(commit.before):
            self._bucket.put_new(path, content)
        log.root = commit.root
        for index in range(commit.before // finding.LEAVES, log.size // finding.LEAVES):
            self._bucket.put_new(finding.path(index), finding.content(self._leaves(log, index)))
        findings = [one for one in entries if one.kind in FINDINGS]
        if findings:
            self._tell(findings)
        self._publish(commit.before, log)
        log.at, log.marks, log.behind = last_seals(reversed(entries))
        summary.sealed += sum(one.kind != "seal" for one in entries)
        summary.findings += findings

    def _leaves(self, log: Log, index: int) -> Iterator[Entry]:
        reader = TileReader(log.size, log.root, self._bucket.get)
        for at in range(index * WIDTH, (index + 1) * WIDTH):
            yield from map(parse, reader.bundle(at))

    def _publish(self, before: int, log: Log) -> None:
        """Sign the log, unless it does not begin with everything that was ever signed."""
        for content in self._bucket.archived_after(before):
            found = self._opened(content)
            if found is not None and found.size > log.size:
                raise SupersededError
            if found is not None and (found.size, found.root) != (log.size, log.root):
                raise LedgerError(
                    f"refused to sign {log.size} entries: they do not begin with the {found.size} signed ones"
                )
        text = checkpoints.text_of(self._key.name, log.size, log.root)
        note = notes.written(text, [notes.signed_by(self._key, self._sign, text)])
        self._bucket.put_new(checkpoints.archived(log.size), note, locked=True)
        # The archive has the log's own word, of which there is one. The witness's comes with a time of its own.
        if self._cosigned is not None:
            note = self._cosigned(note, TileReader(log.size, log.root, self._bucket.get))
        self._bucket.put_hint(note)


def _backwards(reader: TileReader) -> Iterator[Entry]:
    for index in range((reader.size - 1) // WIDTH, -1, -1):
        yield from map(parse, reversed(reader.bundle(index)))


def _seconds(at: str) -> float:
    found = moment(at)
    return 0.0 if found is None else found.timestamp()

"""Copies a ledger into a folder, with everything that one needs to check it offline."""

from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from weaudit.errors import InvalidInputError, LedgerFaultError
from weaudit.installation.pool import ReadingPool
from weaudit.installation.reading.ledger import (
    Head,
    Ledger,
    LedgerFolder,
    faults,
    head,
)
from weaudit.ledger import checkpoints, finding, notes, tiles
from weaudit.ledger.checkpoints import ARCHIVE, CHECKPOINT
from weaudit.ledger.merkle import HASH_BYTES
from weaudit.ledger.tiles import ENTRIES, WIDTH

_THREADS = 16
# So many objects at once have a place in memory.
_AT_ONCE = 256
LOOKUPS = "lookup/"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: objects that were loaded, and those that were there already."""

    head: Head
    loaded: int
    kept: int
    bytes: int


def copy(ledger: Ledger, folder: Path, progress: Callable[[int, int], None], *, from_scratch: bool = False) -> Copied:
    """Copy a ledger into a folder; an object that is there is not loaded again, unless ``from_scratch``.

    Every object but ``checkpoint`` is immutable, and each file is written whole, so a copy that was interrupted is
    continued. Of tiles, the sizes are checked, and nothing else. ``progress`` is called with how many objects are done
    and how many there are. Raises InvalidInputError if the folder holds another log, LedgerFaultError if the log is
    shorter than the copy or lacks an object, and StoreError.
    """
    newest = head(ledger)
    _check_same_log(folder, newest)
    paths = list(_paths(ledger, newest.checkpoint.size))
    wanted = paths if from_scratch else [path for path in paths if not _is_there(folder, path)]
    done, loaded = len(paths) - len(wanted), 0
    progress(done, len(paths))
    with ReadingPool(_THREADS, "weaudit-copy") as pool:
        rest = iter(wanted)
        while some := list(islice(rest, _AT_ONCE)):
            for future in as_completed([pool.submit(_loaded, ledger, path) for path in some]):
                # Files are written by this thread: the others may be abandoned at any time.
                for path, content in future.result():
                    put_whole(folder / path, content)
                    loaded += len(content)
                done += 1
                progress(done, len(paths))
    # Last: a copy with this checkpoint is whole.
    put_whole(folder / CHECKPOINT, newest.note)
    return Copied(newest, len(wanted), len(paths) - len(wanted), loaded)


def put_whole(path: Path, content: bytes) -> None:
    """Write a file, or leave what is there: never a part of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _check_same_log(folder: Path, newest: Head) -> None:
    kept = LedgerFolder(folder).fetch(CHECKPOINT)
    if kept is None:
        return
    with faults(f"{folder / CHECKPOINT} is not one: "):
        found = checkpoints.read(notes.read(kept).text)
    now = newest.checkpoint
    if found.origin != now.origin:
        raise InvalidInputError(
            f"{folder} holds a copy of another log, {found.origin}\nChoose another folder for {now.origin}."
        )
    if found.size > now.size or (found.size == now.size and found.root != now.root):
        raise LedgerFaultError(
            f"the copy in {folder} has {found.size:,} entries, and the ledger now has {now.size:,} and does not "
            "continue it\nKeep this copy as evidence: a log that was signed never becomes shorter, nor another one."
        )


def _paths(ledger: Ledger, size: int) -> Iterator[str]:
    """Yield the path of every object of a log but ``checkpoint``."""
    yield from (tile.path for tile in tiles.added(0, size))
    yield from (finding.path(number) for number in range(size // finding.LEAVES))
    yield from ledger.listed(ARCHIVE)


def _is_there(folder: Path, path: str) -> bool:
    try:
        size = (folder / path).stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return False
    return _fits(path, size)


def _fits(path: str, size: int) -> bool:
    """Return whether the object at a path can have so many bytes."""
    if not path.startswith("tile/"):
        return size > 0
    tile = tiles.parse_path(path)
    return size > 2 * tile.width if tile.level == ENTRIES else size == tile.width * HASH_BYTES


def _loaded(ledger: Ledger, path: str) -> list[tuple[str, bytes]]:
    """Return the path and content of an object, or of the full one in place of a partial one that is gone."""
    content = ledger.fetch(path)
    if content is None and path.startswith("tile/"):
        path = tiles.parse_path(path)._replace(width=WIDTH).path
        content = ledger.fetch(path)
    if content is None and path.startswith(LOOKUPS):
        return []  # nobody has made this lookup yet, and nobody needs it
    if content is None or not _fits(path, len(content)):
        why = "is missing" if content is None else f"has {len(content):,} bytes"
        raise LedgerFaultError(
            f"{path} {why} in the ledger\nWhat was copied stays: run it again once the object is restored."
        )
    return [(path, content)]

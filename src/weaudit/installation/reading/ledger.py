"""Reads a ledger: from its bucket, or from a copy in a folder (`weaudit ledger copy`)."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from weaudit.errors import DeployError, LedgerFaultError, StoreRefusedError
from weaudit.installation.boto_errors import translated
from weaudit.ledger import checkpoints, ed25519, entries, notes
from weaudit.ledger.checkpoints import ARCHIVE, CHECKPOINT
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.notes import VerifierKey
from weaudit.ledger.tiles import WIDTH, TileReader

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.ledger.checkpoints import Checkpoint
    from weaudit.ledger.entries import Entry

COMMITS = "commits/"
_LAST = 1_024


class Ledger(Protocol):
    """The objects of a ledger, by the paths of docs/formats/ledger.md."""

    def fetch(self, path: str) -> bytes | None:
        """Return an object, or None if there is none."""

    def part(self, path: str, first: int, count: int) -> tuple[bytes, int] | None:
        """Return ``count`` bytes from ``first`` of an object, as far as there are, and its length."""

    def listed(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the paths that begin so, after the path ``after``, in order."""


class LedgerBucket:
    """The ledger of an installation, in its bucket. Every method raises StoreError."""

    def __init__(self, s3: Any, bucket: str) -> None:
        """``s3`` is a client of boto3; several threads may use it."""
        self._s3, self._bucket = s3, bucket

    @classmethod
    def of(cls, installation: "Installation") -> "LedgerBucket":
        """Return the ledger of an installation. Raises DeployError if its release has none."""
        return cls(installation.target.client("s3"), output_of(installation, "LedgerBucketName"))

    def fetch(self, path: str) -> bytes | None:
        """Return an object, or None if there is none."""
        found = self._get(path)
        return None if found is None else found[0]

    def part(self, path: str, first: int, count: int) -> tuple[bytes, int] | None:
        """Return ``count`` bytes from ``first`` of an object, as far as there are, and its length."""
        found = self._get(path, Range=f"bytes={first}-{first + count - 1}")
        return None if found is None else (found[0], int(found[1]["ContentRange"].rpartition("/")[2]))

    def listed(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the paths that begin so, after the path ``after``, in order."""
        with self._explained():
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, StartAfter=after
            )
            for page in pages:
                yield from (one["Key"] for one in page.get("Contents", []))

    def hidden(self) -> Iterator[str]:
        """Yield the paths of objects behind a delete marker. A commit is needed only for a moment, and may be."""
        with self._explained():
            for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket):
                for one in page.get("DeleteMarkers", []):
                    if one["IsLatest"] and not one["Key"].startswith(COMMITS):
                        yield one["Key"]

    def _get(self, path: str, **options: str) -> tuple[bytes, dict[str, Any]] | None:
        try:
            with self._explained():
                answer = self._s3.get_object(Bucket=self._bucket, Key=path, **options)
                return answer["Body"].read(), answer
        except StoreRefusedError as error:
            if error.aws_code == "NoSuchKey":
                return None
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except StoreRefusedError as error:
            if error.aws_code not in ("AccessDenied", "NoSuchBucket"):
                raise
            raise StoreRefusedError(
                f"the bucket of the ledger, {self._bucket}, cannot be read: {error.aws_code}\n"
                "Reading it takes s3:GetObject and s3:ListBucket on this bucket.",
                aws_code=error.aws_code,
            ) from error


class LedgerFolder:
    """A copy of a ledger in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, path: str) -> bytes | None:
        """Return an object, or None if there is none."""
        try:
            return (self._folder / path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def part(self, path: str, first: int, count: int) -> tuple[bytes, int] | None:
        """Return ``count`` bytes from ``first`` of an object, as far as there are, and its length."""
        found = self.fetch(path)
        return None if found is None else (found[first : first + count], len(found))

    def listed(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the paths that begin so, after the path ``after``, in order."""
        # What begins with a dot is not of the ledger: a file that was never finished.
        files = (path for path in self._folder.rglob("[!.]*") if path.is_file())
        paths = (path.relative_to(self._folder).as_posix() for path in files)
        yield from sorted(path for path in paths if path.startswith(prefix) and path > after)


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint of a ledger: the note, and what it says, which nobody has verified.

    ``hint`` is the size that the object ``checkpoint`` says if it is older than the archive or missing (-1), else None.
    """

    note: bytes
    checkpoint: "Checkpoint"
    hint: int | None = None

    @property
    def warning(self) -> str:
        """What to say of an object ``checkpoint`` that is older than the archive, "" if it is not."""
        if self.hint is None:
            return ""
        found = f"is at {self.hint:,} entries" if self.hint >= 0 else "is missing"
        return (
            f"The object `checkpoint` of the ledger {found}, but the archive has a checkpoint of "
            f"{self.checkpoint.size:,}: this one is used.\nThat is so for a moment while the sealer is at work. If it "
            "stays so, somebody has put an old `checkpoint` there."
        )


def head(ledger: Ledger) -> Head:
    """Return the largest checkpoint: ``checkpoint`` is a hint, and the archive has every one that was signed.

    Raises LedgerFaultError if there is none yet, or it is not one.
    """
    with faults():
        note = ledger.fetch(CHECKPOINT)
        found = None if note is None else checkpoints.read(notes.read(note).text)
        size = -1 if found is None else found.size
        later = ledger.listed(ARCHIVE, after="" if found is None else checkpoints.archived(size))
        last = next(iter(deque(later, maxlen=1)), "")
        if last and (newest := ledger.fetch(last)) is not None:
            archived = checkpoints.read(notes.read(newest).text)
            if last != checkpoints.archived(archived.size):
                raise LedgerError(f"{last} is a checkpoint of another size")
            return Head(newest, archived, size)
    if note is None or found is None:
        raise LedgerFaultError("the ledger has no checkpoint yet\nIts sealer runs every minute: try again in a moment.")
    return Head(note, found)


def last_entries(ledger: Ledger, newest: Head) -> list[tuple[int, "Entry"]]:
    """Return the last thousand entries of a log, proven, each with its leaf, in order. Raises LedgerError."""
    tree = TileReader(newest.checkpoint.size, newest.checkpoint.root, ledger.fetch)
    first = max(tree.size - _LAST, 0)
    return [
        (at, entries.parse(text))
        for number in range(first // WIDTH, -(-tree.size // WIDTH))
        for at, text in enumerate(tree.bundle(number), number * WIDTH)
        if at >= first
    ]


def verifier_key(installation: "Installation") -> VerifierKey:
    """Return the key of an installation's log, as KMS has it now. Raises DeployError, StoreError, LedgerFaultError."""
    arn, origin = output_of(installation, "LedgerKeyArn"), output_of(installation, "LedgerOrigin")
    with translated():
        answer = installation.target.client("kms").get_public_key(KeyId=arn)
    with faults():
        return VerifierKey(origin, ed25519.from_spki(answer["PublicKey"]))


def output_of(installation: "Installation", name: str) -> str:
    """Return an output of the stack that only a release with a ledger has. Raises DeployError if there is none."""
    found = installation.outputs.get(name)
    if not found:
        raise DeployError(
            f"the stack {installation.stage.stack} has no ledger\n"
            f"Deploy this release: `weaudit up`, or on AWS `weaudit deploy {installation.stage.options}`."
        )
    return found


@contextmanager
def faults(prefix: str = "the ledger is not sound: ") -> Iterator[None]:
    """Turn errors of the ledger into ours, with ``prefix`` before their text."""
    try:
        yield
    except LedgerError as error:
        raise LedgerFaultError(f"{prefix}{error}") from error

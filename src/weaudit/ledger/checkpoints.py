"""Checkpoints (c2sp.org/tlog-checkpoint): what a log says of itself at one size, as the text of a signed note.

The text is three lines, and any number of extension lines, which are read and never written::

    <origin, the name of the log>
    <number of entries>
    <root of the Merkle tree, base64>
"""

from __future__ import annotations

from hashlib import sha256

from weaudit.ledger import notes
from weaudit.ledger.faults import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.ledger.notes import VerifierKey
    from weaudit.ledger.policies import Policy

CHECKPOINT = "checkpoint"
"""Where readers begin: the newest checkpoint, or an older one. Nothing but this is ever overwritten."""
ARCHIVE = "checkpoints/"
"""Under this is every checkpoint that was ever signed."""
HASH_BYTES = 32
LARGEST_SIZE = 2**63 - 1
"""Of a log: what every implementation can count."""


class Checkpoint:
    """The size and the root of a log at some time; ``extensions`` are the lines after them, which mean nothing here."""

    __slots__ = ("extensions", "origin", "root", "size")

    def __init__(self, origin: str, size: int, root: bytes, extensions: tuple[str, ...] = ()) -> None:
        self.origin, self.size, self.root, self.extensions = origin, size, root, extensions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        return f"Checkpoint{self._parts()!r}"

    def _parts(self) -> tuple[str, int, bytes, tuple[str, ...]]:
        return self.origin, self.size, self.root, self.extensions


def opened(content: bytes, policy: Policy) -> tuple[Checkpoint, dict[VerifierKey, int | None]]:
    """Return the checkpoint that a note holds, and the keys that signed it, as `notes.verified` returns them.

    Raises LedgerError unless the note is sound, is signed by a log of the policy whose name is the checkpoint's origin,
    and is cosigned by as many witnesses as the policy asks for.
    """
    note = notes.read(content)
    signed = notes.verified(note, policy.keys())
    checkpoint = read(note.text)
    policy.require(checkpoint.origin, signed)
    return checkpoint, signed


def archived(size: int) -> str:
    """Return the path under which the checkpoint of a size is kept."""
    return f"{ARCHIVE}{size:020d}"


def read(text: str) -> Checkpoint:
    """Return the checkpoint that a text says; raises LedgerError if it is not one. It proves nothing by itself."""
    lines = text.split("\n")
    if lines.pop() != "" or len(lines) < 3 or "" in lines:
        raise LedgerError("a checkpoint is at least three lines, none of them empty, each ended by a newline")
    origin, written_size, written_root, *extensions = lines
    size, root = size_of(written_size), notes.from_base64(written_root)
    if root is None or len(root) != HASH_BYTES:
        raise LedgerError(f"the third line of a checkpoint is a hash of {HASH_BYTES} bytes in base64")
    if size == 0 and root != sha256().digest():
        raise LedgerError("a checkpoint of no entries has the hash of nothing as its root")
    return Checkpoint(origin, size, root, tuple(extensions))


def text_of(origin: str, size: int, root: bytes) -> str:
    """Return the text to sign; raises LedgerError if `read` would not read it or the origin cannot name a key."""
    text = f"{origin}\n{size}\n{notes.to_base64(root)}\n"
    if not notes.is_key_name(origin) or read(text) != Checkpoint(origin, size, root):
        raise LedgerError("the origin of a log is the name of its key")
    return text


def size_of(text: str) -> int:
    """Return the size of a log as it is written; raises LedgerError for anything else."""
    # The length first: it bounds the work of reading the number.
    canonical = 0 < len(text) <= len(str(LARGEST_SIZE)) and text.isascii() and text.isdecimal()
    if not canonical or (text[0] == "0" and text != "0") or int(text) > LARGEST_SIZE:
        raise LedgerError("the size of a log is a number without leading zeros, at most 2^63 - 1")
    return int(text)

"""Witnesses (c2sp.org/tlog-witness): what a log sends to one, what the witness decides, and what the log makes of it.

A witness remembers, for each log, the largest checkpoint that it has cosigned. It cosigns another one only if that
checkpoint begins with the one remembered: of two logs that differ, it cosigns one. A request is::

    old <size of the checkpoint that the witness remembers>
    <hash of the consistency proof, base64>
    ...

    <checkpoint, a signed note>

and the response is the line of a cosignature, or a status that says what is wrong.
"""

from __future__ import annotations

from collections import namedtuple

from weaudit.ledger import checkpoints, notes
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import EMPTY_ROOT, HASH_BYTES, check_consistency

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from weaudit.ledger.checkpoints import Checkpoint
    from weaudit.ledger.notes import Note, VerifierKey

    Prove = Callable[[int], Sequence[bytes]]
    """Returns the consistency proof from a size to the size of the checkpoint at hand."""
    Post = Callable[[bytes], tuple[int, bytes]]
    """Sends a request to a witness; returns status and body of the response."""

MOST_HASHES = 63
LARGEST_REQUEST_BYTES = notes.LARGEST_NOTE_BYTES + 4_096
"""The largest note, and before it the longest proof with its size."""
SIZE_TYPE = "text/x.tlog.size"
"""The content type of a response of status 409, whose body is the size that the witness remembers."""

CONFLICT = 409


class RefusedError(LedgerError):
    """A witness refuses a checkpoint; ``status`` is that of its HTTP response.

    ``size`` is the size of the checkpoint that it remembers, where the status is 409.
    """

    def __init__(self, status: int, message: str, size: int = 0) -> None:
        super().__init__(message)
        self.status, self.size = status, size


class Request(namedtuple("Request", "old_size proof note origin")):
    """A request to cosign a checkpoint. Nothing of it is verified: its ``origin`` says which log it claims to be."""

    __slots__ = ()
    old_size: int
    proof: Sequence[bytes]
    note: Note
    origin: str


class Seen(namedtuple("Seen", "size root")):
    """The largest checkpoint of a log that a witness has cosigned."""

    __slots__ = ()
    size: int
    root: bytes


NOTHING = Seen(0, EMPTY_ROOT)
"""What a witness has seen of a log that it has not cosigned yet."""


def written(old_size: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """Return a request. Raises LedgerError if `read` would not read it."""
    lines = [f"old {old_size}", *map(notes.to_base64, proof), "", ""]
    request = "\n".join(lines).encode() + checkpoint
    read(request)
    return request


def read(body: bytes) -> Request:
    """Return the request of a body. Raises RefusedError, status 400, if it is not one."""
    try:
        return _read(body)
    except LedgerError as error:
        raise RefusedError(400, str(error)) from None


def _read(body: bytes) -> Request:
    if len(body) > LARGEST_REQUEST_BYTES:
        raise LedgerError(f"a request to a witness has {LARGEST_REQUEST_BYTES} bytes at most")
    head, found, checkpoint = body.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n", MOST_HASHES + 1)
    word, _, number = first.partition(" ")
    if word != "old" or not found:
        raise LedgerError("a request to a witness is a line with the old size, a proof, an empty line and a checkpoint")
    if len(lines) > MOST_HASHES:
        raise LedgerError(f"a consistency proof has {MOST_HASHES} hashes at most")
    proof = [notes.from_base64(line) or b"" for line in lines]
    if any(len(one) != HASH_BYTES for one in proof):
        raise LedgerError(f"a hash in a consistency proof is {HASH_BYTES} bytes in base64")
    note = notes.read(checkpoint)
    return Request(checkpoints.size_of(number), proof, note, note.text.partition("\n")[0])


def approved(request: Request, logs: Iterable[VerifierKey], seen: Seen) -> Checkpoint:
    """Return the checkpoint of a request if a witness may cosign it that trusts these logs and has seen this of it.

    Whoever cosigns it must first make sure that ``seen`` is still the largest that the witness has cosigned, and
    remember this one, in one step. Raises RefusedError with the status that the specification asks for.
    """
    keys = [key for key in logs if key.name == request.origin]
    if not keys:
        raise RefusedError(404, "this witness does not know the log")
    try:
        notes.verified(request.note, keys)
    except LedgerError as error:
        raise RefusedError(403, str(error)) from None
    try:
        checkpoint = checkpoints.read(request.note.text)
    except LedgerError as error:
        # The only thing that can be wrong of a checkpoint of size 0, and not of its form, is its root.
        empty = request.note.text.split("\n")[1:2] == ["0"]
        raise RefusedError(422 if empty else 400, str(error)) from None
    if request.old_size > checkpoint.size:
        raise RefusedError(400, "the old size is larger than that of the checkpoint")
    if request.old_size != seen.size:
        raise RefusedError(CONFLICT, f"the witness has seen {seen.size} entries", seen.size)
    try:
        check_consistency(seen.size, seen.root, checkpoint.size, checkpoint.root, request.proof)
    except LedgerError as error:
        raise RefusedError(422, str(error)) from None
    return checkpoint


def cosigned(checkpoint: bytes, witness: VerifierKey, old_size: int, prove: Prove, post: Post) -> bytes:
    """Return a checkpoint, a signed note, with the cosignature of a witness, which is verified.

    ``old_size`` is the size that the witness is thought to remember, 0 if nothing is known. If it remembers another
    one, it is asked once more. Raises RefusedError if it does not cosign: by 422 it says that the log is not the one
    that it has seen before. Raises LedgerError if it does not return a cosignature of this checkpoint.
    """
    size = checkpoints.read(notes.read(checkpoint).text).size
    status, body = post(written(old_size, prove(old_size), checkpoint))
    if status == CONFLICT:
        remembered = checkpoints.size_of(body.decode("latin-1").removesuffix("\n"))
        if remembered > size:
            raise RefusedError(status, f"the witness has seen {remembered} entries, and the log has {size}", remembered)
        status, body = post(written(remembered, prove(remembered), checkpoint))
    if status != 200:
        raise RefusedError(status, f"the witness answers {status}")
    note = notes.read(checkpoint)
    added = notes.read(checkpoint + body).signatures[len(note.signatures) :]
    by_witness = [one for one in added if (one.name, one.key_id) == (witness.name, witness.key_id)]
    notes.verified(notes.Note(note.text, by_witness), [witness])
    others = [one for one in note.signatures if (one.name, one.key_id) != (witness.name, witness.key_id)]
    return notes.written(note.text, [*others, *by_witness])

"""Proof files (c2sp.org/tlog-proof): that one entry is in a log, for whoever has the log's key and nothing else."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import namedtuple

from weaudit.ledger import entries
from weaudit.ledger.entries import Entry, canonical, parse_canonical
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import HASH_BYTES, MOST_LEAVES, check_inclusion, leaf_hash
from weaudit.ledger.notes import from_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from weaudit.ledger.entries import JSON

    Record = dict[str, Any]
    HashOf = Callable[[Record], str]

HEADER = b"c2sp.org/tlog-proof@v1"
MOST_BYTES = 4 << 20
"""A row of DynamoDB has 400 KB at most; as JSON in base64 that is less than this."""
MOST_HASHES = 63
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,18}")


class Proof(namedtuple("Proof", "index hashes checkpoint extra")):
    """What a proof file says. None of it is proven.

    ``hashes`` lead from the leaf at ``index`` to the root of the ``checkpoint``, a signed note as it is in the file.
    ``extra`` is what the file holds besides, b"" if nothing.
    """

    __slots__ = ()
    index: int
    hashes: Sequence[bytes]
    checkpoint: bytes
    extra: bytes


def build(index: int, hashes: Sequence[bytes], checkpoint: bytes, entry: Entry, record: Record | None = None) -> bytes:
    """Return a proof file for an entry, with the record that it is about unless that is None.

    Raises LedgerError if :func:`parse` would refuse the file.
    """
    held: dict[str, JSON] = {"entry": entry.text.decode()}
    if record is not None:
        held["record"] = record
    lines = [HEADER, b"extra " + b64encode(canonical(held)), b"index %d" % index, *map(b64encode, hashes), b""]
    text = b"\n".join([*lines, checkpoint])
    parse(text)
    return text


def parse(text: bytes) -> Proof:
    """Return what a proof file says. Raises LedgerError for any other file. The checkpoint is not looked into."""
    if len(text) > MOST_BYTES:
        raise LedgerError(f"a proof file has {MOST_BYTES} bytes at most, not {len(text)}")
    head, found, checkpoint = text.partition(b"\n\n")
    first, *lines = head.split(b"\n", MOST_HASHES + 4)
    if first != HEADER or not found or not checkpoint:
        raise LedgerError("not a proof file of c2sp.org/tlog-proof@v1")
    extra = b""
    if lines and lines[0].startswith(b"extra "):
        extra = _decoded(lines.pop(0)[6:])
    name, _, number = lines.pop(0).partition(b" ") if lines else (b"", b"", b"")
    if name != b"index" or not _NUMBER.fullmatch(number) or int(number) >= MOST_LEAVES:
        raise LedgerError("a proof file without a line that says the index")
    if len(lines) > MOST_HASHES:
        raise LedgerError(f"a proof has {MOST_HASHES} hashes at most")
    hashes = [_decoded(line) for line in lines]
    if any(len(one) != HASH_BYTES for one in hashes):
        raise LedgerError(f"a hash in a proof file has {HASH_BYTES} bytes")
    return Proof(int(number), hashes, checkpoint, extra)


def opened(proof: Proof, size: int, root: bytes, hash_of: HashOf | None = None) -> tuple[Entry, Record | None]:
    """Return the entry that the file proves, and its record. Raises LedgerError, and returns nothing, unless both hold.

    ``size`` and ``root`` are those of the file's checkpoint, whose signatures the caller has checked. ``hash_of``
    computes the hash of a record, 64 hexadecimal digits, which must be the entry's: without it the record, if the file
    has one, is not checked, and so not returned. The record is None if the file has none. The numbers of the steps are
    those of docs/formats/ledger.md (How to verify).
    """
    if not proof.extra:
        raise LedgerError("a proof file without its entry")
    held = parse_canonical(proof.extra)
    if not isinstance(held, dict) or not {"entry"} <= held.keys() <= {"entry", "record"}:
        raise LedgerError("a proof file without its entry, or with more than a record besides")
    text, record = held["entry"], held.get("record", {})
    if not isinstance(text, str) or not isinstance(record, dict):
        raise LedgerError("a proof file in which the entry is not a text, or the record not an object")
    # 2. The entry's text, and the hash of its leaf.
    raw = text.encode()
    leaf = leaf_hash(raw)
    # 3. From there to the root that was signed.
    check_inclusion(proof.index, size, leaf, proof.hashes, root)
    # 4. The entry: it is in the log.
    entry = entries.parse(raw)
    if "record" not in held or hash_of is None:
        return entry, None
    # 5. The record, if the entry is about this one.
    if hash_of(record) != entry.hash:
        raise LedgerError("the record in the file is not the one that the entry is about")
    return entry, record


def _decoded(text: bytes) -> bytes:
    found = from_base64(text.decode("latin-1"))
    if not found:
        raise LedgerError("a proof file has a line that is not base64 as it is written")
    return found

"""Receipts: proof files of records, for whoever has the log's key and nothing else (docs/formats/ledger.md).

The record in a receipt has its values as they enter its hash: a masked place is ``{"#": ""}``, and a long value is
``{"#": commitment}``, since the salt that commits to it is the item's and is left out. It has no field that its hash
does not cover, so that nothing unproven is shown.
"""

from __future__ import annotations

import json
from datetime import timedelta

from weaudit.capture.hashes import CONTENT, COVERED, committed_value, record_hash
from weaudit.items.times import iso_moment, moment
from weaudit.items.values import WITHHELD
from weaudit.ledger import checkpoints, finding, notes, proofs
from weaudit.ledger.entries import FINDINGS
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.tiles import TileReader
from weaudit.trail.history import changes
from weaudit.values import replaced, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weaudit.items.values import Item, Value
    from weaudit.ledger.checkpoints import Checkpoint
    from weaudit.ledger.entries import Entry
    from weaudit.ledger.finding import Each, Part
    from weaudit.ledger.policies import Policy
    from weaudit.ledger.tiles import Fetch
    from weaudit.trail.changes import AuditedChange

WRITTEN = ("record", "adopted", "log")
"""The kinds of entries that say that a row was written as it should be, or was found so."""

_VALUES = ("oldValue", "newValue")
_FIELDS = (frozenset(COVERED) | frozenset(CONTENT) | {"contentSalt", "changeOrder", "erased"}) - {
    "content",
    "streamLabel",
}
_NO_SALT = {"B": ""}
# What reading a record of any other form may raise.
_ODD = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
# A row is sealed within the day for which a stream keeps its change; the other day is for clocks.
_BEFORE = timedelta(days=2)


@value
class Receipt:
    """What a proof file proves: an entry, at ``index`` in the log of a checkpoint, and the record that it is about.

    ``record`` is None in a bare receipt, which does not have it.
    """

    checkpoint: Checkpoint
    index: int
    entry: Entry
    record: Item | None


@value
class Sealed:
    """The entries of a row: the one that says that it was written, at ``leaf``, and those that follow it."""

    leaf: int
    entry: Entry
    later: tuple[Entry, ...]

    @property
    def findings(self) -> tuple[Entry, ...]:
        """The later entries that are findings."""
        return tuple(entry for entry in self.later if entry.kind in FINDINGS)


def sealed(found: Iterable[tuple[int, Entry]]) -> Sealed | None:
    """Return what the entries of a row, in order, say of it; None unless one says that it was written."""
    entries = list(found)
    for kind in WRITTEN:
        for place, (leaf, entry) in enumerate(entries):
            if entry.kind == kind:
                return Sealed(leaf, entry, tuple(later for _, later in entries[place + 1 :]))
    return None


def entries_of(
    row_id: str, change: AuditedChange | None, tree: TileReader, fetch: Fetch, part: Part, each: Each = map
) -> list[tuple[int, Entry]]:
    """Return the entries of a row, proven, each with its leaf; ``change`` is its record, None if that is not there.

    Raises LedgerError as :func:`finding.entries_of` does.
    """
    at = None if change is None else moment(change.at)
    since = "" if at is None else iso_moment(at - _BEFORE)
    return finding.entries_of(row_id, tree, fetch, part, since, each)


def record_of(change: AuditedChange) -> Item:
    """Return a record as a receipt has it: ``change`` is what it describes, read without values (``Trail.record``).

    Raises LedgerError if it holds something that no record of ours does.
    """
    stored = change.records[0]
    try:
        if "erased" in stored:
            found = {name: field for name, field in stored.items() if name in _FIELDS and name not in CONTENT}
            found.pop("contentSalt", None)
            return {**found, "erased": {"M": {"p": stored["erased"]["M"]["p"]}}}
        part = change.attributes[0]
        found = {name: field for name, field in stored.items() if name in _FIELDS}
        for name, content in zip(_VALUES, (part.old, part.new), strict=True):
            if content is not None:
                found[name] = json.loads(committed_value(change.salt, part.name, content))
    except _ODD as error:
        raise LedgerError("the record is not one that WeAudit writes") from error
    return found


def hash_of(record: Item) -> str:
    """Return the hash, in hex, of a record as a receipt has it.

    Raises LedgerError unless it has the form that :func:`record_of` gives, with no field that the hash does not cover.
    """
    try:
        if _is_covered(record):
            return record_hash({**record, "salt": _NO_SALT}, record.get("oldValue"), record.get("newValue")).hex()
    except _ODD as error:
        raise LedgerError("the record is not of the form that a receipt has") from error
    raise LedgerError("the record has a field that its hash does not cover, or one without a value")


def _is_covered(record: Item) -> bool:
    # A null has the hash of a field that is not there.
    if not all(isinstance(field, dict) for field in record.values()):
        return False
    label = record["changeOrder"]["S"].partition("#")[0]
    if record["changeOrder"] != {"S": f"{label}#{record['sequenceNumber']['S']}"}:
        return False
    if "erased" in record:
        return record.keys() <= _FIELDS - {*CONTENT, "contentSalt"} and record["erased"]["M"].keys() == {"p"}
    return record.keys() <= _FIELDS


def sealed_record(change: AuditedChange, sealed_as: Sealed) -> Item | None:
    """Return a record as a receipt has it, or None unless it is still the one that was sealed."""
    try:
        record = record_of(change)
        return record if hash_of(record) == sealed_as.entry.hash else None
    except LedgerError:
        return None


def receipt_of(change: AuditedChange, fetch: Fetch, part: Part) -> bytes | None:
    """Return the proof file of a record, or None if the ledger does not say yet that it was written.

    It is a bare one if the record is not the one that was sealed. ``fetch`` and ``part`` read the ledger's objects.
    Raises LedgerError if these are not of their form, or not those that the checkpoint proves.
    """
    note = fetch(checkpoints.CHECKPOINT)
    if note is None:
        return None
    checkpoint = checkpoints.read(notes.read(note).text)
    tree = TileReader(checkpoint.size, checkpoint.root, fetch)
    found = sealed(entries_of(change.record_ids[0], change, tree, fetch, part))
    return None if found is None else written(tree, note, found, sealed_record(change, found))


def written(tree: TileReader, checkpoint: bytes, sealed_as: Sealed, record: Item | None) -> bytes:
    """Return the proof file of a row, with the record unless that is None.

    ``tree`` reads the tree of the ``checkpoint``, a signed note. Raises LedgerError unless the record is the one that
    the entry is about, and if a tile that is needed is missing or is not the one that the root proves.
    """
    leaf, entry = sealed_as.leaf, sealed_as.entry
    if record is not None and hash_of(record) != entry.hash:
        raise LedgerError("the record is not the one that was sealed")
    return proofs.build(leaf, tree.inclusion_proof(leaf), checkpoint, entry, record)


def opened(content: bytes, policy: Policy) -> Receipt:
    """Return what a proof file proves to those who trust the policy.

    Raises LedgerError, and nothing of the file may be shown, unless all of it holds. The steps have the numbers that
    they have in docs/formats/ledger.md (How to verify), and 2 to 5 are in :func:`proofs.opened`.
    """
    proof = proofs.parse(content)
    # 1. The checkpoint: its origin is the log's, the log has signed it, and so has whoever else the policy asks for.
    checkpoint, _ = checkpoints.opened(proof.checkpoint, policy)
    entry, record = proofs.opened(proof, checkpoint.size, checkpoint.root, hash_of)
    if record is not None and record.get("id") != {"S": entry.id}:
        raise LedgerError("the record in the file has another id than its entry")
    if record is not None:
        _check_readable(record)
    return Receipt(checkpoint, proof.index, entry, record)


def _check_readable(record: Item) -> None:
    """Raise LedgerError if a record that somebody else wrote, and was sealed so, cannot be shown as a change."""
    try:
        change_of(record)
        commitments(record)
    except _ODD as error:
        raise LedgerError("the record in the file is not of the form of a record") from error


def change_of(record: Item) -> AuditedChange:
    """Return the change that the record of a receipt describes, with its values as the receipt has them."""
    change = next(changes([record]))
    part = replaced(change.attributes[0], old=record.get("oldValue"), new=record.get("newValue"))
    return replaced(change, attributes=(part,))


def commitments(record: Item) -> dict[str, dict[str, str]]:
    """Return the commitments that a record has in place of long values: by field, then by the attribute's name."""
    name = record.get("updatedAttribute", {}).get("S")
    found = {field: dict(_committed(name, record[field])) for field in _VALUES if field in record}
    return {field: parts for field, parts in found.items() if parts}


def _committed(name: str | None, content: Value) -> Iterator[tuple[str, str]]:
    parts: Item = {name: content} if name is not None else content["M"]
    for part, here in parts.items():
        if here.get(WITHHELD):
            yield part, here[WITHHELD]

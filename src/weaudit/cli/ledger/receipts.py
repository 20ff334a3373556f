"""`weaudit prove`, `weaudit check`: receipts that a record is in the ledger, and how anybody checks one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import output, panels
from weaudit.errors import InvalidInputError, LedgerFaultError, RecordNotFoundError
from weaudit.items.texts import dumps
from weaudit.items.values import WITHHELD
from weaudit.ledger import checkpoints, notes, policies, proofs
from weaudit.ledger.entries import FINDINGS
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.notes import VerifierKey
from weaudit.trail import receipts

if TYPE_CHECKING:
    from weaudit.items.values import Item, Value
    from weaudit.ledger.checkpoints import Checkpoint
    from weaudit.ledger.entries import Entry
    from weaudit.ledger.policies import Policy
    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.receipts import Receipt, Sealed

_LONGEST_VALUE = 2_000  # characters
_WITHHELD = "too long for a receipt, which has a commitment to it"
_HEX = frozenset("0123456789abcdef-")
_KEEP_IT = "Keep it as evidence: a log that was signed never becomes shorter, nor another one."
MEANINGS = {
    "record": "written by WeAudit",
    "log": "a row of a log was written",
    "expiry": "a record got the time at which it expires",
    "expired": "a record was deleted by DynamoDB at its time",
    "adopted": "there when the ledger began or caught up; who wrote it is not known",
    "foreign": "a record was written by somebody else than WeAudit",
    "altered": "a row was changed after it was written",
    "deleted": "a row was deleted, and not because its time was over",
    "erased": "the values of a record were erased, and no erasure was sealed",
    "gap": "what happened in a part of a stream cannot be known any more",
    "seal": "the entries before it are all that had come",
}
"""What happened to a row, by the kind of its entry."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (prove, check):
        app.command(rich_help_panel=panels.LEDGER)(command)


def prove(
    record_id: Annotated[
        str | None, typer.Argument(metavar="RECORD_ID", help="The record's id, as `history --json` has it.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; - is standard output.",
            show_default="RECORD_ID.tlog-proof, or growth",
        ),
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Leave the record out: the receipt shows its hash and time.")
    ] = False,
    since_checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--since-checkpoint",
            metavar="KEPT",
            help="In place of a record: prove that the log only grew since a checkpoint or receipt that was kept.",
        ),
    ] = None,
) -> None:
    """Write a receipt: a file that proves a record to anybody who has the log's key, without AWS.

    It holds the record with its values, except long ones, and opens no other record. Exit code 1 if the record is
    not in the ledger yet, or is not the one that was sealed. With --since-checkpoint the file proves instead that the
    log still begins with what somebody kept of it; exit code 1 if it does not.

    Example: weaudit prove 0b7e4a6e-5d1c-4c57-8a53-3f0d8f6b7a10 -o record.tlog-proof
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.reading.copying import put_whole
    from weaudit.installation.reading.ledger import faults

    if (record_id is None) == (since_checkpoint is None) or (bare and since_checkpoint is not None):
        raise InvalidInputError(
            "give the id of a record, or --since-checkpoint\n"
            "`weaudit history ITEM_KEY --json` shows the ids of its records."
        )
    if since_checkpoint is not None:
        kept = _kept(since_checkpoint)
        with faults():
            content, size = _growth(Installation.find(), kept)
        if str(out) == "-":
            output.print_bytes(content)
        else:
            put_whole(path := out or Path("growth"), content)
            output.print_text(
                f"{path} proves that the {size:,} entries of the ledger begin with the {kept.size:,} kept."
            )
        return
    assert record_id is not None  # noqa: S101 one of them is given
    if len(record_id) != 36 or not _HEX.issuperset(record_id):
        raise InvalidInputError(
            f"{record_id!r} is not the id of a record\n`weaudit history ITEM_KEY --json` shows the ids of its records."
        )
    with faults():
        content, found = _receipt(Installation.find(), record_id, bare=bare)
    if str(out) == "-":
        output.print_bytes(content)
    else:
        path = out or Path(f"{record_id}.tlog-proof")
        put_whole(path, content)
        output.print_text(f"{path} proves that entry {found.leaf:,} of the ledger is about {record_id}.")
        output.note("Anybody checks it with `weaudit check`, and the key that `weaudit ledger key` prints.")
    _warn(found.findings)


def _kept(path: Path) -> "Checkpoint":
    """Return the checkpoint that a file holds: a checkpoint, or a receipt. Raises InvalidInputError."""
    content = _read(path, proofs.MOST_BYTES)
    try:
        note = proofs.parse(content).checkpoint if content.startswith(proofs.HEADER) else content
        return checkpoints.read(notes.read(note).text)
    except LedgerError as error:
        raise InvalidInputError(f"{path} is neither a checkpoint nor a receipt: {error}") from error


def _growth(installation: Any, kept: "Checkpoint") -> tuple[bytes, int]:
    """Return the proof that the log begins with what was kept, in the form of a request to a witness, and its size."""
    from weaudit.installation.reading.ledger import LedgerBucket, head
    from weaudit.ledger import merkle, witness
    from weaudit.ledger.tiles import TileReader

    ledger = LedgerBucket.of(installation)
    newest = head(ledger)
    if newest.warning:
        output.note(newest.warning)
    now = newest.checkpoint
    if kept.origin != now.origin:
        raise InvalidInputError(f"what was kept is a checkpoint of another log, {kept.origin}")
    if kept.size > now.size:
        raise LedgerFaultError(f"{kept.size:,} entries were kept, and the ledger has {now.size:,}\n{_KEEP_IT}")
    proof = TileReader(now.size, now.root, ledger.fetch).consistency_proof(kept.size)
    try:
        merkle.check_consistency(kept.size, kept.root, now.size, now.root, proof)
    except LedgerError as error:
        raise LedgerFaultError(
            f"the {now.size:,} entries of the ledger do not begin with the {kept.size:,} that were kept: {error}\n"
            f"{_KEEP_IT}"
        ) from error
    return witness.written(kept.size, proof, newest.note), now.size


def _receipt(installation: Any, record_id: str, *, bare: bool) -> "tuple[bytes, Sealed]":
    from weaudit.installation.pool import ReadingPool
    from weaudit.installation.readers import open_trail
    from weaudit.installation.reading.ledger import LedgerBucket, head
    from weaudit.ledger.tiles import TileReader

    ledger = LedgerBucket.of(installation)
    # The record first: what is in the trail now, and not in a later checkpoint, is not sealed yet.
    change = open_trail(installation.target, installation.audit_table).record(record_id, values=False)
    newest = head(ledger)
    if newest.warning:
        output.note(newest.warning)
    tree = TileReader(newest.checkpoint.size, newest.checkpoint.root, ledger.fetch)
    with ReadingPool(16, "weaudit-prove") as pool:
        entries = receipts.entries_of(record_id, change, tree, ledger.fetch, ledger.part, pool.map)
    found = receipts.sealed(entries)
    if found is None:
        raise _not_sealed(record_id, change, [entry for _, entry in entries])
    record = None if bare else _record(change, found)
    return receipts.written(tree, newest.note, found, record), found


def _record(change: "AuditedChange | None", found: "Sealed") -> "Item":
    """Return the record for a receipt. Raises LedgerFaultError unless it is the one that was sealed."""
    if change is None:
        what = (
            "is not there any more" if found.entry.kind != "log" else "is a row of a log, which a receipt cannot hold"
        )
    else:
        record = receipts.sealed_record(change, found)
        if record is not None:
            return record
        what = "is not the one that was sealed, or its values are gone from the evidence bucket"
    later = "".join(f"\nThe ledger says: {_said(entry)}." for entry in found.later)
    raise LedgerFaultError(
        f"{found.entry.id} was sealed as entry {found.leaf:,}, but {what}{later}\n"
        "--bare makes a receipt of the entry alone: that there was a record with this hash, and when."
    )


def _not_sealed(record_id: str, change: "AuditedChange | None", entries: "list[Entry]") -> Exception:
    if entries:
        said = "\n".join(f"The ledger says: {_said(entry)}." for entry in entries)
        return LedgerFaultError(f"{record_id} has no proof: the ledger does not say that WeAudit wrote it\n{said}")
    if change is None:
        return RecordNotFoundError(
            f"there is no record {record_id}, and the ledger has never seen one\n"
            "`weaudit history ITEM_KEY --json` shows the ids of its records."
        )
    return LedgerFaultError(
        f"{record_id} is not sealed yet\nA record is sealed within a minute or so: try again. "
        "`weaudit ledger status` says whether the sealer is behind."
    )


def _said(entry: "Entry") -> str:
    return f"{entry.kind} at {entry.time}, {MEANINGS.get(entry.kind, 'a kind that this version does not know')}"


def _warn(findings: "tuple[Entry, ...]") -> None:
    for entry in findings:
        output.note(f"WARNING: a later entry of the ledger is a finding about this record: {_said(entry)}.", "bold red")
    if findings:
        output.note("The receipt proves what was written first. `weaudit verify --ledger` looks at all of it.")


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The receipt, a .tlog-proof file.")],
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="K", help="The log's verifier key, or a file that holds it, or a policy."),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="A policy: which logs and witnesses to trust.")
    ] = None,
    as_json: JsonDocumentOption = False,
) -> None:
    """Check a receipt, offline, and show what it proves. It needs no AWS account and no installation.

    Take the key from somebody whom you trust, and not from whoever gave you the receipt. Exit code 1 if the proof
    does not hold: nothing of the file is shown then.

    Example: weaudit check record.tlog-proof --key weaudit/111122223333/eu-west-1/weaudit-dev+8d3f7c21+AY0…
    """
    policy_of_key = trusted(key, policy)
    content = _read(file, proofs.MOST_BYTES)
    try:
        found = receipts.opened(content, policy_of_key)
    except LedgerError as error:
        raise LedgerFaultError(
            f"the proof does not hold: {error}\nNothing of {file} is shown, since none of it is proven."
        ) from error
    if as_json:
        output.print_text(dumps(_document(found)))
    else:
        _print(found)


def trusted(key: str | None, policy: Path | None) -> "Policy":
    """Return the policy that the options --key and --policy give. Raises InvalidInputError."""
    if (key is None) == (policy is None):
        raise InvalidInputError(
            "give the key of the log, or a policy\n`weaudit ledger key` prints both where the log is: "
            "weaudit check FILE --key K, or --policy FILE."
        )
    if key is None:
        assert policy is not None  # noqa: S101 one of them is given
        return _as_policy(_read(policy, policies.LARGEST_POLICY_BYTES), str(policy))
    try:
        return _of_key(key)
    except LedgerError as error:
        if not _is_file(key):
            raise InvalidInputError(f"--key is neither a verifier key nor a file: {error}") from error
    content = _read(Path(key), policies.LARGEST_POLICY_BYTES)
    # A verifier key is one word, and a policy is not.
    if len(content.split()) != 1:
        return _as_policy(content, key)
    try:
        return _of_key(content.decode().strip())
    except ValueError as error:
        raise InvalidInputError(f"{key} does not hold a verifier key or a policy: {error}") from error


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long for a name, or with a null byte
        return False


def _of_key(text: str) -> "Policy":
    key = VerifierKey.read(text)
    if key.key_type != notes.ED25519:
        raise LedgerError("this is the key of a witness, and not of a log")
    return policies.of_log(key)


def _as_policy(content: bytes, name: str) -> "Policy":
    try:
        return policies.read(content)
    except LedgerError as error:
        raise InvalidInputError(f"{name} is not a policy: {error}") from error


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most + 1)  # who reads it refuses what is longer
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error


def _document(found: "Receipt") -> dict[str, Any]:
    from weaudit.trail.documents import record

    log, entry = found.checkpoint, found.entry
    document: dict[str, Any] = {
        "proven": True,
        "log": {"origin": log.origin, "size": log.size, "root": log.root.hex(), "index": found.index},
        "entry": dict(entry.fields),
    }
    if found.record is not None:
        document["record"] = record(receipts.change_of(found.record))
        document["commitments"] = receipts.commitments(found.record)
    return document


def _print(found: "Receipt") -> None:
    entry, log = found.entry, found.checkpoint
    rows = [("record", entry.id or ""), ("kind", f"{entry.kind}: {MEANINGS.get(entry.kind, 'unknown')}")]
    rows.append(("time", f"{entry.time} (UTC)"))
    rows += [(name, str(entry.fields[name])) for name in ("table", "by") if name in entry.fields]
    if found.record is not None:
        rows += _rows(found.record)
    elif entry.hash:
        rows.append(("record's hash", entry.hash))
    rows.append(("log", f"{log.origin}, {log.size:,} entries; this is entry {found.index:,}"))
    output.print_text("The proof holds.")
    output.print_table(output.pairs(rows))
    if found.record is None and entry.hash:
        output.note("The receipt is a bare one: it has the hash of the record, and not the record.")
    if entry.kind in FINDINGS:
        output.note(f"WARNING: this entry is a finding: {_said(entry)}.", "bold red")


def _rows(record: "Item") -> list[tuple[str, str]]:
    from weaudit.cli.printing.rendering import path_text, who

    change = receipts.change_of(record)
    part = change.attributes[0]
    rows = [("change", f"{change.event_name} of {change.table} at {change.at} (UTC)")]
    if not change.erased:
        rows.append(("item", change.item_key))
    rows.append(("attribute", "the whole item" if part.name is None else path_text((part.name,))))
    if change.erased:
        return [*rows, ("values", "erased: only their hash is there")]
    rows += [("old value", _shown(part.old)), ("new value", _shown(part.new))]
    if part.name is None:
        names = [path_text((name,)) for parts in receipts.commitments(record).values() for name in parts]
        rows += [("not shown", f"{', '.join(names)}: {_WITHHELD}")] if names else []
    rows.append(("actor", who(change.actor).plain))
    if change.reason:
        rows.append(("reason", change.reason))
    return rows


def _shown(value: "Value | None") -> str:
    from weaudit.cli.printing.rendering import value_text

    if value is not None and value.get(WITHHELD):
        return _WITHHELD
    text = "none" if value is None else value_text(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text):,} characters: see --json)"

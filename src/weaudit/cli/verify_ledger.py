"""`weaudit verify --ledger`: is the log whole, and are the rows that are stored those that were sealed?"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from weaudit.cli.ledger.receipts import trusted
from weaudit.cli.printing import output
from weaudit.errors import DeployError, EngineError, InvalidInputError, StoreError, StoreRefusedError
from weaudit.ledger.faults import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from weaudit.installation.outputs import Installation
    from weaudit.installation.reading.ledger import Ledger
    from weaudit.ledger.policies import Policy
    from weaudit.trail.verification.matching import Matching
    from weaudit.trail.verification.walking import LedgerFinding, LogVerdict

    Progress = Callable[[str, int, int | None], None]

# What each kind of finding means, and what to do about it.
_MEANINGS = {
    "added": "a row is there that the log has no entry of: written past the sealer, or before there was a ledger",
    "altered": "a row is not what was sealed: look at who could write to its table, and restore it from a backup",
    "changed": "entries of the log were changed after they were signed: restore earlier versions of the objects",
    "cut": "what was signed is gone: restore earlier versions of the objects, or remove delete markers",
    "deleted": "a row was deleted: look at who could write to its table, and restore it from a backup",
    "erased": "the values of a record were erased, by something that the log does not know",
    "foreign": "a record that audit_producer did not make: do not believe it",
    "fork": "the log's key signed two histories: keep both checkpoints, and find out who could use the key",
    "gap": "part of a stream was lost before it was sealed: compare backups of that time",
    "hidden": "somebody deleted an object of the log, and its signed version is still there: remove the marker",
    "missing": "a row is gone and the log does not say why: look again in two minutes, then restore it from a backup",
    "rolledBack": "`checkpoint` is older than what was signed: an old one was put back, or a sealer failed half-way",
    "seal": "a seal contradicts the log: what it says to be complete may not be",
    "stale": "the sealer stands still, or the end of the log was taken away: compare a checkpoint that you kept",
    "tile": "a tile is not the one of the entries: receipts cannot be made from it; restore an earlier version",
    "unfinished": "entries were signed without a seal after them",
    "unreadable": "an entry was signed that is of no known form",
    "unsigned": "an object claims to be a checkpoint and is not signed by the log: remove it",
    "unwitnessed": "the latest checkpoint does not have the cosignatures that the policy asks for",
}
_SHOWN = 200
_PAUSE_S = 2.0


def verify_ledger(
    offline: Path | None, since_checkpoint: Path | None, key: str | None, *, resume: bool, as_json: bool
) -> NoReturn:
    """Verify the log and the rows, print what was found, and exit: with 1 if there are findings."""
    from weaudit.installation.pool import ahead
    from weaudit.installation.reading import verified_logs
    from weaudit.installation.reading.ledger import LedgerFolder
    from weaudit.trail.verification.walking import verify_log

    installation, why = _installation(offline is not None)
    if offline is not None and not offline.is_dir():
        raise InvalidInputError(f"{offline} is not a folder\n`weaudit ledger copy {offline}` makes one.")
    policy = trusted(key, None) if key is not None else _policy_of_kms(installation, why)
    kept = _read(since_checkpoint) if since_checkpoint is not None else None
    log = LedgerFolder(offline) if offline is not None else _log_of(installation)
    path = verified_logs.path_of(policy.logs[0].name)
    before = verified_logs.load(path) if resume else None
    with _progress() as progress:
        try:
            verdict = verify_log(
                policy,
                log.fetch,
                log.listed,
                kept=kept,
                before=before,
                ahead=ahead,
                progress=lambda done, of: progress("reading the log", done, of),
                pause=lambda: time.sleep(_PAUSE_S),
            )
        except LedgerError as error:
            advice = f"\nTo verify from the beginning, leave out --resume or remove {path}." if before else ""
            raise typer.Exit(output.fail(LedgerError(f"{error}{advice}"))) from error
        if resume and verdict.may_be_kept:
            verified_logs.save(path, verdict.verified)
        matching, not_matched = _matched(installation, why, verdict, progress)
        old = [] if offline is not None else _staleness(verdict)
        found = [*verdict.findings, *_hidden(log), *old, *_mismatches(matching, verdict, log)]
    document = _document(verdict, matching, not_matched, found, from_kms=key is None)
    try:
        if as_json:
            output.print_json(document)
        else:
            _print(document, verdict)
    except BrokenPipeError:
        if not found:
            raise
        # The reader has gone, but there are findings: exit code 0 would say that the log is whole.
    raise typer.Exit(output.EXIT_FAILED if found else output.EXIT_FINE)


# ---- what is read


def _installation(may_lack: bool) -> "tuple[Installation | None, str]":
    """Return the installation, or None and why there is none, if that may be."""
    from weaudit.installation.boto_errors import translated
    from weaudit.installation.outputs import Installation

    try:
        with translated():
            return Installation.find(), ""
    except (DeployError, EngineError, StoreError, InvalidInputError) as error:
        if not may_lack:
            raise
        return None, str(error).partition("\n")[0]


def _log_of(installation: "Installation | None") -> "Ledger":
    from weaudit.installation.reading.ledger import LedgerBucket

    if installation is None or "LedgerBucketName" not in installation.outputs:
        raise InvalidInputError("this installation has no ledger\nDeploy this version of WeAudit to get one.")
    return LedgerBucket.of(installation)


def _policy_of_kms(installation: "Installation | None", why: str) -> "Policy":
    from weaudit.installation.reading.ledger import verifier_key
    from weaudit.ledger import policies

    if installation is None:
        raise InvalidInputError(f"the key of the log cannot be read from KMS: {why}\nGive it with --key.")
    if "LedgerKeyArn" not in installation.outputs:
        raise InvalidInputError("this installation has no ledger\nDeploy this version of WeAudit to get one.")
    return policies.of_log(verifier_key(installation))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error


# ---- 6. the rows


def _matched(
    installation: "Installation | None", why: str, verdict: "LogVerdict", progress: "Progress"
) -> "tuple[Matching | None, dict[str, str]]":
    """Compare the rows of all tables; return also why some were not compared, by their names."""
    from weaudit.aws.errors import withheld
    from weaudit.evidence import EvidenceBucket
    from weaudit.installation import clients
    from weaudit.installation.checking import readable_secrets
    from weaudit.installation.reading.stored_rows import pages_of
    from weaudit.trail.verification.matching import Matching
    from weaudit.trail.verification.rows import sources

    if not verdict.whole:
        return None, {"all": "the log is not proven"}
    if installation is None:
        return None, {"all": why}
    if installation.outputs.get("LedgerOrigin") != verdict.checkpoint.origin:
        return None, {"all": f"the installation has another log, {installation.outputs.get('LedgerOrigin', 'or none')}"}
    dynamodb = clients.dynamodb(installation.target)
    secrets = readable_secrets(dynamodb, installation.outputs["KeysTableName"])
    if secrets is None:
        unread = "The table of keys cannot be read, so two things are not checked"
        output.note(f"{unread}: what rows of the logs say, and whether records that are not sealed are ours.")
    complete, key = verdict.verified.seals.complete, None if secrets is None else secrets.origin
    evidence = EvidenceBucket(clients.s3(installation.target), installation.outputs.get("EvidenceBucketName", ""))
    matching = Matching(verdict.verified.rows, complete, _now(), key, evidence.get)
    not_matched: dict[str, str] = {}
    names = (installation.audit_table, installation.outputs["AuditLogsTableName"], installation.invocation_log)
    for source in sources(*names):
        count = 0
        try:
            for page in pages_of(dynamodb, source.name):
                for row in page:
                    matching.take(source, row)
                count += len(page)
                progress(f"comparing {source.name}", count, None)
        except StoreRefusedError as error:
            if not withheld(error.aws_code):
                raise
            not_matched[source.name] = f"it may not be read ({error.aws_code})"
        else:
            matching.finish(source)
    return matching, not_matched


def _now() -> str:
    from datetime import UTC, datetime

    from weaudit.items.times import iso_moment

    return iso_moment(datetime.now(UTC))


def _staleness(verdict: "LogVerdict") -> "list[LedgerFinding]":
    """Return a finding if the log ends long ago: later rows would all be called not sealed yet."""
    from weaudit.trail.verification.walking import LedgerFinding

    seals = verdict.verified.seals
    if not seals.stale(_now()):
        return []
    text = "the log is complete up to this time, and nothing was completed since"
    return [LedgerFinding(5, "stale", text, time=seals.complete)]


def _hidden(log: "Ledger") -> "list[LedgerFinding]":
    """Return a finding for each object behind a delete marker, where whoever asks may list versions."""
    from weaudit.installation.reading.ledger import LedgerBucket
    from weaudit.trail.verification.walking import LedgerFinding

    if not isinstance(log, LedgerBucket):
        return []
    try:
        return [LedgerFinding(3, "hidden", f"{path} is behind a delete marker") for path in log.hidden()]
    except StoreRefusedError as error:
        output.note(f"Delete markers are not looked for: s3:ListBucketVersions is refused ({error.aws_code}).")
        return []


def _mismatches(matching: "Matching | None", verdict: "LogVerdict", log: "Ledger") -> "list[LedgerFinding]":
    from weaudit.trail.verification.walking import entries_of

    return [] if matching is None else matching.findings(entries_of(log.fetch, verdict.checkpoint.size))


@contextmanager
def _progress() -> "Iterator[Progress]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = output.stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("reading the archived checkpoints", total=None)
        yield lambda text, done, of: shown.update(task, description=text, completed=done, total=of)


# ---- what is shown


def _document(
    verdict: "LogVerdict",
    matching: "Matching | None",
    not_matched: dict[str, str],
    found: "list[LedgerFinding]",
    *,
    from_kms: bool,
) -> dict[str, Any]:
    seals, checkpoint = verdict.verified.seals, verdict.checkpoint
    rows: dict[str, Counter[str]] = {}
    if matching is not None:
        names = ("matched", "notSealedYet", "notCompared")
        rows = dict(zip(names, (matching.compared, matching.unsealed, matching.not_compared), strict=True))
    return {
        "whole": not found,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "proven": verdict.proven,
        "keyFrom": "KMS" if from_kms else "--key",
        "resumedAt": verdict.begun,
        "bundles": verdict.bundles,
        "tiles": verdict.tiles,
        "archivedCheckpoints": verdict.archived,
        "keptCheckpoint": None if verdict.kept is None else verdict.kept.size,
        "entries": dict(sorted(verdict.verified.kinds.items())) if verdict.whole else {},
        "lastSeal": seals.last or None,
        "lastCompleteSeal": seals.complete or None,
        "rows": rows,
        "notCompared": not_matched,
        "findings": [
            {
                "step": one.step,
                "kind": one.kind,
                "table": one.table or ("Audit" if one.id else ""),
                "id": one.id,
                "time": one.time,
                "entry": one.leaf,
                "text": one.text,
            }
            for one in found
        ],
    }


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _entries(number: int) -> str:
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield what each step did, by the numbers of docs/formats/ledger.md."""
    since = f" from entry {found['resumedAt']:,} on" if found["resumedAt"] else ""
    yield "the checkpoint is signed by the log"
    if found["proven"] == found["size"]:
        yield f"{_counted(found['bundles'], 'bundle')}{since}: the root is the one that was signed"
    else:
        yield f"the root is not the one that was signed: {_entries(found['proven'])} are proven, and no more"
    yield f"{_counted(found['tiles'], 'tile')}{since} compared"
    kept = "" if found["keptCheckpoint"] is None else f", and the one that you kept, of {found['keptCheckpoint']:,}"
    yield f"{_counted(found['archivedCheckpoints'], 'archived checkpoint')}{since} compared{kept}"
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found["entries"].items()) or "no entries"
    complete = found["lastCompleteSeal"]
    yield f"{kinds}; " + (f"complete up to {complete}" if complete else "no seal says that they are complete")
    if not found["rows"]:
        yield f"no rows were compared: {'; '.join(found['notCompared'].values())}"
        return
    parts = []
    for name, words in (
        ("matched", "compared"),
        ("notSealedYet", "not sealed yet"),
        ("notCompared", "there, and not compared without the secret ORIGIN"),
    ):
        counts = found["rows"][name]
        if counts:
            parts.append(f"{words}: " + ", ".join(f"{count:,} of {table}" for table, count in counts.items()))
    parts += [f"{table} was not compared: {reason}" for table, reason in found["notCompared"].items()]
    yield "; ".join(parts) or "there are no rows"


def _print(document: dict[str, Any], verdict: "LogVerdict") -> None:
    found = document["findings"]
    whole = "whole" if not found else _counted(len(found), "finding")
    output.print_text(f"{document['origin']}: {_entries(verdict.checkpoint.size)}: {whole}")
    faulty = Counter(one["step"] for one in found)
    for number, line in enumerate(_lines(document), 1):
        fault = f" ({_counted(faulty[number], 'finding')})" if faulty[number] else ""
        output.print_text(f"  {number}. {line}{fault}")
    if document["keyFrom"] == "KMS":
        output.note(
            "The key was read from KMS, so this trusts AWS and whoever may change the stack. Give --key to trust less."
        )
    if not found:
        return
    columns = {
        "step": "step",
        "finding": "kind",
        "table": "table",
        "id": "id",
        "time": "time",
        "entry": "entry",
        "what is wrong": "text",
    }
    rows = ([_cell(one[name]) for name in columns.values()] for one in found[:_SHOWN])
    output.print_table(output.table(columns, rows))
    if len(found) > _SHOWN:
        output.note(f"… and {_counted(len(found) - _SHOWN, 'finding')} more: --json prints all.")
    for kind in sorted({one["kind"] for one in found}):
        output.note(f"{kind}: {_MEANINGS[kind]}.")


def _cell(value: Any) -> str:
    return "" if value is None else str(value)

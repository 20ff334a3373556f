"""`weaudit ledger`: the key of the log, how far it has come, and a copy of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.ledger.receipts import MEANINGS
from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import moments, output, panels
from weaudit.ledger.entries import FINDINGS

if TYPE_CHECKING:
    from weaudit.installation.reading.ledger import Head
    from weaudit.installation.repairs.unsealed import Sealing
    from weaudit.ledger.entries import Entry
    from weaudit.ledger.notes import VerifierKey

_MOST_SHOWN = 20
# When nothing comes, the log is sealed once an hour.
_LONGEST_SILENCE_S = 2 * 3_600

app = typer.Typer(
    no_args_is_help=True,
    help="The log to which entries can only be added: its state, key, copies.\n\nExample: weaudit ledger status",
)


def register(commands: typer.Typer) -> None:
    """Add the group to the command line."""
    commands.command(rich_help_panel=panels.LEDGER)(seal)
    commands.add_typer(app, name="ledger", rich_help_panel=panels.LEDGER)


@app.callback()
def ledger() -> None:
    """The log to which entries can only be added: its state, key, copies."""


@app.command("key")
def print_key(
    policy: Annotated[bool, typer.Option("--policy", help="Print a policy file that trusts this key.")] = False,
    as_json: JsonDocumentOption = False,
) -> None:
    """Print the key by which anybody checks the ledger and its receipts, as KMS has it now.

    Publish it, or give it to those who will check: by another way than the receipts.

    Example: [bold]weaudit ledger key[/bold]
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.reading.ledger import output_of, verifier_key
    from weaudit.ledger import policies

    installation = Installation.find()
    key = verifier_key(installation)
    text = policies.text_of(key)
    if as_json:
        arn = output_of(installation, "LedgerKeyArn")
        output.print_json({"key": str(key), "policy": text, "origin": key.name, "keyArn": arn})
    else:
        output.print_text(text.rstrip("\n") if policy else str(key))


@app.command("status")
def show_status(
    as_json: JsonDocumentOption = False,
) -> None:
    """Show how far the ledger has come, when it was sealed last, and the findings among its last entries.

    The newest checkpoint must be signed by the key that KMS has. Exit code 1 if it is not, if there are findings, or
    if the sealer is silent.

    Example: [bold]weaudit ledger status[/bold]
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.reading.ledger import LedgerBucket, faults, head, last_entries, verifier_key
    from weaudit.ledger import checkpoints, policies

    installation = Installation.find()
    bucket = LedgerBucket.of(installation)
    newest = head(bucket)
    key = verifier_key(installation)
    with faults("the newest checkpoint is not the ledger's: "):
        checkpoints.opened(newest.note, policies.of_log(key))
    with faults():
        last = last_entries(bucket, newest)
    document = _status(newest, key, last, datetime.now(UTC))
    if as_json:
        output.print_json(document)
    else:
        _print_status(document)
    if newest.warning:
        output.note(newest.warning)
    _advise(document)
    raise typer.Exit(output.EXIT_FAILED if document["findings"] or document["silent"] else output.EXIT_FINE)


def _status(newest: "Head", key: "VerifierKey", last: "list[tuple[int, Entry]]", now: datetime) -> dict[str, Any]:
    seals = [entry for _, entry in last if entry.kind == "seal"]
    age = None if not seals else (now - datetime.fromisoformat(seals[-1].time)).total_seconds()
    return {
        "origin": newest.checkpoint.origin,
        "size": newest.checkpoint.size,
        "root": newest.checkpoint.root.hex(),
        "key": str(key),
        "sealedAt": seals[-1].time if seals else None,
        "ageSeconds": None if age is None else max(round(age), 0),
        "behind": bool(seals and seals[-1].fields.get("behind")),
        "silent": age is None or age > _LONGEST_SILENCE_S,
        "lookedAt": len(last),
        "findings": [{"index": at, **entry.fields} for at, entry in last if entry.kind in FINDINGS],
    }


def _print_status(found: dict[str, Any]) -> None:
    sealed = "never" if found["sealedAt"] is None else f"{moments.shown(found['sealedAt'])} {moments.zone_name()}"
    age = "" if found["ageSeconds"] is None else f", {found['ageSeconds']:,} seconds ago"
    count = len(found["findings"])
    rows = [
        ("log", found["origin"]),
        ("size", f"{found['size']:,} entries"),
        ("root", found["root"]),
        ("key", found["key"]),
        ("last seal", f"{sealed}{age}{': more had come than was read' if found['behind'] else ''}"),
        ("findings", f"{count or 'none'} among the last {found['lookedAt']:,} entries"),
    ]
    output.print_table(output.pairs(rows))
    if count:
        shown = found["findings"][-_MOST_SHOWN:]
        names = ("index", "kind", "id", "time")
        cells = ([str(entry.get(name) or entry.get("stream", "")) for name in names] for entry in shown)
        output.print_table(output.table(("entry", "finding", "record", "when (UTC)"), cells))


def _advise(found: dict[str, Any]) -> None:
    for kind in sorted({entry["kind"] for entry in found["findings"]}):
        output.note(f"{kind}: {MEANINGS[kind]}.")
    if found["findings"]:
        output.note(
            "Compare all records with the ledger by `weaudit verify --ledger`. Who wrote to the table Audit then is in "
            "CloudTrail, if data events of the table are logged."
        )
    if found["silent"]:
        output.note("Nothing was sealed for two hours: read what the sealer logged (`weaudit logs ledger_sealer`).")
    elif found["behind"]:
        output.note("The sealer is behind: more comes than it has read so far. It goes on every minute.")


def seal(as_json: JsonDocumentOption = False) -> None:
    """Seal now what came since the last minute, in as many commits as it takes.

    Exit code 1 if there are findings among it: rows that were changed, removed or written past WeAudit.

    Example: [bold]weaudit seal[/bold]
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.repairs import unsealed

    with output.stderr().status("Sealing") as status:
        done = unsealed.seal(Installation.find(), lambda count: status.update(f"Sealing: {count:,} entries"))
    _print_sealing(done, as_json=as_json)


@app.command("adopt")
def adopt(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many rows there are.")] = False,
    as_json: JsonDocumentOption = False,
) -> None:
    """Seal rows that were never seen being written: from before the ledger, or put back from a backup.

    Their entries say that they were there when they were adopted. A record that WeAudit did not make becomes a finding.

    Reads the whole log and all rows. Run it again to continue.

    Exit code 1 if there are findings among them.

    Example: [bold]weaudit ledger adopt --dry-run[/bold]
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from weaudit.installation.outputs import Installation
    from weaudit.installation.repairs import unsealed

    installation = Installation.find()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = output.stderr()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("sealing what came", total=None)
        unsealed.seal(installation)

        def show(what: str, done: int, of: int | None) -> None:
            progress.update(task, description=what, completed=done, total=of)

        found = unsealed.unsealed(installation, show)
        counts = {table: len(keys) for table, keys in found.keys.items()}
        if not dry_run:
            total = sum(counts.values())
            done = unsealed.adopt(installation, found, lambda count: show("adopting", count, total))
    if dry_run:
        if as_json:
            output.print_json({"unsealed": counts, "size": found.size})
        else:
            rows = [f"{count:,} rows of {table} are not sealed" for table, count in counts.items()]
            output.print_text("\n".join(rows) or "Every row is sealed.")
        return
    _print_sealing(done, as_json=as_json)


def _print_sealing(done: "Sealing", *, as_json: bool) -> None:
    if as_json:
        output.print_json({"sealed": done.sealed, "findings": done.findings, "size": done.size})
    else:
        output.print_text(f"{done.sealed:,} entries sealed; the ledger has {done.size:,}.")
    if done.findings:
        output.note(f"{done.findings:,} of them are findings: `weaudit ledger status` shows them.")
    raise typer.Exit(output.EXIT_FAILED if done.findings else output.EXIT_FINE)


@app.command("copy")
def copy_ledger(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; it is made if it is not there.")],
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Load everything again, and overwrite what is there.")
    ] = False,
    as_json: JsonDocumentOption = False,
) -> None:
    """Copy the whole ledger into a folder, to check it offline and to keep what was signed until now.

    Run it again to continue or to update a copy: what is there is not loaded again. Only sizes are checked:
    `weaudit verify --ledger --offline DIR` verifies the copy.

    Exit code 1 if the ledger is shorter than the copy, or another one.

    Example: [bold]weaudit ledger copy ledger-2024-01[/bold]
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from weaudit.installation.outputs import Installation
    from weaudit.installation.reading.copying import copy
    from weaudit.installation.reading.ledger import LedgerBucket

    bucket = LedgerBucket.of(Installation.find())
    columns = (TextColumn("copying objects"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = output.stderr()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("copying", total=None)

        def show(done: int, all_of_them: int) -> None:
            progress.update(task, completed=done, total=all_of_them)

        copied = copy(bucket, folder, show, from_scratch=from_scratch)
    found = copied.head.checkpoint
    if as_json:
        output.print_json(
            {
                "folder": str(folder),
                "origin": found.origin,
                "size": found.size,
                "root": found.root.hex(),
                "loaded": copied.loaded,
                "kept": copied.kept,
                "bytes": copied.bytes,
            }
        )
    else:
        output.print_text(
            f"{folder} has the {found.size:,} entries of {found.origin}: {copied.loaded:,} objects loaded "
            f"({copied.bytes:,} bytes), {copied.kept:,} were there."
        )
    if copied.head.warning:
        output.note(copied.head.warning)

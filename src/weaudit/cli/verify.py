"""`weaudit verify`: is the trail whole, and does it end at what is in the tables now?"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import moments, output, panels
from weaudit.errors import InvalidInputError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from weaudit.installation.checking import Checker
    from weaudit.trail.verification.verifying import Finding, NotCompared, Verdict

_MEANINGS = {
    "gap": "changes are missing from the trail",
    "fork": "two changes claim to follow the same state",
    "edited": "recorded values do not lead from one recorded state to the next, or the records of a change disagree",
    "misdated": "times run backwards: the item as of a time may be shown wrongly",
    "leftover": "records that belong to no change of the item",
    "lost": "a value that was too large for its record is gone or was altered",
    "unaudited": "the item differs from its last recorded state",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.TRAIL)(verify)


def verify(
    table: Annotated[str | None, typer.Option(metavar="T", help="Only this table. Default: every audited one.")] = None,
    item: Annotated[
        str | None, typer.Option(metavar="K", help="Only this item, by its key as in `history`; needs --table.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only changes since this time: ISO 8601, a date, or 2h, 3d (that long ago)."),
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Verify the ledger instead, and that the rows stored now are those sealed.")
    ] = False,
    offline: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --ledger: read a copy of the log, its objects in files.")
    ] = None,
    since_checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --ledger: a checkpoint kept from earlier; the log must continue it."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --ledger: read only what came since it was last verified so.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(metavar="K", help="With --ledger: the log's verifier key, or a file of it or of a policy."),
    ] = None,
    as_json: JsonDocumentOption = False,
) -> None:
    """Check that every change follows from the one before, and that the last one left the item as it is now.

    Names what could not be compared, because the rules of the table mask it, or did before they changed.

    With --ledger, check instead that the ledger is whole and was only added to, and that every record and log row is
    as it was sealed. Without --key, the key is read from KMS.

    Exit code 1 if a record is missing, altered or added, or an item was written without being audited.

    Example: [bold]weaudit verify --table Configuration[/bold]
    """
    if ledger:
        if table is not None or item is not None or since is not None:
            raise InvalidInputError("--ledger is about all records\nLeave out --table, --item and --since.")
        from weaudit.cli.verify_ledger import verify_ledger

        verify_ledger(offline, since_checkpoint, key, resume=resume, as_json=as_json)
    if offline is not None or since_checkpoint is not None or resume or key is not None:
        raise InvalidInputError("--offline, --since-checkpoint, --resume and --key are about the ledger\nAdd --ledger.")
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    reports = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = output.stderr()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for checker in _checkers(table, item, since):
            name = checker.table.name
            task = progress.add_task(f"finding the items of {name}", total=None)
            count = partial(_count, progress, task)
            keys = checker.item_keys_of(item) if item is not None else checker.item_keys(count)
            if item is not None and not keys and checker.table.exists:
                raise InvalidInputError(
                    f"there is no item {item!r} in {name}, and no trail of it\n"
                    f"`weaudit changes --table {name}` lists what was changed."
                )
            if not (keys or checker.table.exists):
                raise InvalidInputError(f"there is no table {name}, and no trail of it\n`weaudit watched` lists them.")
            progress.update(task, description=f"verifying {name}", total=len(keys), completed=0)
            verdicts = []
            for _, verdict in checker.verdicts(keys):
                verdicts.append(verdict)
                progress.advance(task)
            reports.append(_report(checker, verdicts))
    findings = [finding for report in reports for finding in report["findings"]]
    try:
        if as_json:
            output.print_json({"whole": not findings, "tables": reports})
        else:
            _print(reports)
    except BrokenPipeError:
        if not findings:
            raise
        # The reader has gone, but there are findings: exit code 0 would say that the trail is whole.
    raise typer.Exit(output.EXIT_FAILED if findings else output.EXIT_FINE)


def _count(progress: "Progress", task: "TaskID", found: int) -> None:
    progress.update(task, completed=found)


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _checkers(table: str | None, item: str | None, since: str | None) -> "list[Checker]":
    from weaudit.installation.checking import checkers
    from weaudit.installation.outputs import Installation
    from weaudit.watch.watched import watches

    if item is not None and table is None:
        raise InvalidInputError("an item key needs its table\nAdd --table, as in: --table Configuration")
    installation = Installation.find()
    watched = [*installation.own_streams, *(watch.table for watch in watches(installation))]
    from_time = moments.parse(since, name="--since") if since is not None else None
    found = checkers(installation, [table] if table is not None else watched, from_time)
    if any(checker.secrets is None for checker in found):
        output.note("The table of keys cannot be read: whether audit_producer made the records is not checked.")
    return found


def _report(checker: "Checker", verdicts: "list[Verdict]") -> dict[str, Any]:
    return {
        "table": checker.table.name,
        "exists": checker.table.exists,
        "items": len(verdicts),
        "changes": sum(verdict.changes for verdict in verdicts),
        "itemsOlderThanTheirTrail": sum(verdict.begins_late for verdict in verdicts),
        "findings": [_document(finding) for verdict in verdicts for finding in verdict.findings],
        "notCompared": [_not_compared(one) for verdict in verdicts for one in verdict.not_compared],
    }


def _document(finding: "Finding") -> dict[str, str]:
    return {
        "kind": finding.kind,
        "table": finding.table,
        "itemKey": finding.item_key,
        "modificationTime": finding.at,
        "sequence": finding.sequence,
        "text": finding.text,
    }


def _not_compared(found: "NotCompared") -> dict[str, Any]:
    return {
        "table": found.table,
        "itemKey": found.item_key,
        "modificationTime": found.at,
        "sequence": found.sequence,
        "places": list(found.places),
        "text": found.why,
    }


def _print_not_compared(rows: list[dict[str, Any]]) -> None:
    """Say which places were not compared and why, with how many items that concerns."""
    items: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        for place in row["places"]:
            items.setdefault((place, row["text"]), set()).add(row["itemKey"])
    for (place, why), keys in sorted(items.items()):
        output.note(f"  not compared: {output.safe(place)} of {_counted(len(keys), 'item')}: {why}.")


def _print(reports: list[dict[str, Any]]) -> None:
    for report in reports:
        found = len(report["findings"])
        verdict = _counted(found, "fault") if found else "whole"
        if report["notCompared"]:
            verdict += ", but not everything could be compared"
        checked = f"{_counted(report['changes'], 'change')} of {_counted(report['items'], 'item')}"
        output.print_text(f"{report['table']}: {checked}: {verdict}")
        if not report["exists"]:
            output.note(f"  {report['table']} no longer exists: only the links between its changes were checked.")
        if report["itemsOlderThanTheirTrail"]:
            older = _counted(report["itemsOlderThanTheirTrail"], "item")
            output.note(f"  The trail of {older} begins after the item was created: auditing began later.")
        _print_not_compared(report["notCompared"])
    rows = [finding for report in reports for finding in report["findings"]]
    if not rows:
        return
    columns = {
        "fault": "kind",
        "table": "table",
        "item": "itemKey",
        "time": "modificationTime",
        "sequence": "sequence",
        "what is wrong": "text",
    }
    output.print_table(output.table(columns, ([row[name] for name in columns.values()] for row in rows)))
    for kind in sorted({row["kind"] for row in rows}):
        output.note(f"{kind}: {_MEANINGS[kind]}.")

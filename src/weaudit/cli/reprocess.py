"""`weaudit reprocess`: images that an earlier pipeline processed are processed again."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import output, panels

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.installation.repairs.reprocessing import Outcome, Request

_MEANINGS = {
    "processed": "processed",
    "rejected": "rejected, as their rows say",
    "deleted": "deleted, as their rows say now",
    "unchanged": "were done already",
    "superseded": "replaced or deleted meanwhile",
    "not an image": "are no images",
}
_PLANNED = {
    "processed": "would be processed",
    "rejected": "would be rejected",
    "deleted": "are gone, and their rows would say so",
    "unchanged": "are done already",
    "superseded": "have been replaced, and are left to their own events",
    "not an image": "are no images",
    "failed": "cannot be looked at",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.OBJECTS)(reprocess)


def reprocess(
    every_object: Annotated[
        bool,
        typer.Option(
            "--all", help="Check every object of the bucket, even without a row, and every row without an object."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and to which images.")
    ] = False,
    as_json: JsonDocumentOption = False,
) -> None:
    """Process the images again whose pipeline is not the one that IMAGE_PIPELINE describes, or that S3 failed to give.

    If it is interrupted, run it again: it continues where it was. Exit code 1 if any image failed or cannot be read.

    Example: weaudit reprocess --dry-run
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.repairs import reprocessing

    installation = Installation.find()
    version = reprocessing.current_version(installation)
    output.note(f"The pipeline in force is {version}.")
    if every_object:
        requests, unchanged = reprocessing.of_every_object(installation, version)
    else:
        requests, unchanged = reprocessing.due(installation, version), 0
    outcomes = reprocessing.expected(installation, requests) if dry_run else _run(installation, requests)
    counts = +Counter(unchanged=unchanged)  # without a count of 0
    counts.update(outcome.name for outcome in outcomes)
    failures = [{"key": outcome.key, "why": outcome.why} for outcome in outcomes if outcome.failed]
    if dry_run:
        _print_plan(version, outcomes, counts, failures, as_json=as_json)
    elif as_json:
        output.print_json({"pipelineVersion": version, "counts": dict(counts), "failed": failures})
    elif not counts:
        output.print_text("Every image is of the pipeline in force: there is nothing to do.")
    else:
        for name, count in counts.most_common():
            output.print_text(f"{count:,} {_MEANINGS.get(name, name)}")
    for failure in failures[:20]:
        output.note(output.safe(f"{failure['key']}: {failure['why']}"))
    if failures and not dry_run:
        output.note("`weaudit logs image_processor` shows more; run it again to try them again.")
    raise typer.Exit(output.EXIT_FAILED if failures else output.EXIT_FINE)


def _print_plan(
    version: str, outcomes: "list[Outcome]", counts: Counter[str], failures: list[dict[str, str]], *, as_json: bool
) -> None:
    """Print which images would be processed, and what would become of all others that are looked at."""
    keys = sorted(outcome.key for outcome in outcomes if outcome.name == "processed")
    if as_json:
        output.print_json({"pipelineVersion": version, "images": keys, "counts": dict(counts), "failed": failures})
        return
    for key in keys:
        output.print_text(output.safe(key))
    for name, what in _PLANNED.items():
        if counts[name] or name == "processed":
            output.note(f"{counts[name]:,} {what}.")


def _run(installation: "Installation", requests: "list[Request]") -> "list[Outcome]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from weaudit.installation.repairs import reprocessing

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = output.stderr()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("processing", total=len(requests))
        return reprocessing.run(installation, requests, lambda _: progress.advance(task))

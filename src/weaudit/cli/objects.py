"""`weaudit put`, `weaudit objects`: the bucket's objects, and whether their arrival was logged."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from weaudit.cli.options import JsonDocumentOption, ShownUtcOption, StateOption, limited
from weaudit.cli.printing import moments, output, panels
from weaudit.installation import uploads


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (put, objects):
        app.command(rich_help_panel=panels.OBJECTS)(command)


def put(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files, and folders with everything in them.")],
    prefix: Annotated[
        str, typer.Option("--prefix", "-p", metavar="TEXT", help="Prepended to every key as it is: in/ for a folder.")
    ] = "",
    as_json: JsonDocumentOption = False,
    state: StateOption = None,
) -> None:
    """Upload files to the bucket: each arrival is logged, and images are processed.

    The keys of a folder's files keep its name and their path in it. A failed upload does not stop the others. Exit
    code 1 if any failed, 3 if all failures were S3's and a retry may succeed.

    Example: weaudit put photos report.pdf --prefix 2024/
    """
    from weaudit.installation.outputs import Installation

    planned, failed = uploads.plan(files, prefix)
    installation = Installation.find(state_dir=state)
    bucket = installation.trigger_bucket
    client = installation.target.client("s3")
    done: list[uploads.Upload] = []
    for outcome in _with_progress(client, bucket, planned):
        if isinstance(outcome, uploads.Upload):
            done.append(outcome)
        else:
            failed.append(outcome)
    done.sort(key=lambda upload: upload.key)
    for one in failed:
        output.note(f"not uploaded: {output.safe(str(one.path))}: {output.safe(one.why)}")
    if as_json:
        output.print_json(
            {
                "bucket": bucket,
                "uploaded": [{"file": str(one.path), "key": one.key, "bytes": one.size_bytes} for one in done],
                "failed": [{"file": str(one.path), "why": one.why} for one in failed],
            }
        )
    else:
        text = f"{_counted(len(done))} in {bucket}"
        output.print_text(f"{text}, {len(failed)} failed." if failed else f"{text}.")
    if failed:
        raise typer.Exit(output.EXIT_UNREACHABLE if all(one.passes for one in failed) else output.EXIT_FAILED)
    raise typer.Exit(output.EXIT_FINE)


def _counted(count: int) -> str:
    return "1 object" if count == 1 else f"{count:,} objects"


def _with_progress(
    client: Any, bucket: str, planned: list[uploads.Upload]
) -> Iterator[uploads.Upload | uploads.Failed]:
    if not sys.stderr.isatty():
        for number, outcome in enumerate(uploads.transfer(client, bucket, planned, lambda _bytes: None), 1):
            output.note(f"{number} of {len(planned)}: {output.safe(str(outcome.path))}")
            yield outcome
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.stderr(), transient=True) as progress:
        task = progress.add_task("", total=sum(upload.size_bytes for upload in planned))
        moved = uploads.transfer(client, bucket, planned, lambda count: progress.advance(task, count))
        for number, outcome in enumerate(moved, 1):
            progress.update(task, description=f"{number} of {len(planned)}")
            yield outcome


def objects(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Only keys with this prefix.")] = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="List at most this many objects; 0 lists all.")
    ] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, times in UTC.")] = False,
    utc: ShownUtcOption = False,
    state: StateOption = None,
) -> None:
    """List the bucket's objects, and when the arrival of each was logged.

    Example: weaudit objects photos/ --limit 20
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.reading import bucket

    installation = Installation.find(state_dir=state)
    more: list[Any] = []
    found = _limited(bucket.objects(installation, prefix), limit, more)
    rows = bucket.with_log(installation, found, lambda read: output.note(f"{read:,} rows of the log read"))
    if as_json:
        output.print_json_list(rows)
    elif not _shown(rows, utc=utc):
        under = f" whose key begins with {prefix!r}" if prefix else ""
        output.note(f"There is no object{under} in {installation.trigger_bucket}. `weaudit put FILE` uploads one.")
    if more:
        output.note(f"There are more than these {limit:,}: --limit 0 lists all of them.")


def _limited(found: Iterator[Any], limit: int, more: list[Any]) -> Iterator[Any]:
    if not limit:
        yield from found
        return
    yield from limited(found, limit)
    more += islice(found, 1)


def _shown(rows: Iterator[dict[str, Any]], *, utc: bool) -> int:
    zone = moments.zone_name(utc=utc)
    cells = []
    for row in rows:
        logged = moments.shown(row["loggedAt"], utc=utc) if row["loggedAt"] else "no"
        cells.append((row["key"], f"{row['bytes']:,}", moments.shown(row["modifiedAt"], utc=utc), logged))
    table = output.table(("key", "bytes", f"modified ({zone})", f"logged ({zone})"), cells)
    table.columns[1].justify = "right"
    if table.row_count:
        output.print_table(table)
    if any(logged == "no" for *_, logged in cells):
        output.note("An arrival is logged a moment later. If it still says no after that, run `weaudit doctor`.")
    return table.row_count

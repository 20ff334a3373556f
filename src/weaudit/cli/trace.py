"""`weaudit trace`: one request or change, from the API to its audit records, according to the logs and the trail."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import UtcOption
from weaudit.cli.printing import moments, output, panels
from weaudit.items.texts import dumps
from weaudit.items.times import iso_time

if TYPE_CHECKING:
    from weaudit.installation.tracing import Traced
    from weaudit.trail.changes import AuditedChange


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.OPERATIONS)(trace)


def trace(
    trace_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A request id (x-request-id, apigw-requestid), a changeId, or an X-Ray trace id (1-…)."
        ),
    ],
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Search from this time: ISO 8601, a date, or 2h, 3d (that long ago).")
    ] = "1h",
    utc: UtcOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, times in UTC.")] = False,
) -> None:
    """Follow one request or change: what every function logged about it, and the audit records that it made.

    Audit records are found only if the update was logged (enable_logging). Exit code 1 if nothing is found.

    Example: weaudit trace 0f3c2d7e-5b1a-4c0e-9d57-6f2a8e1b4c33 --since 2h
    """
    from weaudit.installation import tracing
    from weaudit.installation.outputs import Installation

    wanted = tracing.id_of(trace_id)
    begin = moments.parse(since, name="--since", utc=utc)
    since_ms = int(datetime.fromisoformat(begin).timestamp() * 1000)
    installation = Installation.find()
    stage = installation.stage
    with output.stderr().status("Reading the logs") as status:
        found = tracing.follow(
            installation.target.client("logs"), tracing.groups(stage.prefix, stage.name), wanted, since_ms,
            lambda each: status.update(f"Looking for {output.safe(each)} in the logs"),
        )  # fmt: skip
        status.update("Reading the trail")
        entries, changes, borrowed = tracing.recorded(installation, found.changes)
    if as_json:
        output.print_text(dumps(_document(wanted, begin, found, entries, changes)))
    else:
        _print(found, entries, changes, utc=utc)
    if found.cut:
        output.note("There is more than is shown here: narrow it with --since.")
    if not (found.lines or entries or changes):
        output.note(f"Nothing since {moments.shown(begin, utc=utc)} mentions {output.safe(wanted)}.")
        output.note("Look further back with --since. On AWS a line can be found some seconds after it was written.")
        raise typer.Exit(output.EXIT_FAILED)
    if entries and not changes and any(entry.get("status") == "success" for entry in entries):
        output.note("Its change has no audit record yet: it appears a moment later. If not, run `weaudit doctor`.")
    if borrowed:
        others = "1 more change carries" if borrowed == 1 else f"{borrowed} more changes carry"
        output.note(f"{others} such an id without being part of these updates: any writer to a table can set it.")
    if found.lines and not entries:
        output.note("No logged update is among these: an update that was not logged cannot be joined to its records.")


def _document(
    wanted: str, begin: str, found: "Traced", entries: list[dict[str, str]], changes: "list[AuditedChange]"
) -> dict[str, Any]:
    from weaudit.trail.documents import document

    return {
        "id": wanted,
        "since": begin,
        "followed": list(found.ids),
        "lines": [
            {
                "at": iso_time(line.at_ms),
                "function": line.source,
                "logGroup": line.group,
                "line": line.fields or line.text,
            }
            for line in found.lines
        ],
        "updates": entries,
        "changes": [document(change) for change in changes],
        "complete": not found.cut,
    }  # fmt: skip


def _print(found: "Traced", entries: list[dict[str, str]], changes: "list[AuditedChange]", *, utc: bool) -> None:
    # Changes come last: their times are whole seconds, so sorting would put them before their cause.
    # Lines of the same millisecond keep their order.
    rows = sorted([*_log_rows(found), *_entry_rows(entries)], key=lambda row: row[0]) + list(_change_rows(changes))
    width = max((len(source) for _, source, _ in rows), default=0)
    for at, source, text in rows:
        moment = moments.shown(at, utc=utc) + at[19:23]
        output.print_text(f"{moment}  {source:{width}}  {output.safe(text)}")


def _log_rows(found: "Traced") -> Iterator[tuple[str, str, str]]:
    from weaudit.installation.tracing import summary

    yield from ((iso_time(line.at_ms), line.source, summary(line)) for line in found.lines)


def _entry_rows(entries: list[dict[str, str]]) -> Iterator[tuple[str, str, str]]:
    for entry in entries:
        table, record_id, status, at = (
            entry.get(name, "") for name in ("table_name", "record_id", "status", "timestamp")
        )
        who = entry.get("caller") or entry.get("user_agent", "")
        why = f", reason: {entry['reason']}" if "reason" in entry else ""
        yield at, "audit_logs", f"{table} {record_id}: {status}, by {who}{why}"


def _change_rows(changes: "list[AuditedChange]") -> Iterator[tuple[str, str, str]]:
    for change in changes:
        for part, record_id in zip(change.attributes, change.record_ids, strict=True):
            what = "the whole item" if part.name is None else part.name
            yield (
                change.at,
                "Audit",
                f"{change.table} {change.item_key}: {change.event_name} {what} (record {record_id})",
            )

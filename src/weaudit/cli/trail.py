"""`weaudit history`, `weaudit changes`: reading the trail."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from weaudit.cli.options import (
    AuditTableOption,
    KeyArgument,
    LogTableOption,
    StateOption,
    TableOption,
    UtcOption,
    limited,
)
from weaudit.cli.printing import moments, output, panels
from weaudit.items.texts import dumps
from weaudit.trail.documents import document

if TYPE_CHECKING:
    from weaudit.trail.changes import AuditedChange

_TIMES = "ISO 8601, a date, or 2h, 3d (that long ago)."

SinceOption = Annotated[str | None, typer.Option(metavar="TIME", help=f"Only changes since this time: {_TIMES}")]
UntilOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only changes until this time; a date includes its whole day.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Show at most this many changes.")]
NewestOption = Annotated[bool, typer.Option("--newest-first", "-r", help="Show the newest change first.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON list, with values uncut and times in UTC.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (history, changes):
        app.command(rich_help_panel=panels.TRAIL)(command)


def history(
    item_key: KeyArgument,
    table: TableOption = "Configuration",
    attribute: Annotated[
        str | None, typer.Option("--attribute", "-a", metavar="NAME", help="Only changes of this attribute.")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    newest_first: NewestOption = False,
    as_json: JsonOption = False,
    utc: UtcOption = False,
    audit_table: AuditTableOption = "Audit",
    audit_log_table: LogTableOption = "audit_logs",
    state: StateOption = None,
) -> None:
    """Show the changes of one item: when, who, what, and the old and new values.

    Works for deleted items and deleted tables, too.

    Example: weaudit history CACHE_TTL_SEC --since 2h
    """
    from weaudit.installation.reading.table_trail import TableTrail

    begin, end = _range(since, until, utc)
    trail = TableTrail.open(table, audit_table, audit_log_table, output.note, state)
    found = trail.history(item_key, begin, end, attribute=attribute, newest_first=newest_first)
    found = trail.with_callers(limited(found, limit), attribute)
    if not _print(found, as_json=as_json, utc=utc, with_items=False):
        what = f"change of {attribute!r} of" if attribute is not None else "change of"
        why_unread = trail.why_unread
        output.note(f"No {what} {item_key!r} in {trail.table}{_within(begin, end)} is in the trail.")
        output.note(why_unread or "Is the key spelled exactly like this? `weaudit changes` lists what was changed.")
        output.note(f"Looked at {trail.target.describe()}. A change appears a moment after it was made.")


def changes(
    table: TableOption = "Configuration",
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    newest_first: NewestOption = False,
    as_json: JsonOption = False,
    utc: UtcOption = False,
    audit_table: AuditTableOption = "Audit",
    audit_log_table: LogTableOption = "audit_logs",
    state: StateOption = None,
) -> None:
    """Show the changes of a whole table, in order of time.

    Example: weaudit changes --table Configuration --since 3d
    """
    from weaudit.installation.reading.table_trail import TableTrail

    begin, end = _range(since, until, utc)
    trail = TableTrail.open(table, audit_table, audit_log_table, output.note, state)
    found = trail.with_callers(limited(trail.changes(begin, end, newest_first=newest_first), limit))
    if not _print(found, as_json=as_json, utc=utc, with_items=True):
        why_unread = trail.why_unread
        output.note(f"No change of {trail.table}{_within(begin, end)} is in the trail.")
        output.note(why_unread or "Has anything changed in it? `weaudit logs audit_producer` shows what was audited.")
        output.note(f"Looked at {trail.target.describe()}. A change appears a moment after it was made.")


def _range(since: str | None, until: str | None, utc: bool) -> tuple[str | None, str | None]:
    begin = moments.parse(since, name="--since", utc=utc) if since is not None else None
    end = moments.parse(until, name="--until", utc=utc, end=True) if until is not None else None
    if begin is not None and end is not None and begin > end:
        raise typer.BadParameter(f"--since {since} is after --until {until}: nothing lies between")
    return begin, end


def _within(begin: str | None, end: str | None) -> str:
    return (f" since {begin}" if begin else "") + (f" until {end}" if end else "")


def _print(found: Iterable["AuditedChange"], *, as_json: bool, utc: bool, with_items: bool) -> int:
    if as_json:
        return output.print_json_list(found, lambda change: dumps(document(change)))
    from weaudit.cli.printing.rendering import Rendering

    rendering = Rendering(output.stdout(), utc=utc, with_items=with_items)
    count = rendering.print(found)
    rendering.say_what_is_cut()
    return count

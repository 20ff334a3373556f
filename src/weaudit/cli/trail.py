"""`weaudit history`, `weaudit changes`: reading the trail."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from weaudit.cli.options import AuditTableOption, KeyArgument, LogTableOption, StateOption, TableOption, UtcOption
from weaudit.cli.printing import moments, output, panels
from weaudit.errors import InvalidInputError
from weaudit.items.texts import dumps
from weaudit.trail.documents import document
from weaudit.trail.folding import Fold, folded, limited

if TYPE_CHECKING:
    from weaudit.trail.changes import AuditedChange

_TIMES = "ISO 8601, a date, or 2h, 3d (that long ago)."

SinceOption = Annotated[str | None, typer.Option(metavar="TIME", help=f"Only changes since this time: {_TIMES}")]
UntilOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only changes until this time; a date includes its whole day.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Show at most this many changes.")]
NewestOption = Annotated[bool, typer.Option("--newest-first", "-r", help="Show the newest change first.")]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="ATTR",
        help="Leave this attribute out, and fold changes of nothing else into one line. May be repeated.",
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON list, with values uncut and times in UTC; with --without an object that has the list "
        "and a count.",
    ),
]


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
    without: WithoutOption = None,
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
    left_out = _left_out(without, attribute)
    trail = TableTrail.open(table, audit_table, audit_log_table, output.note, state)
    found = trail.history(item_key, begin, end, attribute=attribute, without=left_out, newest_first=newest_first)
    # One attribute alone is shown: there is nothing more to leave out.
    names = left_out if attribute is None else frozenset[str]()
    found = trail.with_callers(limited(found, limit, names), attribute, names)
    page = bool(left_out)
    if not _print(folded(found, names), as_json=as_json, page=page, utc=utc, with_items=False):
        what = f"change of {attribute!r} of" if attribute is not None else "change of"
        why_unread = trail.why_unread
        output.note(f"No {what} {item_key!r} in {trail.table}{_within(begin, end)} is in the trail.")
        output.note(why_unread or "Is the key spelled exactly like this? `weaudit changes` lists what was changed.")
        output.note(f"Looked at {trail.target.describe()}. A change appears a moment after it was made.")


def changes(
    table: TableOption = "Configuration",
    without: WithoutOption = None,
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
    names = _left_out(without)
    trail = TableTrail.open(table, audit_table, audit_log_table, output.note, state)
    found = trail.changes(begin, end, without=names, newest_first=newest_first)
    found = trail.with_callers(limited(found, limit, names), without=names)
    if not _print(folded(found, names), as_json=as_json, page=bool(names), utc=utc, with_items=True):
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


def _left_out(without: list[str] | None, attribute: str | None = None) -> frozenset[str]:
    names = frozenset(without or ())
    if "" in names:
        raise InvalidInputError("--without needs an attribute's name, and got an empty one")
    if attribute in names:
        raise InvalidInputError(
            f"--without {attribute!r} leaves out what --attribute asks for\nGive it to one of the two."
        )
    return names


def _print(found: Iterable["AuditedChange | Fold"], *, as_json: bool, page: bool, utc: bool, with_items: bool) -> int:
    """Print changes and folds, and return how many there were; ``page`` is whether JSON says how many were folded."""
    if as_json:
        return _print_json(found, page=page)
    from weaudit.cli.printing.rendering import Rendering

    rendering = Rendering(output.stdout(), utc=utc, with_items=with_items)
    count = rendering.print(found)
    rendering.say_what_is_cut()
    return count


def _print_json(found: Iterable["AuditedChange | Fold"], *, page: bool) -> int:
    left_out = 0

    def shown() -> Iterator["AuditedChange"]:
        nonlocal left_out
        for one in found:
            if isinstance(one, Fold):
                left_out += one.count
            else:
                yield one

    def spelled(change: "AuditedChange") -> str:
        return dumps(document(change))

    if not page:
        return output.print_json_list(shown(), spelled)
    count = output.print_json_page("changes", shown(), spelled, lambda: {"folded": left_out})
    return count + left_out

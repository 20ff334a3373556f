"""`weaudit as-of`, `weaudit diff`: an item as it was, and what changed between two times."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from weaudit.cli.options import AuditTableOption, KeyArgument, LogTableOption, StateOption, TableOption, UtcOption
from weaudit.cli.printing import moments, output, panels
from weaudit.errors import InvalidInputError
from weaudit.items.texts import dumps
from weaudit.trail.state_documents import as_of_document, between_document

if TYPE_CHECKING:
    from weaudit.installation.reading.table_trail import TableTrail
    from weaudit.trail.states import AsOf, Between

_TIMES = "ISO 8601, a date (its last moment), or 2h, 3d (that long ago)."

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, with values uncut and times in UTC.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("as-of", rich_help_panel=panels.TRAIL)(as_of)
    app.command(rich_help_panel=panels.TRAIL)(diff)


def as_of(
    item_key: KeyArgument,
    time: Annotated[str | None, typer.Argument(metavar="TIME", help=_TIMES, show_default=False)] = None,
    sequence: Annotated[
        str | None,
        typer.Option("--sequence", "-s", metavar="N", help="Show the item after the change with this sequence number."),
    ] = None,
    table: TableOption = "Configuration",
    as_json: JsonOption = False,
    utc: UtcOption = False,
    audit_table: AuditTableOption = "Audit",
    audit_log_table: LogTableOption = "audit_logs",
    state: StateOption = None,
) -> None:
    """Show an item as it was at a time, including all changes of that second, or after a certain change.

    The item is rebuilt from the trail and checked against its recorded hash. Works for deleted items and tables, too.

    Exit code 1 if the trail does not hold the whole item: known attributes are shown, unknown ones are named.

    Example: weaudit as-of CACHE_TTL_SEC 2h
    """
    if (time is None) == (sequence is None):
        raise InvalidInputError(
            "give either a time or a change's sequence number\n"
            "For example `weaudit as-of CACHE_TTL_SEC 2h` or `weaudit as-of CACHE_TTL_SEC --sequence 1700000000001`."
        )
    from weaudit.installation.reading.table_trail import TableTrail

    at = None if time is None else moments.parse(time, name="TIME", utc=utc, end=True)
    trail = TableTrail.open(table, audit_table, audit_log_table, output.note, state)
    key, found = trail.as_of(item_key, at, sequence)
    if as_json:
        output.print_text(dumps(as_of_document(found, trail.table, key, at=at, sequence=sequence)))
    else:
        _print_state(found, utc=utc)
        if not found.recorded:
            _advise(trail, item_key)
    raise typer.Exit(output.EXIT_FINE if found.complete else output.EXIT_FAILED)


def diff(
    item_key: KeyArgument,
    begin: Annotated[str, typer.Argument(metavar="T1", help=f"The earlier time: {_TIMES}", show_default=False)],
    end: Annotated[str, typer.Argument(metavar="T2", help="The later time, in the same forms.", show_default=False)],
    table: TableOption = "Configuration",
    as_json: JsonOption = False,
    utc: UtcOption = False,
    audit_table: AuditTableOption = "Audit",
    audit_log_table: LogTableOption = "audit_logs",
    state: StateOption = None,
) -> None:
    """Show what changed in an item between two times, path by path.

    Exit code 1 if the trail does not hold both states completely: what is known of both is compared.

    Example: weaudit diff CACHE_TTL_SEC 2024-01-31 2h
    """
    from weaudit.installation.reading.table_trail import TableTrail

    since, until = (moments.parse(text, name=name, utc=utc, end=True) for text, name in ((begin, "T1"), (end, "T2")))
    if since > until:
        raise InvalidInputError(f"T1 {begin} is after T2 {end}\nGive the earlier time first.")
    trail = TableTrail.open(table, audit_table, audit_log_table, output.note, state)
    key, found = trail.between(item_key, since, until)
    if as_json:
        output.print_text(dumps(between_document(found, trail.table, key, since, until)))
    else:
        _print_between(found, begin, end)
        if not found.recorded:
            _advise(trail, item_key)
    raise typer.Exit(output.EXIT_FINE if found.complete else output.EXIT_FAILED)


def _advise(trail: "TableTrail", item_key: str) -> None:
    output.note(trail.why_unread or f"Is the key {item_key!r} spelled exactly like this?")
    output.note(f"Looked at {trail.target.describe()}. A change appears a moment after it was made.")


def _print_state(found: "AsOf", *, utc: bool) -> None:
    from weaudit.cli.printing.rendering import Rendering, who

    rendering = Rendering(output.stdout(), utc=utc, with_items=False)
    rendering.print_item(found.item or {})
    last = found.last_change
    if last is not None:
        when = f"{moments.shown(last.at, utc=utc)} {moments.zone_name(utc=utc)}"
        became = "deleted" if last.event_name == "REMOVE" else "so"
        output.note(f"It was {became} from {when} on (by {who(last.actor).plain}, sequence {last.sequence}).")
        if last.reason:
            output.note(f"The reason given: {output.safe(last.reason)}")
    elif found.exists is False:
        output.note("It did not exist yet.")
    if found.next_change is not None:
        output.note(f"The next change followed at {moments.shown(found.next_change.at, utc=utc)}.")
    _print_left_out(found)
    _print_problems(found, found.unknown)
    rendering.say_what_is_cut()


def _print_left_out(*states: "AsOf") -> None:
    """Say what the rules of the table leave out of states: an attribute that is not shown may have been there."""
    from weaudit.items.paths import path_text

    rules = [state.rules for state in states if state.rules is not None]
    places = {path_text(path) for one in rules for path in one.excluded + one.ignored}
    if places:
        output.note(f"Left out by the table's rules: {output.safe(', '.join(sorted(places)))}.")
    if only := {path_text(path) for one in rules for path in one.only}:
        output.note(f"The table's rules keep only {output.safe(', '.join(sorted(only)))}.")


def _print_between(found: "Between", begin: str, end: str) -> None:
    from weaudit.cli.printing.rendering import Rendering

    rendering = Rendering(output.stdout(), utc=True, with_items=False)
    count = rendering.print_places(found.differences)
    if found.complete and not count:
        why = "it was the same at both times" if found.before.exists else "it did not exist at either time"
        output.note(f"Nothing differs: {why}.")
    for state, text in ((found.before, begin), (found.after, end)):
        _print_problems(state, (), f"As of {text}: ")
    _print_left_out(found.before, found.after)
    _print_unknown(found.unknown)
    rendering.say_what_is_cut()


def _print_problems(found: "AsOf", unknown: Iterable[str], prefix: str = "") -> None:
    for problem in found.problems:
        output.note(f"{prefix}incomplete: {output.safe(problem.message)} ({problem.code}).")
    _print_unknown(unknown)


def _print_unknown(names: Iterable[str]) -> None:
    listed = ", ".join(output.safe(name) for name in names)
    if listed:
        output.note(f"Unknown: {listed}")

"""`weaudit watch`, `unwatch`, `watched`: tables beside Configuration whose changes are audited."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import JsonOption, YesOption
from weaudit.cli.printing import output, panels

if TYPE_CHECKING:
    from weaudit.watch.watched import Watch

TableArgument = Annotated[str, typer.Argument(metavar="TABLE", help="The table's name.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (watch, unwatch, watched):
        app.command(rich_help_panel=panels.WATCHED_TABLES)(command)


def watch(
    table: TableArgument,
    actor: Annotated[
        str | None,
        typer.Option(
            metavar="ATTRIBUTE",
            help='Attribute in which writers state who they are; "" for none.',
            show_default="unchanged; at first as in Configuration",
        ),
    ] = None,
    fresh: Annotated[
        str | None,
        typer.Option(
            metavar="ATTRIBUTE",
            help='Attribute that every write changes, such as updatedAt: it confirms the actor; "" for none.',
            show_default="unchanged; at first none",
        ),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Audit every change of a table from now on.

    Shows what it will do and asks first. Run it again to change the actor, or to follow a new stream. Changed rules
    govern changes that are made minutes later: every function has read them by then.

    Example: weaudit watch orders --actor updatedBy --fresh updatedAt
    """
    from weaudit.installation.outputs import Installation
    from weaudit.watch.applying import Watching

    watching = Watching(Installation.find())
    plan = watching.plan(table, actor, fresh)
    if plan.steps:
        output.note(f"To watch {table} on {watching.installation.target.describe()}, WeAudit will")
        for text in plan.steps:
            output.note(f"  - {output.safe(text)}")
        for text in plan.notes:
            output.note(text)
        if not output.agreed(f"Watch {table}?", yes=yes):
            raise typer.Exit(output.EXIT_FAILED)
        watching.apply(plan, output.note)
    found = watching.find(table)
    if as_json:
        output.print_json({**_document(found), "done": list(plan.steps), "notes": list(plan.notes)})
    elif plan.steps:
        output.print_text(f"{table} is watched.")
        output.note(f"Its trail: weaudit changes --table {table}")
    else:
        output.print_text(f"{table} is watched already, since {found.since}; there is nothing to do.")


def unwatch(
    table: TableArgument,
    yes: YesOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Remove even if changes still wait to be audited: the trail will lack them.")
    ] = False,
    stream_off: Annotated[
        bool | None,
        typer.Option(
            "--stream-off/--keep-stream",
            help="Turn the table's stream off too, or leave it on.",
            show_default="asks if `watch` turned it on; otherwise it stays on",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Stop auditing a table; its records stay.

    First waits until every change made so far is audited.

    Example: weaudit unwatch orders
    """
    from weaudit.installation.outputs import Installation
    from weaudit.watch.applying import Watching

    watching = Watching(Installation.find())
    found = watching.find(table)
    output.note(
        f"WeAudit will remove the stack {found.stack}. The records of {table} stay; its later changes are not audited."
    )
    if not output.agreed(f"Stop watching {table}?", yes=yes):
        raise typer.Exit(output.EXIT_FAILED)
    others = watching.other_readers(found) if found.stream_on else 0
    if others:
        output.note(f"{others} other event source mapping(s) read this stream.")
    if stream_off is None and found.stream_on and found.turned_stream_on and not yes:
        stream_off = output.agreed("`weaudit watch` turned the stream on. Turn it off?", yes=False)
    watching.remove(found, output.note, force=force)
    turned_off = found.stream_on and bool(stream_off)
    if turned_off:
        watching.turn_off(table)
    elif found.stream_on and found.turned_stream_on:
        output.note(f"The stream of {table} stays on; `weaudit watch` had turned it on.")
    if as_json:
        output.print_json({"table": table, "stack": found.stack, "streamOff": turned_off})
    else:
        output.print_text(f"{table} is no longer watched.")


def watched(as_json: JsonOption = False) -> None:
    """List the tables whose changes are audited.

    Example: weaudit watched --json
    """
    from weaudit.installation.outputs import Installation
    from weaudit.watch.watched import own, watches

    installation = Installation.find()
    rows = [*own(installation), *watches(installation)]
    if as_json:
        output.print_json([_document(row) for row in rows])
        return
    cells = ((row.table, row.state, row.actor or "-", row.since, row.last_result) for row in rows)
    output.print_table(output.table(("table", "state", "actor", "since", "last batch"), cells))
    for row in rows:
        if row.state in _ADVICE:
            output.note(f"{row.table}: {_ADVICE[row.state].format(table=row.table)}")


_ADVICE = {
    "table gone": "the table no longer exists. `weaudit unwatch {table}` removes the watch; its records stay.",
    "stream off": "nothing is audited: its stream was turned off. `weaudit watch {table}` turns it on again.",
    "stream replaced": "nothing is audited: its stream is a new one. `weaudit watch {table}` attaches to it.",
    "mapping gone": "nothing is audited: its mapping was deleted by hand. `weaudit watch {table}` says what to do.",
    "Disabled": "nothing is audited: its mapping is switched off. `weaudit watch {table}` switches it on.",
}


def _document(row: "Watch") -> dict[str, Any]:
    names = ("table", "stream", "state", "actor", "since", "stack", "mapping")
    document = {name: value for name, value in dataclasses.asdict(row).items() if name in names}
    return document | {"lastResult": row.last_result, "turnedStreamOn": row.turned_stream_on}

"""`weaudit watch`, `unwatch`, `watched`: tables beside Configuration whose changes are audited."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import JsonOption, YesOption
from weaudit.cli.printing import output, panels
from weaudit.cli.watching.documents import compact, rules_document
from weaudit.cli.watching.options import (
    ActorOption,
    ExcludeOption,
    FreshOption,
    HashOption,
    IgnoreOption,
    OnlyOption,
    ReasonOption,
    RedactOption,
    TableArgument,
)

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.watch.watched import Watch

_MOST_RAW_RECORDS = 10_000


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (watch, unwatch, watched):
        app.command(rich_help_panel=panels.WATCHED_TABLES)(command)


def watch(
    table: TableArgument,
    actor: ActorOption = None,
    fresh: FreshOption = None,
    exclude: ExcludeOption = None,
    ignore: IgnoreOption = None,
    redact: RedactOption = None,
    hash_: HashOption = None,
    only: OnlyOption = None,
    require_reason: ReasonOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Audit every change of a table from now on.

    Shows what it will do and asks first. Run it again to change the rules, or to follow a new stream; what is not given
    stays as it is. Changed rules govern changes that are made minutes later: every function has read them by then. Try
    them first: `weaudit rules TABLE --try`.

    Example: weaudit watch orders --actor updatedBy --fresh updatedAt --ignore updatedAt --redact card.number
    """
    from weaudit.installation.outputs import Installation
    from weaudit.watch.applying import Watching
    from weaudit.watch.wishes import Wish

    wish = Wish.of(actor, fresh, require_reason, exclude=exclude, ignore=ignore, redact=redact, hash=hash_, only=only)
    watching = Watching(Installation.find())
    plan = watching.plan(table, wish)
    if plan.steps:
        output.note(f"To watch {table} on {watching.installation.target.describe()}, WeAudit will")
        for text in plan.steps:
            output.note(f"  - {output.safe(text)}")
    for text in plan.notes:
        output.note(text)
    if plan.steps:
        if not output.agreed(f"Watch {table}?", yes=yes):
            raise typer.Exit(output.EXIT_FAILED)
        watching.apply(plan, output.note)
    found = watching.watch_of(table)
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
    """List the tables whose changes are audited, and by how many rules.

    Example: weaudit watched --json
    """
    from weaudit.installation.outputs import Installation
    from weaudit.watch.watched import own, watches

    installation = Installation.find()
    rows = [*own(installation), *watches(installation)]
    if as_json:
        output.print_json([_document(row) for row in rows])
    else:
        cells = (
            (row.table, row.state, row.actor or "-", compact(row.rules) or "-", row.since, row.last_result)
            for row in rows
        )
        output.print_table(output.table(("table", "state", "actor", "rules", "since", "last batch"), cells))
        for row in rows:
            if row.state in _ADVICE:
                output.note(f"{row.table}: {_ADVICE[row.state].format(table=row.table)}")
            if row.faults:
                output.note(f"{row.table}: not all of its rules are valid. `weaudit rules {row.table}` says why.")
    _say_raw_records(installation)


def _say_raw_records(installation: "Installation") -> None:
    """Say how many records are kept whole, whatever the rules hide."""
    from itertools import islice

    from weaudit.errors import StoreRefusedError
    from weaudit.installation.boto_errors import translated
    from weaudit.installation.repairs.quarantine import Quarantine

    bucket = installation.evidence_bucket
    try:
        with translated():
            count = sum(1 for _ in islice(Quarantine(installation).entries(), _MOST_RAW_RECORDS + 1))
    except StoreRefusedError as error:
        output.note(f"How many raw records {bucket} keeps could not be read ({error.aws_code or error.code}).")
        return
    if count:
        many = f"more than {_MOST_RAW_RECORDS:,}" if count > _MOST_RAW_RECORDS else f"{count:,}"
        output.note(
            f"{bucket} keeps {many} raw record(s) under raw/ and aws/lambda/: whole, whatever the rules hide, and for "
            "30 days. `weaudit quarantine` lists them."
        )


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
    return document | {
        "lastResult": row.last_result,
        "turnedStreamOn": row.turned_stream_on,
        "rules": rules_document(row.rules),
        "faults": list(row.faults),
    }

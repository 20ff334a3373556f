"""`weaudit quarantine`: records that could not be audited, the reason, and how to retry them."""

from typing import TYPE_CHECKING, Annotated

import typer

from weaudit.cli.options import JsonDocumentOption, JsonListOption
from weaudit.cli.printing import output, panels

if TYPE_CHECKING:
    from weaudit.installation.repairs.quarantine import Quarantine, Replayed

app = typer.Typer(
    no_args_is_help=False,
    help="List, show and replay the records that could not be audited.\n\nExample: weaudit quarantine --json",
)


def register(commands: typer.Typer) -> None:
    """Add the group to the command line."""
    commands.add_typer(app, name="quarantine", rich_help_panel=panels.TRAIL)


@app.callback(invoke_without_command=True)
def list_entries(
    context: typer.Context,
    as_json: JsonListOption = False,
) -> None:
    """List the records that could not be audited. Exit code 1 if there are any.

    Example: [bold]weaudit quarantine[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    quarantine = _quarantine()
    found = [{**entry, **quarantine.why(entry["id"])} for entry in quarantine.entries()]
    if as_json:
        output.print_json(found)
    elif not found:
        output.print_text("The quarantine is empty: every change that was delivered has been audited.")
    else:
        names = ("id", "code", "reason", "bytes", "kept_at")
        rows = ([str(entry[name]) for name in names] for entry in found)
        output.print_table(output.table(("id", "code", "why", "bytes", "kept at"), rows))
        output.note("`weaudit quarantine show ID` shows one, `weaudit quarantine replay` tries them again.")
    raise typer.Exit(output.EXIT_FAILED if found else output.EXIT_FINE)


@app.command("show")
def show_entry(
    entry_id: Annotated[str, typer.Argument(metavar="ID", help="The id, as `weaudit quarantine` lists it.")],
) -> None:
    """Print a whole quarantined record with the reason, as JSON.

    Example: [bold]weaudit quarantine show raw/quarantine/audit_producer/0f3c….json[/bold]
    """
    output.print_json(_quarantine().read(entry_id))


@app.command("replay")
def replay_entries(
    entry_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Replay only these; default: all.")
    ] = None,
    as_json: JsonDocumentOption = False,
) -> None:
    """Process quarantined records again, once the cause is fixed. Exit code 1 if any fails again.

    Example: [bold]weaudit quarantine replay[/bold]
    """
    quarantine = _quarantine()
    chosen = entry_ids or [entry["id"] for entry in quarantine.entries()]
    failed = []
    for number, entry_id in enumerate(chosen, 1):
        replayed = quarantine.replay(entry_id)
        say_too_large(replayed)
        if replayed.still:
            failed.append(entry_id)
        output.note(f"{number} of {len(chosen)}: {entry_id} {'failed again' if entry_id in failed else 'is audited'}")
    if as_json:
        output.print_json({"replayed": len(chosen) - len(failed), "failed": failed})
    else:
        output.print_text(f"{len(chosen) - len(failed)} audited, {len(failed)} still in quarantine.")
    raise typer.Exit(output.EXIT_FAILED if failed else output.EXIT_FINE)


def say_too_large(replayed: "Replayed") -> None:
    """Say of each record of a replayed entry that is too large for a call what can be done about it."""
    from weaudit.installation import payloads

    for size in replayed.too_large:
        output.note(
            f"{replayed.entry_id}: a record takes {size:,} bytes as JSON; "
            f"a call can carry {payloads.LARGEST_BYTES:,} at most.\n"
            "It stays here, whole. docs/operating.md (Quarantine) says how to audit it from this machine."
        )


def _quarantine() -> "Quarantine":
    from weaudit.installation.outputs import Installation
    from weaudit.installation.repairs.quarantine import Quarantine

    return Quarantine(Installation.find())

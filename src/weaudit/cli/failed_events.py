"""`weaudit failed-events`: events that failed for good or were never delivered, and how to retry them."""

from typing import Annotated

import typer

from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import output, panels
from weaudit.cli.quarantine import say_too_large

_SHOWN = ("id", "function", "error", "happened_at", "given_up_at")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("failed-events", rich_help_panel=panels.OPERATIONS)(failed_events)


def failed_events(
    retry: Annotated[bool, typer.Option("--retry", help="Send each event to its function again.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Take at most this many events.")] = 100,
    as_json: JsonDocumentOption = False,
) -> None:
    """List events that failed for good or were not delivered, or retry them. Exit code 1 if any remain.

    Example: weaudit failed-events --retry
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.repairs.failed_events import FailedEvents

    events = FailedEvents(Installation.find())
    shown, left = [], 0
    taken = list(events.take(limit))
    for number, event in enumerate(taken, 1):
        row = {key: event[key] for key in _SHOWN}
        if retry:
            retried = events.retry(event)
            if retried.replayed is not None:
                say_too_large(retried.replayed)
            said = output.safe(f"failed again: {retried.why}") if retried.why else "is handled"
            output.note(f"{number} of {len(taken)}: {event['id']} {said}")
            left += bool(retried.why)
            shown.append({**row, "why": retried.why} if retried.why else row)
        else:
            events.give_back(event)
            left += 1
            shown.append(row)
    if as_json:
        output.print_json({"events": shown, "left": left})
    elif not shown:
        output.print_text("There are no failed events: every delivered event was handled.")
    elif retry:
        output.print_text(f"{len(shown) - left} handled, {left} left in the queue.")
    else:
        rows = ([str(row[name] or "unknown") for name in _SHOWN] for row in shown)
        output.print_table(output.table(("id", "function", "error", "happened at", "given up at"), rows))
        output.note("Once the cause is fixed, `weaudit failed-events --retry` tries them again.")
    raise typer.Exit(output.EXIT_FAILED if left else output.EXIT_FINE)

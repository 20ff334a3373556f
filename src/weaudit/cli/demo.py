"""`weaudit demo`: real changes of a real table, audited by the real function, shown and checked."""

import shlex
import sys
import time
from pathlib import Path
from shutil import which
from typing import Annotated, Any

import typer

from weaudit.adapters.audit_history import AuditHistory
from weaudit.cli import demo_checking, output
from weaudit.cli.demo_checking import Step
from weaudit.domain.changes import Item
from weaudit.domain.histories import AuditedChange
from weaudit.errors import WeauditError

TABLE, AUDIT_TABLE, KEY = "Configuration", "Audit", "CACHE_TTL_SEC"
WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.05

_FIRST: Item = {"key": {"S": KEY}, "value": {"N": "3600"}}
_SECOND: Item = {"key": {"S": KEY}, "value": {"N": "1800"}}
_THIRD: Item = {**_SECOND, "note": {"S": "halved for the sale"}}

STEPS = (
    Step(f"put {KEY} with the value 3600", None, _FIRST),
    Step("change the value to 1800", _FIRST, _SECOND),
    Step("add the attribute note", _SECOND, _THIRD),
    Step("remove the attribute note", _THIRD, _SECOND),
    Step("delete the item", _SECOND, None),
)
"""What the demo does to the item, in this order."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="The trail")(demo)


def demo(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of 127.0.0.1.", show_default="4566, or a free one")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="DIR", help="Where the engine keeps its data.", show_default="~/.local/state/weaudit"
        ),
    ] = None,
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC, not in local time.")] = False,
) -> None:
    """See a change become an audit record: starts the engine, changes an item, shows its trail and checks it.

    Exit code 0 only where the trail is right in every field. The engine stays up.

    Example: weaudit demo
    """
    from weaudit.cli.rendering import Rendering
    from weaudit.cli.trail import open_trail
    from weaudit.deploy.targets import Target, wire
    from weaudit.local import engine

    began = time.monotonic()
    output.note("Starting the embedded engine, with the real function on it")
    running = engine.up(port=port, state_dir=state, progress=_progress)
    client = Target.of(running).client("dynamodb")
    trail = open_trail(Target.of(running), AUDIT_TABLE, client)
    from_ms = int(time.time() * 1000)
    found = _changed(client, trail)
    records = {
        name: wire(client.get_item(TableName=AUDIT_TABLE, Key={"id": {"S": name}}).get("Item"))
        for change in found
        for name in change.record_ids
    }
    output.print_text("")
    Rendering(output.stdout(), utc=utc, with_items=False).print(found)
    output.print_text("")
    faults = list(demo_checking.faults(TABLE, KEY, STEPS, records, from_ms, int(time.time() * 1000)))
    if found:
        listed = {name for change in trail.table(TABLE, since=found[0].at) for name in change.record_ids}
        faults += [f"record {name}: not in the index of the table's changes" for name in records if name not in listed]
    if faults:
        told = "\n".join(f"- {fault}" for fault in faults)
        raise WeauditError(f"the trail is not right\n{told}\n`{_command()} logs audit_producer` may tell why.")
    output.print_text(f"The trail is right: {len(found)} changes, {len(records)} records, every field checked.")
    output.note(f"It took {time.monotonic() - began:.1f} s. The engine stays up; `{_command()} down` stops it.")
    _say_what_next(state)


def _progress(line: str) -> None:
    if not line.endswith("IN_PROGRESS"):  # each is followed by its end within a second
        output.note(f"  {line}")


def _changed(client: Any, trail: AuditHistory) -> list[AuditedChange]:
    """Take the steps and return the changes that the trail shows of them, in order.

    An item that was there before is put aside and put back; that is audited too, but none of the demo's changes.
    """
    key = {"key": {"S": KEY}}
    kept = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    seen = {change.order for change in trail.item(TABLE, KEY)}
    if kept is not None:
        output.note(f"{KEY} is in {TABLE} already: it is put aside, and back at the end")
        client.delete_item(TableName=TABLE, Key=key)
        seen |= {change.order for change in _awaited(trail, seen, ("REMOVE",))}
    try:
        for number, step in enumerate(STEPS, 1):
            output.note(f"{number} of {len(STEPS)}: {step.words}")
            if step.after is None:
                client.delete_item(TableName=TABLE, Key=key)
            else:
                client.put_item(TableName=TABLE, Item=step.after)
        output.note("Waiting for the trail")
        return _awaited(trail, seen, tuple(step.event_name for step in STEPS))
    finally:
        if kept is not None:
            client.put_item(TableName=TABLE, Item=kept)


def _awaited(trail: AuditHistory, seen: set[str], events: tuple[str, ...]) -> list[AuditedChange]:
    """Return the item's last changes once they are these events; after WAIT_SECONDS whatever is new by then.

    A change made just before the demo may still arrive, so that only the last ones count.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        new = [change for change in trail.item(TABLE, KEY) if change.order not in seen]
        last = new[-len(events) :]
        if tuple(change.event_name for change in last) == events:
            return last
        if time.monotonic() > deadline:
            return new
        time.sleep(_POLL_SECONDS)


def _command() -> str:
    """Return how this command was called, for lines to copy: `make demo` runs one that is not on the PATH."""
    called = Path(sys.argv[0])
    if called.name != "weaudit" or which("weaudit") == str(called.absolute()):
        return "weaudit"
    here = called.absolute()
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def _say_what_next(state: Path | None) -> None:
    weaudit = _command()
    where = f" --state {shlex.quote(str(state))}" if state is not None else ""
    item = '{"key": {"S": "GREETING"}, "value": {"S": "hello"}}'
    output.note("\nTry next:")
    output.note(f"""  eval "$({weaudit} env{where})" && aws dynamodb put-item --table-name {TABLE} --item '{item}'""")
    output.note(f"  {weaudit} history GREETING{where}")
    output.note(f"  {weaudit} changes --since 1h --json{where}")

"""`weaudit demo`: the real functions at work on real changes and a picture, shown and checked."""

import shlex
import sys
import time
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import typer

from weaudit.cli.demo import oracle
from weaudit.cli.demo import tour as demo_tour
from weaudit.cli.demo.oracle import Step
from weaudit.cli.demo.tour import Tour, awaited
from weaudit.cli.options import PortOption, ShownUtcOption, StateOption
from weaudit.cli.printing import output, panels
from weaudit.errors import WeauditError
from weaudit.items.values import Item
from weaudit.trail.changes import AuditedChange

if TYPE_CHECKING:
    from weaudit.trail.reader import Trail

TABLE, AUDIT_TABLE, KEY = "Configuration", "Audit", "CACHE_TTL_SEC"
NOTE = "halved for the sale"

_FIRST: Item = {"key": {"S": KEY}, "value": {"N": "3600"}}
_SECOND: Item = {"key": {"S": KEY}, "value": {"N": "1800"}}
_THIRD: Item = {**_SECOND, "note": {"S": NOTE}}

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
    app.command(rich_help_panel=panels.TRAIL)(demo)


def demo(
    port: PortOption = None,
    state: StateOption = None,
    utc: ShownUtcOption = False,
) -> None:
    """See what WeAudit does, on the embedded engine: changes, an update, a picture, the API, the past, a verification.

    Each stop names the function that did the work, and its command to do the same by hand. Exit code 0 only if every
    field of every record and row is right. The engine stays up.

    Example: weaudit demo
    """
    from weaudit.installation import stacks
    from weaudit.installation.outputs import Installation
    from weaudit.installation.readers import open_trail
    from weaudit.installation.stages import Stage
    from weaudit.installation.targets import Target
    from weaudit.local import engine

    began = time.monotonic()
    output.note("Starting the embedded engine, with the real functions on it")
    running = engine.up(port=port, state_dir=state, progress=_progress)
    target = Target.of(running)
    found = stacks.describe(target, Stage().stack)
    assert found is not None  # noqa: S101 `up` has just deployed it
    client = target.client("dynamodb")
    trail = open_trail(target, AUDIT_TABLE)
    tour = Tour(Installation(target, found.outputs, Stage()), client, trail, running.directory, _command(state), utc)
    faults = _toured(tour)
    if faults:
        listed = "\n".join(f"- {output.safe(fault)}" for fault in faults)
        raise WeauditError(f"not all of it is right\n{listed}\n`{_command(state)} doctor` may say why.")
    output.print_text("\nAll of it is right: every field of every record and row was checked.")
    output.note(f"It took {time.monotonic() - began:.1f} s. The engine stays up; `{_command(state)} down` stops it.")
    _say_what_next(state)


def _toured(tour: Tour) -> list[str]:
    """Make all stops, and return what is wrong."""
    # Upload the picture first, so that it is processed while the changes are shown.
    upload = demo_tour.photographed(tour)
    faults, changes = _five_changes(tour)
    faults += demo_tour.update(tour)
    faults += demo_tour.photograph(tour, upload)
    faults += demo_tour.log(tour, upload)
    faults += demo_tour.request(tour)
    if len(changes) == len(STEPS):
        faults += demo_tour.past(tour, KEY, changes[2].sequence, {"key": KEY, "value": 1800, "note": NOTE})
    items = {TABLE: (KEY, demo_tour.SEATS), tour.installation.images_table: (upload.key,)}
    return faults + demo_tour.verification(tour, items)


def _five_changes(tour: Tour) -> tuple[list[str], list[AuditedChange]]:
    from weaudit.installation.targets import wire

    tour.heading(1, "five changes of an item: audit_producer records each, field by field")
    from_ms = int(time.time() * 1000)
    found = _changed(tour.dynamodb, tour.trail)
    records = {
        name: wire(tour.dynamodb.get_item(TableName=AUDIT_TABLE, Key={"id": {"S": name}}).get("Item"))
        for change in found
        for name in change.record_ids
    }
    tour.show(found)
    tour.by_hand(f"history {KEY}")
    faults = list(oracle.faults(TABLE, KEY, STEPS, records, from_ms, int(time.time() * 1000)))
    if found:
        listed = {name for change in tour.trail.table(TABLE, since=found[0].at) for name in change.record_ids}
        faults += [f"record {name}: not in the index of the table's changes" for name in records if name not in listed]
    return faults, found


def _progress(line: str) -> None:
    if not line.startswith("AWS::") or "FAILED" in line:  # a hundred resources that are as they should be: no news
        output.note(f"  {line}")


def _changed(client: Any, trail: "Trail") -> list[AuditedChange]:
    """Make the steps' changes and return them as the trail shows them, in order.

    An item that existed before is put aside and restored; that is audited too, but not counted as the demo's changes.
    """
    key = {"key": {"S": KEY}}
    kept = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    seen = {change.order for change in trail.item(TABLE, KEY)}
    if kept is not None:
        output.note(f"{KEY} is in {TABLE} already: it is put aside, and restored at the end")
        client.delete_item(TableName=TABLE, Key=key)
        seen |= {change.order for change in _awaited(trail, seen, ("REMOVE",))}
    try:
        for step in STEPS:
            output.note(f"  {step.words}")
            if step.after is None:
                client.delete_item(TableName=TABLE, Key=key)
            else:
                client.put_item(TableName=TABLE, Item=step.after)
        return _awaited(trail, seen, tuple(step.event_name for step in STEPS))
    finally:
        if kept is not None:
            client.put_item(TableName=TABLE, Item=kept)


def _awaited(trail: "Trail", seen: set[str], events: tuple[str, ...]) -> list[AuditedChange]:
    """Return the item's last changes once they are these events; after a timeout, all new changes.

    A change made just before the demo may still arrive, so only the last ones count.
    """
    new = awaited(
        lambda: [change for change in trail.item(TABLE, KEY) if change.order not in seen],
        lambda new: tuple(change.event_name for change in new[-len(events) :]) == events,
    )
    last = new[-len(events) :]
    return last if tuple(change.event_name for change in last) == events else new


def _command(state: Path | None) -> str:
    """Return how this command was called, for lines to copy: `make demo` runs one that is not on the PATH."""
    where = f"WEAUDIT_STATE_DIR={shlex.quote(str(state.absolute()))} " if state is not None else ""
    called = Path(sys.argv[0])
    here = called.absolute()
    if called.name != "weaudit" or which("weaudit") == str(here):
        return f"{where}weaudit"
    return where + str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def _say_what_next(state: Path | None) -> None:
    weaudit = _command(state)
    item = '{"key": {"S": "GREETING"}, "value": {"S": "hello"}}'
    output.note("\nTry next:")
    output.note(f"""  eval "$({weaudit} env)" && aws dynamodb put-item --table-name {TABLE} --item '{item}'""")
    output.note(f"  {weaudit} history GREETING")
    output.note(f"  {weaudit} changes --since 1h --json")

"""`weaudit up`, `down`, `status`, `env`, `logs`: the embedded engine."""

import os
import shlex
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import JsonOption, PortOption, StateOption
from weaudit.cli.printing import output, panels
from weaudit.errors import InvalidInputError
from weaudit.functions import FUNCTIONS
from weaudit.items.times import iso_time

if TYPE_CHECKING:
    from weaudit.local.engine import Status


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, down, status, env, logs):
        app.command(rich_help_panel=panels.ENGINE)(command)


def up(
    port: PortOption = None,
    state: StateOption = None,
    auth: Annotated[
        bool, typer.Option("--auth", help="Enforce IAM permissions, and create an administrator's key.")
    ] = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay until Ctrl-C, then stop the engine.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the embedded engine and deploy WeAudit on it.

    Data survives `down` and `up`. Run it again to deploy what has changed.

    Example: weaudit up --port 4570 --state ./engine
    """
    from weaudit.local import engine

    started = time.monotonic()
    running = engine.up(port=port, state_dir=state, auth=auth, progress=output.note)
    output.note(f"up in {time.monotonic() - started:.1f} s")
    if as_json:
        output.print_json({"endpoint": running.endpoint, "pid": running.pid, "state": str(running.directory)})
    else:
        output.print_text(f"WeAudit is up at {running.endpoint}")
    where = f" --state {shlex.quote(str(state))}" if state is not None else ""
    output.note(f'Use it from this shell: eval "$(weaudit env{where})"')
    if foreground:
        output.note("Ctrl-C stops it.")
        engine.attend(running, output.note)


def down(
    state: StateOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Stop even if changes still wait to be audited: they are lost.")
    ] = False,
) -> None:
    """Stop the embedded engine; its data stays for the next `up`.

    First waits until every change is audited.

    Example: weaudit down
    """
    from weaudit.local import engine

    if engine.down(state_dir=state, force=force, progress=output.note):
        output.print_text("The engine is down.")
    else:
        output.print_text("No engine was up.")


def status(state: StateOption = None, as_json: JsonOption = False) -> None:
    """Show whether the engine is up and what is deployed on it. Exit code 1 if it is not up.

    Example: weaudit status --json
    """
    from weaudit.local import engine

    found = engine.status(state_dir=state)
    if as_json:
        output.print_json(_status_document(found))
    elif not found.up or found.engine is None:
        died = found.engine is not None and found.engine.pid > 0
        output.print_text(f"The engine of {found.directory} {'has ended by itself' if died else 'is not up'}.")
        output.note(f"{f'Its log is {found.engine.log}. ' if died and found.engine else ''}Start it with: weaudit up")
    else:
        output.print_text(f"The engine is up at {found.engine.endpoint} (process {found.engine.pid}).")
        output.print_text(f"State directory: {found.directory}")
        output.print_text(f"Permissions: {'enforced (--auth)' if found.engine.auth else 'not enforced'}")
        output.print_text(f"Stack: {found.stack or 'none; `weaudit up` deploys it'}")
        for name, value in sorted(found.outputs.items()):
            output.print_text(f"  {name}: {value}")
    if not found.up:
        raise typer.Exit(output.EXIT_FAILED)


def _status_document(found: "Status") -> dict[str, Any]:
    document: dict[str, Any] = {"up": found.up, "state": str(found.directory)}
    if found.up and found.engine is not None:
        document |= {"endpoint": found.engine.endpoint, "pid": found.engine.pid, "auth": found.engine.auth}
        document |= {"stack": found.stack or None, "outputs": found.outputs}
    return document


def env(state: StateOption = None, as_json: JsonOption = False) -> None:
    """Print the shell exports that point the AWS CLI and every SDK to the engine.

    Example: eval "$(weaudit env)" && aws dynamodb list-tables
    """
    from weaudit.local import engine

    variables = engine.find(state_dir=state).environment()
    if as_json:
        output.print_json(variables)
        return
    # These would override or break the exports: a profile that does not exist, a token of another key.
    conflicting = {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}
    conflicting |= {name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_")}
    output.print_text(f"unset {' '.join(sorted(conflicting))}")
    for name, value in variables.items():
        output.print_text(f"export {name}={shlex.quote(value)}")


def logs(
    function: Annotated[
        str, typer.Argument(metavar="FUNCTION", help=f"One of: {', '.join(f.name for f in FUNCTIONS)}.")
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until Ctrl-C.")] = False,
    state: StateOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list; with --follow, one document per line.")
    ] = False,
) -> None:
    """Print what a function logged, oldest first.

    Example: weaudit logs audit_producer --follow
    """
    from weaudit.installation.reading import log_lines
    from weaudit.installation.stages import Stage
    from weaudit.installation.targets import Target

    stage = Stage.of()
    physical = {row.name: row.deployed_as(stage.prefix, stage.name) for row in FUNCTIONS}.get(function)
    if physical is None:
        raise InvalidInputError(f"there is no function {function!r}\nFunctions: {', '.join(f.name for f in FUNCTIONS)}")
    target = Target.resolve(state_dir=state)
    read = log_lines.followed if follow else log_lines.stored
    events = read(target.client("logs"), f"/aws/lambda/{physical}")
    if as_json and not follow:
        output.print_json_list(_document(event) for event in events)
        return
    count = 0
    for count, event in enumerate(events, 1):  # noqa: B007  (counted for the line below)
        if as_json:
            output.print_json_line(_document(event))
        else:
            output.print_text(f"{_document(event)['at']}  {output.safe(event['message'].rstrip())}")
    if not count:
        output.note(f"{function} has logged nothing on {target.describe()}. Has anything happened that calls it?")


def _document(event: Any) -> dict[str, Any]:
    return {"at": iso_time(event["timestamp"]), "message": event["message"].rstrip("\n")}

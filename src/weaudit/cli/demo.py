"""`weaudit demo`: the real functions at work on real changes and a picture, shown and checked."""

import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from shutil import which

import typer

from weaudit.cli.options import PortOption, ShownUtcOption, StateOption
from weaudit.cli.printing import output, panels
from weaudit.errors import WeauditError
from weaudit.trail.changes import AuditedChange


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.TRAIL)(demo)


def demo(
    port: PortOption = None,
    state: StateOption = None,
    utc: ShownUtcOption = False,
) -> None:
    """See what WeAudit does, on the embedded engine: changes, an update, a picture, the API, the past, the ledger.

    Each stop names the function that did the work, and its command to do the same by hand. Exit code 0 only if every
    stop showed what it should. The engine stays up.

    Example: weaudit demo
    """
    from weaudit.demo import stops
    from weaudit.demo.tour import Printing, Tour
    from weaudit.local import engine

    def show(changes: Iterable[AuditedChange]) -> None:
        from weaudit.cli.printing.rendering import Rendering

        Rendering(output.stdout(), utc=utc, with_items=False).print(changes)
        sys.stdout.flush()  # what follows goes to stderr, and both may go to one file

    began = time.monotonic()
    output.note("Starting the embedded engine, with the real functions on it")
    running = engine.up(port=port, state_dir=state, progress=_progress)
    weaudit = _command(state)
    faults = stops.all_of(Tour.of(running, weaudit, Printing(output.note, output.print_text, show)))
    if faults:
        listed = "\n".join(f"- {output.safe(fault)}" for fault in faults)
        raise WeauditError(
            f"not every stop showed what it should\n{listed}\n`{weaudit} doctor` may say why. Where an earlier version"
            f" left its trail in {running.directory}, stop the engine, and begin anew in another: --state DIR."
        )
    output.print_text("\nEvery stop showed what it should.")
    output.note(f"It took {time.monotonic() - began:.1f} s. The engine stays up; `{weaudit} down` stops it.")
    _say_what_next(weaudit)


def _progress(line: str) -> None:
    if not line.startswith("AWS::") or "FAILED" in line:  # a hundred resources that are as they should be: no news
        output.note(f"  {line}")


def _command(state: Path | None) -> str:
    """Return how this command was called, for lines to copy: `make demo` runs one that is not on the PATH."""
    where = f"WEAUDIT_STATE_DIR={shlex.quote(str(state.absolute()))} " if state is not None else ""
    called = Path(sys.argv[0])
    here = called.absolute()
    if called.name != "weaudit" or which("weaudit") == str(here):
        return f"{where}weaudit"
    return where + str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def _say_what_next(weaudit: str) -> None:
    item = '{"key": {"S": "GREETING"}, "value": {"S": "hello"}}'
    output.note("\nTry next:")
    output.note(f"""  eval "$({weaudit} env)" && aws dynamodb put-item --table-name Configuration --item '{item}'""")
    output.note(f"  {weaudit} history GREETING")
    output.note(f"  {weaudit} changes --since 1h --json")

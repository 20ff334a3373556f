"""The `weaudit` command: its options, its commands, and how errors become exit codes.

A command module has `register(app)`. It imports boto3 and rich inside its functions, never at its top: `weaudit --help`
and completion load every command module.
"""

import errno
import inspect
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import weaudit
from weaudit import errors
from weaudit.cli import (
    api,
    demo,
    doctor,
    engine,
    failed_events,
    images,
    keys,
    objects,
    quarantine,
    reprocess,
    states,
    trace,
    trail,
    updates,
    verify,
)
from weaudit.cli.deployment import bootstrap, package, stages
from weaudit.cli.ledger import log, receipts
from weaudit.cli.printing import output
from weaudit.cli.watching import rules, tables

COMMANDS = (
    demo, trail, states, verify, receipts, log, updates, api, tables, rules, objects, images, reprocess, quarantine,
    failed_events, doctor, trace, keys, engine, stages, package, bootstrap,
)  # fmt: skip
"""The modules with commands, in the order of `weaudit --help`."""


class _Commands(TyperGroup):
    """Commands whose errors become one message and an exit code, however they are called (`main`, tests, embedding)."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command with its help unwrapped: rich would keep the docstring's line breaks."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.help:
            paragraphs = inspect.cleandoc(command.help).split("\n\n")
            command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        return command

    def list_commands(self, ctx: Any) -> list[str]:
        """Keep the order in which the modules register."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Our errors and those of AWS become exit codes; any other is a bug and keeps its traceback."""
        try:
            return self._printed(ctx)
        except errors.WeauditError as error:
            raise typer.Exit(output.fail(_advised(error))) from error
        except BrokenPipeError:
            # The reader of our output has closed it (`| head`): not an error.
            _let_go_of_stdout()
            raise typer.Exit(output.EXIT_FINE) from None
        except Exception as error:
            explained = _explained(error)
            if explained is None:
                raise
            if isinstance(error, OSError):
                _let_go_of_stdout()
            raise typer.Exit(output.fail(explained)) from error

    def _printed(self, ctx: Any) -> Any:
        # Flush here and not at Python's exit, so that a closed pipe or a full disk is reported as what it is. If the
        # command itself failed, a failing flush must not hide why.
        try:
            returned = super().invoke(ctx)
        except typer.Exit as ended:
            try:
                sys.stdout.flush()
            except BrokenPipeError:
                if ended.exit_code == output.EXIT_FINE:
                    raise
                _let_go_of_stdout()
            raise
        except BaseException:
            _let_go_of_stdout()
            raise
        sys.stdout.flush()
        return returned


def _let_go_of_stdout() -> None:
    # Its buffer cannot be written. Python would try again at exit, and complain.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# Disk full (EFBIG: a limit of the process), over quota, or read-only.
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))
# A given path or the state directory: this user may not use it, or it is of the wrong kind.
_NO_ENTRY = frozenset((errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST))

# botocore's errors about the user's input or AWS configuration.
_NOT_SENT = ("ParamValidationError", "ProfileNotFound", "ConfigParseError", "InvalidConfigError", "NoRegionError")


_HINT = "\n`weaudit status` shows the engine; `aws sts get-caller-identity` shows who you are on AWS."


def _advised(error: errors.WeauditError) -> errors.WeauditError:
    """Return a service's error with advice on where to look, unless it has advice already."""
    if not isinstance(error, errors.StoreUnavailableError | errors.StoreRefusedError) or "\n" in str(error):
        return error
    return type(error)(f"{error}{_HINT}", aws_code=error.aws_code, status=error.status)


def _explained(error: Exception) -> errors.WeauditError | None:
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        where = f" to {error.filename}" if error.filename else ""
        return errors.WeauditError(f"cannot write{where}: {error.strerror}\nMake room, and run it again.")
    if isinstance(error, OSError) and error.errno in _NO_ENTRY and error.filename is not None:
        return errors.WeauditError(
            f"cannot use {error.filename}: {error.strerror}\nChoose another path, or check its permissions."
        )
    # Looked up and not imported: its errors can exist only if botocore has been imported.
    botocore = sys.modules.get("botocore.exceptions")
    if botocore is None:
        return None
    if isinstance(error, tuple(getattr(botocore, name) for name in _NOT_SENT)):
        # Nothing was sent: the SDK itself rejected the input.
        return errors.InvalidInputError(" ".join(str(error).split()))
    from weaudit.installation.boto_errors import meaning

    found = meaning(error)
    return None if found is None else _advised(found)


app = typer.Typer(
    name="weaudit",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        output.print_text(f"weaudit {weaudit.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show errors with their traceback (WEAUDIT_DEBUG=1).")] = False,
) -> None:
    """Who changed what, when, from what to what, and can you prove it?

    An audit trail for DynamoDB tables and S3 buckets, on an embedded engine here or in your AWS account.

    Start with: [bold]weaudit demo[/bold]
    """
    output.reset()
    output.set_debug(debug)


for _module in COMMANDS:
    _module.register(app)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    # A terminated command cleans up like an interrupted one: a half-started engine is stopped again.
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and exit with its code."""
    # Python has None for a stream that the caller closed (`>&-`).
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    signal.signal(signal.SIGTERM, _stop)
    try:
        app(prog_name="weaudit")
    except KeyboardInterrupt:
        sys.exit(output.EXIT_INTERRUPTED)
    except SystemExit as ended:
        # rich prints help, and exits with 1 if the reader has gone: not a failure. It prints usage errors too, while
        # handling them: those stay failures.
        gone = ended.__context__
        if isinstance(gone, BrokenPipeError) and gone.__context__ is None:
            sys.exit(output.EXIT_FINE)
        raise
    except Exception as error:  # noqa: BLE001 a bug: its text may come from outside, and is made safe like any other
        output.print_traceback(error)
        sys.exit(output.EXIT_FAILED)


if __name__ == "__main__":
    main()

"""What the command line prints: data on stdout, everything else on stderr, one shape for errors.

Command modules print only through these functions. So `weaudit … | jq` sees nothing but data, and no text from outside
can control the terminal: every text is made safe here, even if a command forgets to.
"""

import codecs
import functools
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from weaudit import errors
from weaudit.items.texts import escaped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

EXIT_FINE = 0
EXIT_FAILED = 1
"""The answer is no, or the operation failed."""
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
"""The engine or AWS is out of reach."""
EXIT_INTERRUPTED = 130

_debug = False


@functools.cache
def stdout() -> "Console":
    """Return the console for data; no colour when stdout is not a terminal or NO_COLOR is set."""
    return _console(stderr=False)


@functools.cache
def stderr() -> "Console":
    """Return the console for progress, hints and errors; no colour when stderr is not a terminal or NO_COLOR is set."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console  # rich takes 40 ms to import: only commands that print pay for it

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            raise  # rich would exit with 1; main.py alone decides what a closed pipe means

    # A pipe has no width: unless COLUMNS gives one, lay out for a wide screen and not for 80 columns.
    width = None if (sys.stderr if stderr else sys.stdout).isatty() or "COLUMNS" in os.environ else 140
    return _Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=False, width=width)


def reset() -> None:
    """Start over with the current terminal; characters that its encoding cannot show become escapes."""
    stdout.cache_clear()
    stderr.cache_clear()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Texts and stored values may hold characters that the encoding lacks: no reason to stop half way.
        codecs.register_error("weaudit", _escaped)
        sys.stdout.reconfigure(errors="weaudit")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    # As in JSON, even below 256, where Python's own handler writes \\xe9: the output may be JSON.
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end


def _indented(value: Any) -> str:
    return escaped(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_json(value: Any) -> None:
    """Print one JSON document to stdout, indented, with non-ASCII text kept and unknown types as text."""
    print_text(_indented(value))


def print_json_list(values: Iterable[Any], spelled: Callable[[Any], str] = _indented) -> int:
    """Print one JSON list to stdout and return its length; element by element, so it is never in memory whole.

    ``spelled`` gives the text of an element, indented by two.
    """
    count = _put_list(values, spelled)
    sys.stdout.write("\n")
    sys.stdout.flush()
    return count


def print_json_page(
    name: str, values: Iterable[Any], spelled: Callable[[Any], str], rest: Callable[[], dict[str, Any]]
) -> int:
    """Print one JSON object to stdout and return the length of the list that it has as ``name``.

    The list is printed as :func:`print_json_list` prints it. ``rest`` is asked for the other fields once it ends.
    """
    count = _put_list(values, spelled, f"{{\n  {json.dumps(name)}: ", "  ")
    for field, value in rest().items():
        sys.stdout.write(f",\n  {json.dumps(field)}: {escaped(json.dumps(value, ensure_ascii=False))}")
    sys.stdout.write("\n}\n")
    sys.stdout.flush()
    return count


def _put_list(values: Iterable[Any], spelled: Callable[[Any], str], before: str = "", margin: str = "") -> int:
    # Nothing is written before there is a first element: if it cannot be had, stdout stays empty.
    count, line = 0, f"\n{margin}  "
    for count, value in enumerate(values, 1):
        sys.stdout.write((f"{before}[" if count == 1 else ",") + line + spelled(value).replace("\n", line))
    sys.stdout.write(f"\n{margin}]" if count else f"{before}[]")
    return count


def print_json_line(value: Any) -> None:
    """Print one JSON document to stdout on a line of its own, for output that never ends."""
    sys.stdout.write(escaped(json.dumps(value, ensure_ascii=False, default=str)) + "\n")
    sys.stdout.flush()


def safe(text: str) -> str:
    """Return a text on one line, its control characters as escapes, so that a stored value cannot steer the terminal.

    Characters that change the direction of text are escaped, too: what is read must be what is stored.
    """
    if text.isprintable():
        return text
    return "".join([char if char == "\t" or char.isprintable() else repr(char)[1:-1] for char in text])


def _safe_lines(text: str) -> str:
    return "\n".join(map(safe, text.split("\n")))


def table(headings: Iterable[str], rows: Iterable[Sequence["str | Text"]]) -> "Table":
    """Return a table that loses nothing: what is too wide for its column is folded, never cut, and no text is markup.

    Texts are made :func:`safe`; a cell may be a rich Text, with a style of its own.
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(Text(safe(heading)), overflow="fold")
    for row in rows:
        made.add_row(
            *(cell if isinstance(cell, Text) and cell.plain.isprintable() else Text(safe(str(cell))) for cell in row)
        )
    return made


def pairs(rows: Iterable[tuple[str, str]]) -> "Table":
    """Return a table of names and what they are, without a heading; it loses nothing, as :func:`table`."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(2):
        made.add_column(overflow="fold")
    for name, text in rows:
        made.add_row(Text(safe(name), style="cyan"), Text(safe(text)))
    return made


def print_table(made: "Table", console: "Console | None" = None) -> None:
    """Print a table of safe texts, to stdout if no console is given.

    rich pads every line to the screen's width; the trailing blanks are removed, for copying and piping.
    """
    console = console or stdout()
    with console.capture() as capture:
        console.print(made)
    console.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def print_text(text: str) -> None:
    """Print lines of plain text to stdout, each :func:`safe`: no markup, no wrapping."""
    sys.stdout.write(_safe_lines(text) + "\n")
    sys.stdout.flush()


def print_bytes(content: bytes) -> None:
    """Write a file to stdout as it is, for a pipe or another file."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.flush()


def note(text: str, style: str = "") -> None:
    """Print lines of progress or advice to stderr, each :func:`safe`; markup in ``text`` is not interpreted."""
    stderr().print(_safe_lines(text), style=style or None, markup=False, soft_wrap=True)


def agreed(question: str, *, yes: bool) -> bool:
    """Ask for confirmation and return whether it was given; ``yes`` gives it without asking.

    Raises InvalidInputError if there is no terminal to ask on.
    """
    if yes:
        return True
    import typer

    _check_terminal()
    return typer.confirm(safe(question), err=True)


def answer(question: str) -> str:
    """Ask for a text, such as the name of what is to be removed. Raises InvalidInputError as :func:`agreed` does."""
    import typer

    _check_terminal()
    return str(typer.prompt(safe(question), err=True))


def _check_terminal() -> None:
    if not sys.stdin.isatty():
        raise errors.InvalidInputError(
            "this needs an answer, and there is no terminal to ask on\nGive --yes to go ahead."
        )


def set_debug(on: bool) -> None:
    """Set whether errors are shown with their traceback (WEAUDIT_DEBUG=1 also does)."""
    global _debug
    _debug = on


def debugging() -> bool:
    """Return whether errors are shown with their traceback."""
    return _debug or os.environ.get("WEAUDIT_DEBUG", "") not in ("", "0")


def exit_code(error: BaseException) -> int:
    """Return the exit code for ``error``."""
    match error:
        case errors.InvalidInputError():
            return EXIT_USAGE
        case errors.EngineError() | errors.StoreUnavailableError():
            return EXIT_UNREACHABLE
        case _:
            return EXIT_FAILED


def fail(error: BaseException) -> int:
    """Print ``error`` to stderr as one clear message and return its exit code.

    The error's first line is the message, the lines after it say what to do.
    """
    if debugging():
        print_traceback(error)
    message, _, advice = str(error).partition("\n")
    stderr().print("Error:", style="bold red", end=" ")
    note(message)
    if advice:
        note(advice)
    return exit_code(error)


def print_traceback(error: BaseException) -> None:
    """Print an error to stderr as Python does, with its traceback."""
    sys.stderr.write(_safe_lines("".join(traceback.format_exception(error))))

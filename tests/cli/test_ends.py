"""How a command ends whose reader has gone, whose disk is full, or that may not use what it was pointed at."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.aws.scripted_server import Request, ScriptedServer, serving, stall
from weaudit.cli.printing import output

ADVICE = "`weaudit status` shows the engine; `aws sts get-caller-identity` shows who you are on AWS."
PRINTING = """
import sys
import threading
from weaudit.cli import main
from weaudit.cli.printing import output

def failing(text: str) -> None:
    sys.stdout.write(text)
    raise main.errors.StoreUnavailableError("the store is away")

def interrupted(text: str) -> None:
    sys.stdout.write(text)
    raise KeyboardInterrupt

def refused(text: str) -> None:
    sys.stdout.write(text)
    raise main.typer.Exit(1)

def verified(text: str) -> None:
    from types import SimpleNamespace as Found
    from weaudit.cli import verify as verifying
    table = Found(name="T", exists=True)
    verifying._checkers = lambda *_: [Found(table=table, item_keys=lambda _: [], verdicts=lambda _: [])]
    verifying._report = lambda *_: {"findings": [{}]}
    verifying.verify(table=None, item=None, since=None, as_json=True)

@main.app.command(name="print")
def print_in_a_way(way: str) -> None:
    show = {
        "text": output.print_text,
        "rich": lambda text: output.stdout().print(text),
        "json": lambda text: output.print_json({"text": text}),
        "held": sys.stdout.write,  # and nothing flushes it
        "failing": failing,
        "interrupted": interrupted,
        "refused": refused,
        "verified": verified,
    }[way]
    show("a \\N{RIGHTWARDS ARROW} \\xe9 \\N{CAMERA}")

main.main()
"""


def environment() -> dict[str, str]:
    """Return the variables of a process that finds our packages, and holds what it prints until it is flushed."""
    path = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": ""}


def printing(way: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command that prints, in a process of its own, behind what a shell does ``before`` it."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {before}', "sh", sys.executable, "-c", PRINTING, "print", way],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


WAYS = ("rich", "held", "json")


@pytest.mark.parametrize("way", WAYS)
def test_a_reader_that_has_gone_is_no_error(way: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", PRINTING, "print", way],
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [("--help",), ("print", "--help")], ids=" ".join)
def test_a_reader_of_help_that_has_gone_is_no_error(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", PRINTING, *words]
    done = subprocess.run(command, env=environment(), stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # Nobody reads what was wrong with the call, and it was wrong all the same.
    command = [sys.executable, "-c", PRINTING, "nonsense"]
    done = subprocess.run(command, env=environment(), stdout=writing, stderr=writing, text=True, check=False)
    os.close(writing)
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("way", "code", "said"),
    [
        ("failing", output.EXIT_UNREACHABLE, f"Error: the store is away\n{ADVICE}"),
        ("interrupted", output.EXIT_INTERRUPTED, ""),
        ("refused", output.EXIT_FAILED, ""),
        ("verified", output.EXIT_FAILED, ""),
    ],
)
def test_a_command_that_fails_says_so_though_its_reader_has_gone(way: str, code: int, said: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", PRINTING, "print", way],
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr.strip()) == (code, said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk_behind_the_output_is_said_once(way: str) -> None:
    done = printing(way, before="> /dev/full")
    assert done.returncode == 1
    assert done.stderr == "Error: cannot write: No space left on device\nMake room, and run it again.\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_stream_that_its_caller_closed_is_nothing_to_fail_for(way: str, closed: str) -> None:
    assert printing(way, before=closed).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
@pytest.mark.parametrize("way", WAYS)
def test_what_the_terminal_cannot_show_is_spelt(way: str, encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINTING, "print", way],
        env={**environment(), "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    shown = done.stdout.decode(encoding)
    assert "\\u2192" in shown
    assert ("\\u00e9" in shown) == (encoding == "ascii")
    if way == "json":
        assert json.loads(shown)["text"].split() == ["a", "\N{RIGHTWARDS ARROW}", "\xe9", "\N{CAMERA}"]


def test_an_interrupted_command_waits_for_no_answer() -> None:
    asked = threading.Event()

    def silent(request: Request, connection: socket.socket, server: ScriptedServer) -> bool:
        if len(server.requests) >= 16:  # a page of each shard is on its way
            asked.set()
        return stall(request, connection, server)

    with serving(silent) as server:
        variables = {"AWS_ENDPOINT_URL": server.url, "AWS_REGION": "eu-west-1"}
        keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "wJalr"}
        running = subprocess.Popen(
            [sys.executable, "-m", "weaudit.cli.main", "changes", "--since", "2h"],
            env={**environment(), **variables, **keys},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert asked.wait(timeout=60)
            running.send_signal(signal.SIGINT)
            # The server answers nobody before the block ends: whoever waits for it waits for 20 seconds, or longer.
            shown, said = running.communicate(timeout=15)
        finally:
            running.kill()
    assert (running.returncode, shown, said) == (output.EXIT_INTERRUPTED, "", "")


def test_what_may_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "weaudit.cli.main", "package", "--out", str(tmp_path / "file")],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == output.EXIT_FAILED
    assert done.stderr.splitlines()[-2:] == [
        f"Error: cannot use {tmp_path / 'file'}: File exists",
        "Choose another path, or check its permissions.",
    ]

"""`weaudit up`, `down`, `status`, `env`, `logs`, `package`, and what all commands have in common."""

import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

import weaudit
from tests.conftest import RunningEngine
from weaudit.cli import main
from weaudit.cli.printing import output
from weaudit.functions import BESIDE, FUNCTIONS

RUN = CliRunner()


def run(*arguments: object, **options: Any) -> Any:
    return RUN.invoke(main.app, [str(argument) for argument in arguments], **options)


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


EVERY = dict(commands(typer.main.get_command(main.app)))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    shown = run(*path, "--help", env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    assert "weaudit " + " ".join(path) in EVERY[path].help.partition("Example")[2]


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_flows_at_any_width_and_marks_what_may_be_left_out_once(path: tuple[str, ...]) -> None:
    shown = run(*path, "--help", env={"COLUMNS": "60", "NO_COLOR": "1"}).stdout
    assert "[[" not in shown
    told, _, _ = shown.partition("╭")
    lines = [line.strip() for line in told.splitlines()]
    for line, following in itertools.pairwise(lines):
        if line and following and not line.startswith("Usage"):
            # A line ends where the next word has no room, and nowhere before.
            assert len(f"{line} {following.split()[0]}") > 58


def test_a_table_loses_nothing_at_any_width_and_takes_no_text_for_markup() -> None:
    row = (
        "raw/quarantine/audit_producer/0f3c2d7e-5b1a-4c0e-9d57-6f2a8e1b4c33.json",
        "[/x] of [a, b]\x1b[31m",
        "2026-11-21T18:15",
    )
    for width in (24, 40, 80, 140):
        file = io.StringIO()
        Console(file=file, width=width).print(output.table(("id", "why", "[at]"), [row]))
        columns = [text.split() for text in row]
        shown = "".join(file.getvalue().split())
        assert sorted(shown) == sorted("".join(("id", "why", "[at]", *map(output.safe, itertools.chain(*columns)))))


def test_what_the_sdk_itself_refuses_was_asked_wrongly_and_is_no_outage() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1"}
    asked = ("call", "GET", "/v1/health", "--url", "http://127.0.0.1:1")
    refused = run(*asked, "--role", "none", env=keys)
    assert (refused.exit_code, refused.stdout) == (output.EXIT_USAGE, "")
    assert "RoleArn" in refused.stderr.splitlines()[0]
    for url in ("http://127.0.0.1:99999", "http://[::1", "http://"):
        refused = run("call", "GET", "/v1/health", "--url", url, env=keys)
        assert (refused.exit_code, refused.stdout) == (output.EXIT_USAGE, "")
        assert "is not the URL of an API" in refused.stderr
    for variables in (
        {"AWS_ENDPOINT_URL": "nowhere"},
        {"AWS_ENDPOINT_URL_DYNAMODB": "nowhere"},
        {"AWS_REGION": "a b"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"},
    ):
        refused = run("history", "k", env={"AWS_ENDPOINT_URL": None, **keys, **variables})
        assert (refused.exit_code, refused.stdout) == (output.EXIT_USAGE, "")
        assert refused.stderr.startswith("Error: ")
        assert "AWS_ENDPOINT_URL (http" in refused.stderr


def test_a_state_directory_that_is_a_file_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shown = run("status", "--state", tmp_path / "file")
    assert shown.exit_code == output.EXIT_UNREACHABLE
    assert shown.stderr.startswith(f"Error: the state directory {tmp_path / 'file'} is not a directory\n")


def test_standard_input_that_holds_no_json_is_called_so() -> None:
    shown = run("update", "k", "--json", "-", input="")
    assert shown.exit_code == output.EXIT_USAGE
    assert shown.stderr.startswith("Error: standard input cannot be read as JSON")


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout == f"weaudit {weaudit.__version__}\n"


def test_help_loads_neither_boto3_nor_rich_consoles() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, weaudit.cli.main; print(sorted({'boto3', 'botocore', 'rich'} & set(sys.modules)))",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_usage_errors_exit_with_2(tmp_path: Path) -> None:
    assert run("nonsense").exit_code == output.EXIT_USAGE
    assert run("up", "--port", 0).exit_code == output.EXIT_USAGE
    unknown = run("logs", "nonsense", "--state", tmp_path)
    assert unknown.exit_code == output.EXIT_USAGE
    assert "audit_producer" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_errors_show_their_traceback_only_on_demand(tmp_path: Path) -> None:
    shown = run("env", "--state", tmp_path)
    assert shown.exit_code == output.EXIT_UNREACHABLE
    assert shown.stdout == ""
    assert shown.stderr.startswith("Error: no engine is up in")
    assert "weaudit up" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert "Traceback" in run("--debug", "env", "--state", tmp_path).stderr
    assert "Traceback" in run("env", "--state", tmp_path, env={"WEAUDIT_DEBUG": "1"}).stderr


def test_status_says_no_by_its_exit_code(tmp_path: Path) -> None:
    shown = run("status", "--state", tmp_path)
    assert shown.exit_code == output.EXIT_FAILED
    assert "is not up" in shown.stdout
    document = run("status", "--state", tmp_path, "--json")
    assert json.loads(document.stdout) == {"up": False, "state": str(tmp_path)}
    assert run("down", "--state", tmp_path).stdout == "No engine was up.\n"


@pytest.mark.engine
def test_status_shows_what_is_deployed(engine: RunningEngine) -> None:
    document = json.loads(run("status", "--state", engine.directory, "--json").stdout)
    assert document["up"] is True
    assert document["endpoint"] == engine.endpoint
    assert "audit_producer" in str(document["outputs"])
    shown = run("status", "--state", engine.directory)
    assert shown.exit_code == 0
    assert f"The engine is up at {engine.endpoint}" in shown.stdout


@pytest.mark.engine
def test_up_again_says_where_it_is(engine: RunningEngine) -> None:
    shown = run("up", "--state", engine.directory, "--json")
    assert shown.exit_code == 0, shown.stderr
    assert json.loads(shown.stdout)["endpoint"] == engine.endpoint
    assert f'eval "$(weaudit env --state {engine.directory})"' in shown.stderr


@pytest.mark.engine
def test_env_is_what_a_shell_needs(engine: RunningEngine) -> None:
    exports = run("env", "--state", engine.directory, env={"AWS_ENDPOINT_URL_DYNAMODB": "http://elsewhere"}).stdout
    script = (
        f'{exports}\n{sys.executable} -c \'import boto3; print(boto3.client("dynamodb").list_tables()["TableNames"])\''
    )
    shown = subprocess.run(
        ["/bin/sh", "-euc", script],
        env={**os.environ, "AWS_PROFILE": "none", "AWS_ENDPOINT_URL_DYNAMODB": "http://elsewhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "Configuration" in shown.stdout
    assert json.loads(run("env", "--state", engine.directory, "--json").stdout) == engine.environment


@pytest.mark.engine
def test_logs_are_those_of_the_function(engine: RunningEngine, eventually: Callable[..., Any]) -> None:
    engine.client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": "test_logs"}})

    def lines() -> list[dict[str, str]]:
        shown = run("logs", "audit_producer", "--state", engine.directory, "--json")
        assert shown.exit_code == 0, shown.stderr
        return [event for event in json.loads(shown.stdout) if "lastSequence" in event["message"]]

    assert set(eventually(lines)[0]) == {"at", "message"}
    assert "lastSequence" in run("logs", "audit_producer", "--state", engine.directory).stdout


@pytest.mark.engine
def test_logs_follow_what_comes(engine: RunningEngine) -> None:
    table = engine.client("dynamodb")
    arguments = ["logs", "audit_producer", "--follow", "--json", "--state", str(engine.directory)]
    with subprocess.Popen(
        [sys.executable, "-m", "weaudit.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        seen = []
        for number in range(3):
            table.put_item(TableName="Configuration", Item={"key": {"S": f"test_logs_follow{number}"}})
            for line in following.stdout:
                seen.append(line)
                if "lastSequence" in json.loads(line)["message"]:
                    break
        following.terminate()
    assert following.returncode == output.EXIT_INTERRUPTED
    assert len(seen) == len(set(seen))


def test_package_prints_what_it_built(tmp_path: Path) -> None:
    shown = run("package", "--out", tmp_path, "--json")
    assert shown.exit_code == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert [built["function"] for built in found] == [function.name for function in (*FUNCTIONS, *BESIDE)]
    again = run("package", "--out", tmp_path).stdout
    for built in found:
        assert built["bytes"] == Path(built["path"]).stat().st_size
        assert built["sha256"] in again
    assert run("package", "--arch", "sparc").exit_code == output.EXIT_USAGE


def test_lists_are_printed_as_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    for values in ([], [1], [{"a": "é"}, {"b": [1, 2]}]):
        output.print_json_list(iter(values))
        assert json.loads(capsys.readouterr().out) == values


def test_control_characters_cannot_steer_the_terminal() -> None:
    assert output.safe("a\x1b[2J\r\tb é") == "a\\x1b[2J\\r\tb é"


def test_what_the_encoding_cannot_show_is_an_escape_and_stops_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "weaudit.cli.main", "status", "--state", str(tmp_path / "größe")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONIOENCODING": "ascii",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, f"The engine of {tmp_path}/gr\\u00f6\\u00dfe is not up.\n")

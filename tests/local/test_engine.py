"""The embedded engine through its real life: starts, stops, crashes, interruptions."""

import dataclasses
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from tests.conftest import RunningEngine
from weaudit.deploy import templates
from weaudit.errors import DeployError, EngineError
from weaudit.installation import engine_state, stacks
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target
from weaudit.local import engine as engines
from weaudit.local import process, restarting

pytestmark = pytest.mark.engine


def processes_of(directory: Path) -> list[int]:
    """Return the processes, functions' workers among them, that hold the engine's environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"STATE_DIR={directory / 'data'}".encode() in variables:
            found.append(int(entry.name))
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc to look for processes that were left behind")
    yield tmp_path / "state"
    engines.down(state_dir=tmp_path / "state", force=True)
    assert processes_of(tmp_path / "state") == []


def up(directory: Path, **options: Any) -> tuple[engine_state.EngineState, list[str]]:
    lines: list[str] = []
    if "port" not in options:
        options["port"] = process.free_port()
    return engines.up(state_dir=directory, progress=lines.append, **options), lines


def put(engine: engine_state.EngineState, count: int, tag: str) -> None:
    """Put items, the second and the fourth and so on by PartiQL."""
    client = Target.of(engine).client("dynamodb")
    for number in range(count):
        if number % 2:
            text = f"INSERT INTO \"Configuration\" VALUE {{'key': '{tag}{number}', 'value': 1}}"
            client.execute_statement(Statement=text)
        else:
            client.put_item(TableName="Configuration", Item={"key": {"S": f"{tag}{number}"}, "value": {"N": "1"}})


def audited(engine: engine_state.EngineState) -> list[str]:
    pages = Target.of(engine).client("dynamodb").get_paginator("scan").paginate(TableName="Audit")
    return sorted(item["itemKey"]["S"] for page in pages for item in page["Items"])


def test_restarts_keep_the_data_and_lose_no_change(directory: Path) -> None:
    expected: list[str] = []
    for tag in ("a", "b", "c"):
        engine, lines = up(directory)
        assert (f"stack {Stage().stack} is up to date" in lines) == bool(expected)
        put(engine, 120, tag)
        expected += [f"{tag}{number}" for number in range(120)]
        assert engines.down(state_dir=directory)
        assert not engines.down(state_dir=directory)
        assert processes_of(directory) == []
    engine, _ = up(directory)
    assert audited(engine) == sorted(expected)


def test_a_killed_engine_is_noticed_and_comes_back(directory: Path) -> None:
    engine, _ = up(directory)
    put(engine, 20, "a")
    assert restarting.drain(engine) == []
    os.kill(engine.pid, signal.SIGKILL)
    process.stop(engine)
    found = engines.status(state_dir=directory)
    assert not found.up
    assert found.engine is not None
    assert found.engine.pid == engine.pid
    with pytest.raises(EngineError, match="no engine is up"):
        engines.find(state_dir=directory)
    again, lines = up(directory)
    assert any("did not stop in order" in line for line in lines)
    put(again, 5, "b")
    assert restarting.drain(again) == []
    assert {f"b{number}" for number in range(5)} <= set(audited(again))


def test_an_engine_that_was_killed_before_it_ever_saved_starts_anew_and_keeps_the_objects(directory: Path) -> None:
    engine, _ = up(directory)
    found = stacks.describe(Target.of(engine), Stage().stack)
    assert found is not None
    bucket = found.outputs["BucketName"]
    Target.of(engine).client("s3").put_object(Bucket=bucket, Key="a/b.txt", Body=b"kept")
    os.kill(engine.pid, signal.SIGKILL)
    process.stop(engine)
    assert not engines.down(state_dir=directory)  # which takes note of its end, and changes nothing in that
    again, lines = up(directory)
    [line] = [line for line in lines if "were not saved" in line]
    [kept] = Path(line.partition(" are in ")[2]).glob(f"000000000000/{bucket}/**/b.txt")
    assert kept.read_bytes() == b"kept"
    assert "Contents" not in Target.of(again).client("s3").list_objects_v2(Bucket=bucket)
    # What was saved in order is known from then on, and stays where it is.
    Target.of(again).client("s3").put_object(Bucket=bucket, Key="c.txt", Body=b"saved")
    assert engines.down(state_dir=directory)
    engine, _ = up(directory)
    os.kill(engine.pid, signal.SIGKILL)
    process.stop(engine)
    again, lines = up(directory)
    assert not any("were not saved" in line for line in lines)
    assert Target.of(again).client("s3").get_object(Bucket=bucket, Key="c.txt")["Body"].read() == b"saved"


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(directory: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(EngineError, match="is taken by another program"):
            up(directory, port=other.getsockname()[1])
    assert not engines.status(state_dir=directory).up


def test_without_a_port_another_is_taken_and_said(directory: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Where somebody else has the default port, it is taken already.
        if process.port_is_free(engines.DEFAULT_PORT):
            other.bind(("127.0.0.1", engines.DEFAULT_PORT))
            other.listen()
        engine, lines = up(directory, port=None)
    assert engine.port != engines.DEFAULT_PORT
    assert f"port {engines.DEFAULT_PORT} is taken by another program: using {engine.port}" in lines
    # The port is kept: addresses in shells stay right.
    engines.down(state_dir=directory)
    assert up(directory, port=None)[0].port == engine.port


def test_a_stale_process_number_is_no_engine(directory: Path) -> None:
    directory.mkdir()
    stale = engine_state.EngineState(directory, 4566, pid=os.getpid(), identity="12", started_ms=1, ready=True)
    engine_state.save(stale)
    assert not engines.status(state_dir=directory).up
    assert not engines.down(state_dir=directory)
    engine_state.save(stale)
    engine, _ = up(directory)
    assert engine.alive


def test_engines_live_side_by_side(directory: Path, engine: RunningEngine) -> None:
    second, _ = up(directory)
    put(second, 1, "only-in-the-second")
    assert restarting.drain(second) == []
    assert audited(second) == ["only-in-the-second0"]
    assert "only-in-the-second0" not in audited(engine.state)
    engines.down(state_dir=directory)
    assert engine.state.alive


def test_up_again_redeploys_only_what_differs(directory: Path, tmp_path: Path) -> None:
    first, _ = up(directory)
    same, lines = up(directory, port=None)
    assert same == first
    assert lines[-1] == f"stack {Stage().stack} is up to date"
    template = tmp_path / "template.yaml"
    template.write_text(templates.path("template.yaml").read_text() + "  Another:\n    Value: one\n")
    up(directory, port=None, template=template)
    found = engines.status(state_dir=directory)
    assert found.outputs["Another"] == "one"
    assert found.stack == f"{Stage().stack}: UPDATE_COMPLETE"
    put(first, 3, "after")
    assert restarting.drain(first) == []
    assert audited(first) == ["after0", "after1", "after2"]
    with pytest.raises(EngineError, match="already up, on port"):
        up(directory, port=first.port + 1)
    with pytest.raises(EngineError, match="without --auth"):
        up(directory, port=None, auth=True)


def test_permissions_are_enforced_with_auth(directory: Path) -> None:
    engine, _ = up(directory, auth=True)
    assert stat.S_IMODE((directory / "engine.json").stat().st_mode) == 0o600
    who = Target.of(engine).client("sts").get_caller_identity()
    assert who["Arn"].endswith(":user/weaudit-admin")
    put(engine, 3, "auth")
    assert restarting.drain(engine) == []
    assert audited(engine) == ["auth0", "auth1", "auth2"]
    wrong = Target.of(dataclasses.replace(engine, secret_key="wrong")).client("dynamodb")
    with pytest.raises(botocore.exceptions.ClientError, match="signature"):
        wrong.list_tables()
    engines.down(state_dir=directory)
    again, _ = up(directory, auth=True)
    assert (again.access_key, again.secret_key) == (engine.access_key, engine.secret_key)
    assert audited(again) == ["auth0", "auth1", "auth2"]
    put(again, 1, "more")
    assert restarting.drain(again) == []
    assert len(audited(again)) == 4


def test_a_stack_that_fails_leaves_no_engine(directory: Path, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(
        "Resources:\n  Bad:\n    Type: AWS::IAM::Policy\n"
        "    Properties: {PolicyName: x, Roles: [nobody], PolicyDocument: {Version: '2012-10-17', Statement: []}}\n"
    )
    with pytest.raises(DeployError, match=r"weaudit-dev is ROLLBACK_COMPLETE: Bad .*nobody"):
        up(directory, template=template)
    assert processes_of(directory) == []
    assert up(directory)[0].alive


def test_a_function_that_is_behind_is_named(directory: Path) -> None:
    engine, _ = up(directory)
    put(engine, 3, "a")
    assert restarting.drain(engine) == []
    # Nothing says that these were handled: the function is gone from the log's point of view.
    Target.of(engine).client("logs").delete_log_group(logGroupName="/aws/lambda/audit_producer")
    assert restarting.drain(engine, seconds=0.2) == ["audit_producer"]


def command(*arguments: str, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "weaudit.cli.main", *arguments, "--state", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def started(directory: Path) -> bool:
    """Tell whether a process was started and noted down."""
    kept = engine_state.load(directory)
    return kept is not None and kept.pid > 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_no_process(
    directory: Path, sent: signal.Signals, eventually: Callable[..., Any]
) -> None:
    with command("up", "--port", str(process.free_port()), directory=directory) as starting:
        eventually(lambda: started(directory))
        starting.send_signal(sent)
        starting.communicate(timeout=120)
        assert starting.returncode == 130
    assert processes_of(directory) == []
    assert not engines.status(state_dir=directory).up
    assert up(directory)[0].alive


def test_a_killed_start_is_cleared_away_by_the_next(directory: Path, eventually: Callable[..., Any]) -> None:
    with command("up", "--port", str(process.free_port()), directory=directory) as starting:
        eventually(lambda: started(directory))
        starting.kill()
        starting.communicate(timeout=120)
    up(directory)
    assert len([pid for pid in processes_of(directory) if engine_state.identity(pid)]) == 1


def test_foreground_stays_until_interrupted_and_stops_in_order(directory: Path) -> None:
    with command("up", "--foreground", "--port", str(process.free_port()), directory=directory) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "Ctrl-C" in line:
                break
        kept = engines.find(state_dir=directory)
        put(kept, 10, "f")
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=120)
        assert running.returncode == 0
    assert processes_of(directory) == []
    again, _ = up(directory)
    assert len(audited(again)) == 10


def test_two_starts_at_once_are_one_start(directory: Path) -> None:
    with engine_state.locked(directory), pytest.raises(EngineError, match="another weaudit command"):
        up(directory)

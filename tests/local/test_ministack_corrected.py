"""Each correction of the engine: its fault in MiniStack as it comes, and its absence in ours."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.engines import OURS, Engine, start
from weaudit.local import ministack_corrected, process, state

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with start(OURS, tmp_path_factory.mktemp("ours")) as engine:
        yield engine


# ---- writes and the stream


# ---- what an update leaves


# ---- who may


# ---- objects


# ---- the start


def started_with(version: str | None, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Start the engine where this version of MiniStack is installed."""
    path = [str(Path(ministack_corrected.__file__).parents[2])]
    if version is not None:
        information = tmp_path / f"ministack-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ministack\nVersion: {version}\n")
        path.append(str(tmp_path))
    return subprocess.run(
        # -S: without the packages that are installed here.
        [sys.executable, "-S", "-P", "-m", OURS],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_another_version_of_the_engine_is_not_started(tmp_path: Path) -> None:
    ended = started_with("1.5.34", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "WeAudit's corrections are for MiniStack 1.5.33, and 1.5.34 is installed: pip install ministack==1.5.33"
    ]


def test_without_the_engine_it_says_what_to_install(tmp_path: Path) -> None:
    ended = started_with(None, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == ["the embedded engine is not installed: pip install 'weaudit[local]'"]


def test_an_engine_that_has_the_port_does_not_answer_for_the_one_that_was_started(ours: Engine, tmp_path: Path) -> None:
    assert ours.state is not None
    second = state.EngineState(tmp_path, ours.state.port)
    pid = process.spawn(second)
    second = dataclasses.replace(second, pid=pid, identity=state.identity(pid))
    assert not process.wait_ready(second)
    assert "already in use" in process.log_tail(second)
    assert ours.send("GET", "/_ministack/ready")[0] == 200

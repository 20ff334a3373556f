"""One embedded engine for the whole run, with the stack deployed; tests that need it are marked `engine`."""

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import hypothesis
import pytest
from typer.testing import CliRunner, Result

from tests import waiting
from tests.canaries import Scan
from tests.sizes import sized
from weaudit.errors import EngineError
from weaudit.installation import engine_state as state
from weaudit.installation.engine_state import EngineState
from weaudit.installation.targets import Target
from weaudit.local import engine as engines
from weaudit.local import process

# How fast an example is made and run says how busy the machine is, with several workers above all.
hypothesis.settings.register_profile(
    "sized", max_examples=sized(30), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("sized")


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def pytest_configure() -> None:
    """Make a terminated run tear down as an interrupted one does: no engine stays behind."""
    signal.signal(signal.SIGTERM, _interrupt)


# What commands and tests wrote to stderr in this process; looked through as soon as it is there.
_SAID = Scan()
_SCANS = pytest.StashKey[Scan]()


@pytest.fixture(autouse=True, scope="session")
def _stderr_is_looked_through() -> Iterator[None]:
    """Look through what every command that runs in this process writes to stderr."""
    invoke = CliRunner.invoke

    def listening(self: CliRunner, *arguments: Any, **options: Any) -> Result:
        result = invoke(self, *arguments, **options)
        _SAID.text(f"stderr of weaudit {' '.join(map(str, (arguments[1:] or ([],))[0]))}"[:80], result.stderr)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CliRunner, "invoke", listening)
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look through what a passed test, and what it started, wrote to stderr and to the log."""
    if report.passed:  # (a failed one shows what it compared)
        _SAID.text(f"stderr of {report.nodeid}", f"{report.capstderr}\n{report.caplog}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where a log line, a metric or an error of it holds a planted value or a credential."""
    config = session.config
    if hasattr(config, "workerinput"):
        # The engines of all workers are looked through by the process that started them, which outlives them.
        config.workeroutput["leaks"] = _SAID.found  # type: ignore[attr-defined]  # as xdist
        return
    _SAID.engines(config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]  # as xdist
    config.stash[_SCANS] = _SAID
    if _SAID.found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    """Take what a worker found."""
    _SAID.found += getattr(node, "workeroutput", {}).get("leaks", [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was looked through, and each leak with its place."""
    scan = config.stash.get(_SCANS, None)
    if scan is None or not scan.files + len(scan.found):
        return
    terminalreporter.section("leaks")
    terminalreporter.line(
        f"{scan.lines} lines of {scan.files} files of the engines and of stderr: {len(set(scan.found))} leak(s)"
    )
    for line in sorted(set(scan.found)):
        terminalreporter.line(f"LEAK {line}", red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the engines that workers left: an interrupted run kills them after ten seconds, whatever they still hold."""
    if not config.getoption("numprocesses", None):
        return  # a worker, or the only process: what it started it has ended itself
    # Workers' temporary directories are inside of this one, and every engine's state directory inside of those.
    for path in config._tmp_path_factory.getbasetemp().rglob("engine.json"):  # type: ignore[attr-defined]  # as xdist
        with contextlib.suppress(EngineError):  # a file that is no state: a test's own
            left = state.load(path.parent)
            if left is not None and left.alive:
                process.stop(left, kill=True)


@pytest.fixture(autouse=True, scope="session")
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep every test from the user's own AWS account and engine, and from the width of a terminal."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "WEAUDIT_"))]:
            patch.delenv(name)
        # Workers have them even where the user has not: readline sets them in the process that starts the workers.
        for name in ("COLUMNS", "LINES"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        # An engine that the user left up, by `make demo`, would be what commands without a target talk to.
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@functools.cache
def client_of(target: Target, service: str) -> Any:
    """Return the one boto3 client for this, which threads may share: making one costs more than most of its calls."""
    return target.client(service)


@dataclass(frozen=True)
class RunningEngine:
    """The engine of this run."""

    state: EngineState

    @property
    def endpoint(self) -> str:
        """The URL of every service."""
        return self.state.endpoint

    @property
    def directory(self) -> Path:
        """The engine's state directory."""
        return self.state.directory

    @property
    def target(self) -> Target:
        """Where commands go."""
        return Target.of(self.state)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a subprocess reaches the engine."""
        return self.state.environment()

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return client_of(self.target, service)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Start the engine on a free port with the stack on it; stop it, by its process number, after the last test."""
    started = engines.up(port=process.free_port(), state_dir=tmp_path_factory.mktemp("engine"))
    yield RunningEngine(started)
    engines.down(state_dir=started.directory, force=True)
    assert not started.alive


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Return a function that asks until the answer is true, and returns it; after a minute it fails the test."""
    return waiting.eventually

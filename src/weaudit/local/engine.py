"""The embedded engine: MiniStack with the WeAudit stack on it, on one port of this machine.

One engine a state directory; several directories, several engines side by side. Every function here takes the state
directory, or the default one (`weaudit.installation.engine_state.directory`).
"""

import dataclasses
import signal
import time
from pathlib import Path

from weaudit.deploy import deploying
from weaudit.errors import EngineError
from weaudit.installation import engine_state, stacks
from weaudit.installation.engine_state import EngineState
from weaudit.installation.stacks import Progress
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target
from weaudit.local import administrators, process, restarting

DEFAULT_PORT = 4566


def _silent(_line: str) -> None:
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """What `weaudit status` shows: ``engine`` is None where none was ever started, ``stack`` "" where there is none."""

    directory: Path
    engine: EngineState | None
    up: bool
    stack: str = ""
    outputs: dict[str, str] = dataclasses.field(default_factory=dict)


def up(
    *,
    port: int | None = None,
    state_dir: Path | None = None,
    auth: bool = False,
    template: Path | None = None,
    progress: Progress = _silent,
) -> EngineState:
    """Start the engine if it is not up, deploy the stack if it is not there or differs, and return where it is.

    ``port`` None means the last one used, or 4566, or any free one. Interrupted, or failing, it leaves no process that
    it started. Raises EngineError and DeployError.
    """
    directory = engine_state.directory(state_dir)
    with engine_state.locked(directory):
        kept = engine_state.load(directory)
        if kept is not None and kept.alive and kept.ready:
            _same_engine(kept, port, auth)
            progress(f"the engine is up at {kept.endpoint}")
            _deploy(kept, template, progress)
            return kept
        engine = _start(directory, kept, port, auth, progress)
        try:
            if auth:
                engine = administrators.ensure(engine)
            _deploy(engine, template, progress)
            return engine
        except BaseException:
            # A start is whole or it did not happen: the user's next `up` begins afresh.
            _stopped(engine)
            raise


def _deploy(engine: EngineState, template: Path | None, progress: Progress) -> None:
    # The stage dev, whatever WEAUDIT_STAGE says: that names what commands look at, here or elsewhere.
    deploying.deploy_now(
        deploying.Deploying(Target.of(engine), Stage(), progress), engine.directory / "packages", template
    )


def _same_engine(running: EngineState, port: int | None, auth: bool) -> None:
    if port not in (None, running.port):
        raise EngineError(
            f"the engine of {running.directory} is already up, on port {running.port}\n"
            "Stop it first (`weaudit down`), or start a second one with its own --state."
        )
    if auth and not running.auth:
        raise EngineError(
            "the engine is already up, without --auth\nStop it first: `weaudit down`, then `weaudit up --auth`."
        )


def _start(directory: Path, kept: EngineState | None, port: int | None, auth: bool, progress: Progress) -> EngineState:
    if kept is not None and kept.alive:
        # Its starter was killed before it was ready; nothing can have been written to it.
        progress("ending an engine whose start was interrupted")
        process.stop(kept, kill=True)
    elif kept is not None and kept.pid:
        progress("the engine did not stop in order last time: what it had not saved then is lost")
        process.end_workers(kept)
    restarting.rearm(directory / "data")
    names, where = restarting.set_aside(directory / "data", directory / "objects")
    if names:
        progress(f"buckets that were not saved ({', '.join(names)}): their objects are in {where}")
    for _attempt in range(3):
        engine = _launch(_prepared(directory, kept, port, auth, progress))
        try:
            ready = process.wait_ready(engine)
        except BaseException:
            process.stop(engine, kill=True)  # not ready: it holds nothing yet that a kill could lose
            engine_state.save(dataclasses.replace(engine, pid=0, identity="", ready=False))
            raise
        if ready:
            engine = dataclasses.replace(engine, ready=True)
            engine_state.save(engine)
            return engine
        engine_state.save(dataclasses.replace(engine, pid=0, identity=""))
        if process.port_is_free(engine.port) or port is not None:
            break
        # Another program took the port between our look at it and the engine's.
    raise EngineError(f"the engine could not start on port {engine.port}\n{process.log_tail(engine)}")


def _prepared(
    directory: Path, kept: EngineState | None, port: int | None, auth: bool, progress: Progress
) -> EngineState:
    wanted = port or (kept.port if kept is not None else DEFAULT_PORT)
    if not process.port_is_free(wanted):
        if port is not None:
            raise EngineError(
                f"port {port} is taken by another program\nChoose another with --port, or leave --port out."
            )
        taken, wanted = wanted, process.free_port()
        progress(f"port {taken} is taken by another program: using {wanted}")
    keys = (kept.access_key, kept.secret_key) if kept is not None and auth and kept.auth else ("test", "test")
    return EngineState(directory, wanted, auth, *keys)


def _launch(engine: EngineState) -> EngineState:
    # Signals wait until the process's number is on disk: Ctrl-C in between would leave a process nobody knows.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        restarting.readdress(engine.directory / "data", engine.port)
        started_ms = int(time.time() * 1000)
        pid = process.spawn(engine)
        engine = dataclasses.replace(engine, pid=pid, identity=engine_state.identity(pid), started_ms=started_ms)
        engine_state.save(engine)
        return engine
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def down(*, state_dir: Path | None = None, force: bool = False, progress: Progress = _silent) -> bool:
    """Stop the engine with its data saved; False when none was up.

    Waits first until every change is audited, because the engine forgets a backlog. Where that does not happen it
    raises EngineError and leaves the engine up; ``force`` stops it all the same. Raises EngineError, too, where the
    engine ended and could not save.
    """
    directory = engine_state.directory(state_dir)
    with engine_state.locked(directory):
        engine = engine_state.load(directory)
        if engine is None or not engine.alive:
            if engine is not None and engine.pid:
                process.end_workers(engine)
                engine_state.save(dataclasses.replace(engine, pid=0, identity="", ready=False))
                progress("the engine had ended by itself: what it had not saved is lost")
            return False
        if engine.ready and not force:
            _drained(engine, progress)
        progress("saving and stopping")
        began = time.time()
        if not _stopped(engine, force=force):
            raise EngineError(
                f"the engine (process {engine.pid}) did not stop in {process.STOP_SECONDS:.0f} s\n"
                "Try again, or `weaudit down --force`, which may lose what it has not saved."
            )
        if unsaved := restarting.unsaved(engine.directory / "data", began):
            raise EngineError(
                f"the engine stopped and could not save its {', '.join(unsaved)}: is the disk of {directory} full?\n"
                "`weaudit up` starts with what was saved the time before; changes since then are lost."
            )
        return True


def _drained(engine: EngineState, progress: Progress) -> None:
    progress("waiting for the last change to be audited")
    behind = restarting.drain(engine)
    if behind:
        names = ", ".join(behind)
        raise EngineError(
            f"changes are still waiting for {names}, and stopping now would lose them\n"
            f"`weaudit logs {behind[0]}` shows why; `weaudit down --force` stops all the same."
        )


def _stopped(engine: EngineState, *, force: bool = False) -> bool:
    stopped = process.stop(engine) or (force and process.stop(engine, kill=True))
    if stopped:
        engine_state.save(dataclasses.replace(engine, pid=0, identity="", ready=False))
    return stopped


def status(*, state_dir: Path | None = None) -> Status:
    """Return what is known of the engine, without changing anything."""
    directory = engine_state.directory(state_dir)
    engine = engine_state.load(directory)
    if engine is None or not engine.alive or not engine.ready:
        return Status(directory, engine, up=False)
    name = Stage().stack
    found = stacks.describe(Target.of(engine), name)
    if found is None:
        return Status(directory, engine, up=True)
    return Status(directory, engine, up=True, stack=f"{name}: {found.status}", outputs=found.outputs)


def find(*, state_dir: Path | None = None) -> EngineState:
    """Return the engine that is up; EngineError, with what to do, where there is none."""
    directory = engine_state.directory(state_dir)
    engine = engine_state.running(directory)
    if engine is None:
        raise EngineError(f"no engine is up in {directory}\nStart one with `weaudit up`.")
    return engine


def attend(engine: EngineState, progress: Progress = _silent) -> None:
    """Stay until the engine ends or this process is interrupted (Ctrl-C, SIGTERM); then stop it in order."""
    try:
        while not process.gone(engine):
            time.sleep(0.2)
    except KeyboardInterrupt:
        # A second Ctrl-C must not cut the saving short: it ends this process only, the engine goes on to save.
        down(state_dir=engine.directory, progress=progress)
        return
    raise EngineError(f"the engine ended by itself\n{process.log_tail(engine)}")

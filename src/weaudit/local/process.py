"""The engine's process: started apart from the terminal, known by its number, ended by a signal to that alone."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from weaudit.errors import EngineError
from weaudit.installation import engine_state
from weaudit.local import ministack_corrected

READY_SECONDS = 60.0
STOP_SECONDS = 60.0
"""An engine that holds much data takes seconds to save it; more than this is a fault."""
_LOG_BYTES = 10_000_000
_SHOWN_LINES = 8


def port_is_free(port: int) -> bool:
    """Tell whether a server can listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(engine: engine_state.EngineState) -> dict[str, str]:
    """Return the engine's whole environment.

    It is built from nothing, because all of it leaks into every function that the engine runs: an AWS_PROFILE or a
    LOG_LEVEL of the user's shell would change what the functions do.
    """
    directory = engine.directory
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", str(directory)),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "TMPDIR": str(directory / "tmp"),
        "GATEWAY_PORT": str(engine.port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "localhost",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": str(directory / "data"),
        "S3_DATA_DIR": str(directory / "objects"),
        "AUTH": "true" if engine.auth else "false",
    }


def spawn(engine: engine_state.EngineState) -> int:
    """Start the engine's process in a session of its own and return its number; its output goes to the log file.

    Not subprocess.Popen: the process is meant to outlive this one, and -P keeps a file named json.py in the current
    folder from being imported in place of the standard library's.
    """
    for name in ("data", "objects"):
        (engine.directory / name).mkdir(mode=0o700, exist_ok=True)
    # What a killed engine left unpacked is of no use to the next one.
    shutil.rmtree(engine.directory / "tmp", ignore_errors=True)
    (engine.directory / "tmp").mkdir(mode=0o700)
    if engine.log.exists() and engine.log.stat().st_size > _LOG_BYTES:
        engine.log.replace(engine.log.with_suffix(".log.1"))
    command = [sys.executable, "-P", "-m", ministack_corrected.__name__]
    log = str(engine.log)
    return os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(engine.directory), *command],
        environment(engine),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # The caller blocks signals while it notes the number down; the engine must not inherit that.
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGTERM),
    )


def wait_ready(engine: engine_state.EngineState) -> bool:
    """Wait until the engine answers; False when its process ended instead. Raises EngineError when it does neither."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if gone(engine):
            return False
        if _answers(engine):
            return True
        time.sleep(0.02)
    raise EngineError(f"the engine did not become ready in {READY_SECONDS:.0f} s\n{log_tail(engine)}")


def _answers(engine: engine_state.EngineState) -> bool:
    # By its own process: where another engine has the port, that one answers, and this one is about to exit.
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=5)
    try:
        connection.request("GET", "/_ministack/ready")
        response = connection.getresponse()
        return response.status == 200 and response.getheader(ministack_corrected.PROCESS_HEADER) == str(engine.pid)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def gone(engine: engine_state.EngineState) -> bool:
    """Tell whether the engine's process has ended; a child of this process is waited for, and leaves no zombie."""
    if engine.pid <= 0:
        return True
    # Where another command started it, its parent, or the system, waits for it.
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(engine.pid, os.WNOHANG)[0] == engine.pid
    return not engine.alive


def stop(engine: engine_state.EngineState, *, kill: bool = False) -> bool:
    """End the engine's process and wait until it has gone; False when it still runs after STOP_SECONDS.

    SIGTERM makes it save its state; ``kill`` ends it at once, and what it had not saved is lost.
    """
    if not gone(engine):
        os.kill(engine.pid, signal.SIGKILL if kill else signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while not gone(engine):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    end_workers(engine)
    return True


def end_workers(engine: engine_state.EngineState) -> None:
    """End what is left of the functions' processes of an engine that has ended; there is nobody they could answer.

    They are its process group. While one of them lives no new process gets the group's number, so a process of that
    number means that the number was given anew, and the group is somebody else's.
    """
    deadline = time.monotonic() + 0.2
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while engine.pid > 0 and not _exists(engine.pid) and time.monotonic() < deadline:
            os.killpg(engine.pid, signal.SIGKILL)
            time.sleep(0.005)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def log_tail(engine: engine_state.EngineState) -> str:
    """Return where the engine's log is, and its last lines."""
    lines = _last_lines(engine.log, _SHOWN_LINES)
    return f"Its log, {engine.log}, ends:\n" + "\n".join(f"  {line}" for line in lines)


def _last_lines(path: Path, count: int) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return []

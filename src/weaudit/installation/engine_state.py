"""The state of an embedded engine, kept in its state directory, and whether that engine is alive.

::

    STATE/engine.json   this module: process, port, keys (mode 0600)
    STATE/engine.log    what the engine prints
    STATE/lock          held (flock) while an engine is started or stopped
    STATE/data/         the engine's own state, saved when it is stopped
    STATE/objects/      S3 objects, written immediately
    STATE/packages/     the zips of the last deployment
    STATE/tmp/          unpacked functions of the running engine
"""

import dataclasses
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from weaudit.errors import EngineError

_STATE_FILE = "engine.json"


@dataclasses.dataclass(frozen=True, slots=True)
class EngineState:
    """One engine: where it is and how to reach it.

    ``pid`` is 0 if it was stopped on purpose. ``identity`` distinguishes its process from a later one with that number.
    ``started_ms`` is milliseconds since the epoch.
    """

    directory: Path
    port: int
    auth: bool = False
    access_key: str = "test"
    secret_key: str = dataclasses.field(default="test", repr=False)
    region: str = "us-east-1"
    pid: int = 0
    identity: str = ""
    started_ms: int = 0
    ready: bool = False

    @property
    def endpoint(self) -> str:
        """The URL of every service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The file that holds what the engine prints."""
        return self.directory / "engine.log"

    @property
    def alive(self) -> bool:
        """Whether the engine's process, and not a later one with its number, still runs."""
        return self.pid > 0 and identity(self.pid) == self.identity

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which the AWS CLI and every SDK reach the engine."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }


def directory(given: Path | None = None, environment: Mapping[str, str] | None = None) -> Path:
    """Return ``given``, else $WEAUDIT_STATE_DIR, $XDG_STATE_HOME/weaudit, or ~/.local/state/weaudit; absolute."""
    environment = os.environ if environment is None else environment
    if given is not None:
        return given.expanduser().absolute()
    if environment.get("WEAUDIT_STATE_DIR"):
        return Path(environment["WEAUDIT_STATE_DIR"]).expanduser().absolute()
    if environment.get("XDG_STATE_HOME"):
        return Path(environment["XDG_STATE_HOME"]).expanduser().absolute() / "weaudit"
    return Path(environment.get("HOME") or "~").expanduser().absolute() / ".local" / "state" / "weaudit"


def load(path: Path) -> EngineState | None:
    """Return the state kept in ``path``, or None if there is none. Raises EngineError if it is unreadable."""
    try:
        document = json.loads((path / _STATE_FILE).read_text())
        return EngineState(directory=path, **document)
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise EngineError(
            f"the state directory {path} is not a directory\nChoose another with --state or WEAUDIT_STATE_DIR."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise EngineError(
            f"the state file {path / _STATE_FILE} cannot be read: {error}\n"
            "Remove that file, or choose another state directory with --state."
        ) from error


def running(path: Path) -> EngineState | None:
    """Return the engine of the directory ``path`` if its process lives and it has become ready, else None."""
    kept = load(path)
    return kept if kept is not None and kept.ready and kept.alive else None


def save(engine: EngineState) -> None:
    """Save ``engine`` in its directory; the file is replaced whole, and only its owner can read it (it holds a key)."""
    document = dataclasses.asdict(engine)
    del document["directory"]
    temporary = engine.directory / f".{_STATE_FILE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=2)
    temporary.replace(engine.directory / _STATE_FILE)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the directory's lock; a second command that starts or stops the engine gets an EngineError immediately."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (path / "lock").open("w")
    except OSError as error:
        raise EngineError(
            f"the state directory {path} cannot be used: {error}\nChoose another with --state or WEAUDIT_STATE_DIR."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EngineError(
                f"another weaudit command is starting or stopping the engine of {path}\nTry again when it has finished."
            ) from error
        yield


def identity(pid: int) -> str:
    """Return when the process ``pid`` started if it is an engine, else "" (gone, a zombie, or another program)."""
    proc = Path(f"/proc/{pid}")
    try:
        if Path("/proc/self/stat").exists():
            fields = (proc / "stat").read_text().rpartition(")")[2].split()
            command = (proc / "cmdline").read_bytes()
            # Z: a zombie. If another process has an empty command line, its program is just being replaced.
            return "" if fields[0] in "ZX" or (command and b"ministack" not in command) else fields[19]
        shown = subprocess.run(  # noqa: S603  (a number is the only variable part)
            ["/bin/ps", "-o", "lstart=,command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        return shown[:24] if "ministack" in shown else ""
    except (OSError, IndexError):
        return ""

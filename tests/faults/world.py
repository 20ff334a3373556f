"""An engine with the stack on it, whose functions reach their stores through a proxy that can fail them."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.commands import client, run
from tests.e2e.fault_proxies import FaultProxy, point_function_at
from weaudit.functions import FUNCTIONS
from weaudit.installation import engine_state
from weaudit.installation.engine_state import EngineState
from weaudit.local import engine, process

# A message that an outage brought back is seen again after so long, not after the minutes of the template.
_IMAGES_SEEN_AGAIN_S = 5
_IMAGES_QUEUE = "weaudit-images-dev"


class World:
    """One engine of its own in ``folder``; commands of this process and of its children find it.

    Every choice that is left to chance follows from ``seed``.
    """

    def __init__(self, folder: Path, *, seed: int = 9, proxied: bool = True) -> None:
        self.folder = folder
        self.seed = seed
        self.proxy: FaultProxy | None = None
        self._proxied = proxied
        self._hidden = {
            name: os.environ.pop(name) for name in list(os.environ) if name.startswith(("AWS_", "WEAUDIT_"))
        }
        os.environ["WEAUDIT_STATE_DIR"] = str(folder)
        os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

    def __enter__(self) -> "World":
        self.up(port=process.free_port())
        if self._proxied:
            self.proxy = FaultProxy(self.state.endpoint, self.seed)
            self.point_at(self.proxy.endpoint)
        return self

    def __exit__(self, *_: object) -> None:
        if self.proxy is not None:
            self.proxy.stop()
        with contextlib.suppress(Exception):
            engine.down(state_dir=self.folder, force=True)
        for name in [name for name in os.environ if name.startswith(("AWS_", "WEAUDIT_"))]:
            del os.environ[name]
        os.environ.update(self._hidden)

    @property
    def state(self) -> EngineState:
        """Where the engine is."""
        return engine.find(state_dir=self.folder)

    def up(self, port: int | None = None) -> None:
        """Start the engine; a queue shows what was taken and not done after seconds."""
        engine.up(port=port, state_dir=self.folder)
        queues = client("sqs")
        url = queues.get_queue_url(QueueName=_IMAGES_QUEUE)["QueueUrl"]
        queues.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(_IMAGES_SEEN_AGAIN_S)})

    def chance(self, kind: str) -> random.Random:
        """Return what chooses for a kind of fault: the same choices with the same seed, whatever ran before."""
        return random.Random(f"{self.seed} {kind}")  # noqa: S311 no secret

    def point_at(self, endpoint: str) -> None:
        """Give every function's alias a version that reaches its stores there."""
        for function in FUNCTIONS:
            alias = "learn" if function.trigger == "stream" else "live"
            point_function_at(function.deployed_as("", "dev"), alias, endpoint)

    @contextlib.contextmanager
    def failing(self, rules: list[dict[str, Any]]) -> Iterator[dict[str, int]]:
        """Let the proxy fail by these rules; afterwards the counter holds how often it did, by what it did."""
        assert self.proxy is not None
        counted: dict[str, int] = {}
        before = self._fired()
        self.proxy.ask("rules", rules)
        try:
            yield counted
        finally:
            self.proxy.ask("rules", [])
            after = self._fired()
            counted.update({name: number - before.get(name, 0) for name, number in after.items()})

    def _fired(self) -> dict[str, int]:
        assert self.proxy is not None
        # Counted by the proxy itself; its list of what fired forgets the oldest.
        return {str(one["id"]): int(one["fired"]) for one in self.proxy.ask("stats")["by_rule"]}

    def workers(self) -> dict[int, str]:
        """Return the processes that run functions, by number, with the function's name; none while no engine is up."""
        found: dict[int, str] = {}
        running = engine_state.running(self.folder)
        if running is None:
            return found
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                if int((path / "stat").read_text().rpartition(")")[2].split()[1]) != running.pid:
                    continue
                words = (path / "environ").read_bytes().split(b"\0")
                names = [
                    word.partition(b"=")[2].decode() for word in words if word.startswith(b"AWS_LAMBDA_FUNCTION_NAME=")
                ]
                found[int(path.name)] = names[0]
        return found

    def kill_workers(self, until: float, every_s: float, chance: random.Random) -> int:
        """Kill a process of one function or another until then (time.monotonic), about so often; return how many."""
        killed = 0
        while time.monotonic() < until:
            workers = self.workers()
            if workers:
                chosen = chance.choice(sorted(set(workers.values())))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(next(pid for pid, function in workers.items() if function == chosen), signal.SIGKILL)
                    killed += 1
            time.sleep(every_s * chance.uniform(0.5, 1.5))
        return killed


def try_again() -> None:
    """Do what an operator does after an outage: hand the events that were given up over once more."""
    run("failed-events", "--retry", "--json")

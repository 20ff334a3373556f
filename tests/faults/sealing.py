"""The sealer, stopped at every write: refused, unanswered, killed, late, and with another one beside it.

The log has to be whole whatever happens, and hold every row once: each run that was stopped is followed by one that is
not, and nothing of it may be lost or doubled.
"""

import contextlib
import json
import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.e2e import ledgers
from tests.e2e.commands import client, eventually, run
from tests.faults.reports import Line
from tests.faults.work import Expected, Round
from tests.faults.world import World
from weaudit.functions import FUNCTIONS
from weaudit.installation.outputs import Installation

Rules = list[dict[str, Any]]
_SEALER = next(function for function in FUNCTIONS if function.name == "ledger_sealer").deployed_as()
_ROWS = 30  # of each run: the bundles get full in the course of it

# Of each write: what happens to one attempt, or to every one from it on, so that trying again does not help. Where the
# process is killed, that is while a request is held or after its answer was lost; one that is held may arrive when its
# sender is gone.
HAPPENINGS: dict[str, dict[str, Any]] = {
    "refused once": {"reset": True, "times": 1},
    "refused": {"reset": True},
    "done, unanswered once": {"response": {"abort_bytes": 0}, "times": 1},
    "done, unanswered": {"response": {"abort_bytes": 0}},
    "never arrives": {"timeout_ms": 1500},
    "arrives later": {"latency": {"dist": "uniform", "min": 700, "max": 700}, "times": 1},
}
_WRITES = range(6)
"""The signature; then, as they are put, the commit, a bundle, a tile, the archived checkpoint and the hint. Where a
bundle gets full there are two more between."""
Tries = Sequence[tuple[str, int]]
"""What happens, and to which write."""
EFFECTS: Tries = [(what, place) for place in _WRITES for what in list(HAPPENINGS)[:4]]
DEADLY: Tries = [(what, place) for place in _WRITES for what in list(HAPPENINGS)[3:]]


class Sealing(Round):
    """Writes rows and has them sealed, on an engine whose clock does not."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(name, [])
        self.injected = 0
        self._world = world
        installation = Installation.find()
        self._bucket, self._table = installation.ledger_bucket, installation.outputs["AuditLogsTableName"]
        self._rows: list[str] = []

    def write(self, count: int = _ROWS) -> None:
        """Write rows that are new."""
        ids = [f"{self.name}-{uuid.uuid4()}" for _ in range(count)]
        requests = [{"PutRequest": {"Item": {"log_id": {"S": one}, "timestamp": {"S": "2024"}}}} for one in ids]
        for at in range(0, count, 25):
            client("dynamodb").batch_write_item(RequestItems={self._table: requests[at : at + 25]})
        self._rows += ids

    def call(self) -> dict[str, Any] | None:
        """Run the sealer; None if it failed."""
        answer = client("lambda").invoke(FunctionName=f"{_SEALER}:live", Payload=b"{}")
        found = json.loads(answer["Payload"].read())
        return None if "FunctionError" in answer else found

    def completed(self, what: str) -> None:
        """Run the sealer without faults: it has to succeed, and leave nothing."""
        found = self.call()
        if found is None or found["behind"] or found["findings"]:
            self.problems.append(f"after {what}: {found}")

    def failing(self, place: int, effect: dict[str, Any], called: Callable[[], object]) -> int:
        """Have the sealer called while its writes from this one on, or its signature, fail; return how many did."""
        before = self._fired()
        with self._world.failing(self.rules(place, effect)):
            called()
        number = self._fired() - before
        self.injected += number
        return number

    def _fired(self) -> int:
        assert self._world.proxy is not None
        stats = self._world.proxy.ask("stats")
        # What a rule let through, it only matched.
        return sum(int(one["fired"]) for one in stats["by_rule"] if one["describe"] != "match")

    def rules(self, place: int, effect: dict[str, Any]) -> Rules:
        """Return the rules by which the write at this place fails: the first ones are let through."""
        if place == 0:
            return [{"service": "kms", "operation": "Sign", **effect}]
        puts: dict[str, Any] = {"service": "s3", "operation": "PutObject", "resource": self._bucket}
        past = [{**puts, "times": place - 1, "latency": {"dist": "uniform", "min": 0, "max": 0}}] if place > 1 else []
        return [*past, {**puts, **effect}]

    def killed(self) -> None:
        """Call the sealer, and kill it as soon as a request of it was failed."""
        before = self._fired()
        calling = threading.Thread(target=self.call)
        calling.start()
        with contextlib.suppress(AssertionError):
            eventually(lambda: self._fired() > before or not calling.is_alive(), 20)
        self.kill()
        calling.join()

    def kill(self) -> None:
        """Kill every process of the sealer."""
        for pid, function in self._world.workers().items():
            if function == _SEALER:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def expected(self) -> Expected:
        """Return how often each row has to be in the log."""
        return {"ledger": Counter(self._rows)}

    def found(self) -> Expected:
        """Return how often each row is in the log."""
        entries = ledgers.log(self._bucket)
        return {"ledger": Counter(one["id"] for one in entries if str(one.get("id", "")).startswith(self.name))}

    def line(self, kind: str, began: float) -> Line:
        """Return what came of it: the rows are compared with the log, and the log with all that was ever signed."""
        self.problems += ledgers.faults(self._bucket)
        return Line(kind, self.injected, self.count(), is_whole(), time.monotonic() - began, tuple(self.problems))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Stop the clock that calls the sealer."""
    events = client("events")
    [rule] = [rule["Name"] for rule in events.list_rules()["Rules"] if rule["Name"].endswith("-seal")]
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)


def is_whole() -> bool:
    """Say what `weaudit verify --ledger` says."""
    return run("verify", "--ledger", "--json")[0] == 0


def stopped(world: World, rounds: list[Round], tries: Tries = EFFECTS) -> Line:
    """Fail each write of a run, in each way, and let the next run complete it."""
    return _tried(world, rounds, "each write of the sealer", tries, Sealing.call)


def killed(world: World, rounds: list[Round], tries: Tries = DEADLY) -> Line:
    """Kill the sealer at each write, before and after, and let the next process complete it."""
    return _tried(world, rounds, "the sealer killed at each write", tries, Sealing.killed)


def _tried(world: World, rounds: list[Round], kind: str, tries: Tries, call: Callable[[Sealing], object]) -> Line:
    began = time.monotonic()
    sealing = Sealing(world, kind.replace(" ", "-"))
    rounds.append(sealing)
    with _quiet():
        sealing.completed("what came before")
        for what, place in tries:
            effect = HAPPENINGS[what]
            sealing.write()
            if not sealing.failing(place, effect, lambda: call(sealing)):
                sealing.problems.append(f"{what}, at {place}: no such request came")
            sealing.completed(f"{what}, at {place}")
        return sealing.line(kind, began)


def crowded(world: World, rounds: list[Round], count: int) -> Line:
    """Run several sealers at one time behind a network that fails, and kill some."""
    began = time.monotonic()
    kind = "sealers beside each other"
    sealing, chance = Sealing(world, kind.replace(" ", "-")), world.chance(kind)
    rounds.append(sealing)
    faults = [
        {"service": "s3", "resource": sealing._bucket, "probability": 0.08, "reset": True},
        {"service": "s3", "operation": "PutObject", "probability": 0.15, "response": {"abort_bytes": 0}},
        {"service": "s3", "probability": 0.05, "error": {"code": "SlowDown", "status": 503}},
        {"service": "s3", "probability": 0.3, "latency": {"dist": "uniform", "min": 10, "max": 120}},
        {"service": "kms", "probability": 0.2, "error": {"code": "KMSInternalException", "status": 500}},
    ]
    with _quiet():
        with world.failing(faults) as fired:
            for number in range(count):
                sealing.write(10)
                calls = [threading.Thread(target=sealing.call) for _ in range(3)]
                for call in calls:
                    call.start()
                    time.sleep(chance.uniform(0, 0.05))
                if number % 3 == 0:
                    sealing.kill()
                    sealing.injected += 1
                for call in calls:
                    call.join()
        sealing.injected += sum(fired.values())
        sealing.completed("all of it")
        return sealing.line(kind, began)


KINDS: dict[str, Callable[..., Line]] = {
    "each write of the sealer": lambda world, _pictures, rounds, _count: stopped(world, rounds),
    "the sealer killed at each write": lambda world, _pictures, rounds, _count: killed(world, rounds),
    "sealers beside each other": lambda world, _pictures, rounds, count: crowded(world, rounds, count),
}

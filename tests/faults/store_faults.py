"""Faults between a function and its stores: what a network and an overloaded service do."""

import time
from collections.abc import Callable
from typing import Any

from tests.faults.reports import Line
from tests.faults.work import Round, is_whole
from tests.faults.world import World, try_again

_WRITES = (
    ("dynamodb", "BatchWriteItem"),
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "PutItem"),
    ("s3", "PutObject"),
)


def _both(**effect: Any) -> list[dict[str, Any]]:
    return [{"service": service, **effect} for service in ("dynamodb", "s3")]


def _writes(**effect: Any) -> list[dict[str, Any]]:
    return [{"service": service, "operation": operation, **effect} for service, operation in _WRITES]


def _errors(dynamodb: str, s3: str, status: int, *, dynamodb_status: int | None = None) -> list[dict[str, Any]]:
    return [
        {"service": "dynamodb", "probability": 0.25, "error": {"code": dynamodb, "status": dynamodb_status or status}},
        {"service": "s3", "probability": 0.25, "error": {"code": s3, "status": status}},
    ]


RULES: dict[str, list[dict[str, Any]]] = {
    "throttled": _errors("ProvisionedThroughputExceededException", "SlowDown", 503, dynamodb_status=400),
    "error 500": _errors("InternalServerError", "InternalError", 500),
    "error 503": _errors("ServiceUnavailable", "ServiceUnavailable", 503),
    "connection reset": _both(probability=0.2, reset=True),
    # Longer than the client waits (Connection.read_s), and shorter with an error at the end.
    "no answer in time": [*_both(times=2, timeout_ms=5600), *_both(probability=0.15, timeout_ms=150)],
    "slow": _both(probability=0.4, latency={"dist": "uniform", "min_ms": 100, "max_ms": 900}),
    "reply lost after a write": _writes(probability=0.3, response={"abort_bytes": 0}),
    "reply cut short": _both(probability=0.2, response={"truncate_bytes": 7}),
    "each write refused once": _writes(sequence={"fail": 1, "pass": 1}, reset=True),
    "each write done, unanswered": _writes(sequence={"fail": 1, "pass": 1}, response={"abort_bytes": 0}),
}


def run(world: World, kind: str, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Do mixed work while the stores fail in this way; what came of it."""
    began = time.monotonic()
    one = Round(kind.replace(" ", "_").replace(",", ""), pictures, count=count)
    rounds.append(one)
    with world.failing(RULES[kind]) as fired:
        one.work()
        # The faults go on while what was done arrives: what cannot get through in this time waits for their end.
        one.waited(15)
    found = one.settled(helping=try_again)
    return Line(kind, sum(fired.values()), found, is_whole(), time.monotonic() - began, tuple(one.problems))


def kinds() -> dict[str, Callable[..., Line]]:
    """Return what can be run, by name."""

    def one(kind: str) -> Callable[..., Line]:
        return lambda *arguments: run(arguments[0], kind, *arguments[1:])

    return {kind: one(kind) for kind in RULES}

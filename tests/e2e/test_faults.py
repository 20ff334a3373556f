"""Nothing is lost or doubled behind a store that throttles, resets and swallows replies."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import client, verified
from tests.e2e.writers import Writers, audited
from weaudit.local import engine, process

pytestmark = pytest.mark.engine
CHANGES = 2_000

# To each write of the producer: 20 % throttled, 5 % written and the reply cut off, 5 % reset before it arrives.
RULES = [
    {
        "service": "dynamodb",
        "operation": "BatchWriteItem",
        "probability": 0.2,
        "error": {"code": "ProvisionedThroughputExceededException"},
    },
    {"service": "dynamodb", "operation": "BatchWriteItem", "probability": 0.05, "response": {"abort_bytes": 0}},
    {"service": "dynamodb", "operation": "BatchWriteItem", "probability": 0.05, "reset": True},
]


class FaultProxy:
    """microburst, between the functions and the engine."""

    def __init__(self, upstream: str) -> None:
        self.endpoint = f"http://127.0.0.1:{process.free_port()}"
        self._process = subprocess.Popen(
            [
                Path(sys.executable).with_name("microburst"),
                *("--upstream", upstream, "--host", "127.0.0.1", "--port", self.endpoint.rpartition(":")[2]),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, path: str, document: Any = None) -> Any:
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(  # noqa: S310 the proxy of this test
            f"{self.endpoint}/_microburst/{path}", data, {"Content-Type": "application/json"}
        )
        for attempt in range(100):
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 likewise
                    return json.loads(answer.read() or b"null")
            except OSError:
                if attempt == 99 or self._process.poll() is not None:
                    raise
                time.sleep(0.1)
        raise AssertionError("not reached")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)


@pytest.fixture
def proxy(state_dir: Path) -> Iterator[FaultProxy]:
    """A stack of this test's own whose function reaches its stores through the proxy."""
    faults = FaultProxy(engine.find(state_dir=state_dir).endpoint)
    try:
        faults.ask("rules", RULES)
        _point_function_at(faults.endpoint)
        yield faults
    finally:
        faults.stop()


def _point_function_at(endpoint: str) -> None:
    """Give the alias a version of the function that talks to the proxy: its environment wins over the engine's."""
    functions = client("lambda")
    variables = functions.get_function_configuration(FunctionName="audit_producer")["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName="audit_producer", Environment={"Variables": {**variables, "AWS_ENDPOINT_URL": endpoint}}
    )
    version = functions.publish_version(FunctionName="audit_producer")["Version"]
    functions.update_alias(FunctionName="audit_producer", Name="learn", FunctionVersion=version)


def test_every_change_is_recorded_exactly_once_behind_a_store_that_fails(proxy: FaultProxy) -> None:
    writers = Writers(client("dynamodb"), {"Configuration": "key"}, items=200)
    writers.write(CHANGES)
    deadline = time.monotonic() + 180
    while (found := audited(writers.client)) != writers.written and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found == writers.written
    fired = proxy.ask("fired")
    # Each kind of fault did happen: what held, held under all of them.
    assert {str(one["rule_id"]) for one in fired} == {"1", "2", "3"}
    assert len(fired) > 10
    assert verified()["whole"]

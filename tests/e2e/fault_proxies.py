"""A proxy between a function and the engine that throttles, resets, and swallows replies."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.commands import client
from weaudit.local import process


def rules(operation: str) -> list[dict[str, Any]]:
    """Return faults for an operation: 20 % throttled, 5 % done and the reply cut off, 5 % reset before it arrives."""
    matched = {"service": "dynamodb", "operation": operation}
    return [
        {**matched, "probability": 0.2, "error": {"code": "ProvisionedThroughputExceededException"}},
        {**matched, "probability": 0.05, "response": {"abort_bytes": 0}},
        {**matched, "probability": 0.05, "reset": True},
    ]


class FaultProxy:
    """microburst, between the functions and the engine; which requests it fails follows from ``seed``."""

    def __init__(self, upstream: str, seed: int = 9) -> None:
        self.endpoint = f"http://127.0.0.1:{process.free_port()}"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", Path(__file__).with_name("seeded_microburst.py"), str(seed)),
                *("--upstream", upstream, "--host", "127.0.0.1", "--port", self.endpoint.rpartition(":")[2]),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, path: str, document: Any = None) -> Any:
        """Ask the proxy itself; waits until it is up."""
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

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the proxy."""
        self._process.terminate()
        self._process.wait(timeout=30)


def point_function_at(name: str, alias: str, endpoint: str) -> None:
    """Give the alias a version of the function that talks to the proxy: its environment wins over the engine's."""
    functions = client("lambda")
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**variables, "AWS_ENDPOINT_URL": endpoint}}
    )
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name=alias, FunctionVersion=version)

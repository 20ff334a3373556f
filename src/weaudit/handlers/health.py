"""GET /v1/health: which release is running, and whether its tables are available. It reads no data."""

from __future__ import annotations

import time

from weaudit import __version__
from weaudit.api import health, queries, requests
from weaudit.aws.client import DynamoDB
from weaudit.aws.connections import Connection
from weaudit.errors import StoreError
from weaudit.runtime import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the store: STACK_TABLES, names separated by commas, and RELEASE, the name of the deployed release."""
    connection = Connection.from_environment("dynamodb", environment)
    # A table that does not respond is a finding to report, so do not wait for it long.
    connection.deadline_s, connection.attempts = 2.0, 2
    names = [name.strip() for name in environment.get("STACK_TABLES", "").split(",")]
    return {
        "call": DynamoDB(connection).call,
        "tables": [name for name in names if name],
        "release": environment.get("RELEASE", ""),
    }


def handle(
    event: Any,
    *,
    call: Callable[[str, dict[str, Any]], dict[str, Any]],
    tables: list[str],
    release: str,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> tuple[int, dict[str, Any]]:
    """Return the stack's version and state. Raises RequestError; a store's error becomes part of the response."""
    request = requests.parse(event)
    queries.asked(request.route, request.path, request.query, "health")
    states = {}
    for name in tables:
        try:
            states[name] = str(call("DescribeTable", {"TableName": name})["Table"]["TableStatus"])
        except StoreError as error:
            logs.write("ERROR", "a table of the stack cannot be reached", table=name, why=str(error))
            states[name] = health.state_behind(error)
    return 200, health.document(states, __version__, release, now_ms())

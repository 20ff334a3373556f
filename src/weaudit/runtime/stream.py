"""Runs a handler that reads a DynamoDB stream.

The policy for failures (docs/decisions/0006-failures.md): a retriable error is raised, so the batch is delivered again.
The handler quarantines a record that can never succeed, and the shard moves on.
"""

from __future__ import annotations

import gc
import os
import time

from weaudit.errors import WeauditError
from weaudit.runtime import logs, metrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class StreamHandler(Protocol):
        """A module of ``weaudit.handlers``."""

        def connect(self, environment: Any, /) -> dict[str, Any]:
            """Build the stores from environment variables, once for each execution environment."""

        def handle(self, event: Any, /, **stores: Any) -> dict[str, Any]:
            """Handle a batch; return the fields to log."""


# A batch is many thousands of small objects without a cycle. Python's default is to look for cycles after each 700 new
# ones, which takes up to a tenth of a batch's CPU.
_NEW_OBJECTS_BEFORE_A_SEARCH = 50_000


def entry_point(handler: StreamHandler) -> Callable[[Any, Any], dict[str, Any]]:
    """Return the ``lambda_handler`` of a function, and build its stores now, while Lambda starts it."""
    stores = handler.connect(os.environ)
    gc.set_threshold(_NEW_OBJECTS_BEFORE_A_SEARCH)

    def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
        request_id = getattr(context, "aws_request_id", "")
        logs.begin(requestId=request_id)
        try:
            summary = handler.handle(event, **stores)
        except WeauditError as error:
            logs.write(
                "ERROR", "batch failed and will come again", requestId=request_id, code=error.code, why=str(error)
            )
            raise
        metrics.write("batch done", requestId=request_id, **summary, batches=1, **_lag(event))
        return summary

    return lambda_handler


def _lag(event: Any) -> dict[str, int]:
    """Return the age of a batch's last change in milliseconds, or no field if the event has no time.

    Stream times are whole seconds, so the lag is up to one second too long.
    """
    try:
        made_s = event["Records"][-1]["dynamodb"]["ApproximateCreationDateTime"]
        return {"lagMs": max(0, time.time_ns() // 1_000_000 - round(made_s * 1000))}
    except (IndexError, KeyError, OverflowError, TypeError, ValueError):
        return {}

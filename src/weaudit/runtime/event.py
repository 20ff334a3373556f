"""Runs a handler that Lambda calls asynchronously, with an event of S3 or EventBridge; the response is discarded.

The policy for failures (docs/decisions/0006-failures.md): a retriable error is raised, so Lambda retries twice and then
sends the event to the failure destination. The handler quarantines what can never succeed.
"""

from __future__ import annotations

import os

from weaudit.errors import WeauditError
from weaudit.runtime import logs, metrics
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class EventHandler(Protocol):
        """A module of ``weaudit.handlers``."""

        def connect(self, environment: Any, /) -> dict[str, Any]:
            """Build the stores from environment variables, once for each execution environment."""

        def handle(self, event: Any, invocation: Invocation, /, **stores: Any) -> tuple[Any, dict[str, Any]]:
            """Handle an event; return the response, and the fields to log."""


@value
class Invocation:
    """One invocation of a function. ``remaining_ms`` returns how many milliseconds are left until Lambda stops it."""

    function_name: str
    request_id: str
    remaining_ms: Callable[[], int]

    @classmethod
    def of(cls, context: Any) -> Invocation:
        """Return the invocation of Lambda's context object; without one (a direct call), it has Lambda's 15 minutes.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
        """
        return cls(
            str(getattr(context, "function_name", "")),
            str(getattr(context, "aws_request_id", "")),
            getattr(context, "get_remaining_time_in_millis", lambda: 900_000),
        )


def entry_point(handler: EventHandler) -> Callable[[Any, Any], Any]:
    """Return the ``lambda_handler`` of a function, and build its stores now, while Lambda starts it."""
    stores = handler.connect(os.environ)

    def lambda_handler(event: Any, context: Any) -> Any:
        invocation = Invocation.of(context)
        logs.begin(requestId=invocation.request_id)
        try:
            response, fields = handler.handle(event, invocation, **stores)
        except WeauditError as error:
            logs.write(
                "ERROR",
                "event failed and will come again",
                requestId=invocation.request_id,
                code=error.code,
                why=str(error),
            )
            raise
        metrics.write("event done", requestId=invocation.request_id, **fields)
        return response

    return lambda_handler

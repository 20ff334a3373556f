"""How Lambda calls a function asynchronously: S3 and EventBridge hand an event over, and nobody reads the answer.

The policy for failures (docs/decisions/0006-failures.md): an error that may pass is raised, so Lambda tries again,
twice, and then hands the event to the failure destination; what never can be done is quarantined by the handler.
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
            """Build the stores from the environment's variables, once for each execution environment."""

        def handle(self, event: Any, invocation: Invocation, /, **stores: Any) -> tuple[Any, dict[str, Any]]:
            """Handle an event; return the answer, and what there is to log of it."""


@value
class Invocation:
    """One call of a function by Lambda. ``remaining_ms`` tells how many milliseconds are left until Lambda ends it."""

    function_name: str
    request_id: str
    remaining_ms: Callable[[], int]

    @classmethod
    def of(cls, context: Any) -> Invocation:
        """Return what Lambda's context object says. Without one (a direct call) there are 15 minutes, Lambda's most.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
        """
        return cls(
            str(getattr(context, "function_name", "")),
            str(getattr(context, "aws_request_id", "")),
            getattr(context, "get_remaining_time_in_millis", lambda: 900_000),
        )


def entry_point(handler: EventHandler) -> Callable[[Any, Any], Any]:
    """Return the ``lambda_handler`` of a function; its stores are built now, while Lambda starts it."""
    stores = handler.connect(os.environ)

    def lambda_handler(event: Any, context: Any) -> Any:
        invocation = Invocation.of(context)
        logs.begin(requestId=invocation.request_id)
        try:
            answer, fields = handler.handle(event, invocation, **stores)
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
        return answer

    return lambda_handler

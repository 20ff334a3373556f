"""How Lambda calls a function that answers a request: through API Gateway, or directly with the bare document."""

from __future__ import annotations

import json
import os

from weaudit.runtime import logs

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable
    from typing import Any, Protocol

    class RequestHandler(Protocol):
        """A module of ``weaudit.handlers``."""

        def connect(self, environment: Any, /) -> dict[str, Any]:
            """Build the stores from the environment's variables, once for each execution environment."""

        def handle(self, event: Any, /, **stores: Any) -> tuple[int, dict[str, Any]]:
            """Answer a request: the HTTP status, and the document."""


_HEADERS = {"content-type": "application/json", "cache-control": "no-store"}


def entry_point(handler: RequestHandler) -> Callable[[Any, Any], dict[str, Any]]:
    """Return the ``lambda_handler`` of a function; its stores are built now, while Lambda starts it.

    A direct call gets the bare document, a request of API Gateway its status and headers around it.
    """
    stores = handler.connect(os.environ)

    def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
        status, document = handler.handle(event, **stores)
        request_id = getattr(context, "aws_request_id", "")
        logs.write("INFO", "answered", requestId=request_id, status=status, error=document.get("error"))
        if not (isinstance(event, dict) and isinstance(event.get("requestContext"), dict)):
            return document
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return {"statusCode": status, "headers": dict(_HEADERS), "body": body, "isBase64Encoded": False}

    return lambda_handler

"""Runs a handler of requests, which arrive through API Gateway, or in a direct call as the bare document."""

from __future__ import annotations

import os
import time
from hashlib import sha256

from weaudit.api import answers
from weaudit.items.texts import compact
from weaudit.runtime import logs, metrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    Response = tuple[int, Any] | tuple[int, Any, dict[str, str]]

    class RequestHandler(Protocol):
        """A module of ``weaudit.handlers``."""

        def connect(self, environment: Any, /) -> dict[str, Any]:
            """Build the stores from environment variables, once for each execution environment."""

        def handle(self, event: Any, /, **stores: Any) -> Response:
            """Return the response to a request: HTTP status, document, and headers of its own, if any.

            The document is plain JSON, in which numbers may also be items.plain.Number, and parts items.texts.Written.
            A response with its own ``cache-control`` gets an ETag. An error that is raised becomes an error response.
            """


_HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


def entry_point(handler: RequestHandler) -> Callable[[Any, Any], Any]:
    """Return the ``lambda_handler`` of a function, and build its stores now, while Lambda starts it.

    A direct call gets the bare document. API Gateway gets it with status and headers; the header ``x-request-id`` is
    the id under which the log has the lines of this call.
    """
    stores = handler.connect(os.environ)

    def lambda_handler(event: Any, context: Any) -> Any:
        request_id = getattr(context, "aws_request_id", "")
        over_http = answers.is_request(event)
        fields: dict[str, Any] = {"requestId": request_id}
        if over_http:
            # The id of the request in API Gateway's own response header and access log.
            api_context = event.get("requestContext")
            known = api_context if isinstance(api_context, dict) else {}
            fields["apiRequestId"] = str(known.get("requestId") or "")
            fields["route"] = str(event.get("routeKey") or event.get("resource") or "")
        logs.begin(**fields)
        headers: dict[str, str] = {}
        try:
            status, document, *rest = handler.handle(event, **stores)
            headers = rest[0] if rest else {}
        except Exception as error:  # noqa: BLE001 every error has a response; only the log has its cause
            status, document = answers.failure(error, time.time_ns() // 1_000_000)
            if status >= 500:
                logs.write("ERROR", "request failed", **fields, why=logs.cause(error))
        error_code = document.get("error") if status >= 400 else None
        metrics.write(
            "answered", **fields, status=status, error=error_code, answers=1, statusClass=f"{status // 100}xx"
        )
        if not over_http:
            return document
        return _response(event, status, compact(document), {**_HEADERS, "x-request-id": request_id, **headers})

    return lambda_handler


def _response(event: dict[str, Any], status: int, body: str, headers: dict[str, str]) -> dict[str, Any]:
    if headers["cache-control"] != _HEADERS["cache-control"]:
        headers["etag"] = f'"{sha256(body.encode()).hexdigest()[:32]}"'
        # https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
        given = event.get("headers")
        sent = given if isinstance(given, dict) else {}
        known = next((str(v) for k, v in sent.items() if str(k).lower() == "if-none-match"), "")
        if headers["etag"] in known or known.strip() == "*":
            del headers["content-type"]
            status, body = 304, ""
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}

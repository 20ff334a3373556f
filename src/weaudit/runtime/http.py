"""How Lambda calls a function that answers a request: through API Gateway, or directly with the bare document."""

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

    Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]

    class RequestHandler(Protocol):
        """A module of ``weaudit.handlers``."""

        def connect(self, environment: Any, /) -> dict[str, Any]:
            """Build the stores from the environment's variables, once for each execution environment."""

        def handle(self, event: Any, /, **stores: Any) -> Answer:
            """Answer a request: the HTTP status, the document, and headers of its own where it has some.

            The document is plain JSON, its numbers also plain_values.Number, parts of it json_texts.Written. An answer
            with a ``cache-control`` of its own gets an ETag. What it raises is answered in the one shape of errors.
            """


_HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


def entry_point(handler: RequestHandler) -> Callable[[Any, Any], Any]:
    """Return the ``lambda_handler`` of a function; its stores are built now, while Lambda starts it.

    A direct call gets the bare document, a request of API Gateway its status and headers around it; among them is
    ``x-request-id``, by which the log has the lines of this call.
    """
    stores = handler.connect(os.environ)

    def lambda_handler(event: Any, context: Any) -> Any:
        request_id = getattr(context, "aws_request_id", "")
        over_http = answers.is_request(event)
        fields: dict[str, Any] = {"requestId": request_id}
        if over_http:
            # What API Gateway's own header and access log name the request by.
            told = event.get("requestContext")
            fields["apiRequestId"] = str((told if isinstance(told, dict) else {}).get("requestId") or "")
            fields["route"] = str(event.get("routeKey") or event.get("resource") or "")
        logs.begin(**fields)
        headers: dict[str, str] = {}
        try:
            status, document, *rest = handler.handle(event, **stores)
            headers = rest[0] if rest else {}
        except Exception as error:  # noqa: BLE001 every error has its answer; the cause is for the log
            status, document = answers.failure(error, time.time_ns() // 1_000_000)
            if status >= 500:
                logs.write("ERROR", "request failed", **fields, why=logs.cause(error))
        error_code = document.get("error") if status >= 400 else None
        metrics.write(
            "answered", **fields, status=status, error=error_code, answers=1, statusClass=f"{status // 100}xx"
        )
        if not over_http:
            return document
        return _answer(event, status, compact(document), {**_HEADERS, "x-request-id": request_id, **headers})

    return lambda_handler


def _answer(event: dict[str, Any], status: int, body: str, headers: dict[str, str]) -> dict[str, Any]:
    if headers["cache-control"] != _HEADERS["cache-control"]:
        headers["etag"] = f'"{sha256(body.encode()).hexdigest()[:32]}"'
        # https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
        given = event.get("headers")
        told = given if isinstance(given, dict) else {}
        known = next((str(v) for k, v in told.items() if str(k).lower() == "if-none-match"), "")
        if headers["etag"] in known or known.strip() == "*":
            del headers["content-type"]
            status, body = 304, ""
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}

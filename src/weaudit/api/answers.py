"""How the API answers: whom with status and headers, the one shape of errors, and what may be kept by whoever asked."""

from __future__ import annotations

from weaudit.errors import DatabaseError, RequestError
from weaudit.items.times import iso_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEPT_FOR_EVER = "private, max-age=31536000, immutable"
"""The Cache-Control of what can never be another answer."""

# What a request has and a direct call's document has not.
_OF_A_REQUEST = ("body", "httpMethod", "routeKey")
_OF_A_DOCUMENT = ("id", "attributes")


def is_request(event: Any) -> bool:
    """Say whether an event is an HTTP request, answered with a status, and not the bare document of a direct call.

    API Gateway always gives a request context; a request written by hand, to try a function, may be without one.
    """
    if not isinstance(event, dict):
        return False
    if isinstance(event.get("requestContext"), dict):
        return True
    return any(name in event for name in _OF_A_REQUEST) and not any(name in event for name in _OF_A_DOCUMENT)


def failure(error: Exception, now_ms: int) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the document of any error; what is not the request's fault becomes DatabaseError."""
    told = error if isinstance(error, RequestError) else DatabaseError("The request could not be answered")
    return told.status, {
        "success": False,
        "error": told.code,
        "message": str(told),
        "details": dict(told.details),
        "timestamp": iso_time(now_ms),
    }

"""The API's responses: which events get an HTTP status, the one shape of errors, and what clients may cache."""

from __future__ import annotations

from weaudit.errors import DatabaseError, RequestError
from weaudit.items.times import iso_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEPT_FOR_EVER = "private, max-age=31536000, immutable"
"""The Cache-Control of a response that can never change."""

# Fields that an HTTP request has and the document of a direct call does not, and the reverse.
_OF_A_REQUEST = ("body", "httpMethod", "routeKey")
_OF_A_DOCUMENT = ("id", "attributes")


def is_request(event: Any) -> bool:
    """Return whether an event is an HTTP request, and not the bare document of a direct call.

    API Gateway always adds a request context. A request written by hand, to try a function, may have none.
    """
    if not isinstance(event, dict):
        return False
    if isinstance(event.get("requestContext"), dict):
        return True
    return any(name in event for name in _OF_A_REQUEST) and not any(name in event for name in _OF_A_DOCUMENT)


def failure(error: Exception, now_ms: int) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the response body of an error; DatabaseError unless the request is at fault."""
    reported = error if isinstance(error, RequestError) else DatabaseError("The request could not be answered")
    return reported.status, {
        "success": False,
        "error": reported.code,
        "message": str(reported),
        "details": dict(reported.details),
        "timestamp": iso_time(now_ms),
    }

"""How the API answers: the one shape of errors, and what may be kept by whoever asked."""

from __future__ import annotations

from weaudit.domain.times import iso_time
from weaudit.errors import DatabaseError, RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from typing import Any

KEPT_FOR_EVER = "private, max-age=31536000, immutable"
"""The Cache-Control of what can never be another answer."""


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

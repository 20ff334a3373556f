"""The response to an update (docs/updating.md)."""

from __future__ import annotations

from weaudit.api import answers
from weaudit.errors import DatabaseError, RecordRejectedError, RequestError, StoreError, ValidationError
from weaudit.items.times import iso_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def success(record_id: str, names: list[str], now_ms: int) -> dict[str, Any]:
    """Return the response body of a successful update."""
    return {
        "success": True,
        "message": "Record updated successfully",
        "updated_id": record_id,
        "updated_attributes": names,
        "timestamp": iso_time(now_ms),
    }


def failure(error: Exception, now_ms: int) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the response body of an error; DatabaseError unless the request is at fault."""
    return answers.failure(_request_error(error), now_ms)


def _request_error(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, RecordRejectedError):
        # The text is operation, code and status, then DynamoDB's reason unless that quotes values.
        reason = str(error).partition("): ")[2]
        if not reason:
            return ValidationError("The database does not take these values, or this condition for this record")
        return ValidationError("The record cannot be stored with these values", {"reason": reason})
    if isinstance(error, StoreError) and error.in_doubt:
        text = "The database did not answer: it is not known whether the update was made"
        return DatabaseError(text, {"outcome": "unknown"})
    return DatabaseError("The record could not be updated")

"""How an update is answered (docs/updating.md)."""

from __future__ import annotations

from weaudit.api import answers
from weaudit.errors import DatabaseError, RecordRejectedError, RequestError, StoreError, ValidationError
from weaudit.items.times import iso_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def success(record_id: str, names: list[str], now_ms: int) -> dict[str, Any]:
    """Return the document of an update that was made."""
    return {
        "success": True,
        "message": "Record updated successfully",
        "updated_id": record_id,
        "updated_attributes": names,
        "timestamp": iso_time(now_ms),
    }


def failure(error: Exception, now_ms: int) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the document of any error; what is not the request's fault becomes DatabaseError."""
    return answers.failure(_told(error), now_ms)


def _told(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, RecordRejectedError):
        # After the operation, the code and the status comes DynamoDB's reason, where it quotes no values.
        reason = str(error).partition("): ")[2]
        if not reason:
            return ValidationError("The database does not take these values, or this condition for this record")
        return ValidationError("The record cannot be stored with these values", {"reason": reason})
    if isinstance(error, StoreError) and error.in_doubt:
        text = "The database did not answer: it is not known whether the update was made"
        return DatabaseError(text, {"outcome": "unknown"})
    return DatabaseError("The record could not be updated")

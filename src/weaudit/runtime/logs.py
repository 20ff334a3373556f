"""Writes the functions' log lines: one JSON object a line on standard output, which Lambda sends to CloudWatch."""

from __future__ import annotations

import json
import os

from weaudit.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}
# The fields of the current invocation; an execution environment runs only one at a time.
_invocation: dict[str, Any] = {}


def begin(**fields: Any) -> None:
    """Begin an invocation: its lines have these fields, and no longer those of the previous invocation."""
    _invocation.clear()
    _invocation.update(fields)


def add(**fields: Any) -> None:
    """Add these fields to all further lines of this invocation: ids by which `weaudit trace` joins them."""
    _invocation.update(fields)


def write(level: str, message: str, /, **fields: Any) -> None:
    """Print one line with the fields of :func:`line`, unless its level is below LOG_LEVEL (by default INFO).

    The levels are DEBUG, INFO, WARNING and ERROR. Callers pass counts, codes and names, never values of items.
    """
    threshold = _LEVELS.get(os.environ.get("LOG_LEVEL", "INFO").upper(), 20)
    if _LEVELS[level] < threshold:
        return
    emit(line(level, message, fields))


def line(level: str, message: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a line's content: level, message, function, trace id, the fields of the invocation, and these fields."""
    made: dict[str, Any] = {"level": level, "message": message}
    for name, variable in (("function", "AWS_LAMBDA_FUNCTION_NAME"), ("traceId", "_X_AMZN_TRACE_ID")):
        if os.environ.get(variable):
            made[name] = os.environ[variable]
    return {**made, **_invocation, **fields}


def emit(made: dict[str, Any]) -> None:
    """Print one line, whatever its level."""
    print(json.dumps(made, separators=(",", ":")), flush=True)  # noqa: T201 this is the log


def cause(error: BaseException) -> str:
    """Return what may be logged of an error: the text of a StoreError, else only its type and place, never values."""
    for found in (error, error.__cause__):
        if isinstance(found, StoreError):
            return str(found)
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_filename.rpartition('/')[2]}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}{where}"

"""The response of GET /v1/health."""

from __future__ import annotations

from weaudit.errors import StoreUnavailableError
from weaudit.items.times import iso_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.errors import StoreError

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html: a table can
# be used only in these states. Others say that it is being made or deleted, or that its encryption key is unreachable.
_WORKING = frozenset(("ACTIVE", "UPDATING"))
_PROBLEMS = {
    "MISSING": ("TableMissing", "there is no table {}"),
    "UNREADABLE": ("TableUnreadable", "the function may not look at the table {}"),
    "UNAVAILABLE": ("TableUnavailable", "the table {} did not answer"),
}


def state_behind(error: StoreError) -> str:
    """Return the state to report for a table that could not be described."""
    if isinstance(error, StoreUnavailableError):
        return "UNAVAILABLE"
    return "MISSING" if error.aws_code == "ResourceNotFoundException" else "UNREADABLE"


def document(states: dict[str, str], version: str, release: str, now_ms: int) -> dict[str, Any]:
    """Return the body: state (``ok`` or ``degraded``), version, release, each table's state, and what is wrong."""
    problems = []
    for name, state in states.items():
        if state not in _WORKING:
            code, message = _PROBLEMS.get(state, ("TableNotActive", f"the table {{}} is {state}"))
            problems.append({"code": code, "message": message.format(name)})
    return {
        "state": "degraded" if problems else "ok",
        "version": version,
        "release": release,
        "tables": [{"tableName": name, "state": state} for name, state in states.items()],
        "problems": problems,
        "timestamp": iso_time(now_ms),
    }

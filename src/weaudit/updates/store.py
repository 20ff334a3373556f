"""The tables whose records are updated."""

from __future__ import annotations

from weaudit.errors import ConditionNotMetError, StoreError
from weaudit.items.keys import key_types
from weaudit.updates.plan import refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.updates.plan import UpdatePlan


class UpdatedTables:
    """Applies updates: each is one write that happens whole or not at all.

    ``call`` sends an operation to DynamoDB, in DynamoDB JSON, and raises as aws.client.DynamoDB does.
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        self._call = call
        self._schemas: dict[str, dict[str, str]] = {}

    def key_schema(self, table: str) -> dict[str, str]:
        """Return the table's key attributes and their types, partition key first; read once. Raises StoreError."""
        if table not in self._schemas:
            self._schemas[table] = self._read_schema(table)
        return self._schemas[table]

    def knows(self, table: str) -> bool:
        """Return whether the table's key was read by an earlier call, and so may be outdated."""
        return table in self._schemas

    def has_another_key(self, table: str) -> bool:
        """Read the table's key again and return whether it changed: a re-created table may have another key."""
        before = self._schemas.get(table)
        try:
            self._schemas[table] = self._read_schema(table)
        except StoreError:  # nothing learned: the error that led here is reported
            return False
        return self._schemas[table] != before

    def _read_schema(self, table: str) -> dict[str, str]:
        return key_types(self._call("DescribeTable", {"TableName": table})["Table"])

    def apply(self, plan: UpdatePlan) -> dict[str, Any]:
        """Make the update and return its response, or the first response if the same request was made before.

        Raises the errors of ``plan.refused``, and StoreError. A crash here leaves all of the update or nothing.
        """
        try:
            self._call(plan.operation, plan.body)
        except ConditionNotMetError as error:
            return refused(plan, error.reasons, unanswered=error.in_doubt)
        return plan.answer

"""The tables whose records are updated."""

from __future__ import annotations

from weaudit.domain import updating
from weaudit.domain.item_keys import key_types
from weaudit.errors import ConditionNotMetError, StoreRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable
    from typing import Any


class UpdatedTables:
    """Applies updates, each by one write that happens whole or not at all.

    ``call`` sends an operation to DynamoDB, in DynamoDB JSON, and raises as adapters.aws.DynamoDB does.
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        self._call = call
        self._schemas: dict[str, dict[str, str]] = {}

    def key_schema(self, table: str) -> dict[str, str]:
        """Return the table's key attributes and their types, partition key first; read once. Raises StoreError."""
        schema = self._schemas.get(table)
        if schema is None:
            schema = key_types(self._call("DescribeTable", {"TableName": table})["Table"])
            self._schemas[table] = schema
        return schema

    def apply(self, plan: updating.UpdatePlan) -> dict[str, Any]:
        """Make the update and return its answer: the first one, where the same request was answered before.

        Raises the errors of ``updating.refused``, and StoreError. A crash here leaves all of the update or nothing.
        """
        try:
            self._call(plan.operation, plan.body)
        except ConditionNotMetError as error:
            return updating.refused(plan, error.reasons, unanswered=error.in_doubt)
        except StoreRefusedError:
            # The table may have been made anew, with another key: the next call asks.
            self._schemas.pop(plan.request.table, None)
            raise
        return plan.answer

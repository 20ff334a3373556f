"""The configuration of a watched table: the item ``WATCH/<table>`` of the Configuration table."""

from __future__ import annotations

import time

from weaudit.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.aws.client import DynamoDB


def watch_key(table: str) -> dict[str, Any]:
    """Return the key of the item that configures a watched table, in DynamoDB JSON."""
    return {"key": {"S": f"WATCH/{table}"}}


def watch_item(table: str, actor: str) -> dict[str, Any]:
    """Return the item that says in which attribute the writers of ``table`` name themselves; "" means in none."""
    return {**watch_key(table), "actor": {"S": actor}}


def actor_of(item: dict[str, Any] | None) -> str | None:
    """Return the actor attribute that a configuration item names, or None if it has no such setting."""
    stated = (item or {}).get("actor", {}).get("S")
    return stated if isinstance(stated, str) else None


class WatchConfiguration:
    """Finds the attribute in which a table's writers name themselves, and caches it for ``ttl_s`` seconds.

    ``default`` applies to tables without an item, and to Configuration itself: auditing its changes must not depend on
    reading it.
    """

    def __init__(
        self,
        dynamodb: DynamoDB,
        table_name: str,
        *,
        default: str = "",
        ttl_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dynamodb = dynamodb
        self._name = table_name
        self._default = default
        self._ttl_s = ttl_s
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}

    def actor_attribute(self, table: str) -> str:
        """Return the attribute, or "" if there is none. Raises StoreError if it was never read and cannot be read now.

        If it was read before, a failed read keeps the old value: auditing must not stop for a name.
        """
        if table == self._name or not self._name:
            return self._default
        known, now = self._known.get(table), self._clock()
        if known is not None and now - known[1] < self._ttl_s:
            return known[0]
        try:
            attribute = self._read(table)
        except StoreError:
            if known is None:
                raise
            attribute = known[0]
        # Cache it after a failure too: a read for each record would use up the function's time during an outage.
        self._known[table] = (attribute, now)
        return attribute

    def _read(self, table: str) -> str:
        # A consistent read: the item is written just before the table's first change can arrive.
        request = {"TableName": self._name, "Key": watch_key(table), "ConsistentRead": True}
        stated = actor_of(self._dynamodb.call("GetItem", request).get("Item"))
        return self._default if stated is None else stated

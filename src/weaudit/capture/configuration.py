"""What the Configuration table says about a watched table: the item ``WATCH/<table>``."""

from __future__ import annotations

import time

from weaudit.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.aws.client import DynamoDB


def watch_key(table: str) -> dict[str, Any]:
    """Return the key, in DynamoDB JSON, of the item that configures a watched table."""
    return {"key": {"S": f"WATCH/{table}"}}


def watch_item(table: str, actor: str) -> dict[str, Any]:
    """Return the item by which writers of ``table`` state who they are in the attribute ``actor``; "" is none."""
    return {**watch_key(table), "actor": {"S": actor}}


def actor_of(item: dict[str, Any] | None) -> str | None:
    """Return the actor attribute that an item states, or None where it states none."""
    stated = (item or {}).get("actor", {}).get("S")
    return stated if isinstance(stated, str) else None


class WatchConfiguration:
    """Says in which attribute a table's writers state who they are; what was read serves for ``ttl_s`` seconds.

    Tables without an item, and Configuration itself, have ``default``: its own changes must not wait for a read of it.
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
        """Return the attribute, "" for none. Raises StoreError where it was never read and cannot be read now.

        Where it was read before, a failed read leaves it as it was: a trail must not stand still for a name.
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
        # After a failure too: asked again for each record, an outage would take the whole of the function's time.
        self._known[table] = (attribute, now)
        return attribute

    def _read(self, table: str) -> str:
        # Consistent: the item is written just before the table's first change can come.
        request = {"TableName": self._name, "Key": watch_key(table), "ConsistentRead": True}
        stated = actor_of(self._dynamodb.call("GetItem", request).get("Item"))
        return self._default if stated is None else stated

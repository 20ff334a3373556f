"""The configuration of a watched table: the item ``WATCH/<table>`` of the Configuration table.

It holds versions of the table's rules, each with the time from which it is in force. A change is recorded by the rules
that were in force when it was made, so that a redelivery, however late, gives the same records. A new version is in
force so late that every function has read it by then.
"""

from __future__ import annotations

import time

from weaudit.capture.rules import Rules
from weaudit.errors import StoreError
from weaudit.items.times import iso_moment, iso_time, moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from weaudit.aws.client import DynamoDB

ALWAYS = "1970-01-01T00:00:00.000Z"
"""From when the first version of a table's rules is in force: no change was made earlier."""

# Between the clocks of the function, of the stream and of the machine on which the rules are changed.
_CLOCKS_S = 60


def in_force_from(now_ms: int, cache_s: float) -> str:
    """Return the time from which a version that is written now is in force, where functions cache for ``cache_s``."""
    return iso_time(now_ms + round(1000 * (2 * cache_s + _CLOCKS_S)))


def watch_key(table: str) -> dict[str, Any]:
    """Return the key of the item that configures a watched table, in DynamoDB JSON."""
    return {"key": {"S": f"WATCH/{table}"}}


def watch_item(table: str, versions: Iterable[Rules]) -> dict[str, Any]:
    """Return the item that configures a watched table."""
    return {
        **watch_key(table),
        "versions": {"L": [{"M": _version(rules)} for rules in versions]},
    }


def _version(rules: Rules) -> dict[str, Any]:
    texts = {"from": rules.since, "actor": rules.actor, "fresh": rules.fresh, "subject": rules.subject}
    return {name: {"S": text} for name, text in texts.items() if text or name != "subject"}


def versions_of(item: dict[str, Any] | None) -> tuple[Rules, ...]:
    """Return the versions that a configuration item holds, the earliest first; an unreadable version is left out."""
    found = (item or {}).get("versions", {}).get("L")
    rules = [_rules(version) for version in found] if isinstance(found, list) else []
    return tuple(sorted((one for one in rules if one is not None), key=lambda one: one.since))


def has_unreadable_versions(item: dict[str, Any]) -> bool:
    """Return whether a configuration item holds something that :func:`versions_of` leaves out."""
    found = item.get("versions", {}).get("L")
    return not isinstance(found, list) or len(found) != len(versions_of(item))


def _rules(version: Any) -> Rules | None:
    parts = version.get("M") if isinstance(version, dict) else None
    if not isinstance(parts, dict):
        return None
    since, actor, fresh, subject = (parts.get(name, {}).get("S", "") for name in ("from", "actor", "fresh", "subject"))
    begins = moment(since)
    # In one form, since the times of changes are compared as texts.
    return None if begins is None else Rules(iso_moment(begins), actor, fresh, subject=subject)


def in_force(versions: Sequence[Rules], at: str, default: Rules) -> Rules:
    """Return the rules that were in force at a time, ISO 8601, in UTC."""
    return next((rules for rules in reversed(versions) if rules.since <= at), default)


class WatchConfiguration:
    """Finds the rules of a table, and caches what it reads for ``ttl_s`` seconds.

    ``default`` names the actor attribute of tables without an item, and of Configuration itself: auditing its changes
    must not depend on reading it. ``clock`` returns seconds since 1970.
    """

    def __init__(
        self,
        dynamodb: DynamoDB,
        table_name: str,
        *,
        default: str = "",
        ttl_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dynamodb = dynamodb
        self._name = table_name
        self._default = Rules(actor=default)
        self._ttl_s = ttl_s
        self._clock = clock
        self._known: dict[str, tuple[tuple[Rules, ...], float]] = {}
        self._tried: dict[str, float] = {}

    def rules(self, table: str, at: str) -> Rules:
        """Return the rules for a change that was made at a time. Raises StoreError if they cannot be known now.

        Versions that were read before serve for changes that no later version can govern, even if they cannot be read
        now: auditing must not stop sooner than it has to.
        """
        if table == self._name or not self._name:
            return self._default
        now = self._clock()
        # Try again after a while only: a read for each record would use up the function's time during an outage.
        if now - self._tried.get(table, float("-inf")) >= self._ttl_s or table not in self._known:
            self._tried[table] = now
            try:
                self._known[table] = (self._read(table), now)
            except StoreError:
                if table not in self._known:
                    raise
        versions, read_at = self._known[table]
        if read_at < now and at >= iso_time(round(1000 * (read_at + 2 * self._ttl_s))):
            self._known[table] = (self._read(table), now)
            versions, _ = self._known[table]
        return in_force(versions, at, self._default)

    def _read(self, table: str) -> tuple[Rules, ...]:
        # A consistent read: the item is written just before the table's first change can arrive.
        request = {"TableName": self._name, "Key": watch_key(table), "ConsistentRead": True}
        return versions_of(self._dynamodb.call("GetItem", request).get("Item"))

"""The configuration of a watched table: the item ``WATCH/<table>`` of the Configuration table.

It holds versions of the table's rules, each with the time from which it is in force. A change is recorded by the rules
that were in force when it was made, so that a redelivery, however late, gives the same records. A new version is in
force so late that every function has read it by then.
"""

from __future__ import annotations

import time

from weaudit.capture.rules import PLACES, Rules, place_of, resolved, with_places
from weaudit.errors import InvalidInputError, StoreError, StoreRefusedError
from weaudit.items.hashes import encoded
from weaudit.items.paths import path_text
from weaudit.items.plain import shown
from weaudit.items.times import iso_moment, iso_time, moment
from weaudit.values import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Any

    from weaudit.aws.client import DynamoDB

ALWAYS = "1970-01-01T00:00:00.000Z"
"""From when the first version of a table's rules is in force: no change was made earlier."""

OWN_PREFIXES = ("WATCH/", "HOLD/")
"""What the keys of those items of Configuration begin with that say how tables are watched."""

LONGEST_NAME_BYTES = 255
"""The name of an actor attribute, or of one that confirms it, has at most this many bytes."""

# What a version has, and the types that it may have.
_FIELDS = {
    **dict.fromkeys(("from", "actor", "fresh", "subject"), ("S",)),
    **dict.fromkeys(PLACES, ("L", "SS")),
    "requireReason": ("BOOL",),
}
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
    texts = {"from": rules.since, "actor": rules.actor, "fresh": rules.fresh}
    version: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
    if rules.subject:
        version["subject"] = {"S": rules.subject}
    for name, field in PLACES.items():
        if paths := getattr(rules, field):
            version[name] = {"L": [{"S": path_text(path)} for path in paths]}
    if rules.requires_reason:
        version["requireReason"] = {"BOOL": True}
    return version


def versions_of(item: dict[str, Any] | None) -> tuple[Rules, ...]:
    """Return the versions that a configuration item holds, the earliest first; one that is not valid is left out."""
    return judged(item)[0]


def resolved_versions(item: dict[str, Any] | None, key: Collection[str]) -> tuple[Rules, ...]:
    """Return the versions that are valid for a table with these key attributes, the earliest first, resolved."""
    return tuple(resolved(rules, key) for rules in judged(item, key)[0])


def faults_of(item: dict[str, Any] | None, key: Collection[str] = ()) -> tuple[str, ...]:
    """Say what is wrong with a configuration item; see :func:`judged`."""
    return judged(item, key)[1]


def judged(item: dict[str, Any] | None, key: Collection[str] = ()) -> tuple[tuple[Rules, ...], tuple[str, ...]]:
    """Return the valid versions that a configuration item holds, the earliest first, and what is wrong with the others.

    There is a line for each version that is left out. ``key`` are the key attributes of the table, if they are known.
    """
    if item is None:
        return (), ()
    found = item.get("versions", {}).get("L")
    if not isinstance(found, list) or not found:
        return (), ("it has no list of versions",)
    read: list[Rules] = []
    versions: list[Rules] = []
    faults: list[str] = []
    for number, version in enumerate(found, 1):
        try:
            read.append(_rules(version))
        except InvalidInputError as error:
            faults.append(_fault(f"version {number}", error))
    for rules in sorted(read, key=lambda one: one.since):
        try:
            resolved(rules, key)
            versions.append(rules)
        except InvalidInputError as error:
            faults.append(_fault(f"the version from {rules.since}", error))
    return tuple(versions), tuple(faults)


def _fault(which: str, error: InvalidInputError) -> str:
    return f"{which}: {str(error).partition(chr(10))[0]}"


def _rules(version: Any) -> Rules:
    """Return the rules of a version. Raises InvalidInputError: a word that is not known may be a rule, misspelt."""
    parts = version.get("M") if isinstance(version, dict) else None
    if not isinstance(parts, dict):
        raise InvalidInputError("it is not a map")
    unknown = parts.keys() - _FIELDS.keys()
    if unknown:
        raise InvalidInputError(f"{shown(min(unknown))} is no rule: the rules are {', '.join(_FIELDS)}")
    for name, part in parts.items():
        if not isinstance(part, dict) or len(part) != 1 or next(iter(part)) not in _FIELDS[name]:
            raise InvalidInputError(f"{name} is not of type {' or '.join(_FIELDS[name])}")
    texts = {name: parts.get(name, {}).get("S", "") for name in ("from", "actor", "fresh", "subject")}
    begins = moment(texts["from"])
    if begins is None:
        raise InvalidInputError("from is not a time: a version says since when it is in force")
    for name in ("actor", "fresh"):
        if len(encoded(texts[name])) > LONGEST_NAME_BYTES:
            raise InvalidInputError(f"{name} has more than {LONGEST_NAME_BYTES} bytes")
    places = {name: list(map(place_of, _listed(parts[name]))) for name in PLACES if name in parts}
    # In one form, since the times of changes are compared as texts.
    since = iso_moment(begins)
    reason = parts.get("requireReason", {}).get("BOOL") is True
    return with_places(Rules(since, texts["actor"], texts["fresh"], texts["subject"], reason), **places)


def _listed(part: dict[str, Any]) -> list[Any]:
    if "SS" in part:
        return list(part["SS"])
    return [one.get("S") if isinstance(one, dict) else None for one in part["L"]]


def in_force(versions: Sequence[Rules], at: str, default: Rules) -> Rules:
    """Return the rules that were in force at a time, ISO 8601, in UTC."""
    return next((rules for rules in reversed(versions) if rules.since <= at), default)


class WatchConfiguration:
    """Finds the rules of a table, and caches what it reads for ``ttl_s`` seconds.

    ``default`` names the actor attribute of tables without an item. The items that hold rules are recorded whole,
    whatever the rules of Configuration say. ``clock`` returns seconds since 1970.
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
        self._faults: dict[str, tuple[str, ...]] = {}

    def rules(self, table: str, at: str, key: dict[str, Any]) -> Rules:
        """Return the rules for a change, at a time, of the item with this key.

        Raises StoreError if they cannot be known now. Versions that were read before serve for changes that no later
        version can govern, even if they cannot be read now: auditing must not stop sooner than it has to. A version
        that is not valid counts as if it were not there.
        """
        if not self._name:
            return self._default
        now = self._clock()
        # Try again after a while only: a read for each record would use up the function's time during an outage.
        if now - self._tried.get(table, float("-inf")) >= self._ttl_s or table not in self._known:
            self._tried[table] = now
            try:
                self._known[table] = (self._read(table, key), now)
            except StoreError:
                if table not in self._known:
                    raise
        versions, read_at = self._known[table]
        if read_at < now and at >= iso_time(round(1000 * (read_at + 2 * self._ttl_s))):
            self._known[table] = (self._read(table, key), now)
            versions, _ = self._known[table]
        found = in_force(versions, at, self._default)
        if found.digest and table == self._name and _holds_rules(key):
            return replaced(found, digest=b"", **dict.fromkeys(PLACES.values(), ()))
        return found

    def from_now_on(self, table: str, key: dict[str, Any]) -> tuple[Rules, ...]:
        """Return the version of a table's rules that is in force now, and all that come after it; see :meth:`rules`.

        Any of them may govern a write that is made now. Raises StoreError.
        """
        now = iso_time(round(1000 * self._clock()))
        current = self.rules(table, now, key)
        versions, _ = self._known.get(table, ((), 0.0))
        return (current, *(rules for rules in versions if rules.since > now))

    def faults(self) -> dict[str, tuple[str, ...]]:
        """Return what is wrong with the rules that were read, by table."""
        return {table: faults for table, faults in self._faults.items() if faults}

    def _read(self, table: str, key: dict[str, Any]) -> tuple[Rules, ...]:
        # A consistent read: the item is written just before the table's first change can arrive.
        request = {"TableName": self._name, "Key": watch_key(table), "ConsistentRead": True}
        item = self._dynamodb.call("GetItem", request).get("Item")
        valid, self._faults[table] = judged(item, key)
        versions = tuple(resolved(rules, key) for rules in valid)
        if item is not None and not versions:
            known, _ = self._known.get(table, ((), 0.0))
            if known:  # the last valid rules stay in force
                return known
            # Nothing says what must not be kept. The batch comes again, until the rules are mended.
            raise StoreRefusedError(
                f"the rules of {table} are not valid, and no earlier version is: {self._faults[table][0]}"
            )
        return versions


def _holds_rules(key: dict[str, Any]) -> bool:
    return str(key.get("key", {}).get("S", "")).startswith(OWN_PREFIXES)

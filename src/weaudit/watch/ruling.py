"""The rules of a table as Configuration holds them: the versions that are valid, and what is wrong with the others."""

from collections.abc import Collection
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from weaudit.capture.configuration import in_force, judged, watch_key
from weaudit.capture.rules import Rules
from weaudit.installation.outputs import Installation
from weaudit.installation.targets import wire
from weaudit.items.times import iso_time


@dataclass(frozen=True, slots=True)
class Ruling:
    """A table's rules at a time.

    ``item`` is the item of Configuration as boto3 reads it, None if there is none; ``versions`` are those of it that
    are valid, the earliest first, and ``faults`` say what is wrong with the others. ``default`` are the rules of tables
    without an item. ``now_ms`` is the time of the reading by the service's clock.
    """

    item: dict[str, Any] | None
    versions: tuple[Rules, ...]
    faults: tuple[str, ...]
    default: Rules
    now_ms: int

    @property
    def now(self) -> str:
        """The time of the reading, ISO 8601, UTC."""
        return iso_time(self.now_ms)

    @property
    def in_force(self) -> Rules:
        """The rules by which a change that is made now is recorded."""
        return in_force(self.versions, self.now, self.default)

    @property
    def latest(self) -> Rules:
        """The latest version, which may not be in force yet."""
        return self.versions[-1] if self.versions else self.default


def of_item(item: dict[str, Any] | None, key: Collection[str], default: str, now_ms: int) -> Ruling:
    """Return what an item says of a table with these key attributes; ``default`` names the actor of other tables."""
    versions, faults = judged(wire(item), key)
    return Ruling(item, versions, faults, Rules(actor=default), now_ms)


def read(installation: Installation, table: str, key: Collection[str], default: str) -> Ruling:
    """Read the rules of a table."""
    client = installation.target.client("dynamodb")
    answer = client.get_item(TableName=installation.configuration_table, Key=watch_key(table), ConsistentRead=True)
    # By the service's clock: that of this machine may be wrong by more than is allowed for.
    answered = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return of_item(answer.get("Item"), key, default, round(answered.timestamp() * 1000))

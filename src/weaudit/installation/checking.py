"""Checks a trail: gathers the records of each item and the item as it is now, and compares them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from weaudit.aws.client import DynamoDB
from weaudit.aws.errors import withheld
from weaudit.capture.store_secrets import Secrets, SecretTable
from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.installation import clients
from weaudit.installation.item_keys import item_keys
from weaudit.installation.pool import ReadingPool
from weaudit.installation.readers import open_trail
from weaudit.items.keys import item_key, key_types
from weaudit.items.typed_keys import typed_key
from weaudit.items.values import Item
from weaudit.trail.changes import AuditedChange
from weaudit.trail.verifying import Verdict, hash_of_live, verify_item

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.trail.reader import Trail

# The record of a new change takes a moment to arrive: what looks wrong is read again before it counts as a fault.
_TRIES = 6
_WAIT_S = 1.0
_THREADS = 8
# A stream that was created with its table has the table's time, give or take what the service needs to create both.
_BORN_TOGETHER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class AuditedTable:
    """An audited table as it is now; ``key_types`` is empty if the table is gone."""

    name: str
    arn: str
    key_types: dict[str, str]
    audited_from_birth: bool

    @classmethod
    def describe(cls, dynamodb: DynamoDB, name: str, audit_arn: str) -> "AuditedTable":
        """Read the table's key schema and stream; if the table is gone, its trail is checked without items."""
        try:
            found = dynamodb.call("DescribeTable", {"TableName": name})["Table"]
        except StoreRefusedError as error:
            if error.aws_code != "ResourceNotFoundException":
                raise
            return cls(name, audit_arn.rpartition("/")[0] + f"/{name}", {}, audited_from_birth=False)
        label = found.get("LatestStreamLabel")
        made = datetime.fromtimestamp(found["CreationDateTime"], UTC)
        from_birth = label is not None and _label_time(label) - made < _BORN_TOGETHER
        return cls(name, found["TableArn"], key_types(found), from_birth)

    @property
    def exists(self) -> bool:
        """Whether the table exists, so that the trail can be compared with its items."""
        return bool(self.key_types)

    def keys_of(self, key: str) -> Item:
        """Return the typed key for an item key. Raises InvalidInputError if it does not fit the table's key schema."""
        try:
            return typed_key(key, self.key_types)
        except InvalidInputError:
            names = ", ".join(f"{name} ({kind})" for name, kind in self.key_types.items())
            raise InvalidInputError(f"{key!r} is not a valid key of {self.name}, whose key is {names}") from None


def readable_secrets(dynamodb: DynamoDB, keys_table: str) -> Secrets | None:
    """Return the secrets that the records' origins depend on, or None if the caller must not read them."""
    try:
        return SecretTable(dynamodb, keys_table).read()
    except StoreRefusedError as error:
        if not withheld(error.aws_code):
            raise
        return None


class ErasedItem(str):
    """What stands for the key of an erased item: the ``historyKey`` that its records have in common."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks the trail of one table against its items."""

    dynamodb: DynamoDB
    history: "Trail"
    table: AuditedTable
    since: str | None = None
    secrets: Secrets | None = None  # without them, origins and salts are not checked
    sleep: Callable[[float], None] = time.sleep

    def item_keys(self, progress: Callable[[int], None]) -> list[str]:
        """Return the sorted keys of all items in the table or its trail, and then the erased items of the trail.

        ``progress`` is called with the count.
        """
        keys, erased = set[str](), set[str]()
        for change in self.history.table(self.table.name, self.since, None, values=False):
            if change.erased:
                erased.add(change.partition)
            else:
                keys.add(change.item_key)
            progress(len(keys) + len(erased))
        if self.table.exists and self.since is None:
            for keys_read in self._scanned_keys():
                keys.add(item_key(keys_read))
                progress(len(keys) + len(erased))
        return [*sorted(keys), *map(ErasedItem, sorted(erased))]

    def item_keys_of(self, text: str) -> list[str]:
        """Return the key of the item that ``text``, typed by a person, means; an empty list if there is no such item.

        Raises InvalidInputError if the text does not fit the table's key schema.
        """
        if not text:
            return []
        for key in item_keys(text, self.table.key_types or None, self.table.name):
            if next(iter(self.history.item(self.table.name, key, values=False)), None) or self._live(key) is not None:
                return [key]
        return []

    def _scanned_keys(self) -> Iterator[Item]:
        names = {f"#{number}": name for number, name in enumerate(self.table.key_types)}
        request: dict[str, Any] = {
            "TableName": self.table.name,
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
        }
        while True:
            answer = self.dynamodb.call("Scan", request)
            yield from answer["Items"]
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def verdicts(self, keys: list[str]) -> Iterator[tuple[str, Verdict]]:
        """Check each item, several concurrently; yield the verdicts in the order given."""
        with ReadingPool(_THREADS, "weaudit-verify") as pool:
            yield from zip(keys, pool.map(self.verdict, keys), strict=True)

    def verdict(self, key: str) -> Verdict:
        """Check one item; while something looks wrong, read it again for some seconds: a record may be on its way."""
        read: list[tuple[str, str | None]] = []
        for attempt in range(_TRIES):
            if attempt:
                self.sleep(_WAIT_S)
            verdict = self._verdict_now(key, read)
            if not verdict.findings:
                break
        return verdict

    def _verdict_now(self, key: str, read: list[tuple[str, str | None]]) -> Verdict:
        """Check an item as it is now; ``read`` collects the last change order and the item's hash of each attempt."""
        changes, live = self._changes(key), self._live(key)
        verdict = verify_item(
            changes,
            live,
            table=self.table.name,
            table_arn=self.table.arn,
            item_key="" if isinstance(key, ErasedItem) else key,
            audited_from_birth=self.table.audited_from_birth and self.since is None,
            secrets=self.secrets,
            length_of=self.history.length_of,
        )
        # An item that is written all the time is always ahead of its trail. Then it is enough if the trail reaches the
        # state in which an earlier attempt read the item.
        reached = any((change.order > last and change.after_hash == seen) for last, seen in read for change in changes)
        read.append((changes[-1].order if changes else "", hash_of_live(changes, live) if changes else None))
        # Whether an erased item is still in its table cannot be known.
        if self.table.exists and not reached and not isinstance(key, ErasedItem):
            return verdict
        return verdict._replace(findings=tuple(found for found in verdict.findings if found.kind != "unaudited"))

    def _changes(self, key: str) -> list[AuditedChange]:
        partition = key if isinstance(key, ErasedItem) else ""
        found = self.history.item(self.table.name, key, self.since, None, partition=partition, values=False)
        first = next(found, None)
        if first is None:
            return []
        if self.since is not None:
            # Times may be slightly out of order: a change left out for its time would look like a gap between others.
            found = self.history.item(self.table.name, key, beyond_order=first.order, partition=partition, values=False)
        return [first, *found]

    def _live(self, key: str) -> Item | None:
        if not self.table.exists or isinstance(key, ErasedItem):
            return None
        request = {"TableName": self.table.name, "Key": self.table.keys_of(key), "ConsistentRead": True}
        return self.dynamodb.call("GetItem", request).get("Item")


def checkers(installation: "Installation", tables: list[str], since: str | None) -> list[Checker]:
    """Return a checker for each of these tables; ``since`` limits all of them to changes since that time."""
    dynamodb = clients.dynamodb(installation.target)
    audit_arn = dynamodb.call("DescribeTable", {"TableName": installation.audit_table})["Table"]["TableArn"]
    history = open_trail(installation.target, installation.audit_table, dynamodb)
    secrets = readable_secrets(dynamodb, installation.outputs["KeysTableName"])
    return [
        Checker(dynamodb, history, AuditedTable.describe(dynamodb, name, audit_arn), since, secrets) for name in tables
    ]


def _label_time(label: str) -> datetime:
    return datetime.fromisoformat(label.rstrip("Z")).replace(tzinfo=UTC)

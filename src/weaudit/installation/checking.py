"""Checks a trail: gathers the records of each item and the item as it is now, and compares them."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weaudit.aws.client import DynamoDB
from weaudit.aws.errors import withheld
from weaudit.capture.configuration import resolved_versions, watch_key
from weaudit.capture.rules import Rules
from weaudit.capture.store_secrets import Secrets, SecretTable
from weaudit.errors import StoreRefusedError
from weaudit.installation import clients
from weaudit.installation.audited_tables import AuditedTable, ErasedItem
from weaudit.installation.first_looks import FirstLook, first_looks
from weaudit.installation.item_keys import item_keys
from weaudit.installation.pool import ReadingPool
from weaudit.installation.readers import open_trail
from weaudit.items.keys import item_key
from weaudit.items.values import Item
from weaudit.trail.changes import AuditedChange
from weaudit.trail.store_partitions import Partitions
from weaudit.trail.verification.verifying import Verdict, hash_of_live, verify_item

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.trail.reader import Trail

# The record of a new change takes a moment to arrive: what looks wrong is read again before it counts as a fault.
_TRIES = 6
_WAIT_S = 1.0
_THREADS = 8
# The fields of a record whose value is in the evidence bucket.
_REFERENCES = frozenset(("oldValueRef", "newValueRef", "oldValueRefs", "newValueRefs"))


def readable_secrets(dynamodb: DynamoDB, keys_table: str) -> Secrets | None:
    """Return the secrets that the records' origins depend on, or None if the caller must not read them."""
    try:
        return SecretTable(dynamodb, keys_table).read()
    except StoreRefusedError as error:
        if not withheld(error.aws_code):
            raise
        return None


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks the trail of one table against its items.

    With ``partitions``, a whole trail is read once, and an item that looks wrong is then read by itself.
    """

    dynamodb: DynamoDB
    history: "Trail"
    table: AuditedTable
    since: str | None = None
    secrets: Secrets | None = None  # without them, origins and salts are not checked
    sleep: Callable[[float], None] = time.sleep
    partitions: Partitions | None = None
    versions: tuple[Rules, ...] = ()  # of the table's rules, as far as they can be read

    def item_keys(self, progress: Callable[[int], None]) -> list[str]:
        """Return the sorted keys of all items in the table or its trail, and then the erased items of the trail.

        ``progress`` is called with the count.
        """
        keys, erased = set[str](), set[str]()
        for key, is_erased in self._found_items(progress):
            (erased if is_erased else keys).add(key)
            progress(len(keys) + len(erased))
        return [*sorted(keys), *map(ErasedItem, sorted(erased))]

    def _found_items(self, progress: Callable[[int], None]) -> Iterator[tuple[str, bool]]:
        """Yield the items of the table and its trail, and whether each is erased; then its partition is its key."""
        live = list(map(item_key, self._scanned_keys())) if self.table.exists and self.since is None else []
        yield from ((key, False) for key in live)
        if self._in_one_pass is None:
            for change in self.history.table(self.table.name, self.since, None, values=False):
                yield (change.partition, True) if change.erased else (change.item_key, False)
            return
        for count in self._in_one_pass.read():
            progress(max(count, len(live)))
        for key in live:
            self._in_one_pass.know(self.table.name, key)
        yield from self._in_one_pass.items(self.table.name)

    @property
    def _in_one_pass(self) -> Partitions | None:
        return self.partitions if self.since is None else None

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
            if self._in_one_pass is None or not self._in_one_pass.known:
                yield from zip(keys, pool.map(self.verdict, keys), strict=True)
                return
            # What takes long is left to the pool, and what comes after it is read meanwhile.
            waiting: deque[tuple[str, Verdict | Future[Verdict]]] = deque()
            with closing(first_looks(self.dynamodb, self._in_one_pass, self.table, keys)) as looks:
                for look in looks:
                    waiting.append((look.key, self._at_first(look) or pool.submit(self.verdict, look.key)))
                    while waiting and not _under_way(waiting[0][1]):
                        yield _over(*waiting.popleft())
            while waiting:
                yield _over(*waiting.popleft())

    def _at_first(self, look: FirstLook) -> Verdict | None:
        """Check an item by a first look; None if it looks wrong, or if more of it has to be read."""
        if look.records is None or not all(map(_REFERENCES.isdisjoint, look.records)):
            return None
        verdict = self._compared(look.key, list(self.history.gathered(look.records)), look.live)
        return None if verdict.findings else verdict

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
        verdict = self._compared(key, changes, live)
        if verdict.findings:
            # An item that is written all the time is always ahead of its trail. Then it is enough if the trail reaches
            # the state in which an earlier attempt read the item.
            if any(change.order > last and change.after_hash == seen for last, seen in read for change in changes):
                verdict = _without_unaudited(verdict)
            read.append(
                (
                    changes[-1].order if changes else "",
                    hash_of_live(changes, live, self.history.rules) if changes else None,
                )
            )
        return verdict

    def _compared(self, key: str, changes: list[AuditedChange], live: Item | None) -> Verdict:
        erased = isinstance(key, ErasedItem)
        verdict = verify_item(
            changes,
            live,
            table=self.table.name,
            table_arn=self.table.arn,
            item_key="" if erased else key,
            audited_from_birth=self.table.audited_from_birth and self.since is None,
            secrets=self.secrets,
            length_of=self.history.length_of,
            rules_of=self.history.rules,
            versions=self.versions,
        )
        # Whether an erased item is still in its table cannot be known.
        return verdict if self.table.exists and not erased else _without_unaudited(verdict)

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


def _under_way(verdict: "Verdict | Future[Verdict]") -> bool:
    return isinstance(verdict, Future) and not verdict.done()


def _over(key: str, verdict: "Verdict | Future[Verdict]") -> tuple[str, Verdict]:
    return key, verdict.result() if isinstance(verdict, Future) else verdict


def _without_unaudited(verdict: Verdict) -> Verdict:
    return verdict._replace(findings=tuple(found for found in verdict.findings if found.kind != "unaudited"))


def checkers(installation: "Installation", tables: list[str], since: str | None) -> list[Checker]:
    """Return a checker for each of these tables; ``since`` limits all of them to changes since that time."""
    dynamodb = clients.dynamodb(installation.target)
    audit_arn = dynamodb.call("DescribeTable", {"TableName": installation.audit_table})["Table"]["TableArn"]
    history = open_trail(installation.target, installation.audit_table, dynamodb)
    secrets = readable_secrets(dynamodb, installation.outputs["KeysTableName"])
    partitions = Partitions(dynamodb, installation.audit_table)
    found = [AuditedTable.describe(dynamodb, name, audit_arn) for name in tables]
    return [
        Checker(
            dynamodb,
            history,
            table,
            since,
            secrets,
            partitions=partitions,
            versions=_versions(dynamodb, installation.configuration_table, table),
        )
        for table in found
    ]


def _versions(dynamodb: DynamoDB, configuration: str, table: AuditedTable) -> tuple[Rules, ...]:
    """Return the versions of a table's rules, or none if they cannot be read: then some changes of rules look wrong."""
    try:
        item = dynamodb.call("GetItem", {"TableName": configuration, "Key": watch_key(table.name)}).get("Item")
    except StoreRefusedError as error:
        if not withheld(error.aws_code):
            raise
        return ()
    return resolved_versions(item, table.key_types)

"""Finds the records of every item in one pass over the index ``history``, for who reads a whole trail.

The index does not say of which table an item is. Who knows an item's key knows its partition; of every other partition
one record is read, and all of them where one is no proof.
"""

from __future__ import annotations

import re
from itertools import chain

from weaudit.aws.batches import PendingItems, read_items
from weaudit.items.keys import history_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weaudit.aws.client import DynamoDB
    from weaudit.items.values import Item

_is_uuid = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch
# So many partitions are looked into at once.
_AT_ONCE = 100
_NAMING = {
    "ProjectionExpression": "id, itemKey, tableName, changesKey, #erased",
    "ExpressionAttributeNames": {"#erased": "erased"},
}


class _Partition:
    """The ids of an item's records, and whose they are.

    ``uuids`` are ids in the form that ours have, 16 bytes each; ``texts`` are others, which somebody else wrote.
    ``named`` are the items that the records name, of which nobody knew: table, item key, and whether it is erased. None
    if that is not known yet.
    """

    __slots__ = ("named", "texts", "uuids")

    def __init__(self) -> None:
        self.uuids = bytearray()
        self.texts: tuple[str, ...] = ()
        self.named: frozenset[tuple[str, str, bool]] | None = None


class Partitions:
    """The partitions of the index, as one pass over it found them: that of an item holds its records.

    A record takes some 17 bytes here, and an item some 300: half a gigabyte for a million items with ten records each.
    """

    def __init__(self, dynamodb: DynamoDB, audit_table: str) -> None:
        self._dynamodb = dynamodb
        self._audit_table = audit_table
        self._found: dict[str, _Partition] | None = None

    @property
    def known(self) -> bool:
        """Whether the index was read."""
        return self._found is not None

    def read(self) -> Iterator[int]:
        """Read the index, unless it was read before; yield the number of items found so far, page by page.

        The index is eventually consistent. Raises StoreError.
        """
        if self._found is not None:
            return
        found: dict[str, _Partition] = {}
        request = {
            "TableName": self._audit_table,
            "IndexName": "history",
            "ProjectionExpression": "historyKey, id",
        }
        while True:
            page = self._dynamodb.call("Scan", request)
            for entry in page["Items"]:
                name, record = entry["historyKey"]["S"], entry["id"]["S"]
                partition = found.get(name)
                if partition is None:
                    partition = found[name] = _Partition()
                if _is_uuid(record):
                    partition.uuids += bytes.fromhex(record.replace("-", ""))
                else:
                    partition.texts += (record,)
            yield len(found)
            if not page.get("LastEvaluatedKey"):
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        self._found = found

    def know(self, table: str, item_key: str) -> None:
        """Take note that there is such an item: its records need not be asked for its key."""
        partition = self._all.get(history_key(table, item_key))
        if partition is not None:
            partition.named = frozenset()

    def items(self, table: str) -> Iterator[tuple[str, bool]]:
        """Yield the items of a table that records name and nobody knew: item key, or partition of an erased one.

        The second part says whether it is erased. One may come more than once. Raises StoreError.
        """
        unknown = [name for name, partition in self._all.items() if partition.named is None]
        for start in range(0, len(unknown), _AT_ONCE):
            self._ask(unknown[start : start + _AT_ONCE])
        for partition in self._all.values():
            yield from ((key, erased) for of, key, erased in partition.named or () if of == table)

    def count(self, partition: str) -> int:
        """Return how many records a partition has."""
        found = self._all.get(partition)
        return 0 if found is None else len(found.uuids) // 16 + len(found.texts)

    def ids(self, partition: str) -> list[str]:
        """Return the ids of the records of a partition."""
        found = self._all.get(partition)
        if found is None:
            return []
        digits = found.uuids.hex()
        uuids = [_uuid(digits[start : start + 32]) for start in range(0, len(digits), 32)]
        # An entry that was moved during the pass may have been seen twice.
        return list(dict.fromkeys((*uuids, *found.texts)))

    def begin(self, partitions: Iterable[str]) -> PendingRecords:
        """Ask for the records of partitions without waiting for them."""
        return PendingRecords(self._dynamodb, self._audit_table, [self.ids(partition) for partition in partitions])

    @property
    def _all(self) -> dict[str, _Partition]:
        if self._found is None:
            raise RuntimeError("the partitions are not known: iterate over read() first")
        return self._found

    def _ask(self, partitions: list[str]) -> None:
        """Find out whose these partitions are, from a record of each.

        If the partition follows from what a record names, it is this item's and no other's, whoever wrote the record.
        Else all of its records are asked: a forged one must not hide the others.
        """
        firsts = {partition: self.ids(partition)[0] for partition in partitions}
        found = read_items(self._dynamodb.call, self._audit_table, "id", firsts.values(), **_NAMING)
        for partition, first in firsts.items():
            record = found.get(first, {})
            table, key = _text(record, "tableName"), _text(record, "itemKey")
            if "erased" not in record and history_key(table, key) == partition:
                named = frozenset(((table, key, False),))
            else:
                ids = self.ids(partition)
                every = read_items(self._dynamodb.call, self._audit_table, "id", ids, **_NAMING).values()
                named = frozenset(name for record in every for name in _named(record, partition))
            self._all[partition].named = named


class PendingRecords:
    """Groups of records that were asked for by their ids, and are on their way."""

    def __init__(self, dynamodb: DynamoDB, audit_table: str, groups: list[list[str]]) -> None:
        self._groups = groups
        ids = dict.fromkeys(chain.from_iterable(groups))
        self._pending = PendingItems(dynamodb, audit_table, [{"id": {"S": record}} for record in ids])

    def result(self) -> list[list[Item]]:
        """Return the records of each group, in no order; one that is gone is left out. Raises StoreError."""
        found = {record["id"]["S"]: record for record in self._pending.result()}
        return [[found[record] for record in group if record in found] for group in self._groups]

    def cancel(self) -> None:
        """Do without them."""
        self._pending.cancel()


def _named(record: Item, partition: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the item that a record names, with its table; a record that was written by hand may name two tables."""
    erased = "erased" in record
    key = partition if erased else _text(record, "itemKey")
    yield _text(record, "tableName"), key, erased
    yield _text(record, "changesKey").partition("#")[0], key, erased


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _text(record: Item, name: str) -> str:
    return str(record.get(name, {}).get("S", ""))

"""Reads the items of a table for a first look at each: the records of many items at once, and the items as they are."""

from collections import deque
from collections.abc import Generator, Iterator
from typing import NamedTuple

from weaudit.aws.batches import PendingItems
from weaudit.aws.client import DynamoDB
from weaudit.installation.audited_tables import AuditedTable, ErasedItem
from weaudit.items.keys import item_key
from weaudit.items.values import Item
from weaudit.trail.store_partitions import Partitions, PendingRecords

# The items of a group are read together, and the next group is on its way meanwhile. That bounds what is in memory: a
# record has at most 400 KB, and most have one.
_RECORDS = 400
_ITEMS = 100


class FirstLook(NamedTuple):
    """An item: its records, in no order, and itself, None if there is no such item.

    The records are None if they are more than a group may have: then neither was read.
    """

    key: str
    records: list[Item] | None
    live: Item | None


def first_looks(
    dynamodb: DynamoDB, partitions: Partitions, table: AuditedTable, keys: list[str]
) -> Generator[FirstLook, None, None]:
    """Yield what there is of each of these items, in their order. Raises StoreError, and what ``keys_of`` raises.

    A caller that stops early must close the generator: it cancels what is on its way.
    """
    under_way: deque[_Group] = deque()
    try:
        for group in _groups(partitions, table, keys):
            under_way.append(_Group(dynamodb, partitions, table, group))
            if len(under_way) > 1:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    finally:
        for pending in under_way:
            pending.cancel()


def _groups(partitions: Partitions, table: AuditedTable, keys: list[str]) -> Iterator[list[str]]:
    """Yield the keys in groups; an item with too many records is alone in its group."""
    group: list[str] = []
    records = 0
    for key in keys:
        count = partitions.count(table.partition(key))
        if group and (records + count > _RECORDS or len(group) == _ITEMS):
            yield group
            group, records = [], 0
        group.append(key)
        records += count
    if group:
        yield group


class _Group:
    """Items whose records, and which themselves, are on their way."""

    def __init__(self, dynamodb: DynamoDB, partitions: Partitions, table: AuditedTable, keys: list[str]) -> None:
        self._keys = keys
        self._table = table
        names = [table.partition(key) for key in keys]
        # Of each item the name that it has in the table: a key that was written by hand may be another text for it.
        self._names: list[str | None] = [None] * len(keys)
        self._records: PendingRecords | None = None
        if sum(map(partitions.count, names)) > _RECORDS:
            return
        asked: dict[str | None, Item] = {}  # DynamoDB refuses a key that comes twice
        if table.exists:
            typed = [None if isinstance(key, ErasedItem) else table.keys_of(key) for key in keys]
            self._names = [None if found is None else item_key(found) for found in typed]
            asked = {name: found for name, found in zip(self._names, typed, strict=True) if found is not None}
        self._records = partitions.begin(names)
        self._items = PendingItems(dynamodb, table.name, list(asked.values()), ConsistentRead=True)

    def result(self) -> list[FirstLook]:
        if self._records is None:
            return [FirstLook(key, None, None) for key in self._keys]
        schema = self._table.key_types
        try:
            records = self._records.result()
            found = {item_key({name: item[name] for name in schema}): item for item in self._items.result()}
        finally:
            self.cancel()
        live = [None if name is None else found.get(name) for name in self._names]
        return [FirstLook(*look) for look in zip(self._keys, records, live, strict=True)]

    def cancel(self) -> None:
        if self._records is not None:
            self._records.cancel()
            self._items.cancel()

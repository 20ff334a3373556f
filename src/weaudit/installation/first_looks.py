"""Reads the items of a table for a first look at each: the records of many items at once, and the items as they are."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from weaudit.aws.batches import PendingItems
from weaudit.aws.client import DynamoDB
from weaudit.installation.audited_tables import AuditedTable, ErasedItem
from weaudit.items.keys import item_key
from weaudit.items.values import Item
from weaudit.trail.store_partitions import Partitions

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
) -> Iterator[FirstLook]:
    """Yield what there is of each of these items, in their order. Raises StoreError, and what ``keys_of`` raises."""
    reader = _Reader(dynamodb, partitions, table)
    under_way: Callable[[], list[FirstLook]] = list
    for group in reader.groups(keys):
        following = reader.begin(group)
        yield from under_way()
        under_way = following
    yield from under_way()


class _Reader:
    def __init__(self, dynamodb: DynamoDB, partitions: Partitions, table: AuditedTable) -> None:
        self._dynamodb = dynamodb
        self._partitions = partitions
        self._table = table

    def groups(self, keys: list[str]) -> Iterator[list[str]]:
        """Yield the keys in groups; an item with too many records is alone in its group."""
        group: list[str] = []
        records = 0
        for key in keys:
            count = self._partitions.count(self._table.partition(key))
            if group and (records + count > _RECORDS or len(group) == _ITEMS):
                yield group
                group, records = [], 0
            group.append(key)
            records += count
        if group:
            yield group

    def begin(self, group: list[str]) -> Callable[[], list[FirstLook]]:
        """Ask for a group without waiting for it; return what returns it."""
        names = [self._table.partition(key) for key in group]
        if sum(map(self._partitions.count, names)) > _RECORDS:
            return lambda: [FirstLook(key, None, None) for key in group]
        records, items = self._partitions.begin(names), self._begin_items(group)

        def result() -> list[FirstLook]:
            return [FirstLook(*found) for found in zip(group, records(), items(), strict=True)]

        return result

    def _begin_items(self, group: list[str]) -> Callable[[], list[Item | None]]:
        """Ask for the items of a group; return what returns them, None where the table has none or it is erased."""
        if not self._table.exists:
            return lambda: [None] * len(group)
        typed = [None if isinstance(key, ErasedItem) else self._table.keys_of(key) for key in group]
        names = [None if keys is None else item_key(keys) for keys in typed]
        # Keys that were written by hand may be two names of one item, and DynamoDB refuses a key that comes twice.
        asked = {name: keys for name, keys in zip(names, typed, strict=True) if keys is not None}
        pending = PendingItems(self._dynamodb, self._table.name, list(asked.values()), ConsistentRead=True)

        def result() -> list[Item | None]:
            schema = self._table.key_types
            found = {item_key({name: item[name] for name in schema}): item for item in pending.result()}
            return [None if name is None else found.get(name) for name in names]

        return result

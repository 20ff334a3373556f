"""Whether the records of one change agree: with each other, with their own index keys, and about their number."""

from __future__ import annotations

from weaudit.capture.records import FORMAT, changes_key, shard
from weaudit.items.keys import history_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from weaudit.items.values import Item

# What a change is called that has a state before it, and a state after it.
_EVENTS = {(False, True): "INSERT", (True, True): "MODIFY", (True, False): "REMOVE"}
_NONE: Item = {}

# The fields in which the records of one change may differ.
_OF_ONE_RECORD = frozenset(
    (
        "id",
        "updatedAttribute",
        "oldValue",
        "newValue",
        "oldValueRef",
        "newValueRef",
        "oldValueRefs",
        "newValueRefs",
        "masked",
        "contentSalt",
        "origin",
        "erased",
        "expiresAt",
    )
)


def coherent(records: Sequence[Item]) -> bool:
    """Return whether the records of a change agree about it, and are of the form that audit_producer gives them.

    Their format is the one that we know, their event fits the states that they have, and their index keys follow from
    their other fields.
    """
    first, *others = records
    if not (_well_formed(first) and well_indexed(first)):
        return False
    # What agrees with the first in every other field is as well formed and indexed, unless only the first is erased.
    common = _common(first) if others else {}
    return all(_common(record) == common and ("erased" not in first or well_indexed(record)) for record in others)


def missing(records: Sequence[Item]) -> int | None:
    """Return how many more records the change has than are here; None if its records do not say how many it has."""
    stated = records[0].get("records", {}).get("N", "")
    return int(stated) - len(records) if stated.isdecimal() and len(stated) < 10 else None


def well_indexed(record: Item) -> bool:
    """Return whether the index keys of a record follow from its other fields.

    An erased record has no item key, and its ``historyKey`` depends on a key that nobody has.
    """
    arn, table = _text(record, "tableArn"), _text(record, "tableName")
    at, sequence = _text(record, "modificationTime"), _text(record, "sequenceNumber")
    label, _, ordered = _text(record, "changeOrder").partition("#")
    return (
        ("erased" in record or _text(record, "historyKey") == history_key(table, _text(record, "itemKey")))
        and ordered == sequence
        and _text(record, "changesKey") == changes_key(table, at[:7], shard(f"{arn}/stream/{label}", sequence))
        and _text(record, "changesOrder") == f"{at}#{sequence}"
    )


def _well_formed(record: Item) -> bool:
    sides = ("beforeHash" in record, "afterHash" in record)
    # A change that came after the erasure of its secret has no hashes of states.
    fits = _text(record, "eventName") == _EVENTS.get(sides) or ("erased" in record and not any(sides))
    return fits and record.get("format") == {"N": str(FORMAT)}


def _common(record: Item) -> Item:
    return {name: value for name, value in record.items() if name not in _OF_ONE_RECORD}


def _text(record: Item, name: str) -> str:
    return str(record.get(name, _NONE).get("S", ""))

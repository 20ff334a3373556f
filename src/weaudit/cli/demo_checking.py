"""Whether the demo's trail is right: every field of every record, as docs/formats/audit-record.md says.

What must be there is worked out here anew, and not by the code that writes records.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from weaudit.domain.changes import Item, Value
from weaudit.domain.images import image_hash

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# The stream's times are whole seconds on AWS, rounded either way.
_ROUNDING_MS = 1500


class Step(NamedTuple):
    """One change that the demo makes: the words for it, and the item before and after."""

    words: str
    before: Item | None
    after: Item | None

    @property
    def event_name(self) -> str:
        """What the stream calls it."""
        return "INSERT" if self.before is None else "REMOVE" if self.after is None else "MODIFY"


def faults(
    table: str, key: str, steps: Sequence[Step], records: Mapping[str, Item | None], from_ms: int, until_ms: int
) -> Iterator[str]:
    """Yield what is wrong with the records of the steps, given by id in the order of the trail.

    Every step changes one attribute or the whole item, so each made one record. ``from_ms`` and ``until_ms`` are when
    the steps began and ended, in milliseconds since 1970.
    """
    if len(records) != len(steps):
        yield f"{len(records)} records instead of {len(steps)}"
    last = ""
    for step, (name, record) in zip(steps, records.items(), strict=False):
        if record is None:
            yield f"{step.words}: record {name} is in the index and not in the table"
            continue
        sequence = _text(record, "sequenceNumber")
        for fault in (
            *_field_faults(_expected(table, key, step, record), record),
            *_time_faults(record, from_ms, until_ms),
        ):
            yield f"{step.words}: {fault}"
        if sequence <= last:
            yield f"{step.words}: sequenceNumber {sequence} does not follow {last}"
        last = sequence


def _expected(table: str, key: str, step: Step, record: Item) -> Item:
    """Return the record that a step must have made; what only the stream knows is taken from the record itself."""
    partition = sha256(f"{table}\0{key}".encode()).hexdigest()
    at, sequence = _text(record, "modificationTime"), _text(record, "sequenceNumber")
    label = _text(record, "changeOrder").partition("#")[0]
    texts = {
        "id": _text(record, "id"),
        "itemKey": key,
        "modificationTime": at,
        "tableName": table,
        "eventName": step.event_name,
        "sequenceNumber": sequence,
        "historyKey": partition,
        "changeOrder": f"{label}#{sequence}",
        "changesKey": f"{table}#{at[:7]}#{partition[0]}",
        "changesOrder": f"{at}#{sequence}",
    }
    expected: dict[str, Value | None] = {name: {"S": text} for name, text in texts.items()}
    expected["beforeHash"] = None if step.before is None else {"S": image_hash(step.before)}
    expected["afterHash"] = None if step.after is None else {"S": image_hash(step.after)}
    if step.before is None or step.after is None:
        expected["oldValue"] = None if step.before is None else {"M": step.before}
        expected["newValue"] = None if step.after is None else {"M": step.after}
    else:
        before, after = step.before, step.after
        (name,) = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        expected |= {"updatedAttribute": {"S": name}, "oldValue": before.get(name), "newValue": after.get(name)}
    return {name: value for name, value in expected.items() if value is not None}


def _field_faults(expected: Item, record: Item) -> Iterator[str]:
    for name in sorted(expected.keys() | record.keys()):
        if expected.get(name) != record.get(name):
            yield f"{name} is {record.get(name, 'absent')} instead of {expected.get(name, 'absent')}"
    if not _UUID4.fullmatch(_text(record, "id")):
        yield f"id {_text(record, 'id')!r} is no UUID of version 4"
    if not re.fullmatch(r"\d{40}", _text(record, "sequenceNumber")):
        yield f"sequenceNumber {_text(record, 'sequenceNumber')!r} has not 40 digits"
    if not _text(record, "changeOrder").partition("#")[0]:
        yield "changeOrder does not say which stream"


def _time_faults(record: Item, from_ms: int, until_ms: int) -> Iterator[str]:
    at = _text(record, "modificationTime")
    if not _TIME.fullmatch(at):
        yield f"modificationTime {at!r} is not like 2024-01-01T00:00:00.000Z"
    elif not from_ms - _ROUNDING_MS <= datetime.fromisoformat(at).timestamp() * 1000 <= until_ms + _ROUNDING_MS:
        yield f"modificationTime {at} is not when the change was made"


def _text(record: Item, name: str) -> str:
    return str(record.get(name, {}).get("S", ""))

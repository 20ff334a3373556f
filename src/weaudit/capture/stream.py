"""Parses DynamoDB stream events as Lambda delivers them.

Source: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html and
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html
"""

from __future__ import annotations

import math

from weaudit.capture.changes import Change
from weaudit.errors import MalformedEventError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HAS_OLD_AND_NEW = {"INSERT": (False, True), "MODIFY": (True, True), "REMOVE": (True, False)}
_YEAR_10000_MS = 253_402_300_800_000


def records(event: Any) -> list[Any]:
    """Return the records of an event, not yet parsed. Raises MalformedEventError if it is not a stream event."""
    found = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(found, list):
        raise MalformedEventError('a DynamoDB stream event is an object with a list "Records"')
    return found


def last_sequence(records: list[Any]) -> str:
    """Return the last record's sequence number as the event spells it, or "": the stream has been read up to it."""
    try:
        return str(records[-1]["dynamodb"]["SequenceNumber"])
    except (IndexError, KeyError, TypeError):
        return ""


def parse(record: Any) -> Change:
    """Return the change that a stream record describes. Raises MalformedEventError, which says what part is wrong."""
    body = _part(record, "dynamodb", dict)
    name = _part(record, "eventName", str)
    if name not in _HAS_OLD_AND_NEW:
        raise MalformedEventError(f"eventName is {name[:40]!r}; it must be INSERT, MODIFY or REMOVE")
    arn = _part(record, "eventSourceARN", str)
    # arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL; only the label may hold colons.
    head, slash, label = arn.partition("/stream/")
    prefix, mark, table = head.partition(":table/")
    if not (prefix.startswith("arn:") and slash and mark and table and label):
        raise MalformedEventError("eventSourceARN is not the ARN of a table's stream")
    sequence = _part(body, "SequenceNumber", str)
    if not (sequence.isdecimal() and sequence.isascii() and len(sequence) <= 40):
        raise MalformedEventError("dynamodb.SequenceNumber is not a number of at most 40 digits")
    has_old, has_new = _HAS_OLD_AND_NEW[name]
    return Change(
        table=table,
        stream_arn=arn,
        stream_label=label,
        event_name=name,
        sequence=sequence.lstrip("0") or "0",
        created_at_ms=_milliseconds(body.get("ApproximateCreationDateTime")),
        keys=_item(body, "Keys"),
        old_image=_item(body, "OldImage") if has_old else None,
        new_image=_item(body, "NewImage") if has_new else None,
        service=_service(record.get("userIdentity")),
    )


def _part(container: Any, name: str, kind: type) -> Any:
    found = container.get(name) if isinstance(container, dict) else None
    if not isinstance(found, kind):
        raise MalformedEventError(f"{name} is missing or not {'an object' if kind is dict else 'a text'}")
    return found


def _item(body: dict[str, Any], name: str) -> dict[str, Any]:
    item = body.get(name)
    if not isinstance(item, dict) or not item:
        raise MalformedEventError(f"dynamodb.{name} is missing: the stream's view type must be NEW_AND_OLD_IMAGES")
    values = item.values()
    if set(map(type, values)) != {dict} or set(map(len, values)) != {1}:
        raise MalformedEventError(f"dynamodb.{name} holds a value that is not DynamoDB JSON")
    return item


def _milliseconds(seconds: Any) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise MalformedEventError("dynamodb.ApproximateCreationDateTime is missing or not a number of seconds")
    at_ms = round(seconds * 1000)
    if not 0 <= at_ms < _YEAR_10000_MS:
        raise MalformedEventError("dynamodb.ApproximateCreationDateTime is not a time between the years 1970 and 9999")
    return at_ms


def _service(identity: Any) -> str:
    """Return the service that made the change by itself, or "": DynamoDB names itself when it deletes expired items."""
    if isinstance(identity, dict) and identity.get("type") == "Service":
        return str(identity.get("principalId", ""))
    return ""

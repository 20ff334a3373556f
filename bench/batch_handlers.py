"""What is compared in batch_cost: our function, and the two ways in which such a function is usually written.

Each builds its client once and returns a handler that takes a stream event. The references deserialise both images,
compare them recursively, and put one item for each changed attribute through a boto3 Table.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

Handler = Callable[[dict[str, Any]], Any]


def ours() -> Handler:
    """Return audit_producer behind its own entry point, log line included."""
    from weaudit.handlers import audit_producer
    from weaudit.runtime import stream

    handler = stream.entry_point(cast("Any", audit_producer))
    return lambda event: handler(event, None)


def floor() -> Handler:
    """Return what sends the records of its first event: encoded, signed and sent, nothing decided."""
    from weaudit.capture import records, stream
    from weaudit.capture.rules import Rules, Terms
    from weaudit.handlers import audit_producer

    stores = audit_producer.connect(os.environ)
    terms = Terms(Rules(), bytes(32), bytes(8), bytes(32), "evidence", 4096)
    decided: list[Any] = []

    def handle(event: dict[str, Any]) -> None:
        if not decided:
            decided.extend(
                record for raw in event["Records"] for record in records.decide(stream.parse(raw), terms).records
            )
        stores["audit"].put(decided, [])

    return handle


def boto3_put_loop() -> Handler:
    """Return the naive function: one PutItem after another."""
    table, deserialise = _boto3()

    def handle(event: dict[str, Any]) -> None:
        for record in event["Records"]:
            for entry in _entries(record, deserialise):
                table.put_item(Item=entry)

    return handle


def boto3_batch_writer() -> Handler:
    """Return the naive function with boto3's batch_writer: 25 items a call, one call after another."""
    table, deserialise = _boto3()

    def handle(event: dict[str, Any]) -> None:
        with table.batch_writer() as batch:
            for record in event["Records"]:
                for entry in _entries(record, deserialise):
                    batch.put_item(Item=entry)

    return handle


HANDLERS = {
    "ours": ours,
    "floor": floor,
    "boto3 put loop": boto3_put_loop,
    "boto3 batch_writer": boto3_batch_writer,
}


def _boto3() -> tuple[Any, Callable[[Any], Any]]:
    import boto3
    from boto3.dynamodb.types import TypeDeserializer

    table = boto3.resource("dynamodb").Table(os.environ["TARGET_TABLE"])
    return table, TypeDeserializer().deserialize


def _entries(record: dict[str, Any], deserialise: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
    body = record["dynamodb"]
    old = {name: deserialise(value) for name, value in body["OldImage"].items()}
    new = {name: deserialise(value) for name, value in body["NewImage"].items()}
    for name in old.keys() | new.keys():
        if _differ(old.get(name), new.get(name)):
            yield {
                "id": str(uuid.uuid4()),
                "itemKey": body["Keys"]["key"]["S"],
                "modificationTime": datetime.fromtimestamp(body["ApproximateCreationDateTime"], UTC).isoformat(),
                "updatedAttribute": name,
                "oldValue": old.get(name),
                "newValue": new.get(name),
            }


def _differ(old: Any, new: Any) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() != new.keys() or any(_differ(old[name], new[name]) for name in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) != len(new) or any(_differ(one, other) for one, other in zip(old, new, strict=True))
    return bool(old != new)

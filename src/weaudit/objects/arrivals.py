"""What the invocation log keeps of an event: the one place that decides a row (docs/formats/invocation-log.md)."""

from hashlib import sha256

from weaudit.items.ids import uuid4
from weaudit.items.values import Item
from weaudit.values import value


@value
class ObjectEvent:
    """One thing that happened to an object of S3.

    ``key`` is as the uploader named it; ``at`` is the event's time in ISO 8601, as S3 spells it. ``version``,
    ``sequencer`` and ``etag`` are "", ``size_bytes`` is None, where the event does not say.
    """

    bucket: str
    key: str
    event_name: str
    at: str
    version: str
    sequencer: str
    etag: str
    size_bytes: int | None


def decide(event: ObjectEvent, function_name: str, aws_request_id: str) -> Item:
    """Return the row of an event, in DynamoDB JSON; all but ``awsRequestId`` is the same for the same event."""
    row: Item = {
        "requestId": {"S": row_id(event)},
        "timestamp": {"S": event.at},
        "bucketName": {"S": event.bucket},
        "objectKey": {"S": event.key},
        "eventName": {"S": event.event_name},
        "functionName": {"S": function_name},
        "awsRequestId": {"S": aws_request_id},
    }
    if event.size_bytes is not None:
        row["size"] = {"N": str(event.size_bytes)}
    for name, text in (("eTag", event.etag), ("versionId", event.version), ("sequencer", event.sequencer)):
        if text:
            row[name] = {"S": text}
    return row


def row_id(event: ObjectEvent) -> str:
    """Return the id of an event's row: a UUID of version 4 by its form, derived so that the same event has the same.

    Of SHA-256 over bucket, key, version, sequencer and event name it takes 122 bits; version and variant as RFC 9562
    says.
    """
    # Each part after its length: a key may hold any character, so no character could stand between them.
    parts = (event.bucket, event.key, event.version, event.sequencer, event.event_name)
    named = "weaudit-invocation-v1" + "".join(f"\0{len(part)}\0{part}" for part in parts)
    return uuid4(sha256(named.encode()).hexdigest())

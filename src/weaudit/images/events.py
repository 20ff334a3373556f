"""Events that an object was created or deleted, as EventBridge hands them to image_processor through its queue.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html (the event),
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html (its envelope). A direct call may bring an event without an
envelope, and a wish of `weaudit reprocess` (docs/formats/image-row.md, Processing again).
"""

from __future__ import annotations

import json

from weaudit.errors import MalformedEventError
from weaudit.images.sources import FIRST, SEQUENCER_DIGITS, ImageSource, padded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REPROCESSING = ("weaudit", "Image Reprocessing")
_CREATED = ("aws.s3", "Object Created")
_DELETED = ("aws.s3", "Object Deleted")
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_LONGEST_KEY_BYTES = 1024  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html


def records(event: Any) -> list[Any]:
    """Return what an invocation brings, unread: each message of a queue, or the one event of a direct call."""
    found = event.get("Records") if isinstance(event, dict) else None
    return found if isinstance(found, list) else [event]


def parse(record: Any) -> ImageSource:
    """Return the object that a message or a bare event tells of. Raises MalformedEventError, saying what is wrong."""
    event = _unwrapped(record)
    kind = (event.get("source"), event.get("detail-type"))
    if kind not in (_CREATED, _DELETED, REPROCESSING):
        raise MalformedEventError(
            'an event of S3 has the source "aws.s3" and the detail-type "Object Created" or "Object Deleted"'
        )
    detail = _part(event, "detail", dict)
    found = _part(detail, "object", dict)
    key = _part(found, "key", str)
    if not 1 <= len(key.encode()) <= _LONGEST_KEY_BYTES:
        raise MalformedEventError(f"key has not 1 to {_LONGEST_KEY_BYTES:,} bytes")
    bucket = _part(_part(detail, "bucket", dict), "name", str)
    wish = kind == REPROCESSING
    deletion = _deletion(detail, found) if kind == _DELETED else None
    return ImageSource(
        bucket=bucket,
        key=key,
        # What a deletion says of an ETag or a size is about what was deleted, or about a delete marker.
        etag=_part(found, "etag", str).strip('"') if kind == _CREATED else "",
        bytes=0 if deletion is not None else _size(found),
        sequencer=FIRST if wish else _sequencer(_part(found, "sequencer", str)),
        event_time=_time(_part(event, "time", str)),
        version_id=_optional(found, "version-id") if deletion is None else "",
        wanted=_part(detail, "pipeline-version", str) if wish else "",
        deletion=deletion,
    )


def _deletion(detail: dict[str, Any], found: dict[str, Any]) -> dict[str, str]:
    """Return how an object was deleted, in the row's words: by a request or by a lifecycle rule, for good or not."""
    texts = {
        "reason": _part(detail, "reason", str),
        "type": _optional(detail, "deletion-type"),
        "requester": _optional(detail, "requester"),
        "versionId": _optional(found, "version-id"),
    }
    return {name: text for name, text in texts.items() if text}


def _unwrapped(record: Any) -> dict[str, Any]:
    event = record
    if isinstance(record, dict) and record.get("eventSource") == "aws:sqs":
        try:
            event = json.loads(_part(record, "body", str))
        except (ValueError, RecursionError):
            raise MalformedEventError("the message's body is not a JSON document") from None
    if not isinstance(event, dict):
        raise MalformedEventError("an event is an object")
    return event


def _part(container: dict[str, Any], name: str, kind: type) -> Any:
    found = container.get(name)
    if not isinstance(found, kind):
        raise MalformedEventError(f"{name} is missing or not {'an object' if kind is dict else 'a text'}")
    return _sound(found, name) if isinstance(found, str) else found


def _optional(container: dict[str, Any], name: str) -> str:
    found = container.get(name)
    if found is not None and not isinstance(found, str):
        raise MalformedEventError(f"{name} is not a text")
    return _sound(found or "", name)


def _sound(text: str, name: str) -> str:
    """Return a text that can be sent on: no store takes half of a surrogate pair, and trying again would not help."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedEventError(f"{name} holds half of a surrogate pair") from None
    return text


def _size(found: dict[str, Any]) -> int:
    size = found.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise MalformedEventError("size is missing or not a number of bytes")
    return size


def _sequencer(text: str) -> str:
    if not 1 <= len(text) <= SEQUENCER_DIGITS or not _HEXADECIMAL.issuperset(text):
        raise MalformedEventError(f"sequencer is not 1 to {SEQUENCER_DIGITS} hexadecimal digits")
    return padded(text)


def _time(text: str) -> str:
    """Return a time of EventBridge, ``2024-01-01T00:00:00Z`` with or without a fraction, with milliseconds."""
    whole, fraction = text[:19], text[19:-1]
    digits = fraction.removeprefix(".")
    shape = "".join("0" if character.isdecimal() and character.isascii() else character for character in whole)
    if shape != "0000-00-00T00:00:00" or text[-1:] != "Z" or (fraction and not (fraction[0] == "." and digits)):
        raise MalformedEventError("time is not ISO 8601 in UTC, as 2024-01-01T00:00:00Z")
    if digits and not (digits.isdecimal() and digits.isascii()):
        raise MalformedEventError("time is not ISO 8601 in UTC, as 2024-01-01T00:00:00Z")
    return f"{whole}.{digits[:3].ljust(3, '0')}Z"

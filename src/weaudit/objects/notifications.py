"""S3 event notifications as Lambda delivers them.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote_plus

from weaudit.errors import MalformedEventError
from weaudit.objects.arrivals import ObjectEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html: in UTF-8.
_LONGEST_KEY_BYTES = 1024
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


def is_test(event: Any) -> bool:
    """Tell whether an event is the one by which S3 tries a new notification; it has no records."""
    return isinstance(event, dict) and event.get("Event") == "s3:TestEvent" and "Records" not in event


def records(event: Any) -> list[Any]:
    """Return the records of an event, unread. Raises MalformedEventError where it is no S3 notification at all."""
    found = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(found, list):
        raise MalformedEventError('an S3 notification is an object with a list "Records"')
    return found


def parse(record: Any) -> ObjectEvent:
    """Return what a record tells, the key decoded once. Raises MalformedEventError, saying which part is wrong."""
    source = _text(record, "eventSource")
    if source != "aws:s3":
        raise MalformedEventError(f"eventSource is {source[:40]!r}; aws:s3 would be right")
    body = _part(record, "s3")
    found = _part(body, "object")
    return ObjectEvent(
        bucket=_text(_part(body, "bucket"), "name"),
        key=decoded_key(_text(found, "key")),
        event_name=_text(record, "eventName"),
        at=_time(_text(record, "eventTime")),
        version=_optional_text(found, "versionId"),
        sequencer=_sequencer(found),
        etag=_optional_text(found, "eTag").strip('"'),
        size_bytes=_size(found.get("size")),
    )


def decoded_key(encoded: str) -> str:
    """Return an object's key as its uploader named it: S3 encodes it like a form, a space being ``+``, ``+`` ``%2B``.

    Raises MalformedEventError where it is no encoding of UTF-8, or of more than 1,024 bytes.
    """
    try:
        key = unquote_plus(encoded, errors="strict")
        size = len(key.encode())
    except UnicodeError:
        raise MalformedEventError("s3.object.key is not URL-encoded UTF-8") from None
    if size > _LONGEST_KEY_BYTES:
        raise MalformedEventError(f"s3.object.key has {size} bytes; S3's keys have 1,024 at most")
    return key


def _part(container: Any, name: str) -> dict[str, Any]:
    found = container.get(name) if isinstance(container, dict) else None
    if not isinstance(found, dict):
        raise MalformedEventError(f"{name} is missing or not an object")
    return found


def _text(container: Any, name: str) -> str:
    found = container.get(name) if isinstance(container, dict) else None
    if not isinstance(found, str) or not found:
        raise MalformedEventError(f"{name} is missing or not a text")
    return _storable(found, name)


def _optional_text(container: dict[str, Any], name: str) -> str:
    found = container.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise MalformedEventError(f"s3.object.{name} is not a text")
    return _storable(found, name)


def _storable(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedEventError(f"{name} holds half of a surrogate pair") from None
    return text


def _sequencer(found: dict[str, Any]) -> str:
    sequencer = _optional_text(found, "sequencer")
    if not _HEXADECIMAL.issuperset(sequencer):
        raise MalformedEventError("s3.object.sequencer is not a hexadecimal number")
    return sequencer


def _size(found: Any) -> int | None:
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**63:
        raise MalformedEventError("s3.object.size is not a number of bytes")
    return found


def _time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text:
        raise MalformedEventError("eventTime is not a time such as 2024-01-01T00:00:00.000Z")
    return text

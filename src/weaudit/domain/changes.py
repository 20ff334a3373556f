"""One change of one item, as the stream of its table tells it."""

from typing import Any, NamedTuple

# DynamoDB JSON: {"S": "text"}, {"N": "1"}, {"M": {...}} ...
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
Value = dict[str, Any]
Item = dict[str, Value]


class Change(NamedTuple):
    """One change of one item; images are in DynamoDB JSON, just as the stream carries them.

    A named tuple and not a dataclass: importing ``dataclasses`` costs a cold start several milliseconds.
    """

    table: str
    stream_arn: str
    stream_label: str  # when the stream was turned on, ISO 8601: sorts one stream of a table after the one before
    event_name: str  # INSERT, MODIFY or REMOVE
    sequence: str  # up to 40 digits
    created_at_ms: int  # since 1970, UTC; DynamoDB gives whole seconds
    keys: Item
    old_image: Item | None
    new_image: Item | None
    service: str  # the AWS service that made the change by itself (a TTL delete), or ""

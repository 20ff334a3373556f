"""One change of one item, as the stream of its table tells it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from weaudit.items.values import Item


class Change:
    """One change of one item; images are in DynamoDB JSON, just as the stream carries them. Nothing writes to it.

    Neither a dataclass nor a named tuple: importing ``dataclasses`` or ``typing`` costs a cold start milliseconds.
    """

    __slots__ = (
        "created_at_ms",
        "event_name",
        "keys",
        "new_image",
        "old_image",
        "sequence",
        "service",
        "stream_arn",
        "stream_label",
        "table",
    )

    def __init__(
        self,
        table: str,
        stream_arn: str,
        stream_label: str,  # when the stream was turned on, ISO 8601: sorts one stream of a table after the one before
        event_name: str,  # INSERT, MODIFY or REMOVE
        sequence: str,  # up to 40 digits
        created_at_ms: int,  # since 1970, UTC; DynamoDB gives whole seconds
        keys: Item,
        old_image: Item | None,
        new_image: Item | None,
        service: str,  # the AWS service that made the change by itself (a TTL delete), or ""
    ) -> None:
        self.table = table
        self.stream_arn = stream_arn
        self.stream_label = stream_label
        self.event_name = event_name
        self.sequence = sequence
        self.created_at_ms = created_at_ms
        self.keys = keys
        self.old_image = old_image
        self.new_image = new_image
        self.service = service

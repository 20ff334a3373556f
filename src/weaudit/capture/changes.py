"""One change of one item, as the stream of its table delivers it."""

from __future__ import annotations

from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Item


@value
class Change:
    """One change of one item. The items before and after are in DynamoDB JSON, exactly as the stream delivers them."""

    table: str
    stream_arn: str
    stream_label: str  # when the stream was turned on, ISO 8601: sorts a table's streams by age
    event_name: str  # INSERT, MODIFY or REMOVE
    sequence: str  # up to 40 digits
    created_at_ms: int  # since 1970, UTC; DynamoDB gives whole seconds
    keys: Item
    old_image: Item | None
    new_image: Item | None
    service: str  # the AWS service that made the change by itself (such as a TTL deletion), or ""

    @property
    def table_arn(self) -> str:
        """The ARN of the table."""
        return self.stream_arn.partition("/stream/")[0]

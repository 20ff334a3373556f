"""The table Images: one row an image, always that of the latest object (docs/formats/image-row.md)."""

from __future__ import annotations

from weaudit.errors import ConditionNotMetError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable
    from typing import Any

    from weaudit.domain.changes import Item


class ImageTable:
    """Keeps rows by the image's key; an older event never replaces what a newer one left.

    ``call`` sends an operation to DynamoDB, in DynamoDB JSON, and raises as adapters.aws.DynamoDB does.
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], dict[str, Any]], name: str) -> None:
        self._call = call
        self._name = name

    def get(self, key: str) -> Item | None:
        """Return the row of an image as it is now, or None. Raises StoreError."""
        request = {"TableName": self._name, "Key": {"imageKey": {"S": key}}, "ConsistentRead": True}
        return self._call("GetItem", request).get("Item")

    def replace(self, row: Item, *, again: bool) -> bool:
        """Put a row if it is the newer one; False where it is not, and nothing was written. Raises StoreError.

        Newer is a row where there was none, one with a later sequencer, and, ``again``, one of the same object by
        another pipeline. Sequencers are padded, so DynamoDB compares them as S3 orders them.
        """
        condition = "attribute_not_exists(imageKey) OR sequencer < :sequencer"
        values = {":sequencer": row["sequencer"]}
        if again:
            condition += " OR (sequencer = :sequencer AND pipelineVersion <> :version)"
            values[":version"] = row["pipelineVersion"]
        request = {
            "TableName": self._name,
            "Item": row,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        try:
            self._call("PutItem", request)
        except ConditionNotMetError as error:
            # Where an earlier attempt was not answered, it may be our own row that the condition met.
            return error.in_doubt
        return True

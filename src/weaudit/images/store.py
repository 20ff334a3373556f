"""The table Images: one row an image, always that of the latest object (docs/formats/image-row.md)."""

from __future__ import annotations

from weaudit.errors import ConditionNotMetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.items.values import Item


class ImageTable:
    """Keeps rows by the image's key; an older event never replaces what a newer one left.

    ``call`` sends an operation to DynamoDB, in DynamoDB JSON, and raises as aws.client.DynamoDB does.
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], dict[str, Any]], name: str) -> None:
        self._call = call
        self._name = name

    def get(self, key: str) -> Item | None:
        """Return the row of an image as it is now, or None. Raises StoreError."""
        request = {"TableName": self._name, "Key": {"imageKey": {"S": key}}, "ConsistentRead": True}
        return self._call("GetItem", request).get("Item")

    def replace(self, row: Item, *, again: bool) -> Item | None:
        """Put a row if it is the newer one; None where it is not, and nothing was written. Raises StoreError.

        Returns the row that it replaced, {} where there was none; where an earlier attempt may have put it, the row
        itself.

        Newer is a row where there was none, one with a later sequencer, and, ``again``, one of the same object by
        another pipeline, or in place of another rejection. Sequencers are padded, so DynamoDB compares them as S3
        orders them.
        """
        condition = "attribute_not_exists(imageKey) OR sequencer < :sequencer"
        values = {":sequencer": row["sequencer"]}
        names = {}
        if again:
            # A comparison with an attribute that is not there holds: hence attribute_exists.
            other = "pipelineVersion <> :version OR (attribute_exists(rejection) AND rejection.#code <> :code)"
            condition += f" OR (sequencer = :sequencer AND ({other}))"
            code = row["rejection"]["M"]["code"] if "rejection" in row else {"S": ""}
            values |= {":version": row["pipelineVersion"], ":code": code}
            names = {"ExpressionAttributeNames": {"#code": "code"}}
        return self._put(row, condition, values, **names)

    def mark(self, row: Item, before: Item) -> bool:
        """Put a row that follows from the one that was read; False where that has changed since. Raises StoreError.

        Its sequencer is a later one, so putting it again changes nothing.
        """
        return self._put(row, "sequencer = :before", {":before": before["sequencer"]}) is not None

    def _put(self, row: Item, condition: str, values: dict[str, Any], **names: dict[str, str]) -> Item | None:
        request = {
            "TableName": self._name,
            "Item": row,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ReturnValues": "ALL_OLD",
            **names,
        }
        try:
            return self._call("PutItem", request).get("Attributes") or {}
        except ConditionNotMetError as error:
            # Where an earlier attempt was not answered, it may be our own row that the condition met.
            return row if error.in_doubt else None

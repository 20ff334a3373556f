"""The table Images: what is known of each image, written by the function that processed it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable
    from typing import Any

    from weaudit.domain.changes import Item


class ImageTable:
    """Gives rows back, in DynamoDB JSON. ``call`` sends an operation to DynamoDB."""

    def __init__(self, call: Callable[[str, dict[str, Any]], dict[str, Any]], name: str) -> None:
        self._call = call
        self._name = name

    def get(self, image_key: str) -> Item | None:
        """Return an image's row as it is now, None where there is none. Raises StoreError."""
        asked = {"TableName": self._name, "Key": {"imageKey": {"S": image_key}}, "ConsistentRead": True}
        row: Item | None = self._call("GetItem", asked).get("Item")
        return row

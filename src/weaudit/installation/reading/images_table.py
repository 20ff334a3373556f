"""Reads the table Images, in DynamoDB JSON."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from weaudit.installation.targets import wire

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.items.values import Item


def rows(installation: "Installation", *, rejected: bool = False) -> "Iterator[Item]":
    """Yield the rows of all images, or only of those that were rejected, in no order."""
    request: dict[str, Any] = {"TableName": installation.images_table, "ConsistentRead": True}
    if rejected:
        request["FilterExpression"] = "#status = :rejected"
        request["ExpressionAttributeNames"] = {"#status": "status"}
        request["ExpressionAttributeValues"] = {":rejected": {"S": "rejected"}}
    for page in installation.target.client("dynamodb").get_paginator("scan").paginate(**request):
        yield from map(wire, page["Items"])


def row(installation: "Installation", image_key: str) -> "Item | None":
    """Return the row of one image, or None if there is no such image."""
    found: Item | None = wire(
        installation.target.client("dynamodb")
        .get_item(TableName=installation.images_table, Key={"imageKey": {"S": image_key}}, ConsistentRead=True)
        .get("Item")
    )
    return found

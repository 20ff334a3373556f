"""An order's life by boto3: each update expression counts the version, and sets `updatedAt` and the expiry `ttl`."""

import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3

NINETY_DAYS = 90 * 24 * 60 * 60
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def update(place: str, value: Any) -> None:
    names = {f"#{number}": name for number, name in enumerate(place.split("."))}
    table.update_item(
        Key={"id": "o-1001"},
        UpdateExpression=f"SET {'.'.join(names)} = :value, updatedAt = :now, #ttl = :expiry ADD version :one",
        ExpressionAttributeNames={**names, "#ttl": "ttl"},
        ExpressionAttributeValues={
            ":value": value,
            ":now": now(),
            ":expiry": int(time.time()) + NINETY_DAYS,
            ":one": 1,
        },
    )


table.put_item(
    Item={
        "id": "o-1001",
        "customer": "ada",
        "status": "placed",
        "total": Decimal("49.9"),
        "shipTo": {"street": "Hauptstrasse 1", "city": "Bern"},
        "version": 1,
        "updatedAt": now(),
        "ttl": int(time.time()) + NINETY_DAYS,
    }
)
time.sleep(1.1)
update("status", "paid")
time.sleep(1.1)
update("status", "paid")  # changes nothing of the order
time.sleep(1.1)
update("shipTo.city", "Basel")
time.sleep(1.1)
table.delete_item(Key={"id": "o-1001"})

"""Stream events as Lambda delivers them: items of ten attributes, of which an update changes some."""

from typing import Any

TABLE = "Configuration"
STREAM_ARN = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}/stream/2024-01-01T00:00:00.000"


def item(number: int, version: int, changed: int) -> dict[str, Any]:
    """Return the ``number``-th item in DynamoDB JSON; ``changed`` of its attributes differ from version to version."""
    step = [version if index < changed else 0 for index in range(3)]
    return {
        "key": {"S": f"SETTING_{number:06d}"},
        "value": {"N": str(1800 + step[0])},
        "updatedAt": {"S": f"2024-01-01T00:00:{step[1] % 60:02d}.000Z"},
        # No zero ends it: DynamoDB trims those, so no stream has them.
        "price": {"N": f"12.{step[2]:03d}5"},
        "name": {"S": f"Setting number {number}"},
        "description": {"S": "How long a warm function keeps what it has read of the configuration table. " * 2},
        "enabled": {"BOOL": True},
        "tags": {"SS": ["blue", "green", "red"]},
        "limits": {"M": {"soft": {"N": "10"}, "hard": {"N": "25.5"}, "unit": {"S": "requests"}}},
        "owners": {"L": [{"S": "ada"}, {"S": "grace"}, {"NULL": True}]},
    }


def modify_event(records: int, changed: int, start: int = 0) -> dict[str, Any]:
    """Return an event of ``records`` updates, each of which changes ``changed`` (1 to 3) attributes of an item."""
    return {"Records": [_record(start + index, changed) for index in range(records)]}


def _record(number: int, changed: int) -> dict[str, Any]:
    return {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1704067200.0 + number,
            "Keys": {"key": {"S": f"SETTING_{number:06d}"}},
            "NewImage": item(number, number + 1, changed),
            "OldImage": item(number, number, changed),
            "SequenceNumber": str(4421584500000000017450439091 + number),
            "SizeBytes": 892,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": STREAM_ARN,
    }

"""S3 event notifications as Lambda delivers them, for the tests of s3_processor."""

from typing import Any
from urllib.parse import quote_plus

BUCKET = "lambda-trigger-bucket-dev-111122223333"


def object_record(key: str = "report.pdf", *, sequencer: str = "0055AED6DCD90281E5", **parts: Any) -> dict[str, Any]:
    """Return one record of a notification, the key encoded as S3 does; ``parts`` replace those of ``s3.object``."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2024-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "c",
            "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"},
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "sequencer": sequencer,
                **parts,
            },
        },
    }


def numbered(count: int) -> list[dict[str, Any]]:
    """Return records of so many objects."""
    return [object_record(f"file {number}.txt", sequencer=f"{number:018X}") for number in range(count)]

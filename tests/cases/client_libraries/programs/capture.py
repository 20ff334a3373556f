"""Runs one of these programs on a table of its own, and writes what the table's stream says to its fixture.

    eval "$(weaudit env)"                       # the embedded engine; `weaudit up` starts it
    python capture.py electrodb -- node with_electrodb.mjs

The records are written as Lambda delivers them, one a line, with the account, the region and the stream's label that
all cases have.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3

TABLE = "orders"
STREAM_ARN = f"arn:aws:dynamodb:eu-west-1:111122223333:table/{TABLE}/stream/2024-01-01T00:00:00.000"
# Key attributes, partition key first; all are strings. What is not named here has the key "id".
KEYS = {"electrodb": ["pk", "sk"], "dynamodb-toolbox": ["PK", "SK"]}
INDEXES = {"electrodb": {"gsi1": ["gsi1pk", "gsi1sk"]}}


def schema(names: list[str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def make_table(dynamodb: Any, library: str) -> str:
    """Make the table and return the ARN of its stream."""
    keys, indexes = KEYS.get(library, ["id"]), INDEXES.get(library, {})
    more: dict[str, Any] = {}
    if indexes:
        more["GlobalSecondaryIndexes"] = [
            {"IndexName": name, "KeySchema": schema(names), "Projection": {"ProjectionType": "ALL"}}
            for name, names in indexes.items()
        ]
    made = dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for names in (keys, *indexes.values()) for name in names
        ],
        KeySchema=schema(keys),
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        **more,
    )
    dynamodb.get_waiter("table_exists").wait(TableName=TABLE)
    return str(made["TableDescription"]["LatestStreamArn"])


def records(streams: Any, arn: str) -> list[dict[str, Any]]:
    """Return all records of a stream, as Lambda delivers them."""
    found: list[dict[str, Any]] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place: str | None = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while place:
            page = streams.get_records(ShardIterator=place)
            if not page["Records"]:
                break
            found += page["Records"]
            place = page.get("NextShardIterator")
    return [delivered(record) for record in found]


def delivered(record: dict[str, Any]) -> dict[str, Any]:
    record["awsRegion"] = STREAM_ARN.split(":")[3]
    at = record["dynamodb"]["ApproximateCreationDateTime"]
    record["dynamodb"]["ApproximateCreationDateTime"] = int(at.timestamp())
    return {**record, "eventSourceARN": STREAM_ARN}


def main() -> None:
    library, _, *command = sys.argv[1:]
    dynamodb = boto3.client("dynamodb")
    arn = make_table(dynamodb, library)
    try:
        subprocess.run(command, check=True, env={**os.environ, "TABLE": TABLE})
        found = records(boto3.client("dynamodbstreams"), arn)
    finally:
        dynamodb.delete_table(TableName=TABLE)
    path = Path(__file__).parents[1] / f"{library}.jsonl"
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in found), encoding="utf-8")


if __name__ == "__main__":
    main()

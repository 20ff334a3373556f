"""The least that a function on boto3 can do: make a client, put one item."""

import os
import uuid

import boto3

dynamodb = boto3.client("dynamodb")


def lambda_handler(event, context):  # noqa: ARG001 Lambda passes both
    """Put one item for each record, values as they came."""
    for record in event["Records"]:
        body = record["dynamodb"]
        item = {
            "id": {"S": str(uuid.uuid4())},
            "oldValue": {"M": body["OldImage"]},
            "newValue": {"M": body["NewImage"]},
        }
        dynamodb.put_item(TableName=os.environ["TARGET_TABLE"], Item=item)
    return {"records": len(event["Records"])}

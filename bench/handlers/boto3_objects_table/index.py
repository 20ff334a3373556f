"""The function as it is often written: boto3's Table, one put after another."""

import json
import os
import uuid
from urllib.parse import unquote_plus

import boto3

table = boto3.resource("dynamodb").Table(os.environ["DYNAMODB_TABLE_NAME"])


def lambda_handler(event, context):
    """Put one item for each record, and log the event."""
    for record in event["Records"]:
        item = {
            "requestId": str(uuid.uuid4()),
            "timestamp": record["eventTime"],
            "bucketName": record["s3"]["bucket"]["name"],
            "objectKey": unquote_plus(record["s3"]["object"]["key"]),
            "eventName": record["eventName"],
            "functionName": context.function_name,
            "awsRequestId": context.aws_request_id,
        }
        table.put_item(Item=item)
    print(json.dumps({"level": "INFO", "message": "event done"}))
    return {"statusCode": 200, "body": "done"}

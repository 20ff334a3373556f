"""The least that a function on boto3 can do: make a client, put one item a record."""

import os
import uuid
from urllib.parse import unquote_plus

import boto3

dynamodb = boto3.client("dynamodb")


def lambda_handler(event, context):
    """Put one item for each record."""
    for record in event["Records"]:
        item = {
            "requestId": {"S": str(uuid.uuid4())},
            "timestamp": {"S": record["eventTime"]},
            "bucketName": {"S": record["s3"]["bucket"]["name"]},
            "objectKey": {"S": unquote_plus(record["s3"]["object"]["key"])},
            "eventName": {"S": record["eventName"]},
            "functionName": {"S": context.function_name},
            "awsRequestId": {"S": context.aws_request_id},
        }
        dynamodb.put_item(TableName=os.environ["DYNAMODB_TABLE_NAME"], Item=item)
    return {"statusCode": 200, "body": "done"}

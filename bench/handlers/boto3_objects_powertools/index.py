"""The usual function: boto3, and of Powertools the logger, the metrics and the tracer."""

import os
import uuid
from urllib.parse import unquote_plus

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()
metrics = Metrics()
tracer = Tracer()
dynamodb = boto3.client("dynamodb")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event, context):
    """Put one item for each record; log and count it."""
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
    metrics.add_metric(name="Records", unit=MetricUnit.Count, value=len(event["Records"]))
    logger.info("event done")
    return {"statusCode": 200, "body": "done"}

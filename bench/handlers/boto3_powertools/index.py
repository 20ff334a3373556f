"""The usual function: boto3, and of Powertools the logger, the metrics and the tracer."""

import os
import uuid

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
def lambda_handler(event, context):  # noqa: ARG001 Lambda passes both
    """Put one item for each record, values as they came; log and count it."""
    for record in event["Records"]:
        body = record["dynamodb"]
        item = {
            "id": {"S": str(uuid.uuid4())},
            "oldValue": {"M": body["OldImage"]},
            "newValue": {"M": body["NewImage"]},
        }
        dynamodb.put_item(TableName=os.environ["TARGET_TABLE"], Item=item)
    metrics.add_metric(name="Records", unit=MetricUnit.Count, value=len(event["Records"]))
    logger.info("batch done")
    return {"records": len(event["Records"])}

"""An update as it is usually written: boto3's Table, an ExpressionAttributeNames by hand, the log in a transaction."""

import json
import os
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import boto3
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

client = boto3.client("dynamodb")
serialise = TypeSerializer().serialize


def lambda_handler(event, _context):
    """Set the attributes of one record and log it, in one transaction."""
    document = json.loads(event["body"], parse_float=Decimal) if "body" in event else event
    now = datetime.now(UTC).isoformat()
    values = {name: serialise(value) for name, value in document["attributes"].items()}
    log_id = str(uuid.uuid4())
    update = {
        "TableName": os.environ["TABLE_NAME"],
        "Key": {"key": {"S": document["id"]}},
        "UpdateExpression": "SET " + ", ".join(f"#n{place} = :v{place}" for place in range(len(values))),
        "ConditionExpression": "attribute_exists(#key)",
        "ExpressionAttributeNames": {"#key": "key", **{f"#n{place}": name for place, name in enumerate(values)}},
        "ExpressionAttributeValues": {f":v{place}": value for place, value in enumerate(values.values())},
    }
    entry = {
        "log_id": {"S": log_id},
        "timestamp": {"S": now},
        "table_name": {"S": os.environ["TABLE_NAME"]},
        "record_id": {"S": document["id"]},
        "updated_attributes": {"M": values},
        "user_agent": {"S": document.get("user_agent", "lambda-function")},
        "status": {"S": "success"},
    }
    try:
        client.transact_write_items(
            TransactItems=[{"Update": update}, {"Put": {"TableName": os.environ["AUDIT_LOG_TABLE"], "Item": entry}}]
        )
    except ClientError as error:
        return {"success": False, "error": error.response["Error"]["Code"], "timestamp": now}
    print(json.dumps({"level": "INFO", "message": "updated"}))
    return {"success": True, "updated_id": document["id"], "updated_attributes": list(values), "timestamp": now}

"""The API's reading routes as they are usually written: boto3, its resource's deserialiser, json.dumps."""

import hashlib
import json
import os
from decimal import Decimal

import boto3
from boto3.dynamodb.types import Binary, TypeDeserializer

dynamodb = boto3.client("dynamodb")
s3 = boto3.client("s3")
deserialise = TypeDeserializer().deserialize


def lambda_handler(event, _context):
    """Answer one route of the HTTP API."""
    query = event.get("queryStringParameters") or {}
    path = event.get("pathParameters") or {}
    document = ROUTES[event["routeKey"]](query, path)
    print(json.dumps({"level": "INFO", "message": "answered", "route": event["routeKey"]}))
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(document, default=_plain),
    }


def objects(query, _path):
    """List a page of the bucket."""
    answer = s3.list_objects_v2(Bucket=os.environ["OBJECTS_BUCKET"], MaxKeys=int(query.get("limit", 50)))
    return {
        "objects": [
            {"key": found["Key"], "bytes": found["Size"], "lastModified": found["LastModified"].isoformat()}
            for found in answer.get("Contents", [])
        ],
        "cursor": answer.get("NextContinuationToken"),
    }


def history(query, path):
    """Give a page of an item's records."""
    partition = hashlib.sha256(f"{path['table']}\0{query['key']}".encode()).hexdigest()[:40]
    answer = dynamodb.query(
        TableName=os.environ["AUDIT_TABLE"],
        IndexName="history",
        KeyConditionExpression="historyKey = :item",
        ExpressionAttributeValues={":item": {"S": partition}},
        Limit=int(query.get("limit", 50)),
    )
    keys = [{"id": found["id"]} for found in answer["Items"]]
    table = os.environ["AUDIT_TABLE"]
    found = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})["Responses"][table] if keys else []
    return {"changes": [_item(one) for one in found], "cursor": None}


def record(_query, path):
    """Give one record."""
    return _item(dynamodb.get_item(TableName=os.environ["AUDIT_TABLE"], Key={"id": {"S": path["id"]}})["Item"])


def images(query, _path):
    """Give an image's row with links."""
    row = _item(dynamodb.get_item(TableName=os.environ["IMAGES_TABLE"], Key={"imageKey": {"S": query["key"]}})["Item"])
    for rendition in row["renditions"]:
        where = {"Bucket": os.environ["RENDITIONS_BUCKET"], "Key": rendition["key"]}
        rendition["url"] = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=900)
    return row


def health(_query, _path):
    """Look at the tables."""
    names = os.environ["STACK_TABLES"].split(",")
    states = {name: dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] for name in names}
    return {"state": "ok" if set(states.values()) == {"ACTIVE"} else "degraded", "tables": states}


def _item(found):
    return {name: deserialise(value) for name, value in found.items()}


def _plain(value):
    return (
        float(value) if isinstance(value, Decimal) else bytes(value).hex() if isinstance(value, Binary) else str(value)
    )


ROUTES = {
    "GET /v1/objects": objects,
    "GET /v1/tables/{table}/history": history,
    "GET /v1/records/{id}": record,
    "GET /v1/images": images,
    "GET /v1/health": health,
}

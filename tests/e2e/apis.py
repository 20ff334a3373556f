"""An engine that checks signatures and permissions, with an API that has something to answer on every route."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.credentials import Credentials

from tests.openapi import Answer, Caller
from tests.waiting import eventually as eventually  # for whoever takes the API
from weaudit.api.routes import Route
from weaudit.installation import stacks
from weaudit.installation.targets import Target
from weaudit.local import engine as engines
from weaudit.local import process

# As in the examples of docs/openapi.yaml.
KEY = "CACHE_TTL_SEC"
PICTURE = "photos/cat.jpg"
BUCKET = "lambda-trigger-bucket-dev-000000000000"
RENDITIONS = "weaudit-renditions-dev-000000000000"


@dataclasses.dataclass(frozen=True, slots=True)
class Api:
    """An API that permissions are enforced on, with something to answer behind each of its routes."""

    target: Target
    url: str
    id: str
    outputs: dict[str, str]
    record: str
    directory: Path

    def client(self, service: str, credentials: Credentials | None = None) -> Any:
        """Return a boto3 client, of the administrator or of these credentials."""
        if credentials is None:
            return self.target.client(service)
        return boto3.client(
            service,
            endpoint_url=self.target.endpoint,
            region_name=self.target.region,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
        )

    def role(self, name: str, policy: dict[str, Any]) -> Credentials:
        """Make a role with this policy, and return credentials of a session of it."""
        iam = self.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=self._trust())["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=json.dumps(policy))
        return self._session(arn)

    def function_role(self, logical: str) -> Credentials:
        """Return credentials of a function's own role, which from now on trusts the account, too."""
        resource = self.client("cloudformation").describe_stack_resource(
            StackName="weaudit-dev", LogicalResourceId=logical
        )["StackResourceDetail"]
        name = resource["PhysicalResourceId"]
        self.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=self._trust())
        return self._session(f"arn:aws:iam::000000000000:role/{name}")

    def policy(self) -> dict[str, Any]:
        """Return the policy that CallerRoleNames attaches."""
        resource = f"arn:aws:execute-api:us-east-1:000000000000:{self.id}/$default/*"
        statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
        return {"Version": "2012-10-17", "Statement": [statement]}

    def _trust(self) -> str:
        trusted = {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
            "Action": "sts:AssumeRole",
        }
        lambdas = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [trusted, lambdas]})

    def _session(self, arn: str) -> Credentials:
        taken = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="reader")["Credentials"]
        return Credentials(taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])

    def ask(self, route: Route, credentials: Credentials | None) -> Answer:
        """Call a route with parameters for which there is something to answer."""
        path = route.path.replace("{table}", "Configuration").replace("{id}", self.record)
        values = {"key": PICTURE if route.function == "read_images" else KEY, "from": "2024-01-01T00:00:00Z"}
        values["to"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        query = {name: values[name] for name in route.required}
        if route.path.endswith("/item"):
            query["at"] = values["to"]
        body: Any = {"id": KEY, "attributes": {"n": 1}, "enable_logging": True} if route.method == "POST" else None
        return Caller(self.url, credentials).ask(route.method, path, query, body)


def furnish(client: Callable[[str], Any]) -> str:
    """Put something behind every route; return the id of an audit record."""
    dynamodb, s3 = client("dynamodb"), client("s3")
    dynamodb.put_item(TableName="Configuration", Item={"key": {"S": KEY}, "big": {"N": "9" * 38}})
    buckets = [found["Name"] for found in s3.list_buckets()["Buckets"]]
    for name in (BUCKET, RENDITIONS):
        if name not in buckets:
            s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=BUCKET, Key="invoices/2024/1 of 2.txt", Body=b"hello")
    if "Images" not in dynamodb.list_tables()["TableNames"]:
        dynamodb.create_table(
            TableName="Images",
            AttributeDefinitions=[{"AttributeName": "imageKey", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "imageKey", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    dynamodb.put_item(TableName="Images", Item=picture(BUCKET))
    record = str(eventually(lambda: dynamodb.scan(TableName="Audit")["Items"])[0]["id"]["S"])
    # One of the routes answers with its proof: do not wait for the clock of the sealer.
    client("lambda").invoke(FunctionName="weaudit-ledger-sealer")
    return record


def picture(bucket: str) -> dict[str, Any]:
    """Return a row of Images."""
    rendition = {"name": "small", "key": "aa/bb/small.webp", "format": "webp", "sha256": "ab" * 32}
    sizes = {"width": "4", "height": "3", "bytes": "40"}
    wire = {name: {"S": value} for name, value in rendition.items()} | {name: {"N": n} for name, n in sizes.items()}
    texts = {"imageKey": PICTURE, "bucket": bucket, "status": "processed", "format": "jpeg", "sha256": "cd" * 32}
    texts |= {"eTag": "e", "sequencer": "01", "pipelineVersion": "built-in-0", "eventTime": "2024-01-01T00:00:00.000Z"}
    row: dict[str, Any] = {name: {"S": value} for name, value in texts.items()}
    numbers = {"bytes": "400", "width": "40", "height": "30", "pages": "1"}
    row |= {name: {"N": value} for name, value in numbers.items()} | {"hasAlpha": {"BOOL": False}}
    return row | {"renditions": {"L": [{"M": wire}]}, "warnings": {"L": []}, "algorithms": {"M": {}}}


def started(folder: Path) -> Iterator[Api]:
    """Start an engine in ``folder`` that checks who asks, and furnish it; it is gone afterwards."""
    engine = engines.up(port=process.free_port(), state_dir=folder, auth=True)
    try:
        target = Target.of(engine)
        found = stacks.describe(target, "weaudit-dev")
        assert found is not None
        url = f"{target.endpoint}/_aws/execute-api/{found.outputs['ApiId']}/$default"
        yield Api(target, url, found.outputs["ApiId"], found.outputs, furnish(target.client), folder)
    finally:
        engines.down(state_dir=engine.directory, force=True)

"""Who may call the API, and what its functions may do: on an engine that checks signatures and permissions."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.e2e.apis import BUCKET, KEY, RENDITIONS, Api, eventually
from tests.openapi import Caller
from weaudit.deploy import stack
from weaudit.domain.routes import ROUTES

pytestmark = pytest.mark.engine

POLICIES = Path(__file__).parents[2] / "docs" / "policies"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def test_every_route_answers_whom_it_may_and_nobody_else(api: Api) -> None:
    allowed = api.role("allowed", api.policy())
    # May do anything in the account but call the API.
    denied = {"Effect": "Deny", "Action": "execute-api:*", "Resource": "*"}
    stranger = api.role("stranger", {**EVERYTHING, "Statement": [*EVERYTHING["Statement"], denied]})
    nobody = api.role("nobody", {"Version": "2012-10-17", "Statement": [denied]})
    forged = Credentials(allowed.access_key, "x" * 40, allowed.token)
    for route in ROUTES:
        for credentials in (None, forged, stranger, nobody):
            answer = api.ask(route, credentials)
            assert answer.status == 403, (route.key, answer)
            assert "success" not in answer.document, "no function was called"
        answer = api.ask(route, allowed)
        assert answer.status == 200, (route.key, answer)


READERS = {
    "auditor": {route.key for route in ROUTES if route.function in ("read_trail", "health")},
    "object-lister": {"GET /v1/objects"},
    "one-table": {route.key for route in ROUTES if "{table}" in route.path},
    "operator": {route.key for route in ROUTES},
    "updater": {"POST /v1/updates"},
}


def test_there_is_a_reader_for_every_example_of_a_policy() -> None:
    assert {path.stem for path in POLICIES.glob("*.json")} == READERS.keys()


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_may_call_its_routes_and_no_others(api: Api, reader: str) -> None:
    text = (POLICIES / f"{reader}.json").read_text(encoding="utf-8")
    for placeholder, value in (
        ("REGION", "us-east-1"),
        ("ACCOUNT", "000000000000"),
        ("API_ID", api.id),
        ("/TABLE/", "/Configuration/"),
    ):
        text = text.replace(placeholder, value)
    credentials = api.role(f"reader-{reader}", json.loads(text))
    found = {route.key: api.ask(route, credentials).status for route in ROUTES}
    assert found == {route.key: 200 if route.key in READERS[reader] else 403 for route in ROUTES}
    if reader == "one-table":
        other = Caller(api.url, credentials).ask("GET", "/v1/tables/Other/history", {"key": KEY})
        assert other.status == 403


# One data action beyond what each function's role needs, on what it works with and beside it.
BEYOND: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "ListObjectsRole": [
        ("s3", "get_object", {"Bucket": BUCKET, "Key": "invoices/2024/1 of 2.txt"}),
        ("s3", "put_object", {"Bucket": BUCKET, "Key": "new", "Body": b""}),
        ("s3", "list_objects_v2", {"Bucket": "weaudit-evidence-dev-000000000000"}),
        ("dynamodb", "get_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}}),
    ],
    "ReadTrailRole": [
        ("dynamodb", "scan", {"TableName": "Audit"}),
        ("dynamodb", "put_item", {"TableName": "Audit", "Item": {"id": {"S": "1"}}}),
        ("dynamodb", "delete_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}}),
        ("dynamodb", "get_item", {"TableName": "Configuration", "Key": {"key": {"S": KEY}}}),
        ("s3", "get_object", {"Bucket": "weaudit-evidence-dev-000000000000", "Key": "quarantine/x"}),
    ],
    "ReadImagesRole": [
        ("dynamodb", "put_item", {"TableName": "Images", "Item": {"imageKey": {"S": "1"}}}),
        ("dynamodb", "scan", {"TableName": "Images"}),
        ("s3", "get_object", {"Bucket": BUCKET, "Key": "invoices/2024/1 of 2.txt"}),
        ("s3", "put_object", {"Bucket": RENDITIONS, "Key": "new", "Body": b""}),
    ],
    "HealthRole": [
        ("dynamodb", "get_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}}),
        ("dynamodb", "scan", {"TableName": "Configuration"}),
    ],
    "TableUpdateRole": [
        ("dynamodb", "delete_item", {"TableName": "Configuration", "Key": {"key": {"S": KEY}}}),
        ("dynamodb", "get_item", {"TableName": "Configuration", "Key": {"key": {"S": KEY}}}),
        ("dynamodb", "update_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}}),
    ],
}


@pytest.mark.parametrize("role", BEYOND)
def test_a_functions_role_may_do_nothing_beyond_its_work(api: Api, role: str) -> None:
    # (That it is enough for its work is what every route's 200 above says.)
    credentials = api.function_role(role)
    for service, operation, arguments in BEYOND[role]:
        client = api.client(service, credentials)
        with pytest.raises(ClientError) as refused:
            getattr(client, operation)(**arguments)
        assert refused.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), (
            operation,
            arguments,
        )


def test_an_updates_caller_is_the_identity_that_signed(api: Api) -> None:
    credentials = api.role("ada", api.policy())
    body = {"id": KEY, "attributes": {"signed": True}, "enable_logging": True, "user_agent": "somebody else"}
    assert Caller(api.url, credentials).ask("POST", "/v1/updates", body=body).status == 200
    rows = api.client("dynamodb").scan(TableName="audit_logs")["Items"]
    callers = [row["caller"]["S"] for row in rows if "signed" in row.get("updated_attributes", {}).get("M", {})]
    assert callers == ["arn:aws:sts::000000000000:assumed-role/ada/reader"]


def test_an_error_leads_to_the_line_of_the_log(api: Api) -> None:
    answer = Caller(api.url, api.role("lost", api.policy())).ask("GET", "/v1/health", {"wrong": "1"})
    assert answer.status == 400
    request_id = answer.headers["x-request-id"]
    group = "/aws/lambda/weaudit-api-health"

    def lines() -> list[Any]:
        events = api.client("logs").filter_log_events(logGroupName=group)["events"]
        found = [json.loads(event["message"]) for event in events if event["message"].startswith('{"level"')]
        return [line for line in found if line.get("requestId") == request_id]

    [line] = eventually(lines)
    assert (line["status"], line["error"]) == (400, "InvalidInputError")


PRIVATE = Path(__file__).parents[2] / "infra" / "private-api.yaml"


def test_the_private_api_is_closed_outside_its_endpoint_and_answers_behind_it(api: Api) -> None:
    text = PRIVATE.read_text(encoding="utf-8")
    # The engine does not know this kind of resource.
    start = text.index("  WebAclAssociation:")
    text = text[:start] + text[text.index("Outputs:") :]
    without_policy = text[: text.index("      Policy:")] + text[text.index("      # A deployment is a copy") :]
    allowed = api.role("inside", {**EVERYTHING})
    for name, template, status in (("closed", text, 403), ("open", without_policy, 200)):
        url = _deployed(api, name, template)
        for route in ROUTES:
            answer = dataclasses.replace(api, url=url).ask(route, allowed)
            assert answer.status == status, (route.key, answer)


def _deployed(api: Api, name: str, template: str) -> str:
    parameters = {name: value for name, value in api.outputs.items() if f"\n  {name}:\n    Type: String" in template}
    parameters |= {"VpcEndpointIds": "vpce-0123456789abcdef0", "WafRequestsPer5Minutes": "1000", "Prefix": f"{name}-"}
    cloudformation = api.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    found = stack.describe(api.target, name)
    assert found is not None
    return f"{api.target.endpoint}/_aws/execute-api/{found.outputs['ApiId']}/api"

"""Who may call the API, and what its functions may do: on an engine that checks signatures and permissions."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.canaries import leaks, planted
from tests.e2e.apis import BUCKET, KEY, RENDITIONS, Api, eventually
from tests.e2e.pictures import drawn
from tests.infra.test_template import function_resource
from tests.openapi import Caller
from weaudit.api.routes import ROUTES
from weaudit.functions import FUNCTIONS, Function
from weaudit.installation import stacks

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
        answer = Caller(api.url, None).ask(route.method, route.path, headers={"Authorization": "Bearer abc"})
        assert answer.status == 403, (route.key, answer)
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


# ---- each function by its own role: enough for its work, and nothing beyond it


def _records(api: Api, key: str) -> list[Any]:
    rows = api.client("dynamodb").scan(TableName="Audit")["Items"]
    return [row for row in rows if row["itemKey"]["S"] == key]


def _produces(api: Api) -> None:
    item = {"key": {"S": "by-its-role"}, "value": {"S": planted("attribute")}}
    api.client("dynamodb").put_item(TableName="Configuration", Item=item)
    eventually(lambda: _records(api, "by-its-role"))
    # What can never be audited is kept, by its own role as well.
    change = {"Keys": {"key": {"S": planted("key")}}, "NewImage": {"key": {"X": planted("malformed")}}}
    said = _invoke(api, "audit_producer:learn", {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": change}]})
    assert said["quarantined"] == 1, said


def _updates(api: Api) -> None:
    caller = Caller(api.url, api.role("updater-at-work", api.policy()))
    wanted = {"id": KEY, "attributes": {"note": planted("update")}, "enable_logging": True}
    assert caller.ask("POST", "/v1/updates", body=wanted).status == 200
    assert caller.ask("POST", "/v1/updates", body={**wanted, "request_id": "by-its-role"}).status == 200
    for refused, status in (
        ({"condition_expression": f"note = '{planted('condition')}'"}, 412),
        ({"condition_expression": f"note === '{planted('syntax')}'"}, 400),
        ({"attributes": {"": planted("name")}}, 400),
        ({"id": planted("id")}, 404),
        ({"attributes": {"key": planted("key-attribute")}}, 400),
        ({"request_id": [planted("request-id")]}, 400),
    ):
        assert caller.ask("POST", "/v1/updates", body={**wanted, **refused}).status == status, refused


def _logs_objects(api: Api) -> None:
    api.client("s3").put_object(Bucket=BUCKET, Key="by-its-role.txt", Body=planted("body").encode())
    table = api.outputs["DynamoDBTableName"]

    def keys() -> set[str]:
        return {row["objectKey"]["S"] for row in api.client("dynamodb").scan(TableName=table)["Items"]}

    eventually(lambda: "by-its-role.txt" in keys())
    said = _invoke(api, f"{api.outputs['LambdaFunctionName']}:live", {"Records": [{"s3": planted("event")}]})
    assert said["statusCode"] == 500


def _image(api: Api, key: str, status: str) -> bool:
    row = api.client("dynamodb").get_item(TableName="Images", Key={"imageKey": {"S": key}}).get("Item")
    return row is not None and row["status"]["S"] == status


def _renditions(api: Api) -> set[str]:
    return {found["Key"] for found in api.client("s3").list_objects_v2(Bucket=RENDITIONS).get("Contents", [])}


def _processes_images(api: Api) -> None:
    for key, body, status in (
        ("by-its-role.png", drawn(["png"])[0], "processed"),
        ("corrupt.png", drawn(["png"])[0][:40] + planted("pixels").encode(), "rejected"),
    ):
        api.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"note": planted("metadata")})
        eventually(functools.partial(_image, api, key, status))
    made = api.client("dynamodb").get_item(TableName="Images", Key={"imageKey": {"S": "by-its-role.png"}})["Item"]
    api.client("s3").delete_object(Bucket=BUCKET, Key="by-its-role.png")
    eventually(functools.partial(_image, api, "by-its-role.png", "deleted"))
    assert made["renditions"]["L"]
    # The row says it first, and the renditions go then: a row never names one that is not there.
    eventually(lambda: not _renditions(api) & {part["M"]["key"]["S"] for part in made["renditions"]["L"]})
    said = _invoke(api, "image_processor:live", {"detail": planted("detail")})
    assert said["images"][0]["outcome"] == "quarantined"


def _seals(api: Api) -> None:
    answer = api.client("lambda").invoke(FunctionName="weaudit-ledger-sealer", Qualifier="live", Payload=b"{}")
    document = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, document
    assert document["size"] > 0


def _answers(function: str) -> Callable[[Api], None]:
    """Return a test of an API's function: each of its routes answers, and refuses what it cannot answer."""

    def work(api: Api) -> None:
        credentials = api.role(f"asks-{function}", api.policy())
        for route in (found for found in ROUTES if found.function == function):
            assert api.ask(route, credentials).status == 200, route.key
            path = route.path.replace("{table}", "Configuration").replace("{id}", planted("no-id"))
            refused = Caller(api.url, credentials).ask(route.method, path, {"wrong": planted("query"), "key": "x"})
            assert refused.status == 400, (route.key, refused)

    return work


def _invoke(api: Api, function: str, event: Any) -> Any:
    answer = api.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    document = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, document
    return document


EVIDENCE, CONFIGURATION = "weaudit-evidence-dev-000000000000", {"key": {"S": KEY}}
LEDGER = "weaudit-ledger-dev-000000000000"
PUT_RECORD = ("dynamodb", "put_item", {"TableName": "Audit", "Item": {"id": {"S": "1"}}})
GET_RECORD = ("dynamodb", "get_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}})
READ_QUARANTINE = ("s3", "get_object", {"Bucket": EVIDENCE, "Key": "raw/quarantine/x"})
CHANGE_SETTINGS = ("dynamodb", "put_item", {"TableName": "Configuration", "Item": CONFIGURATION})


@dataclasses.dataclass(frozen=True, slots=True)
class Role:
    """What a function does by its role, and data actions one step beyond, on what it works with and beside it."""

    works: Callable[[Api], None]
    beyond: list[tuple[str, str, dict[str, Any]]]


# A row for each function of the map: what it does, and what it is refused.
ROLES: dict[str, Role] = {
    "audit_producer": Role(
        _produces,
        [
            GET_RECORD,
            ("dynamodb", "delete_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}}),
            ("dynamodb", "scan", {"TableName": "Configuration"}),
            CHANGE_SETTINGS,
            READ_QUARANTINE,
            ("s3", "delete_object", {"Bucket": EVIDENCE, "Key": "spill/x"}),
            ("s3", "put_object", {"Bucket": EVIDENCE, "Key": "elsewhere/x", "Body": b""}),
        ],
    ),
    "table_update": Role(
        _updates,
        [
            ("dynamodb", "delete_item", {"TableName": "Configuration", "Key": CONFIGURATION}),
            # It may get the items of rules alone, by a condition that the engine does not know (test_template.py).
            ("dynamodb", "scan", {"TableName": "Configuration"}),
            ("dynamodb", "get_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}}),
            ("dynamodb", "update_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}}),
            ("dynamodb", "delete_item", {"TableName": "audit_logs", "Key": {"log_id": {"S": "1"}}}),
            ("dynamodb", "scan", {"TableName": "weaudit-keys-dev"}),
            ("dynamodb", "delete_item", {"TableName": "weaudit-keys-dev", "Key": {"id": {"S": "REQUEST"}}}),
        ],
    ),
    "s3_processor": Role(
        _logs_objects,
        [
            ("s3", "get_object", {"Bucket": BUCKET, "Key": "invoices/2024/1 of 2.txt"}),
            ("s3", "put_object", {"Bucket": EVIDENCE, "Key": "spill/x", "Body": b""}),
            ("dynamodb", "scan", {"TableName": "lambda-invocation-logs-dev"}),
            PUT_RECORD,
        ],
    ),
    "image_processor": Role(
        _processes_images,
        [
            ("s3", "put_object", {"Bucket": BUCKET, "Key": "new", "Body": b""}),
            ("s3", "delete_object", {"Bucket": RENDITIONS, "Key": "x"}),
            ("s3", "delete_object", {"Bucket": RENDITIONS, "Key": "pipelines/last-good.json"}),
            ("s3", "delete_object", {"Bucket": BUCKET, "Key": "by-its-role.txt"}),
            READ_QUARANTINE,
            CHANGE_SETTINGS,
            ("dynamodb", "delete_item", {"TableName": "Images", "Key": {"imageKey": {"S": "1"}}}),
            PUT_RECORD,
        ],
    ),
    "ledger_sealer": Role(
        _seals,
        [
            ("s3", "delete_object", {"Bucket": LEDGER, "Key": "checkpoint"}),
            ("s3", "put_object", {"Bucket": EVIDENCE, "Key": "values/x", "Body": b""}),
            READ_QUARANTINE,
            ("dynamodb", "scan", {"TableName": "Audit"}),
            PUT_RECORD,
            ("dynamodb", "scan", {"TableName": "weaudit-keys-dev"}),
            ("dynamodb", "delete_item", {"TableName": "audit_logs", "Key": {"log_id": {"S": "1"}}}),
        ],
    ),
    "list_objects": Role(
        _answers("list_objects"),
        [
            ("s3", "get_object", {"Bucket": BUCKET, "Key": "invoices/2024/1 of 2.txt"}),
            ("s3", "put_object", {"Bucket": BUCKET, "Key": "new", "Body": b""}),
            ("s3", "list_objects_v2", {"Bucket": EVIDENCE}),
            GET_RECORD,
        ],
    ),
    "read_trail": Role(
        _answers("read_trail"),
        [
            ("dynamodb", "scan", {"TableName": "Audit"}),
            PUT_RECORD,
            ("dynamodb", "delete_item", {"TableName": "Audit", "Key": {"id": {"S": "1"}}}),
            ("dynamodb", "get_item", {"TableName": "Configuration", "Key": CONFIGURATION}),
            READ_QUARANTINE,
        ],
    ),
    "read_images": Role(
        _answers("read_images"),
        [
            ("dynamodb", "put_item", {"TableName": "Images", "Item": {"imageKey": {"S": "1"}}}),
            ("dynamodb", "scan", {"TableName": "Images"}),
            ("s3", "get_object", {"Bucket": BUCKET, "Key": "invoices/2024/1 of 2.txt"}),
            ("s3", "put_object", {"Bucket": RENDITIONS, "Key": "new", "Body": b""}),
        ],
    ),
    "health": Role(
        _answers("health"),
        [GET_RECORD, ("dynamodb", "scan", {"TableName": "Configuration"})],
    ),
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_function_works_by_its_own_role_and_is_refused_what_is_beyond(api: Api, function: Function) -> None:
    _, properties = function_resource(function)
    credentials = api.function_role(properties["Role"]["Fn::GetAtt"][0])
    ROLES[function.name].works(api)
    for service, operation, arguments in ROLES[function.name].beyond:
        client = api.client(service, credentials)
        with pytest.raises(ClientError) as refused:
            getattr(client, operation)(**arguments)
        code = refused.value.response["Error"]["Code"]
        assert code in ("AccessDenied", "AccessDeniedException"), (operation, arguments)
    # All that was data above stayed out of what it logged.
    group = f"/aws/lambda/{function.deployed_as()}"

    def lines() -> list[str]:
        pages = api.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    # Lambda's own lines of a call (START, END) may be there before the function's record of it.
    eventually(lambda: any(line.startswith("{") for line in lines()))
    assert [found for line in lines() for found in leaks(line)] == []


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
    found = stacks.describe(api.target, name)
    assert found is not None
    return f"{api.target.endpoint}/_aws/execute-api/{found.outputs['ApiId']}/api"

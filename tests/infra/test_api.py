"""The API in the templates: the routes of the table, closed to all but who is let in; and the private variant of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.infra.test_template import RESOURCES, SAM, function_resource, lint, listed, of_type, statements, translate
from tests.openapi import operations
from weaudit.api.routes import ROUTES, Route
from weaudit.functions import FUNCTIONS

PRIVATE = translate((Path(__file__).parents[2] / "infra" / "private-api.yaml").read_text(encoding="utf-8"))
POLICIES = sorted((Path(__file__).parents[2] / "docs" / "policies").glob("*.json"))


def alias_of(route: Route) -> str:
    [function] = [found for found in FUNCTIONS if found.name == route.function]
    logical, _ = function_resource(function)
    [alias] = [
        name for name, found in of_type("AWS::Lambda::Alias").items() if found["FunctionName"] == {"Ref": logical}
    ]
    return alias


def test_the_template_and_the_document_have_the_routes_of_the_table_and_no_others() -> None:
    keys = [route.key for route in ROUTES]
    assert sorted(found["RouteKey"] for found in of_type("AWS::ApiGatewayV2::Route").values()) == sorted(keys)
    assert sorted(operations()) == sorted(keys)
    private = PRIVATE["Resources"]["Api"]["Properties"]["Body"]["paths"]
    assert sorted(f"{method.upper()} {path}" for path, methods in private.items() for method in methods) == sorted(keys)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
def test_the_document_has_the_parameters_of_the_table(route: Route) -> None:
    found = operations()[route.key]["parameters"]
    query = {parameter["name"]: bool(parameter.get("required")) for parameter in found if parameter["in"] == "query"}
    assert query == dict.fromkeys(route.required, True) | dict.fromkeys(route.optional, False)
    path = [parameter["name"] for parameter in found if parameter["in"] == "path"]
    assert path == list(route.path_parameters)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
def test_a_route_is_closed_and_leads_to_its_functions_alias(route: Route) -> None:
    [found] = [item for item in of_type("AWS::ApiGatewayV2::Route").values() if item["RouteKey"] == route.key]
    assert found["AuthorizationType"] == {"Fn::If": ["HasJwtIssuer", "JWT", "AWS_IAM"]}
    assert found["AuthorizerId"] == {"Fn::If": ["HasJwtIssuer", {"Ref": "ApiJwtAuthorizer"}, {"Ref": "AWS::NoValue"}]}
    [integration] = re.findall(r"^integrations/\$\{(\w+)\}$", found["Target"]["Fn::Sub"])
    properties = of_type("AWS::ApiGatewayV2::Integration")[integration]
    assert properties["IntegrationUri"] == {"Ref": alias_of(route)}
    assert (properties["IntegrationType"], properties["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    sources = [
        permission["SourceArn"]["Fn::Sub"]
        for permission in of_type("AWS::Lambda::Permission").values()
        if permission["FunctionName"] == {"Ref": alias_of(route)}
        and permission["Principal"] == "apigateway.amazonaws.com"
    ]
    assert all("${Api}/$default/" in source for source in sources)
    wanted = route.key.replace(" ", "")
    matching = [source for source in sources if re.fullmatch(_pattern(source.partition("$default/")[2]), wanted)]
    assert len(matching) == 1


def _pattern(arn: str) -> str:
    return "[^/]+".join(re.escape(part) for part in arn.split("*"))


def test_no_function_answers_after_the_api_has_stopped_waiting() -> None:
    waits = {found["TimeoutInMillis"] for found in of_type("AWS::ApiGatewayV2::Integration").values()}
    assert waits == {30_000}
    for function in FUNCTIONS:
        if function.trigger == "http":
            assert function_resource(function)[1]["Timeout"] <= 30


def test_the_stage_is_throttled_and_logged() -> None:
    [stage] = of_type("AWS::ApiGatewayV2::Stage").values()
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ApiThrottleRate"},
        "ThrottlingBurstLimit": {"Ref": "ApiThrottleBurst"},
        "DetailedMetricsEnabled": True,
    }
    group = stage["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"][0]
    assert of_type("AWS::Logs::LogGroup")[group]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    text = stage["AccessLogSettings"]["Format"]
    assert "\n" not in text, "API Gateway takes one line"
    line = json.loads(text)
    assert line["functionRequestId"] == "$context.integration.requestId"
    assert {"requestId", "routeKey", "status", "caller", "latencyMs"} <= line.keys()
    assert not [value for value in line.values() if "querystring" in value.lower() or "path" in value], "keys are data"


# What access logs hold, and who says it: nothing that a caller words, who might write fields of his own by a quote.
WORDED_BY_AWS = {
    "authorizer.error", "error.message", "httpMethod", "identity.sourceIp", "identity.userArn", "identity.vpceId",
    "integration.requestId", "integrationErrorMessage", "integrationLatency", "integrationStatus", "requestId",
    "requestTime", "resourcePath", "responseLatency", "responseLength", "routeKey", "status",
    "authorizer.claims.sub",  # by the issuer of the token
}  # fmt: skip


@pytest.mark.parametrize("name", ["template.yaml", "private-api.yaml"])
def test_no_field_of_an_access_log_is_worded_by_the_caller(name: str) -> None:
    text = (Path(__file__).parents[2] / "infra" / name).read_text(encoding="utf-8")
    fields = set(re.findall(r"\$context\.([\w.]+)", text))
    assert fields
    assert fields <= WORDED_BY_AWS


def test_cors_is_off_unless_origins_are_named() -> None:
    [api] = of_type("AWS::ApiGatewayV2::Api").values()
    condition, on, off = api["CorsConfiguration"]["Fn::If"]
    assert (condition, off) == ("HasCorsOrigins", {"Ref": "AWS::NoValue"})
    assert on["AllowOrigins"] == {"Ref": "CorsAllowOrigins"}
    assert on["AllowMethods"] == sorted({route.method for route in ROUTES})
    assert "AllowCredentials" not in on
    assert SAM["Parameters"]["CorsAllowOrigins"]["Default"] == ""


def test_tokens_are_taken_only_of_the_issuer_that_is_named() -> None:
    authorizer = RESOURCES["ApiJwtAuthorizer"]
    assert authorizer["Condition"] == "HasJwtIssuer"
    assert authorizer["Properties"]["JwtConfiguration"] == {
        "Issuer": {"Ref": "JwtIssuer"},
        "Audience": {"Ref": "JwtAudience"},
    }
    assert SAM["Parameters"]["JwtIssuer"]["Default"] == ""


def test_named_roles_may_call_every_route_and_nothing_else() -> None:
    policy = RESOURCES["ApiCallers"]
    assert policy["Condition"] == "HasCallerRoles"
    assert policy["Properties"]["Roles"] == {"Ref": "CallerRoleNames"}
    [statement] = statements(policy["Properties"]["PolicyDocument"])
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"]["Fn::Sub"].endswith(":${Api}/$default/*")


LOGS = {"WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"]}
TRACES = {"WriteTraces": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]}
KEY = {"UseTheKey": ["kms:Decrypt", "kms:DescribeKey"]}


@pytest.mark.parametrize(
    ("role", "data"),
    [
        ("ListObjectsRole", {"ListObjects": ["s3:ListBucket"]}),
        (
            "ReadTrailRole",
            KEY
            | {
                "ReadRecords": ["dynamodb:Query"],
                "ReadChangesAndCallers": ["dynamodb:BatchGetItem"],
                "ReadLargeValuesAndRules": ["s3:GetObject"],
                "ReadTheLedger": ["s3:GetObject"],
            },
        ),
        ("ReadImagesRole", KEY | {"ReadRows": ["dynamodb:GetItem"], "SignLinks": ["s3:GetObject"]}),
        ("HealthRole", {"LookAtTables": ["dynamodb:DescribeTable"]}),
    ],
)
def test_a_function_of_the_api_may_do_this_and_no_more(role: str, data: dict[str, list[str]]) -> None:
    policies = RESOURCES[role]["Properties"]["Policies"]
    found = {statement["Sid"]: sorted(listed(statement["Action"])) for statement in statements(policies)}
    assert found == data | LOGS | TRACES


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_an_example_of_a_policy_lets_call_routes_that_there_are_and_nothing_else(path: Path) -> None:
    policy = json.loads(path.read_text(encoding="utf-8"))
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
        for resource in listed(statement["Resource"]):
            start, _, rest = resource.partition("/$default/")
            assert start == "arn:aws:execute-api:REGION:ACCOUNT:API_ID"
            wanted = ".+".join(re.escape(part) for part in rest.replace("TABLE", "*").split("*"))
            assert [route for route in ROUTES if re.fullmatch(wanted, route.key.replace(" ", ""))], resource


# ---- the private variant


def private(kind: str) -> list[dict[str, Any]]:
    return [found["Properties"] for found in PRIVATE["Resources"].values() if found["Type"] == kind]


def test_the_private_api_is_sound_as_sam_translates_it(tmp_path: Path) -> None:
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(PRIVATE))
    assert lint(path) == ""


def test_the_private_api_asks_for_a_signature_on_every_route() -> None:
    body = PRIVATE["Resources"]["Api"]["Properties"]["Body"]
    assert body["components"]["securitySchemes"]["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            assert operation["security"] == [{"sigv4": []}]
            integration = operation["x-amazon-apigateway-integration"]
            assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
            [parameter] = re.findall(r"functions/\$\{(\w+)\}/invocations$", integration["uri"]["Fn::Sub"])
            assert parameter in SAM["Outputs"], "a parameter that no output of the main stack gives"
            [route] = [found for found in ROUTES if found.key == f"{method.upper()} {path}"]
            assert SAM["Outputs"][parameter]["Value"] == {"Ref": f"{alias_of(route).removesuffix('Aliaslive')}.Alias"}


def test_the_private_api_answers_through_its_endpoints_only() -> None:
    [api] = private("AWS::ApiGateway::RestApi")
    assert api["EndpointConfiguration"] == {"Types": ["PRIVATE"], "VpcEndpointIds": {"Ref": "VpcEndpointIds"}}
    allow, deny = api["Policy"]["Statement"]
    assert allow["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "execute-api:Invoke")
    assert deny["Condition"] == {"StringNotEquals": {"aws:SourceVpce": {"Ref": "VpcEndpointIds"}}}


def test_a_web_acl_stands_before_the_private_api_where_it_is_wanted() -> None:
    for name in ("WebAcl", "WebAclAssociation"):
        assert PRIVATE["Resources"][name]["Condition"] == "HasWebAcl"
    [acl] = private("AWS::WAFv2::WebACL")
    assert [rule["Name"] for rule in acl["Rules"]] == ["requests-of-one-address", "common-attacks"]

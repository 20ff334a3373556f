"""What every template keeps to: nothing open, nothing in clear, nothing without an end, no secret in a variable."""

import json
import re
from pathlib import Path
from typing import Any

import cfnlint
import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.infra.intrinsics import ACCOUNT, REGION, Resolver
from tests.infra.policies import allows, listed
from tests.infra.test_template import KEY, PLAIN, RESOURCES, SAM, of_type, statements, translate
from weaudit.functions import FUNCTIONS

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(INFRA.glob("*.yaml"))}
TEMPLATES = {name: translate(text) if "Transform:" in text else yaml_parse(text) for name, text in TEXTS.items()}


def of(template: str, kind: str) -> dict[str, Any]:
    rows = TEMPLATES[template]["Resources"].items()
    return {name: row.get("Properties", {}) for name, row in rows if row["Type"] == kind}


# ---- policies


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_policy_allows_every_action_of_a_service(name: str) -> None:
    assert not [
        action
        for statement in statements(TEMPLATES[name]["Resources"])
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        if isinstance(action, str) and "*" in action
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_resource_of_all_says_why(name: str) -> None:
    lines = [line.strip() for line in TEXTS[name].splitlines()]
    # (A key's policy speaks of that key alone: its statements are known by their principals.)
    without = [
        line for line in lines if re.match(r"(- |Resource: )[\"']?\*[\"']?\s*($|#)", line) and "# reason: " not in line
    ]
    key_statements = [one for one in statements(of(name, "AWS::KMS::Key")) if one["Resource"] == "*"]
    assert len(without) <= len(key_statements), without


@pytest.mark.parametrize("name", TEMPLATES)
def test_nobody_outside_is_let_in(name: str) -> None:
    for statement in statements(TEMPLATES[name]["Resources"]):
        if statement["Effect"] == "Allow" and listed(statement.get("Principal", "")) == ["*"]:
            # The private API's policy lets all in through its endpoint alone; IAM decides about each of them.
            assert name == "private-api.yaml"
            assert statement["Action"] == "execute-api:Invoke"


# ---- on the wire

GUARDS = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket", "s3:*"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues", "sqs:*"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_bucket_queue_and_topic_takes_tls_only(name: str) -> None:
    for kind, (guard, names, action) in GUARDS.items():
        for logical in of(name, kind):
            policies = [row for row in of(name, guard).values() if {"Ref": logical} in listed(row[names])]
            denials = [one for row in policies for one in statements(row) if one["Effect"] == "Deny"]
            assert [
                one for one in denials
                if listed(one["Principal"]) == ["*"] and one["Action"] == action
                and one["Condition"]["Bool"] == {"aws:SecureTransport": "false"}
                # The embedded engine's account, which can be nobody's on AWS.
                and one["Condition"]["StringNotEquals"] == {"aws:ResourceAccount": "000000000000"}
                and len(one["Condition"]) == 2
            ], (name, logical)  # fmt: skip


# ---- at rest


def test_logs_end_and_may_have_the_key() -> None:
    assert of_type("AWS::Logs::LogGroup")
    for name, group in of_type("AWS::Logs::LogGroup").items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name
        assert group["KmsKeyId"] == {"Fn::If": ["HasKmsKey", KEY, {"Ref": "AWS::NoValue"}]}, name


def test_the_key_that_is_used_is_always_the_same() -> None:
    # A bare reference to the parameter would leave the stack's own key out.
    text = json.dumps(RESOURCES)
    assert text.count('{"Ref": "KmsKeyArn"}') == text.count(json.dumps(KEY))


def key_policy(template: str = "template.yaml", key: str = "DataKey") -> list[dict[str, Any]]:
    resolve = Resolver(TEMPLATES[template], {"CreateKmsKey": "true", "Prefix": "x-"})
    found: list[dict[str, Any]] = resolve(of(template, "AWS::KMS::Key")[key]["KeyPolicy"])["Statement"]
    return found


def test_the_key_of_a_pipelines_stage_lets_in_whom_a_stacks_own_key_lets_in() -> None:
    assert key_policy("bootstrap.yaml", "Key") == key_policy()


def test_the_stacks_own_key_works_through_its_services_and_for_its_logs_alone() -> None:
    root, logs = f"arn:aws:iam::{ACCOUNT}:root", f"logs.{REGION}.amazonaws.com"
    through = {"kms:CallerAccount": ACCOUNT, "kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/"
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:x-weaudit-alarms"
    cases = [
        (root, "kms:Decrypt", {}, False),
        (root, "kms:Decrypt", {**through, "kms:ViaService": f"ec2.{REGION}.amazonaws.com"}, False),
        (root, "kms:Decrypt", through, True),
        (root, "kms:CreateGrant", {**through, "kms:GrantIsForAWSResource": "false"}, False),
        (root, "kms:CreateGrant", {**through, "kms:GrantIsForAWSResource": "true"}, True),
        (root, "kms:PutKeyPolicy", {}, True),
        (logs, "kms:Decrypt", {"kms:EncryptionContext:aws:logs:arn": f"{group}x-audit_producer"}, True),
        (logs, "kms:Decrypt", {"kms:EncryptionContext:aws:logs:arn": f"{group}another"}, False),
        ("cloudwatch.amazonaws.com", "kms:GenerateDataKey", {"aws:SourceAccount": ACCOUNT}, True),
        ("cloudwatch.amazonaws.com", "kms:GenerateDataKey", {"aws:SourceAccount": "1"}, False),
        ("s3.amazonaws.com", "kms:Decrypt", {"aws:SourceAccount": ACCOUNT}, False),
        ("events.amazonaws.com", "kms:Decrypt", {"aws:SourceAccount": ACCOUNT}, False),
        # EventBridge says nothing of its source: see test_findings_are_let_through_on_every_step.
        ("events.amazonaws.com", "kms:Decrypt", {"kms:EncryptionContext:aws:sns:topicArn": f"{topic}-dev"}, True),
        ("events.amazonaws.com", "kms:Decrypt", {"kms:EncryptionContext:aws:sns:topicArn": f"{topic}-test"}, False),
    ]
    for principal, action, context, expected in cases:
        mine = [one for one in key_policy()
                if any(principal in listed(value) for value in one["Principal"].values())]  # fmt: skip
        assert allows(mine, action, "key", context) is expected, (principal, action, context)


def test_every_service_that_roles_use_the_key_through_is_let_in() -> None:
    resolve = Resolver(PLAIN, {"CreateKmsKey": "true"})
    used = {
        service
        for role in of_type("AWS::IAM::Role").values()
        for one in statements(resolve(role["Policies"]))
        if any(action.startswith("kms:") for action in listed(one["Action"]))
        for service in listed(one["Condition"]["StringEquals"]["kms:ViaService"])
    }
    [through] = [one for one in key_policy() if one["Sid"] == "UseThroughServices"]
    assert used <= set(through["Condition"]["StringEquals"]["kms:ViaService"])


def test_what_was_encrypted_stays_readable() -> None:
    row = RESOURCES["DataKey"]
    assert (row["DeletionPolicy"], row["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert row["Properties"]["EnableKeyRotation"] is True


# ---- what is an option is off until it is asked for


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, set()),
        ({"CreateKmsKey": "true"}, {"DataKey", "DataKeyAlias"}),
        ({"KmsKeyArn": "arn:aws:kms:x:1:key/1"}, set()),
        ({"GuardDuty": "create"}, {"Detector", "FindingsRule"}),
        ({"GuardDuty": "existing"}, {"FindingsRule"}),
    ],
)
def test_an_option_makes_what_it_says(given: dict[str, str], made: set[str]) -> None:
    resolve = Resolver(PLAIN, given)
    options = {"DataKey", "DataKeyAlias", "Detector", "FindingsRule"}
    assert {name for name in options if resolve.holds(RESOURCES[name]["Condition"])} == made
    assert resolve.holds("HasKmsKey") is bool({"CreateKmsKey", "KmsKeyArn"} & given.keys())


@pytest.mark.parametrize("options", [{}, {"CreateKmsKey": "true"}], ids=["plain topic", "own key"])
def test_findings_are_let_through_on_every_step(options: dict[str, str]) -> None:
    # What EventBridge says of itself to SNS and to KMS: nothing but its name, and to KMS what SNS encrypts for.
    # eventbridge/latest/userguide/eb-use-resource-based.html, Amazon SNS permissions: no Condition in a topic's policy.
    # sns/latest/dg/sns-key-management.html: no aws:SourceAccount, aws:SourceArn, aws:SourceOrgID in a key's policy.
    resolve = Resolver(PLAIN, {**options, "GuardDuty": "existing", "Prefix": "x-"})
    [target] = resolve(RESOURCES["FindingsRule"]["Properties"]["Targets"])
    topic = target["Arn"]
    assert topic == resolve({"Ref": "AlarmsTopic"})
    for policy, action, context in (
        (RESOURCES["AlarmsTopicPolicy"]["Properties"]["PolicyDocument"], "sns:Publish", {}),
        (RESOURCES["DataKey"]["Properties"]["KeyPolicy"], "kms:GenerateDataKey",
         {"kms:EncryptionContext:aws:sns:topicArn": topic}),
        (RESOURCES["DataKey"]["Properties"]["KeyPolicy"], "kms:Decrypt",
         {"kms:EncryptionContext:aws:sns:topicArn": topic}),
    ):  # fmt: skip
        rows = [one for one in resolve(policy)["Statement"] if one["Effect"] == "Allow"]
        theirs = [one for one in rows if "events.amazonaws.com" in listed(one["Principal"].get("Service", []))]
        assert allows(theirs, action, topic, context), action
    encrypted = resolve(RESOURCES["AlarmsTopic"]["Properties"]).get("KmsMasterKeyId")
    assert encrypted == (resolve({"Fn::GetAtt": ["DataKey", "Arn"]}) if options else None)


def test_findings_name_nobody_and_have_the_form_that_chats_show() -> None:
    transformer = RESOURCES["FindingsRule"]["Properties"]["Targets"][0]["InputTransformer"]
    shown = set(transformer["InputPathsMap"].values())
    assert shown == {"$.detail.type", "$.detail.severity", "$.detail.id", "$.detail.resource.resourceType"}
    for options in ({}, {"SlackChannelId": "C1"}, {"TeamsChannelId": "19%3a"}):
        template = Resolver(PLAIN, options)(transformer["InputTemplate"])
        assert set(re.findall(r"<(\w+)>", template)) == transformer["InputPathsMap"].keys()
        found = json.loads(template)
        if not options:
            assert isinstance(found, str)
        else:
            # chatbot/latest/adminguide/custom-notifs.html: these three are required.
            assert (found["version"], found["source"]) == ("1.0", "custom")
            assert found["content"]["description"]


# ---- names that CloudFormation makes up

# Kinds that policies and alarms know by a name, which CloudFormation would begin with the stack's, whatever that is.
NAMED_BY = {
    "AWS::CloudWatch::Alarm": "AlarmName", "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName", "AWS::Events::Rule": "Name", "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName", "AWS::Logs::MetricFilter": "FilterName", "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName", "AWS::SQS::Queue": "QueueName",
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMED_BY)
def test_what_policies_know_by_name_has_a_name_of_its_own(kind: str) -> None:
    rows = [row for name in TEMPLATES for row in of(name, kind).values()]
    assert rows
    for row in rows:
        assert "AWS::StackName" not in json.dumps(row.get(NAMED_BY[kind], {"Ref": "AWS::StackName"}))


# ---- functions


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_no_variable_is_a_secret(function: Any) -> None:
    wanted = {"Fn::Sub": "${Prefix}" + function.physical_name}
    [row] = [row for row in of_type("AWS::Lambda::Function").values() if row["FunctionName"] == wanted]
    for name, value in row["Environment"]["Variables"].items():
        assert not re.search(r"SECRET|PASSWORD|TOKEN|CREDENTIAL|PRIVATE|API_?KEY", name), name
        # Each is the name of something of the stack, or a parameter that is shown to everybody.
        referred = re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+)"|\$\{([\w:]+)\}', json.dumps(value))
        assert referred, name
        for parameter in {one or other for one, other in referred} & SAM["Parameters"].keys():
            assert "NoEcho" not in SAM["Parameters"][parameter]


def test_every_function_is_traced_and_called_by_an_alias() -> None:
    functions = of_type("AWS::Lambda::Function")
    assert {row["FunctionName"]["Ref"] for row in of_type("AWS::Lambda::Alias").values()} == functions.keys()
    assert all(row["TracingConfig"] == {"Mode": "Active"} for row in functions.values())


# ---- tags

SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas"
# CloudFormation knows no tags of these; what they belong to has them.
UNTAGGABLE = {
    "AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route",
    "AWS::IAM::ManagedPolicy", "AWS::KMS::Alias", "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission", "AWS::Lambda::Version", "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}  # fmt: skip


def test_the_stacks_tags_reach_all_that_can_have_some() -> None:
    files = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    for kind in {row["Type"] for row in RESOURCES.values()}:
        schema = json.loads((SCHEMAS / "resources" / f"{files[kind]}.json").read_text(encoding="utf-8"))
        tagging = schema.get("tagging", {"taggable": schema.get("taggable", True), "tagOnCreate": True})
        # CloudFormation hands a stack's tags on where the kind takes tags when it is made.
        assert (tagging["taggable"] and tagging.get("tagOnCreate", True)) is (kind not in UNTAGGABLE), kind


# ---- linters


def test_each_check_that_is_left_out_has_its_reason() -> None:
    lines = (ROOT / ".checkov.yaml").read_text(encoding="utf-8").splitlines()
    skips = [number for number, line in enumerate(lines) if line.startswith("  - CKV")]
    assert skips
    for number in skips:
        above = lines[number - 1].strip()
        assert above.startswith(("#", "- CKV")), lines[number]
    for row in RESOURCES.values():
        for skip in row.get("Metadata", {}).get("checkov", {}).get("skip", ()):
            assert len(skip["comment"]) > 20

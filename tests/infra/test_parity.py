"""The parity gate: what works on the embedded engine must not be refused by AWS, nor be another thing there."""

import copy
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from tests.infra import parity
from tests.infra.intrinsics import ACCOUNT, REGION, Resolver
from tests.infra.test_template import PLAIN, RESOURCES, SAM, TEMPLATE, of_type
from tests.trails import decision
from weaudit.capture.changes import Change
from weaudit.deploy import packaging
from weaudit.deploy.destroying import Destroying
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target
from weaudit.items.keys import logged_record_id

WATCH = yaml_parse((TEMPLATE.parent / "watch.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("check", parity.CHECKS, ids=lambda check: check.__name__)
def test_the_template_is_one_that_aws_takes(check: Callable[[Mapping[str, Any]], Iterator[str]]) -> None:
    assert list(check(PLAIN)) == []


def test_sam_needs_no_parameter_of_ours() -> None:
    assert list(parity.parameters_in_sam(SAM)) == []


def test_functions_run_on_the_python_that_wheels_are_chosen_for() -> None:
    functions = of_type("AWS::Lambda::Function").values()
    assert {function["Runtime"] for function in functions} == {f"python{packaging.PYTHON}"}
    assert set(SAM["Parameters"]["Architecture"]["AllowedValues"]) == set(packaging.ARCHITECTURES)


# ---- each check can fail


def _at(template: Any, path: str) -> Any:
    for part in path.split("."):
        template = template[int(part) if part.isdigit() else part]
    return template


PROPERTIES = "Resources.{}.Properties"
LAMBDAS = PROPERTIES.format("TriggerBucket") + ".NotificationConfiguration.LambdaConfigurations"
ROLE = PROPERTIES.format("AuditProducerRole")
IMAGES = PROPERTIES.format("ImageProcessorRole") + ".Policies.0.PolicyDocument.Statement.0"
FUNCTION = PROPERTIES.format("AuditProducer")
LONG_NAME = {"Fn::Sub": "${Prefix}weaudit-evidence-of-all-kinds-${EnvironmentSuffix}-${AWS::AccountId}"}
LONG = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::" + "x" * 10_300}


@pytest.mark.parametrize(
    ("check", "path", "change", "fault"),
    [
        (parity.overlapping_notifications, LAMBDAS,
         lambda rows: rows.append({**rows[0], "Event": "s3:ObjectCreated:Put"}), "two targets"),
        (parity.missing_invoke_permissions, PROPERTIES.format("HistoryRoutePermission"),
         lambda row: row.update(FunctionName={"Ref": "ReadTrail"}), "HistoryRoute: apigateway"),
        (parity.missing_invoke_permissions, PROPERTIES.format("HistoryRoute"),
         lambda row: row.update(RouteKey="GET /v1/tables/{table}/past"), "may not call"),
        (parity.missing_invoke_permissions, PROPERTIES.format("S3ProcessorPermission"),
         lambda row: row.update(SourceArn="arn:aws:s3:::another"), "TriggerBucket: s3"),
        (parity.closed_queues, PROPERTIES.format("ImagesQueuePolicy"),
         lambda row: row["PolicyDocument"].update(Statement=[]), "takes nothing"),
        (parity.closed_queues, PROPERTIES.format("UndeliveredQueuePolicy") + ".PolicyDocument.Statement.0.Condition",
         lambda row: row.update(ArnEquals={"aws:SourceArn": {"Fn::GetAtt": ["GivenUpRule", "Arn"]}}), "FindingsRule"),
        (parity.missing_source_permissions, ROLE + ".Policies.0.PolicyDocument.Statement.0",
         lambda row: row["Action"].remove("dynamodb:GetShardIterator"), "dynamodb:GetShardIterator"),
        (parity.missing_source_permissions, IMAGES,
         lambda row: row["Action"].remove("sqs:DeleteMessage"), "sqs:DeleteMessage"),
        (parity.missing_source_permissions, PROPERTIES.format("S3ProcessorRole") + ".Policies.0",
         lambda row: row["PolicyDocument"].update(Statement=[]), "sqs:SendMessage"),
        (parity.oversized, ROLE + ".Policies.0.PolicyDocument.Statement", lambda rows: rows.append(LONG), "10,240"),
        (parity.oversized, ROLE + ".AssumeRolePolicyDocument.Statement", lambda rows: rows.append(LONG), "2,048"),
        (parity.oversized, PROPERTIES.format("ApiCallers") + ".PolicyDocument.Statement",
         lambda rows: rows.append(LONG), "6,144"),
        (parity.oversized, "Parameters", lambda rows: rows.update({f"P{n}": {"Type": "String"} for n in range(200)}),
         "Parameters"),
        (parity.oversized, FUNCTION, lambda row: row.update(Description="x" * 250), "256"),
        (parity.unusable_names, PROPERTIES.format("EvidenceBucket"),
         lambda row: row.update(BucketName=LONG_NAME), "is no name"),
        (parity.unusable_names, FUNCTION, lambda row: row.update(FunctionName="audit_producer"),
         "has no prefix"),
        (parity.unusable_names, PROPERTIES.format("ImagesRule"),
         lambda row: row.update(Name={"Fn::Sub": "${Prefix}weaudit-${EnvironmentSuffix}-" + "x" * 30}), "is no name"),
        (parity.unusable_names, "Resources",
         lambda rows: rows.update(ARuleOfAVeryLongName={"Type": "AWS::Events::Rule", "Properties": {"Targets": []}}),
         "rule's name"),
        (parity.wrong_keys, PROPERTIES.format("AuditTable") + ".AttributeDefinitions",
         lambda rows: rows.append({"AttributeName": "actor", "AttributeType": "S"}), "actor"),
        (parity.refused_variables, PROPERTIES.format("AuditProducer") + ".Environment.Variables",
         lambda row: row.update(AWS_REGION="x"), "AWS_REGION"),
        (parity.cycles, PROPERTIES.format("S3ProcessorPermission"),
         lambda row: row.update(SourceArn={"Fn::GetAtt": ["TriggerBucket", "Arn"]}), "TriggerBucket"),
        (parity.cycles, "Resources.AuditTable", lambda row: row.update(DependsOn=["AuditProducer"]), "AuditTable"),
        (parity.impatient_queues, PROPERTIES.format("ImagesQueue"),
         lambda row: row.update(VisibilityTimeout=30), "90 s"),
        (parity.unsettled_targets, "Resources.TriggerBucket", lambda row: row.pop("DependsOn"), "TriggerBucket"),
    ],
)  # fmt: skip
def test_a_fault_is_found(
    check: Callable[[Mapping[str, Any]], Iterator[str]], path: str, change: Callable[[Any], Any], fault: str
) -> None:
    template = copy.deepcopy(PLAIN)
    change(_at(template, path))
    found = list(check(template))
    assert found
    assert any(fault in line for line in found), found


@pytest.mark.parametrize(
    ("key", "value"),
    [("CodeUri", {"Ref": "Prefix"}), ("AutoPublishAlias", {"Fn::Sub": "live-${EnvironmentSuffix}"})],
)
def test_a_parameter_that_sam_would_need_is_found(key: str, value: Any) -> None:
    template = copy.deepcopy(SAM)
    template["Resources"]["AuditProducer"]["Properties"][key] = value
    assert [key in fault for fault in parity.parameters_in_sam(template)] == [True]


# ---- keys of indexes


def test_no_key_of_a_record_is_longer_than_dynamodb_takes() -> None:
    # The longest keys of a watched table: 2,048 and 1,024 bytes, in characters of four; names of 255.
    keys = {"p" * 255: {"S": "\U0001f511" * 512}, "s" * 255: {"S": "\U0001f511" * 256}}
    change = Change(
        table="t" * 255, keys=keys, event_name="INSERT", sequence="9" * 40, stream_label="2026-01-01T00:00:00.000",
        created_at_ms=1_767_225_600_000, old_image=None, new_image={**keys, "a": {"S": "x" * 5000}},
        stream_arn="arn", service="",
    )  # fmt: skip
    audit = of_type("AWS::DynamoDB::Table")["AuditTable"]
    [record], [large] = (found := decision(change)).records, found.large_values
    for schema in (audit, *audit["GlobalSecondaryIndexes"]):
        for part in schema["KeySchema"]:
            size = len(record[part["AttributeName"]]["S"].encode())
            assert 0 < size <= (2048 if part["KeyType"] == "HASH" else 1024), part
    # What an index holds besides keys, the record has.
    projected = [index["Projection"].get("NonKeyAttributes", []) for index in audit["GlobalSecondaryIndexes"]]
    assert {*itertools.chain(*projected)} <= {*record, "changeId"}
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    assert len(large.key.encode()) <= 1024
    assert len(logged_record_id("\U0001f511" * 700).encode()) <= 2048


# ---- buckets that hold something


def test_cloudformation_is_left_no_bucket_that_holds_something() -> None:
    # AWS deletes none such, the engine does; moto refuses as AWS does.
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        client, said = boto3.client("s3", region_name="us-east-1"), list[str]()
        client.create_bucket(Bucket="full")
        client.put_bucket_versioning(Bucket="full", VersioningConfiguration={"Status": "Enabled"})
        for number in range(3):
            client.put_object(Bucket="full", Key="a", Body=str(number).encode())
        client.delete_object(Bucket="full", Key="a")
        with pytest.raises(client.exceptions.ClientError, match="BucketNotEmpty"):
            client.delete_bucket(Bucket="full")
        Destroying(Target("us-east-1"), Stage(), said.append)._empty("full")
        client.delete_bucket(Bucket="full")
        assert said == ["emptied full: 4 version(s)"]


def test_every_kind_of_store_is_known_to_what_removes_it() -> None:
    # A store of another kind would need its own protection, and its own emptying.
    # (What a stack leaves behind on purpose is not removed: its key, and the account's detector.)
    left = {"AWS::KMS::Key", "AWS::GuardDuty::Detector"}
    stores = {row["Type"] for row in RESOURCES.values() if row.get("UpdateReplacePolicy") == "Retain"} - left
    assert stores == {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"} & stores
    assert {"AWS::DynamoDB::Table", "AWS::S3::Bucket"} <= stores


# ---- the stack of a watched table


def test_a_watched_tables_mapping_waits_for_the_permission_to_read() -> None:
    mapping, policy = WATCH["Resources"]["Mapping"], WATCH["Resources"]["ReadTheStream"]
    assert mapping["DependsOn"] == "ReadTheStream"
    allowed = set(itertools.chain(policy["Properties"]["PolicyDocument"]["Statement"][0]["Action"]))
    assert {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"} <= allowed
    assert Path(TEMPLATE.parent / "watch.yaml").stat().st_size <= 51_200


@pytest.mark.parametrize("encrypted", [False, True])
def test_as_many_tables_can_be_watched_as_the_page_says(encrypted: bool) -> None:
    page = re.sub(r"\s+", " ", (TEMPLATE.parents[1] / "docs" / "watching.md").read_text(encoding="utf-8"))
    [texts] = re.findall(
        r"own take up to ([\d,]+)\. A watch takes about (\d+), so that some (\d+) .* about (\d+) .*? that (\d+)", page
    )
    most, plain, tables, keyed, keyed_tables = (int(text.replace(",", "")) for text in texts)
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
    # With a key of the stack's, and a table's name of forty letters.
    own = parity.resolver(PLAIN)(RESOURCES["AuditProducerRole"]["Properties"]["Policies"])
    taken = sum(letters(policy["PolicyDocument"]) for policy in own)
    name = "t" * 40
    stream = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}/stream/2026-01-01T00:00:00.000"
    given = {"TableName": name, "StreamArn": stream, "TableKeyArn": key if encrypted else ""}
    each = letters(Resolver(WATCH, given)(WATCH["Resources"]["ReadTheStream"]["Properties"]["PolicyDocument"]))
    assert taken <= most
    assert abs(each - (keyed if encrypted else plain)) <= 10
    assert abs((10_240 - taken) // each - (keyed_tables if encrypted else tables)) <= 1


def letters(document: Any) -> int:
    return len(re.sub(r"\s", "", json.dumps(document)))

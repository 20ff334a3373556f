"""Stacks and the bucket of artefacts, on the embedded engine and on moto."""

import hashlib
import json
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest

from tests.conftest import RunningEngine
from weaudit.deploy import packaging, stack, templates
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.packaging import Artifact
from weaudit.errors import DeployError
from weaudit.functions import FUNCTIONS
from weaudit.installation import stacks
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target

ARTIFACT = Artifact("audit_producer", Path("audit_producer.zip"), "ab12", 1)


def test_the_template_is_pointed_at_the_uploaded_zips() -> None:
    text = (
        "# ../dist/x.zip\n  CodeUri: ../dist/audit_producer.zip\n      CodeUri: '../dist/audit_producer.zip'  # same\n"
    )
    assert stack.point_at(text, "bucket", [ARTIFACT], {}) == (
        "# ../dist/x.zip\n"
        "  CodeUri: s3://bucket/functions/audit_producer/ab12.zip\n"
        "      CodeUri: s3://bucket/functions/audit_producer/ab12.zip\n"
    )


def test_every_function_of_the_template_is_packaged() -> None:
    artifacts = [Artifact(function.name, Path(), "ab", 1) for function in FUNCTIONS]
    text = stack.point_at(templates.path("template.yaml").read_text(), "bucket", artifacts, {})
    assert text.count("CodeUri: s3://bucket/functions/") == len(FUNCTIONS)


@pytest.mark.parametrize("text", ["  CodeUri: ../dist/other.zip\n", "  Code: {Uri: ../dist/audit_producer.zip}\n"])
def test_a_zip_that_would_not_be_found_is_refused(text: str) -> None:
    with pytest.raises(DeployError):
        stack.point_at(text, "bucket", [ARTIFACT], {})


def test_a_parameters_new_value_changes_the_text_of_every_function_and_nothing_else() -> None:
    text = templates.path("template.yaml").read_text()
    artifacts = [Artifact(function.name, Path(), "ab", 1) for function in FUNCTIONS]
    one, same, other = (
        stack.point_at(text, "bucket", artifacts, {"LogLevel": level}).splitlines()
        for level in ("INFO", "INFO", "DEBUG")
    )
    assert one == same
    differing = [line.split(":")[0].strip() for line, changed in zip(one, other, strict=True) if line != changed]
    assert differing == ["Description"] * len(FUNCTIONS)


def test_stacks_are_named_by_prefix_and_suffix() -> None:
    assert Stage().stack == "weaudit-dev"
    assert Stage("prod", "blue-").stack == "blue-weaudit-prod"


TABLE = """
Resources:
  One:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: deploy-test
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
"""
# The engine takes most mistakes for fine; a policy of a role that is not there it refuses, as AWS does.
FAILING = (
    TABLE
    + """
  Two:
    Type: AWS::IAM::Policy
    DependsOn: One
    Properties: {PolicyName: two, Roles: [nobody], PolicyDocument: {Version: "2012-10-17", Statement: []}}
"""
)


def deploy(target: Target, folder: Path, text: str, lines: list[str]) -> stacks.StackState:
    template = folder / "template.yaml"
    template.write_text(text)
    return stack.deploy(
        target, name="deploy-test", template=template, artifacts=[], parameters={}, progress=lines.append
    )  # fmt: skip


@pytest.mark.engine
def test_deploying_creates_updates_and_knows_when_there_is_nothing_to_do(engine: RunningEngine, tmp_path: Path) -> None:
    lines: list[str] = []
    created = deploy(engine.target, tmp_path, TABLE + "Outputs: {Name: {Value: !Ref One}}\n", lines)
    try:
        assert (created.status, created.changed, created.outputs) == ("CREATE_COMPLETE", True, {"Name": "deploy-test"})
        assert "AWS::DynamoDB::Table One CREATE_COMPLETE" in lines
        assert not deploy(engine.target, tmp_path, TABLE + "Outputs: {Name: {Value: !Ref One}}\n", lines).changed
        del lines[:]
        updated = deploy(engine.target, tmp_path, TABLE + "Outputs: {Other: {Value: x}}\n", lines)
        assert (updated.status, updated.outputs) == ("UPDATE_COMPLETE", {"Other": "x"})
        # Only this update's events are told.
        assert not [line for line in lines if "CREATE_" in line]
        with pytest.raises(DeployError, match=r"ROLLBACK_COMPLETE: Two \(AWS::IAM::Policy\): .*nobody"):
            deploy(engine.target, tmp_path, FAILING, lines)
        # A failed update was rolled back, and the next goes through.
        assert deploy(engine.target, tmp_path, TABLE + "Outputs: {Third: {Value: x}}\n", lines).changed
    finally:
        engine.client("cloudformation").delete_stack(StackName="deploy-test")


@pytest.mark.engine
def test_a_stack_that_never_came_to_be_is_removed_first(engine: RunningEngine, tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(DeployError, match=r"is ROLLBACK_COMPLETE: Two \(AWS::IAM::Policy\): .*nobody"):
        deploy(engine.target, tmp_path, FAILING, lines)
    try:
        assert deploy(engine.target, tmp_path, TABLE, lines).status == "CREATE_COMPLETE"
        assert any(line.startswith("removing stack deploy-test") for line in lines)
    finally:
        engine.client("cloudformation").delete_stack(StackName="deploy-test")


@pytest.mark.engine
def test_a_template_too_large_to_send_goes_by_the_bucket(engine: RunningEngine, tmp_path: Path) -> None:
    try:
        text = TABLE + "# padding\n" * 6000
        assert deploy(engine.target, tmp_path, text, []).status == "CREATE_COMPLETE"
    finally:
        engine.client("cloudformation").delete_stack(StackName="deploy-test")


@pytest.mark.engine
def test_packages_are_uploaded_under_their_digest(engine: RunningEngine, tmp_path: Path) -> None:
    built = packaging.build(FUNCTIONS[0], tmp_path)
    bucket = ArtifactBucket.of(engine.target)
    key = f"functions/{built.function}/{built.sha256}.zip"
    content = engine.client("s3").get_object(Bucket=bucket.name, Key=key)["Body"].read()
    assert hashlib.sha256(content).hexdigest() == built.sha256


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
def test_the_bucket_is_private_versioned_and_tls_only(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        bucket = ArtifactBucket.of(Target(region))
        assert bucket.name == f"weaudit-artifacts-123456789012-{region}"
        bucket.ensure()
        bucket.ensure()
        client: Any = boto3.client("s3", region_name=region)
        blocked = client.get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"]
        assert set(blocked.values()) == {True}
        assert client.get_bucket_versioning(Bucket=bucket.name)["Status"] == "Enabled"
        policy = json.loads(client.get_bucket_policy(Bucket=bucket.name)["Policy"])
        assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        # moto takes every Deny for one that holds, whatever its condition.
        client.delete_bucket_policy(Bucket=bucket.name)
        url = bucket.put_template(b"Resources: {}")
        bucket.put_template(b"Resources: {}")
        versions = client.list_object_versions(Bucket=bucket.name)["Versions"]
        assert [url.endswith(version["Key"]) for version in versions] == [True]
        host = url.split("/")[2]
        assert host.startswith(f"{bucket.name}.s3")
        assert host.endswith("amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com")

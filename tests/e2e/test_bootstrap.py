"""The deploy role, where permissions are enforced: all of a stage's life by it, and nothing beyond."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.conftest import client_of
from tests.e2e.commands import eventually, run
from weaudit.installation import stacks
from weaudit.installation.targets import Target
from weaudit.local import engine as engines
from weaudit.local import process

pytestmark = pytest.mark.engine

ROOT = "arn:aws:iam::000000000000:root"
STAGE = ("--stage", "ci", "--prefix", "ci-")
ARTIFACTS = "weaudit-artifacts-000000000000-us-east-1"
REFUSED = {"AccessDenied", "AccessDeniedException"}


@dataclass(frozen=True)
class Account:
    """An engine that checks permissions, with the bootstrap stack of the stage ci on it."""

    target: Target
    administrator: dict[str, str]
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        """Return the administrator's client."""
        return client_of(self.target, service)

    def take_on(self, arn: str = "") -> dict[str, str]:
        """Take on a role, the deploy role unless another is named; return the variables by which commands act as it."""
        taken = self.client("sts").assume_role(RoleArn=arn or self.outputs["DeployRoleArn"], RoleSessionName="pipeline")
        keys = taken["Credentials"]
        return {
            **self.administrator,
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    started = engines.up(port=process.free_port(), state_dir=tmp_path_factory.mktemp("auth") / "engine", auth=True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in started.environment().items():
                patch.setenv(name, value)
            code, text = run("bootstrap", *STAGE, "--trust", ROOT, "--yes", "--json")
        assert code == 0
        yield Account(Target.of(started), started.environment(), json.loads(text))
    finally:
        engines.down(state_dir=started.directory, force=True)


@pytest.fixture
def deployer(account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Any]:
    """Let commands act as the deploy role, and return how to make a client that does."""
    for name, value in account.take_on().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda service: boto3.client(service, endpoint_url=account.target.endpoint, region_name="us-east-1")


def test_the_role_deploys_updates_rolls_back_and_removes(account: Account, deployer: Callable[[str], Any]) -> None:
    boundary = account.outputs["PermissionsBoundaryArn"]
    key = account.outputs["LedgerKeyArn"]
    bounded = ("--parameters", f"PermissionsBoundaryArn={boundary}", "--parameters", f"LedgerKeyArn={key}")
    assert run("deploy", *STAGE, *bounded, "--yes")[0] == 0
    # After the first deployment it can be kept from data, and goes on deploying.
    assert code_as(account.administrator, "bootstrap", *STAGE, "--may-not-delete-data", "--yes") == 0
    assert run("deploy", *STAGE, "--parameters", "LogLevel=DEBUG", "--yes")[0] == 0
    it_is_kept_from_data(deployer, account.client("iam").list_roles(PathPrefix="/ci-weaudit-ci/")["Roles"][0])
    functions = account.client("lambda")
    level = functions.get_function_configuration(FunctionName="ci-audit_producer:learn")["Environment"]["Variables"]
    assert level["LOG_LEVEL"] == "DEBUG"
    assert run("rollback", *STAGE, "--yes")[0] == 0
    level = functions.get_function_configuration(FunctionName="ci-audit_producer:learn")["Environment"]["Variables"]
    assert level["LOG_LEVEL"] == "INFO"
    code, text = run("versions", *STAGE, "--json")
    assert (code, len(json.loads(text))) == (0, 3)

    # What it deployed does its work within the boundary. (The engine takes none from a template: it is set here.)
    iam = account.client("iam")
    roles = [role["RoleName"] for role in iam.list_roles(PathPrefix="/ci-weaudit-ci/")["Roles"]]
    assert len(roles) >= 8
    for role in roles:
        iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    only_the_sealer_signs(account, deployer)
    found = stacks.describe(account.target, "ci-weaudit-ci")
    assert found is not None
    url = f"{account.target.endpoint}/_aws/execute-api/{found.outputs['ApiId']}/$default"
    code, text = run("call", "GET", "/v1/health", "--url", url)
    assert code == 0, text
    assert run("call", "GET", "/v1/objects", "--url", url)[0] == 1
    callers_are_named_to_the_bootstrap(account, url)

    dynamodb = account.client("dynamodb")
    dynamodb.put_item(TableName="ci-Configuration", Item={"key": {"S": "x"}})
    account.client("s3").put_object(Bucket=found.outputs["BucketName"], Key="x.txt", Body=b"x")
    for table in ("AuditTableName", "DynamoDBTableName"):
        eventually(lambda name=found.outputs[table]: dynamodb.scan(TableName=name)["Count"] == 1)  # type: ignore[misc]

    assert code_as(account.administrator, "bootstrap", *STAGE, "--may-delete-data", "--yes") == 0
    assert run("destroy", *STAGE, "--yes", "--delete-data")[0] == 0
    assert stacks.describe(account.target, "ci-weaudit-ci") is None
    assert stacks.describe(account.target, "weaudit-dev") is not None


def code_as(variables: dict[str, str], *words: str) -> int:
    """Run a command as somebody else; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        return run(*words)[0]


def it_is_kept_from_data(deployer: Callable[[str], Any], role: dict[str, str]) -> None:
    dynamodb, s3, iam = deployer("dynamodb"), deployer("s3"), deployer("iam")
    evidence, everybody = "ci-weaudit-evidence-ci-000000000000", json.dumps({"Version": "2012-10-17", "Statement": []})
    rule = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    attempts: list[Callable[[], Any]] = [
        lambda: dynamodb.delete_table(TableName="ci-Audit"),
        lambda: dynamodb.update_continuous_backups(
            TableName="ci-Audit", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        ),
        lambda: dynamodb.update_time_to_live(
            TableName="ci-Audit", TimeToLiveSpecification={"Enabled": True, "AttributeName": "sequence"}
        ),
        lambda: s3.put_bucket_lifecycle_configuration(Bucket=evidence, LifecycleConfiguration={"Rules": [rule]}),
        lambda: s3.put_bucket_versioning(Bucket=evidence, VersioningConfiguration={"Status": "Suspended"}),
        lambda: s3.put_bucket_policy(Bucket=evidence, Policy=everybody),
        lambda: s3.delete_bucket_policy(Bucket=evidence),
        lambda: s3.delete_object(Bucket=evidence, Key="x"),
        lambda: iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=everybody),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["Error"]["Code"] in REFUSED


def only_the_sealer_signs(account: Account, deployer: Callable[[str], Any]) -> None:
    # The engine's own root takes on any role, also one that trusts Lambda alone.
    sts = boto3.client(
        "sts",
        endpoint_url=account.target.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def signs(kms: Any) -> bool:
        message = {"Message": b"x", "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
        try:
            return len(kms.sign(KeyId=account.outputs["LedgerKeyArn"], **message)["Signature"]) == 64
        except ClientError as error:
            return error.response["Error"]["Code"] not in REFUSED

    signing = []
    for role in account.client("iam").list_roles(PathPrefix="/ci-weaudit-ci/")["Roles"]:
        taken = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="function")["Credentials"]
        kms = boto3.client(
            "kms",
            endpoint_url=account.target.endpoint,
            region_name="us-east-1",
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
        )
        signing += [role["RoleName"]] if signs(kms) else []
    assert ["LedgerSealerRole" in name for name in signing] == [True]
    assert not signs(deployer("kms"))


def callers_are_named_to_the_bootstrap(account: Account, url: str) -> None:
    iam = account.client("iam")
    statement = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    role = iam.create_role(RoleName="ci-reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    call = ("call", "GET", "/v1/objects", "--url", url)
    assert code_as(account.take_on(role), *call) == 1
    # Now that the API has its id, a person names who may call it; the pipeline could not.
    assert code_as(account.administrator, "bootstrap", *STAGE, "--callers", "ci-reader", "--yes") == 0
    assert code_as(account.take_on(role), *call) == 0
    assert code_as(account.take_on(role), "call", "GET", "/v1/health", "--url", url) == 0


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("iam", "create_role", {"RoleName": "mine", "Path": "/ci-weaudit-ci/", "AssumeRolePolicyDocument": "{}"}),
        ("iam", "create_user", {"UserName": "mine"}),
        ("iam", "create_policy", {"PolicyName": "mine", "Path": "/ci-weaudit-ci/", "PolicyDocument": "{}"}),
        ("kms", "create_key", {"Tags": [{"TagKey": "weaudit:stack", "TagValue": "ci-weaudit-ci"}]}),
        ("iam", "create_access_key", {"UserName": "mine"}),
        ("cloudformation", "delete_stack", {"StackName": "weaudit-dev"}),
        ("cloudformation", "delete_stack", {"StackName": "ci-weaudit-bootstrap-of-ci"}),
        ("cloudformation", "create_stack", {"StackName": "another", "TemplateBody": "{}"}),
        ("dynamodb", "delete_table", {"TableName": "Configuration"}),
        ("dynamodb", "get_item", {"TableName": "Configuration", "Key": {"key": {"S": "x"}}}),
        ("dynamodb", "scan", {"TableName": "ci-Audit"}),
        ("lambda", "delete_function", {"FunctionName": "audit_producer"}),
        ("lambda", "invoke", {"FunctionName": "ci-audit_producer"}),
        ("s3", "list_objects_v2", {"Bucket": "weaudit-evidence-dev-000000000000"}),
        ("s3", "delete_object", {"Bucket": ARTIFACTS, "Key": "functions/health/x.zip"}),
        ("s3", "put_object", {"Bucket": ARTIFACTS, "Key": "releases/weaudit-dev/000001.json", "Body": b""}),
        ("sts", "assume_role", {"RoleArn": "arn:aws:iam::000000000000:role/x", "RoleSessionName": "pipeline"}),
    ],
)
def test_one_step_beyond_is_refused(
    deployer: Callable[[str], Any], service: str, operation: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(deployer(service), operation)(**arguments)
    assert refused.value.response["Error"]["Code"] in REFUSED


def test_it_changes_neither_itself_nor_its_boundary(account: Account, deployer: Callable[[str], Any]) -> None:
    role = account.outputs["DeployRoleArn"].rpartition("/")[2]
    boundary = account.outputs["PermissionsBoundaryArn"]
    everything = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
    iam = deployer("iam")
    attempts: list[Callable[[], Any]] = [
        lambda: iam.put_role_policy(RoleName=role, PolicyName="more", PolicyDocument=everything),
        lambda: iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"),
        lambda: iam.create_policy_version(PolicyArn=boundary, PolicyDocument=everything, SetAsDefault=True),
        lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=everything),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["Error"]["Code"] in REFUSED


def test_only_tokens_of_the_repository_and_environment_are_taken(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in account.administrator.items():
        monkeypatch.setenv(name, value)
    iam, issuer = account.client("iam"), "token.actions.githubusercontent.com"
    iam.create_open_id_connect_provider(Url=f"https://{issuer}", ClientIDList=["sts.amazonaws.com"])
    given = ("--repository", "acme/audit", "--repository-id", "456789", "--owner-id", "123456")
    code, text = run("bootstrap", *STAGE, *given, "--environment", "production", "--yes", "--json")
    assert code == 0
    arn = json.loads(text)["DeployRoleArn"]
    assert json.loads(text)["OidcProviderArn"].endswith(f":oidc-provider/{issuer}")
    right = {"iss": f"https://{issuer}", "aud": "sts.amazonaws.com"}
    right["sub"] = "repo:acme@123456/audit@456789:environment:production"
    # The engine tells a policy nothing of repository_id, and so refuses every token; AWS tells it since January 2026.
    assert _taken(account, arn, right) in REFUSED
    name = arn.rpartition("/")[2]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    equal = trust["Statement"][0]["Condition"]["StringEquals"]
    assert equal.pop(f"{issuer}:repository_id") == "456789"
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    assert _taken(account, arn, right) is None
    assert _taken(account, arn, {**right, "sub": "repo:acme/audit:environment:production"}) is None
    for wrong in (
        {"sub": "repo:acme/audit:environment:staging"},
        {"sub": "repo:acme/audit:ref:refs/heads/main"},
        {"sub": "repo:acme/audit:pull_request"},
        {"sub": "repo:acme@1/audit@456789:environment:production"},
        {"sub": "repo:acme/another:environment:production"},
        {"aud": "https://github.com/acme"},
        {"iss": "https://token.example.com"},
    ):
        assert _taken(account, arn, {**right, **wrong}) in REFUSED, wrong


def _taken(account: Account, role: str, claims: dict[str, str]) -> str | None:
    """Take on the role by a token; return the code of the refusal, None where it was taken."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims)]
    try:
        account.client("sts").assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="job", WebIdentityToken=".".join([*parts, "signature"])
        )
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def test_it_asks_before_it_does_anything(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in account.administrator.items():
        monkeypatch.setenv(name, value)
    assert run("bootstrap", "--stage", "other")[0] == 2
    assert stacks.describe(account.target, "weaudit-bootstrap-of-other") is None
    assert run("bootstrap", "--stage", "other", "--repository", "acme/audit")[0] == 2
    assert "AWS_PROFILE" not in os.environ

"""The bootstrap stack: a deploy role that can do all that a deployment of the template needs, and nothing else."""

import itertools
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.infra.intrinsics import ACCOUNT, REGION, Resolver
from tests.infra.policies import allows, listed, matches, within
from tests.infra.test_template import PLAIN, RESOURCES
from tests.infra.test_template import statements as written

BOOTSTRAP = Path(__file__).parents[2] / "infra" / "bootstrap.yaml"
TEMPLATE: dict[str, Any] = yaml_parse(BOOTSTRAP.read_text(encoding="utf-8"))
# As long as they may be, and of letters that occur nowhere else.
STAGE = {"Prefix": "qqqqqqqqqqqqqqq-", "EnvironmentSuffix": "zzzzzzzzzzzz"}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"
CALLER = f"arn:aws:iam::{ACCOUNT}:role/caller"
OTHER = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/other"
GIVEN: dict[str, Any] = {
    **STAGE,
    "GitHubRepository": "acme/audit",
    "GitHubRepositoryId": "456789",
    "GitHubOwnerId": "123456",
    "GitHubEnvironment": "production",
    "KmsKeyArn": KEY,
    "CallerRoleNames": ["caller"],
    "ApiId": "a1b2c3",
    "OtherTableArns": [OTHER],
}
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/weaudit-deployment/Boundary-abcdefghijkl"
STACK = "{Prefix}weaudit-{EnvironmentSuffix}".format(**STAGE)
VIA = {
    service: f"{service}.{REGION}.amazonaws.com" for service in ("dynamodb", "lambda", "s3", "secretsmanager", "sqs")
}


def policies(**changed: Any) -> dict[str, Any]:
    """Return the documents of the deploy role's policies, resolved, by their logical names."""
    resolve = Resolver(TEMPLATE, {**GIVEN, **changed})
    return {
        name: resolve(row["Properties"]["PolicyDocument"])
        for name, row in TEMPLATE["Resources"].items()
        if row["Properties"].get("Roles") == [{"Ref": "DeployRole"}]
    }


def statements(**changed: Any) -> list[Any]:
    return [found for document in policies(**changed).values() for found in document["Statement"]]


# ---- all that a deployment needs

SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas"

# What CloudFormation's handlers name for features that the template does not use; with patterns, by kind of feature.
UNUSED = {
    "a global table, an import, a table's data": [
        "dynamodb:AssociateTableReplica", "dynamodb:BatchWriteItem", "dynamodb:CreateTableReplica",
        "dynamodb:DeleteItem", "dynamodb:DeleteResourcePolicy", "dynamodb:DescribeImport",
        "dynamodb:DisableKinesisStreamingDestination", "dynamodb:EnableKinesisStreamingDestination",
        "dynamodb:GetItem", "dynamodb:ImportTable", "dynamodb:PutItem", "dynamodb:PutResourcePolicy", "dynamodb:Query",
        "dynamodb:Scan", "dynamodb:UpdateContributorInsights", "dynamodb:UpdateItem",
        "dynamodb:UpdateKinesisStreamingDestination", "kinesis:DescribeStream", "kinesis:PutRecords",
        "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", "s3:GetObjectMetadata",
    ],
    "old keys, which CloudFormation looks at without need": ["kms:RevokeGrant"],
    "functions in a VPC, with a file system, signed, or with capacity": [
        "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
        "elasticfilesystem:DescribeMountTargets", "lambda:AssociateRuntimeAlias",
        "lambda:DeleteFunctionCodeSigningConfig", "lambda:GetCodeSigningConfig", "lambda:PassCapacityProvider",
        "lambda:PutFunctionCodeSigningConfig", "lambda:PutFunctionRecursionConfig", "lambda:PutFunctionScalingConfig",
        "lambda:PutRuntimeManagementConfig", "s3files:ListMountTargets",
    ],
    "gradual deployments and provisioned concurrency": [
        "codedeploy:CreateDeployment", "codedeploy:GetDeployment", "codedeploy:GetDeploymentConfig",
        "codedeploy:GetDeploymentGroup", "codedeploy:StopDeployment", "lambda:DeleteProvisionedConcurrencyConfig",
        "lambda:PutProvisionedConcurrencyConfig",
    ],
    "other parts of a bucket than ours": [
        "s3:CreateBucketMetadataTableConfiguration", "s3:DeleteBucketAnalyticsConfiguration", "s3:DeleteBucketCors",
        "s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle", "s3:DeleteBucketMetadataTableConfiguration",
        "s3:DeleteBucketMetricsConfiguration", "s3:DeleteBucketReplication", "s3:DeleteBucketWebsite",
        "s3:PutAccelerateConfiguration", "s3:PutAnalyticsConfiguration", "s3:PutBucketAbac", "s3:PutBucketAcl",
        "s3:PutBucketCORS", "s3:PutBucketLogging", "s3:PutBucketReplication",
        "s3:PutBucketWebsite", "s3:PutIntelligentTieringConfiguration", "s3:PutInventoryConfiguration",
        "s3:PutMetricsConfiguration", "s3:PutObjectAcl", "s3:PutObjectLockConfiguration",
        "s3:PutReplicationConfiguration", "s3:UpdateBucketMetadataAnnotationTableConfiguration",
        "s3:UpdateBucketMetadataInventoryTableConfiguration", "s3:UpdateBucketMetadataJournalTableConfiguration",
        "s3tables:CreateNamespace", "s3tables:CreateTable", "s3tables:CreateTableBucket", "s3tables:GetTable",
        "s3tables:GetTableMetadataLocation", "s3tables:PutTableBucketPolicy", "s3tables:PutTableEncryption",
        "s3tables:PutTablePolicy", "s3tables:UpdateTableMetadataLocation",
    ],
    "other parts of a log group than ours": [
        "firehose:TagDeliveryStream", "logs:DeleteDataProtectionPolicy", "logs:DeleteIndexPolicy",
        "logs:DeleteResourcePolicy", "logs:PutBearerTokenAuthentication", "logs:PutDataProtectionPolicy",
        "logs:PutIndexPolicy", "logs:PutLogGroupDeletionProtection",
    ],
    "policies attached to anybody; a role without its boundary, or that others may take on": [
        "iam:UpdateAssumeRolePolicy",
        "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:DetachGroupPolicy",
        "iam:DetachRolePolicy", "iam:DetachUserPolicy", "iam:DeleteRolePermissionsBoundary",
    ],
    "an account's detector that is taken away: the stack leaves it behind": ["guardduty:DeleteDetector"],
    "a topic that looks into its messages": ["sns:PutDataProtectionPolicy"],
    "no action of IAM's by that name": [
        "apigateway:TagResource", "apigateway:UntagResource", "s3:REST.PUT.OBJECT", "s3:getObject",
    ],
}  # fmt: skip
UNUSED_ACTIONS = set(itertools.chain.from_iterable(UNUSED.values()))
# What a person makes: no statement about these could be told from one about somebody else's (decision 0012).
BY_A_PERSON = {"AWS::IAM::ManagedPolicy", "AWS::KMS::Alias", "AWS::KMS::Key"}
# What only tables and roles of other templates need of these kinds.
NOT_FOR = {
    "AWS::DynamoDB::Table": {
        "iam:CreateServiceLinkedRole", "logs:CreateLogGroup", "logs:DescribeLogGroups", "logs:PutRetentionPolicy",
        "s3:GetObject", "s3:ListBucket",
    },
    "AWS::ApiGatewayV2::Authorizer": {"iam:PassRole"},
    "AWS::ApiGatewayV2::Integration": {"iam:PassRole"},
    "AWS::Events::Rule": {"iam:PassRole"},
    "AWS::S3::Bucket": {"iam:PassRole", "s3:DeleteObject"},
    "AWS::SNS::Subscription": {"iam:GetRole", "iam:PassRole"},
    "AWS::SNS::Topic": {"iam:GetRole", "iam:PassRole"},
}  # fmt: skip


@cache
def needed(kind: str) -> frozenset[str]:
    """Return the actions that CloudFormation names for creating, reading, changing and deleting such a resource."""
    files = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    schema = json.loads((SCHEMAS / "resources" / f"{files[kind]}.json").read_text(encoding="utf-8"))
    handlers = schema["handlers"]
    return frozenset(
        itertools.chain.from_iterable(row["permissions"] for name, row in handlers.items() if name != "list")
    )


def arns(logical: str) -> list[str]:
    """Return the ARNs by which IAM may know a resource of the template that is deployed."""
    resolve, resource = Resolver(PLAIN, {**STAGE, "KmsKeyArn": KEY}), RESOURCES[logical]
    kind, properties = resource["Type"], resource["Properties"]
    match kind:
        case "AWS::ApiGatewayV2::Api" | "AWS::ApiGatewayV2::Authorizer" | "AWS::ApiGatewayV2::Integration":
            return [f"arn:aws:apigateway:{REGION}::/apis/a1b2c3"]
        case "AWS::ApiGatewayV2::Route" | "AWS::ApiGatewayV2::Stage":
            return [f"arn:aws:apigateway:{REGION}::/apis/a1b2c3/routes/x"]
        case "AWS::Lambda::EventSourceMapping":
            return [f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:0-1-2"]
        case (
            "AWS::Lambda::Version" | "AWS::Lambda::Alias" | "AWS::Lambda::Permission" | "AWS::Lambda::EventInvokeConfig"
        ):
            name = properties["FunctionName"].get("Ref") or properties["FunctionName"]["Fn::GetAtt"][0]
            function = RESOURCES[name]
            if function["Type"] == "AWS::Lambda::Alias":
                function = RESOURCES[function["Properties"]["FunctionName"]["Ref"]]
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{resolve(function['Properties']['FunctionName'])}"
            return [arn, f"{arn}:7"]
        case "AWS::S3::BucketPolicy":
            return [f"arn:aws:s3:::{resolve(properties['Bucket'])}"]
        case "AWS::SQS::QueuePolicy":
            return [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{arn.split(':')[-1]}" for arn in resolve(properties["Queues"])]
        case "AWS::Events::Rule":
            return [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{resolve(properties['Name'])}"]
        case "AWS::CloudWatch::Alarm":
            return [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{resolve(properties['AlarmName'])}"]
        case "AWS::CloudWatch::Dashboard":
            return [f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{resolve(properties['DashboardName'])}"]
        case "AWS::SNS::Topic" | "AWS::SNS::TopicPolicy" | "AWS::SNS::Subscription":
            topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{resolve(RESOURCES['AlarmsTopic']['Properties']['TopicName'])}"
            return [topic, f"{topic}:00000000-0000-0000-0000-000000000000"]
        case "AWS::Logs::MetricFilter":
            return [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{resolve(properties['LogGroupName'])}:*"]
        case "AWS::Logs::QueryDefinition":
            return ["*"]
        case "AWS::Chatbot::SlackChannelConfiguration" | "AWS::Chatbot::MicrosoftTeamsChannelConfiguration":
            return [f"arn:aws:chatbot::{ACCOUNT}:chat-configuration/x/y"]
        case "AWS::GuardDuty::Detector":
            return [f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/12abc"]
        case "AWS::Logs::LogGroup":
            arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{resolve(properties['LogGroupName'])}"
            return [arn, f"{arn}:*"]
    return [str(resolve({"Fn::GetAtt": [logical, "Arn"]}))]


def asked(action: str, logical: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield what IAM is asked when CloudFormation takes this action for this resource."""
    functions = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STAGE['Prefix']}"
    service, kind = action.split(":")[0], RESOURCES[logical]["Type"]
    if kind == "AWS::GuardDuty::Detector" and service == "iam":
        yield action, f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/guardduty.amazonaws.com/x", {}
    elif action in ("kms:DescribeKey", "kms:ListAliases"):
        yield action, KEY, {}
    elif service == "kms":
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html: DynamoDB asks KMS
        # in the name of who makes the table.
        via = f"dynamodb.{REGION}.amazonaws.com"
        yield action, KEY, {"kms:GrantIsForAWSResource": "true", "kms:ViaService": via}
    elif action == "iam:PassRole":
        passed_to = "chatbot.amazonaws.com" if "Chatbot" in kind else "lambda.amazonaws.com"
        yield action, f"arn:aws:iam::{ACCOUNT}:role/{STACK}/X", {"iam:PassedToService": passed_to}
    elif "Chatbot" in kind and service == "iam":
        yield action, f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/management.chatbot.amazonaws.com/x", {}
    elif action in ("s3:GetObject", "s3:GetObjectVersion"):
        yield action, f"arn:aws:s3:::weaudit-artifacts-{ACCOUNT}-{REGION}/functions/health/abc.zip", {}
    elif action == "lambda:GetLayerVersion":
        yield action, f"arn:aws:lambda:{REGION}:999999999999:layer:plugins:1", {}
    elif action.endswith("EventSourceMapping"):
        for name in ("audit_producer:learn", "image_processor:live"):
            yield action, arns(logical)[0], {"lambda:FunctionArn": functions + name}
    else:
        for arn in arns(logical):
            yield action, arn, {"iam:PermissionsBoundary": BOUNDARY}


DEPLOYED = sorted(name for name, row in RESOURCES.items() if row["Type"] not in BY_A_PERSON)


@pytest.mark.parametrize("logical", DEPLOYED)
def test_the_role_may_do_all_that_cloudformation_does_for_a_resource(logical: str) -> None:
    kind, allowed = RESOURCES[logical]["Type"], statements()
    wanted = needed(kind) - UNUSED_ACTIONS - NOT_FOR.get(kind, set())
    assert wanted
    refused = [
        question for action in sorted(wanted) for question in asked(action, logical) if not allows(allowed, *question)
    ]
    assert not refused


def test_what_is_called_unused_is_named_by_cloudformation() -> None:
    named = set(itertools.chain.from_iterable(needed(row["Type"]) for row in RESOURCES.values()))
    assert named >= UNUSED_ACTIONS
    for kind, actions in NOT_FOR.items():
        assert needed(kind) >= actions


# ---- and nothing else

# What deploying itself takes, beside what CloudFormation does in the caller's name.
DEPLOYING = {
    "cloudformation": "the stack's change sets, events, releases and removal",
    "execute-api:Invoke": "the smoke test",
    "s3:PutObject": "artefacts, templates, releases",
    "s3:ListBucketVersions": "emptying buckets",
    "s3:GetObjectTagging": "Terraform's uploads",
    "s3:PutObjectTagging": "Terraform's uploads",
    "s3:DeleteObject": "emptying buckets",
    "s3:DeleteObjectVersion": "emptying buckets",
    "lambda:ListAliases": "the functions' versions, for the release",
    "iam:CreateServiceLinkedRole": "API Gateway's own role, at the first API of an account",
    "logs:DeleteLogDelivery": "access logs of an API",
    "logs:GetLogDelivery": "access logs of an API",
    "logs:ListLogDeliveries": "access logs of an API",
    "logs:UpdateLogDelivery": "access logs of an API",
}


def test_the_role_may_do_nothing_else() -> None:
    named = set(itertools.chain.from_iterable(needed(row["Type"]) for row in RESOURCES.values())) - UNUSED_ACTIONS
    extra = {
        action
        for found in statements()
        for action in listed(found["Action"])
        if action not in named and action not in DEPLOYING and action.split(":")[0] not in DEPLOYING
    }
    assert not extra
    assert not [action for found in statements() for action in listed(found["Action"]) if "*" in action]


@pytest.mark.parametrize(
    ("action", "arn", "context"),
    [
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/{STACK}/x", {}),
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/{STACK}/x", {"iam:PermissionsBoundary": f"{BOUNDARY}2"}),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/{STACK}/x", {}),
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/x", {"iam:PermissionsBoundary": BOUNDARY}),
        ("iam:DeleteRolePermissionsBoundary", f"arn:aws:iam::{ACCOUNT}:role/{STACK}/x", {}),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{STACK}/x", {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {"iam:PassedToService": "lambda.amazonaws.com"}),
        ("iam:AttachRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/{STACK}/x", {}),
        ("iam:AttachRolePolicy", CALLER, {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        ("iam:AttachRolePolicy", CALLER, {"iam:PolicyARN": f"arn:aws:iam::{ACCOUNT}:policy/{STACK}/x"}),
        ("iam:PutRolePolicy", CALLER, {"iam:PermissionsBoundary": BOUNDARY}),
        ("iam:CreatePolicy", f"arn:aws:iam::{ACCOUNT}:policy/{STACK}/x", {}),
        ("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/weaudit-deployment/ApiCallers-abcdefghijkl", {}),
        ("iam:CreatePolicyVersion", BOUNDARY, {}),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x", {}),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/{STACK}/x", {}),
        ("dynamodb:GetItem", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STAGE['Prefix']}Audit", {}),
        ("dynamodb:DeleteTable", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Audit", {}),
        ("s3:GetObject", "arn:aws:s3:::{Prefix}weaudit-evidence-{EnvironmentSuffix}-1/x".format(**STAGE), {}),
        ("s3:DeleteObject", f"arn:aws:s3:::weaudit-artifacts-{ACCOUNT}-{REGION}/functions/health/x.zip", {}),
        ("s3:PutObject", f"arn:aws:s3:::weaudit-artifacts-{ACCOUNT}-{REGION}/releases/weaudit-dev/1.json", {}),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STAGE['Prefix']}audit_producer", {}),
        ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:audit_producer", {}),
        ("lambda:CreateEventSourceMapping", "*", {"lambda:FunctionArn": "arn:aws:lambda:x:1:function:another"}),
        ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:weaudit-dev-x", {}),
        ("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:{STAGE['Prefix']}weaudit-alarms-zzzzzzzzzzzz", {}),
        ("sns:Subscribe", f"arn:aws:sns:{REGION}:{ACCOUNT}:weaudit-alarms-dev", {}),
        ("kms:CreateKey", "*", {}),
        ("kms:CreateKey", "*", {"aws:RequestTag/weaudit:stack": STACK}),
        ("kms:Decrypt", KEY, {}),
        ("kms:CreateGrant", KEY, {"kms:ViaService": VIA["dynamodb"], "kms:GrantIsForAWSResource": "false"}),
        ("kms:PutKeyPolicy", KEY, {}),
        ("kms:ScheduleKeyDeletion", KEY, {}),
        ("guardduty:DeleteDetector", f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/1", {}),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/weaudit-dev/1", {}),
        ("logs:GetLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{STAGE['Prefix']}image_x:*", {}),
    ],
)  # fmt: skip
def test_one_step_beyond_is_refused(action: str, arn: str, context: dict[str, str]) -> None:
    assert not allows(statements(), action, arn, context)


# ---- power by tags

# Every action that gives something of a key, or changes who has it.
KEY_POWERS = (
    "kms:CreateAlias", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:DisableKey", "kms:Encrypt",
    "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:GetKeyPolicy", "kms:PutKeyPolicy",
    "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:ScheduleKeyDeletion", "kms:Sign", "kms:TagResource",
    "kms:UntagResource", "kms:UpdateAlias",
)  # fmt: skip
SOMEBODYS = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/99999999-9999-9999-9999-999999999999"


def wanted_tags(allowed: list[Any]) -> dict[str, str]:
    """Return the tags that some statement asks for, with a value that it takes."""
    asked_for = [
        (key.partition("/")[2], listed(value)[0])
        for found in allowed
        for keys in found.get("Condition", {}).values()
        for key, value in keys.items()
        if "Tag/" in key
    ]
    return dict(asked_for)


@pytest.mark.parametrize("options", [{}, {"KmsKeyArn": ""}, {"KmsKeyArn": "", "CreateKmsKey": "true"}], ids=str)
@pytest.mark.parametrize("service", ["", *VIA])
def test_nobodys_key_becomes_the_roles_by_a_tag_or_an_alias(options: dict[str, str], service: str) -> None:
    allowed, context = statements(**options), {"kms:GrantIsForAWSResource": "true"}
    if service:
        context["kms:ViaService"] = VIA[service]
    # The attack: put on somebody else's key whatever tag a statement asks for, and the stage's alias; then use it.
    for name, value in wanted_tags(allowed).items():
        request = {**context, f"aws:RequestTag/{name}": value, "aws:TagKeys": name}
        if allows(allowed, "kms:TagResource", SOMEBODYS, request):
            context[f"aws:ResourceTag/{name}"] = value
    alias = f"alias/{STACK}-data"
    if allows(allowed, "kms:CreateAlias", f"arn:aws:kms:{REGION}:{ACCOUNT}:{alias}", context):
        context["kms:ResourceAliases"] = alias
    assert not [action for action in KEY_POWERS if allows(allowed, action, SOMEBODYS, context)]


# What conditions of a role's own statements may ask about: AWS says it, or making it true does the role no good.
SOUND_CONDITIONS = {
    "dynamodb:LeadingKeys": "DynamoDB says it of the keys that a request names",
    "iam:AWSServiceName": "whose service-linked role is made; the resource's name says the same",
    "iam:PassedToService": "IAM says it of the request",
    "iam:PermissionsBoundary": "a boundary only takes away, and the role can take off none",
    "kms:GrantIsForAWSResource": "KMS says it of the request",
    "kms:ViaService": "KMS says it of the request",
    "lambda:FunctionArn": "which function a mapping calls; only the stage's own are named",
}


def unsound(role_statements: Iterable[Any]) -> list[str]:
    """Return what conditions of statements that allow ask about and must not: what the same role may set itself."""
    return [
        key
        for found in role_statements
        if found["Effect"] == "Allow" and "Principal" not in found
        for keys in found.get("Condition", {}).values()
        for key in keys
        if key not in SOUND_CONDITIONS
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in BOOTSTRAP.parent.glob("*.yaml")))
def test_no_condition_of_a_role_can_be_made_true_by_the_role_itself(name: str) -> None:
    text = (BOOTSTRAP.parent / name).read_text(encoding="utf-8")
    assert unsound(written(yaml_parse(text)["Resources"])) == []


def test_nor_one_of_the_policies_that_people_are_given() -> None:
    for path in sorted((BOOTSTRAP.parents[1] / "docs" / "policies").glob("*.json")):
        assert unsound(written(json.loads(path.read_text(encoding="utf-8")))) == [], path.name


@pytest.mark.parametrize("key", ["aws:RequestTag/a", "aws:ResourceTag/a", "aws:PrincipalTag/a", "kms:ResourceAliases"])
def test_a_condition_on_what_can_be_set_is_found(key: str) -> None:
    found = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringEquals": {key: "x"}}}
    assert unsound([found]) == [key]


# ---- data


# What takes data away, or what its copies hang on; and the stores' other actions, which deployments go on needing.
LOSING = {
    "dynamodb": {
        "dynamodb:BatchWriteItem", "dynamodb:DeleteBackup", "dynamodb:DeleteItem", "dynamodb:DeleteTable",
        "dynamodb:PutItem", "dynamodb:PutResourcePolicy", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateItem",
        "dynamodb:UpdateTimeToLive",
    },
    "s3": {
        "s3:BypassGovernanceRetention", "s3:DeleteBucketPolicy", "s3:DeleteObject", "s3:DeleteObjectVersion",
        "s3:PutBucketAcl", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketPolicy", "s3:PutBucketVersioning",
        "s3:PutLifecycleConfiguration", "s3:PutObject", "s3:PutObjectAcl", "s3:PutReplicationConfiguration",
    },
    "kms": {
        "kms:DisableKey", "kms:PutKeyPolicy", "kms:RevokeGrant", "kms:ScheduleKeyDeletion",
    },
    "iam": {"iam:UpdateAssumeRolePolicy"},
}  # fmt: skip
STORES = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::IAM::Role"}


@pytest.mark.parametrize("logical", sorted(name for name, row in RESOURCES.items() if row["Type"] in STORES))
def test_it_can_be_kept_from_data_and_from_what_keeps_it(logical: str) -> None:
    [arn] = arns(logical)
    for action in LOSING[arn.split(":")[2]]:
        for inside in (arn, f"{arn}/x", f"{arn}/backup/1"):
            assert not allows(statements(MayDeleteData="false"), action, inside), (action, inside)


@pytest.mark.parametrize("logical", DEPLOYED)
def test_kept_from_data_it_goes_on_deploying(logical: str) -> None:
    # What a deployment needs that makes no table and no bucket, and says nothing else about how they keep their data.
    losing, allowed = set(itertools.chain.from_iterable(LOSING.values())), statements(MayDeleteData="false")
    wanted = needed(RESOURCES[logical]["Type"]) - UNUSED_ACTIONS - NOT_FOR.get(RESOURCES[logical]["Type"], set())
    wanted -= losing if RESOURCES[logical]["Type"] in STORES else set()
    refused = [one for action in sorted(wanted) for one in asked(action, logical) if not allows(allowed, *one)]
    assert not refused


def test_with_it_a_first_deployment_can_be_made_and_cleared_away() -> None:
    bucket = "arn:aws:s3:::{Prefix}weaudit-evidence-{EnvironmentSuffix}-{ACCOUNT}".format(**STAGE, ACCOUNT=ACCOUNT)
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STAGE['Prefix']}Audit"
    for action, arn in (
        ("dynamodb:UpdateContinuousBackups", table), ("dynamodb:UpdateTimeToLive", table),
        ("dynamodb:DeleteTable", table), ("s3:PutBucketPolicy", bucket), ("s3:PutLifecycleConfiguration", bucket),
        ("s3:PutBucketVersioning", bucket), ("s3:DeleteObjectVersion", f"{bucket}/x"),
    ):  # fmt: skip
        assert allows(statements(MayDeleteData="true"), action, arn), action


def test_what_it_deploys_can_lose_nothing_that_has_no_copy() -> None:
    # Functions are the pipeline's code. They may write items, which recovery has; of objects, those with versions and
    # those that are made again from others. The secrets have no copy on purpose: they may be put, by a name that is new
    # each time, and nothing else.
    bounded = Resolver(TEMPLATE, GIVEN)(TEMPLATE["Resources"]["Boundary"]["Properties"]["PolicyDocument"])["Statement"]
    written_to: dict[str, set[str]] = {}
    for logical, row in RESOURCES.items():
        if row["Type"] not in STORES or row["Type"] == "AWS::S3::BucketPolicy":
            continue
        [arn] = arns(logical)
        for action in LOSING[arn.split(":")[2]]:
            if any(allows(bounded, action, one, {"kms:ViaService": VIA["s3"]}) for one in (arn, f"{arn}/x")):
                written_to.setdefault(logical, set()).add(action)
    assert written_to.pop("KeysTable") == {"dynamodb:PutItem"}
    tables = {name for name in written_to if RESOURCES[name]["Type"] == "AWS::DynamoDB::Table"}
    assert all(
        RESOURCES[name]["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        and written_to[name] <= {"dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
        for name in tables
    )
    buckets = {name: written_to[name] for name in written_to.keys() - tables - {"RenditionsBucket"}}
    assert buckets == {"EvidenceBucket": {"s3:PutObject"}, "LedgerBucket": {"s3:PutObject"}}
    for name in buckets:
        assert RESOURCES[name]["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


def test_it_can_change_neither_itself_nor_its_boundary() -> None:
    own = f"arn:aws:iam::{ACCOUNT}:role/weaudit-deployment/DeployRole-abcdefghijkl"
    assert Resolver(TEMPLATE, GIVEN)({"Fn::GetAtt": ["DeployRole", "Arn"]}) == own
    writing = {action for found in statements() for action in listed(found["Action"]) if action.startswith("iam:")}
    context = {"iam:PermissionsBoundary": BOUNDARY, "iam:PassedToService": "lambda.amazonaws.com"}
    context |= {"iam:PolicyARN": f"arn:aws:iam::{ACCOUNT}:policy/{STACK}/x"}
    assert not [
        (action, arn) for action in writing for arn in (own, BOUNDARY) if allows(statements(), action, arn, context)
    ]


def test_callers_may_call_the_stages_api_and_no_more() -> None:
    callers, theirs = TEMPLATE["Resources"]["ApiCallers"], RESOURCES["ApiCallers"]
    assert callers["Properties"]["Roles"] == {"Ref": "CallerRoleNames"}
    [allowed] = Resolver(TEMPLATE, GIVEN)(callers["Properties"]["PolicyDocument"])["Statement"]
    assert allowed["Action"] == "execute-api:Invoke"
    assert allowed["Resource"] == f"arn:aws:execute-api:{REGION}:{ACCOUNT}:a1b2c3/$default/*"
    # The policy that the stack itself makes where a person deploys it says the same.
    [own] = Resolver(PLAIN, {})(theirs["Properties"]["PolicyDocument"])["Statement"]
    assert {**own, "Resource": ""} == {**allowed, "Resource": ""}


# ---- the boundary


def test_every_role_is_where_the_deploy_role_may_make_it() -> None:
    for row in RESOURCES.values():
        if row["Type"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            assert row["Properties"]["Path"] == {"Fn::Sub": "/${Prefix}weaudit-${EnvironmentSuffix}/"}
            # A name of its own would be shortened by CloudFormation; a path never is.
            assert not {"RoleName", "ManagedPolicyName"} & set(row["Properties"])


def test_the_boundary_leaves_the_functions_all_that_their_roles_give() -> None:
    bounded = Resolver(TEMPLATE, GIVEN)(TEMPLATE["Resources"]["Boundary"]["Properties"]["PolicyDocument"])["Statement"]
    own = str(Resolver(TEMPLATE, GIVEN)({"Fn::GetAtt": ["LedgerKey", "Arn"]}))
    given: dict[str, Any] = {**STAGE, "KmsKeyArn": KEY, "LedgerKeyArn": own, "UpdatableTableArns": [OTHER]}
    resolve = Resolver(PLAIN, given)
    roles = [row for row in RESOURCES.values() if row["Type"] == "AWS::IAM::Role"]
    beyond = [
        (action, resource)
        for role in roles
        for policy in resolve(role["Properties"]["Policies"])
        for found in policy["PolicyDocument"]["Statement"]
        for action in listed(found["Action"])
        for resource in listed(found["Resource"])
        if not any(
            action in listed(outer["Action"])
            and within(resource, listed(outer["Resource"]))
            and services(found) <= (services(outer) or services(found))
            for outer in bounded
        )
    ]
    assert not beyond
    used = {action.split(":")[0] for found in bounded for action in listed(found["Action"])}
    assert used == {"dynamodb", "s3", "sqs", "logs", "xray", "kms", "cloudwatch", "lambda"}
    [asking] = [found for found in bounded if "lambda:InvokeFunctionUrl" in listed(found["Action"])]
    assert listed(asking["Resource"]) == ["arn:aws:lambda:*:*:function:weaudit-ledger-witness"]


def services(found: Any) -> set[str]:
    """Return the services through which alone a statement gives a key; none where it asks for no service."""
    return set(listed(found.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", [])))


def test_the_boundary_gives_no_function_a_key_directly() -> None:
    bounded = Resolver(TEMPLATE, GIVEN)(TEMPLATE["Resources"]["Boundary"]["Properties"]["PolicyDocument"])["Statement"]
    for service, expected in ((VIA["dynamodb"], True), (VIA["s3"], True), (VIA["secretsmanager"], False)):
        assert allows(bounded, "kms:Decrypt", SOMEBODYS, {"kms:ViaService": service}) is expected
    assert not allows(bounded, "kms:Decrypt", SOMEBODYS)


# ---- somebody else's names

# Each as our own with a little more, and one that is none of ours: where the prefix is empty, these are in the same
# account. (Alarms, rules and functions of the API share a name space, which begins with the stack's name or weaudit.)
PLAINLY = {"Prefix": "", "EnvironmentSuffix": "dev"}
NAMED = {
    "AWS::DynamoDB::Table": ("TableName", "arn:aws:dynamodb:{at}:table/{name}"),
    "AWS::Lambda::Function": ("FunctionName", "arn:aws:lambda:{at}:function:{name}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "arn:aws:logs:{at}:log-group:{name}"),
    "AWS::S3::Bucket": ("BucketName", "arn:aws:s3:::{name}"),
    "AWS::SNS::Topic": ("TopicName", "arn:aws:sns:{at}:{name}"),
    "AWS::SQS::Queue": ("QueueName", "arn:aws:sqs:{at}:{name}"),
}


def arn_of(kind: str, name: str) -> str:
    return NAMED[kind][1].format(at=f"{REGION}:{ACCOUNT}", name=name)


def somebodys(kind: str) -> list[str]:
    """Return names like ours of a kind that are not ours."""
    resolve = Resolver(PLAIN, PLAINLY)
    names = {resolve(row["Properties"][NAMED[kind][0]]) for row in RESOURCES.values() if row["Type"] == kind}
    others = {"another", *(f"{name}2" for name in names)}
    if kind == "AWS::Logs::LogGroup":
        others |= {"/aws/lambda/another", "/aws/lambda/audit_producer_of_theirs", "/aws/vendedlogs/another"}
    return sorted(name for name in others if "weaudit-api-" not in name.removeprefix("/aws/vendedlogs/"))


@pytest.mark.parametrize("kind", NAMED)
def test_an_empty_prefix_takes_in_nobody_elses(kind: str) -> None:
    bounded = Resolver(TEMPLATE, {**GIVEN, **PLAINLY})(
        TEMPLATE["Resources"]["Boundary"]["Properties"]["PolicyDocument"]
    )
    narrow = [
        found
        for found in (*statements(**PLAINLY), *bounded["Statement"])
        # Mappings, streams and log deliveries say in the template why they know no narrower name.
        if listed(found["Resource"]) != ["*"] and found["Sid"] not in ("Streams", "MappingsOfTheRegion", "OtherTables")
    ]
    theirs = [
        arn
        for name in somebodys(kind)
        for arn in (arn_of(kind, name), f"{arn_of(kind, name)}:*", f"{arn_of(kind, name)}/x")
    ]
    assert theirs
    assert not [
        (found["Sid"], pattern, arn)
        for found in narrow
        for pattern in listed(found["Resource"])
        for arn in theirs
        if matches(pattern, arn)
    ]


def test_nor_does_a_mapping_to_a_function_or_the_key_for_its_logs() -> None:
    mapped = [found for found in statements(**PLAINLY) if found["Sid"] == "Mappings"]
    for name in somebodys("AWS::Lambda::Function"):
        context = {"lambda:FunctionArn": arn_of("AWS::Lambda::Function", name)}
        assert not allows(mapped, "lambda:CreateEventSourceMapping", "*", context), name
    for template, key in ((PLAIN, "DataKey"), (TEMPLATE, "Key")):
        policy = Resolver(template, {**PLAINLY, "CreateKmsKey": "true"})(
            template["Resources"][key]["Properties"]["KeyPolicy"]
        )
        [logs] = [found for found in policy["Statement"] if found["Sid"] == "LogsOfThisStack"]
        for name in somebodys("AWS::Logs::LogGroup"):
            context = {"kms:EncryptionContext:aws:logs:arn": arn_of("AWS::Logs::LogGroup", name)}
            assert not allows([logs], "kms:GenerateDataKey", "*", context), name
        # And each group of ours is let in, or it could not be made.
        for row in RESOURCES.values():
            if row["Type"] == "AWS::Logs::LogGroup":
                name = Resolver(PLAIN, PLAINLY)(row["Properties"]["LogGroupName"])
                context = {"kms:EncryptionContext:aws:logs:arn": arn_of("AWS::Logs::LogGroup", name)}
                assert allows([logs], "kms:GenerateDataKey", "*", context), name


# ---- who may take it on


def trust(**changed: Any) -> list[Any]:
    resolve = Resolver(TEMPLATE, {**GIVEN, **changed})
    found = resolve(TEMPLATE["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"])["Statement"]
    return list(found)


def test_only_jobs_of_this_repository_and_environment_take_it_on() -> None:
    [github] = trust()
    issuer = "token.actions.githubusercontent.com"
    assert github["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert github["Principal"]["Federated"].endswith("OidcProvider-abcdefghijkl")
    assert github["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:repository_id": "456789",
            f"{issuer}:sub": [
                "repo:acme/audit:environment:production",
                "repo:acme@123456/audit@456789:environment:production",
            ],
        }
    }
    [github] = trust(GitHubOwnerId="", GitHubEnvironment="", OidcProviderArn="arn:given")
    assert github["Condition"]["StringEquals"][f"{issuer}:sub"] == ["repo:acme/audit:environment:zzzzzzzzzzzz"]
    assert github["Principal"]["Federated"] == "arn:given"


def test_a_principal_may_take_it_on_where_it_is_named() -> None:
    [trusted] = trust(GitHubRepository="", TrustedPrincipalArn="arn:aws:iam::1:role/ci")
    assert (trusted["Principal"], trusted["Action"]) == ({"AWS": "arn:aws:iam::1:role/ci"}, "sts:AssumeRole")


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {"ArtifactBucket", "ArtifactBucketPolicy"}),
        ({"CreateArtifactBucket": "false", "CreateKmsKey": "true"}, {"Key", "KeyAlias"}),
        ({"CreateArtifactBucket": "false", "CallerRoleNames": ["caller"]}, set()),
        ({"CreateArtifactBucket": "false", "CallerRoleNames": ["caller"], "ApiId": "a1"}, {"ApiCallers"}),
        (
            {"CreateArtifactBucket": "false", "TrustedPrincipalArn": "arn"},
            {
                "Boundary",
                "LedgerKey",
                "DeployRole",
                "DeployStack",
                "DeployFunctions",
                "DeployStores",
                "DeployOperations",
                "DeploySecurity",
            },
        ),
        (
            {"CreateArtifactBucket": "false", "GitHubRepository": "a/b", "PermissionsBoundaryArn": "arn"},
            {
                "OidcProvider",
                "LedgerKey",
                "DeployRole",
                "DeployStack",
                "DeployFunctions",
                "DeployStores",
                "DeployOperations",
                "DeploySecurity",
            },
        ),
    ],
)
def test_what_is_not_asked_for_is_not_made(given: dict[str, str], made: set[str]) -> None:
    resolve = Resolver(TEMPLATE, given)
    found = {
        name for name, row in TEMPLATE["Resources"].items() if "Condition" not in row or resolve.holds(row["Condition"])
    }
    assert found == made


def test_artefacts_come_by_tls_and_are_never_overwritten() -> None:
    bucket = f"arn:aws:s3:::weaudit-artifacts-{ACCOUNT}-{REGION}"
    denied = Resolver(TEMPLATE, GIVEN)(TEMPLATE["Resources"]["ArtifactBucketPolicy"]["Properties"]["PolicyDocument"])
    tls, overwriting = denied["Statement"]
    assert (tls["Effect"], tls["Action"], tls["Resource"]) == ("Deny", "s3:*", [bucket, f"{bucket}/*"])
    assert overwriting["Effect"] == "Deny"
    assert overwriting["Resource"] == [f"{bucket}/functions/*", f"{bucket}/templates/*"]
    assert overwriting["Condition"]["Null"] == {"s3:if-none-match": "true"}


def test_what_would_be_missed_stays_when_the_stack_goes() -> None:
    kept = {name for name, row in TEMPLATE["Resources"].items() if "Retain" in row.get("DeletionPolicy", "")}
    assert kept == {"ArtifactBucket", "ArtifactBucketPolicy", "Key", "LedgerKey", "OidcProvider"}


# ---- what fits


def test_policies_are_as_short_as_iam_wants_them() -> None:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 6,144 characters without white space.
    resolve = Resolver(TEMPLATE, GIVEN)
    documents = {**policies(), "Boundary": resolve(TEMPLATE["Resources"]["Boundary"]["Properties"]["PolicyDocument"])}
    sizes = {name: len(json.dumps(document, separators=(",", ":"))) for name, document in documents.items()}
    assert all(size <= 6144 for size in sizes.values()), sizes


def test_it_is_sent_along_with_the_request() -> None:
    # There is no bucket for it yet: 51,200 bytes are what a request takes.
    assert len(BOOTSTRAP.read_bytes()) <= 51_200

"""What `weaudit doctor` decides: nothing of a healthy installation, and of each fault the finding that docs name."""

import copy
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weaudit.capture.configuration import ALWAYS, watch_item
from weaudit.capture.rules import Rules, with_places
from weaudit.doctor import facts as resource_facts
from weaudit.doctor.examining import examine
from weaudit.doctor.findings import CODES
from weaudit.doctor.gathering import Facts
from weaudit.doctor.resources import CHECKS
from weaudit.doctor.template import UNKNOWN, Expected, Place
from weaudit.evidence import QUARANTINE
from weaudit.watch.watched import Watch

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
ARN = "arn:aws:{}:eu-west-1:123456789012:{}"
KEY = ARN.format("kms", "key/1234")
ALIAS = ARN.format("lambda", "function:audit_producer:learn")
STREAM = ARN.format("dynamodb", "table/Configuration/stream/2024-01-01T00:00:00.000")
TOPIC = ARN.format("sns", "alarms")
URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/weaudit-failed-events-prod"
UNDELIVERED = "https://sqs.eu-west-1.amazonaws.com/123456789012/weaudit-undelivered-prod"
QUEUE, DEAD = ARN.format("sqs", "weaudit-failed-events-prod"), ARN.format("sqs", "weaudit-undelivered-prod")
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}]}
POLICY = {"Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": ["b", "b/*"]}]}
ALLOWED = {"Statement": [{"Action": "dynamodb:GetRecords", "Resource": f"table/Configuration/stream/{UNKNOWN}"}]}
BLOCKED = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
WATCH = Watch(
    "orders", "s", "Enabled", "by", "2024-01-01T00:00:00.000Z", "weaudit-watch-orders", "77aa",
    failures="arn:aws:s3:::evidence",
)  # fmt: skip

RESOURCES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "Table": (
        "AWS::DynamoDB::Table",
        "Configuration",
        {
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "DeletionProtectionEnabled": True,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True, "KMSMasterKeyId": KEY},
        },
        {"stream": "NEW_AND_OLD_IMAGES", "streamArn": STREAM, "protected": True, "recovery": True, "key": KEY},
    ),
    "Keys": (
        "AWS::DynamoDB::Table",
        "weaudit-keys-prod",
        {"DeletionProtectionEnabled": True},
        {"stream": "", "streamArn": "", "protected": True, "recovery": False, "key": ""},
    ),
    "Bucket": (
        "AWS::S3::Bucket",
        "bucket",
        {
            "PublicAccessBlockConfiguration": BLOCKED,
            "VersioningConfiguration": {"Status": "Enabled"},
            "ObjectLockEnabled": True,
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}
                ]
            },
            "NotificationConfiguration": {
                "LambdaConfigurations": [{"Event": "s3:ObjectCreated:*", "Function": ALIAS}],
                "EventBridgeConfiguration": {"EventBridgeEnabled": True},
            },
        },
        {
            "blocked": BLOCKED, "versioning": "Enabled", "lock": True, "algorithm": "aws:kms", "key": KEY,
            "notifies": [ALIAS], "eventBridge": True,
        },
    ),
    "BucketPolicy": (
        "AWS::S3::BucketPolicy",
        "bucket",
        {"Bucket": "bucket", "PolicyDocument": POLICY},
        {"policy": {"Version": "2012-10-17", "Statement": [{**POLICY["Statement"][0], "Resource": ["b/*", "b"]}]}},
    ),
    "Queue": ("AWS::SQS::Queue", URL, {}, {"messages": 0, "failures": ""}),
    "Undelivered": ("AWS::SQS::Queue", UNDELIVERED, {}, {"messages": 0, "failures": ""}),
    "ImagesQueue": (
        "AWS::SQS::Queue",
        "https://sqs/images",
        {"RedrivePolicy": {"deadLetterTargetArn": QUEUE, "maxReceiveCount": 10}},
        {"messages": 3, "failures": QUEUE},
    ),
    "QueuePolicy": (
        "AWS::SQS::QueuePolicy", "policy", {"Queues": [URL], "PolicyDocument": POLICY}, {"policy": POLICY},
    ),
    "Role": (
        "AWS::IAM::Role",
        "producer-role",
        {
            "Policies": [{"PolicyName": "own", "PolicyDocument": ALLOWED}],
            "AssumeRolePolicyDocument": TRUST,
            "PermissionsBoundary": "arn:aws:iam::123456789012:policy/bound",
        },
        {
            "policies": {
                "own": {"Statement": [{"Action": ["dynamodb:GetRecords"], "Resource": "table/Configuration/stream/1"}]},
                WATCH.stack: {"Statement": []},
            },
            "attached": [], "trust": TRUST, "boundary": "arn:aws:iam::123456789012:policy/bound",
        },
    ),
    "LogGroup": (
        "AWS::Logs::LogGroup", "/aws/lambda/audit_producer", {"RetentionInDays": "30", "KmsKeyId": KEY},
        {"retention": 30, "key": KEY},
    ),
    "Function": (
        "AWS::Lambda::Function", "audit_producer", {}, {"state": "Active", "reason": "", "reserved": None},
    ),
    "Alias": ("AWS::Lambda::Alias", ALIAS, {"FunctionVersion": "7"}, {"version": "7", "weights": {}}),
    "Mapping": (
        "AWS::Lambda::EventSourceMapping",
        "0f3c2d7e",
        {
            "FunctionName": ALIAS,
            "StartingPosition": "TRIM_HORIZON",
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::bucket"}},
        },
        {
            "state": "Enabled", "function": ALIAS, "source": STREAM, "lastResult": "OK",
            "failures": "arn:aws:s3:::bucket",
        },
    ),
    "Invocations": (
        "AWS::Lambda::EventInvokeConfig",
        "s3-processor|live",
        {
            "FunctionName": "s3-processor", "Qualifier": "live", "MaximumRetryAttempts": 2,
            "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
        },
        {"failures": QUEUE},
    ),
    "Rule": (
        "AWS::Events::Rule",
        "images",
        {"EventPattern": {"source": ["aws.s3"]}, "Targets": [{"Arn": QUEUE, "DeadLetterConfig": {"Arn": DEAD}}]},
        {"state": "ENABLED", "pattern": {"source": ["aws.s3"]}, "schedule": "", "targets": {QUEUE: DEAD}},
    ),
    "Clock": (
        "AWS::Events::Rule",
        "seal",
        {"ScheduleExpression": "rate(1 minute)", "Targets": [{"Arn": ALIAS}]},
        {"state": "ENABLED", "pattern": {}, "schedule": "rate(1 minute)", "targets": {ALIAS: ""}},
    ),
    "Key": ("AWS::KMS::Key", "1234", {"KeyPolicy": POLICY}, {"state": "Enabled", "policy": POLICY}),
    "Alarm": (
        "AWS::CloudWatch::Alarm", "errors", {"AlarmActions": [TOPIC], "Threshold": "1000", "Period": 60},
        {"state": "OK", "enabled": True, "actions": [TOPIC],
         "description": "More than 1 % of calls fail.\nLook …", "definition": {"Threshold": 1000.0}},
    ),
    "Filter": (
        "AWS::Logs::MetricFilter", "poison",
        {"LogGroupName": "/aws/lambda/f", "FilterPattern": "{ $.n > 0 }",
         "MetricTransformations": [{"MetricName": "m"}]},
        {"pattern": "{ $.n > 0 }"},
    ),
    "TopicPolicy": (
        "AWS::SNS::TopicPolicy", "policy", {"Topics": [TOPIC], "PolicyDocument": POLICY}, {"policy": POLICY},
    ),
    "Topic": ("AWS::SNS::Topic", TOPIC, {}, {"confirmed": 1, "waiting": []}),
}  # fmt: skip


def healthy() -> Facts:
    parts = copy.deepcopy(RESOURCES)
    return Facts(
        place=Place("123456789012", "eu-west-1", "aws", "weaudit-prod"),
        on_engine=False,
        options="--stage prod",
        status="UPDATE_COMPLETE",
        status_reason="",
        parameters={"Retain": "true", "Release": "3+abc", "ActorAttribute": "updatedBy", "EnvironmentSuffix": "prod"},
        protected=True,
        outputs={
            "FailedEventsQueueUrl": URL,
            "UndeliveredQueueUrl": UNDELIVERED,
            "AuditProducerRoleName": "producer-role",
            "EvidenceBucketName": "evidence",
        },
        expected={name: Expected(name, kind, physical, said) for name, (kind, physical, said, _) in parts.items()},
        found={name: found for name, (_, _, _, found) in parts.items()},
        ages_ms={"audit_producer": 900.0},
        items={
            "IMAGE_PIPELINE": None,
            "CACHE_TTL_SEC": {"key": {"S": "CACHE_TTL_SEC"}, "value": {"N": "60"}},
            "WATCH/orders": watch_item("orders", [Rules(ALWAYS, "by")]),
        },
        watches=(WATCH,),
        keys={"Configuration": ("key",), "Images": ("imageKey",), "orders": ("pk", "sk")},
        health={"state": "ok", "release": "3+abc", "version": "1.0.0", "problems": []},
        last_release={"label": "3+abc", "outcome": "deployed", "reason": "", "deployed": "deployed"},
        skew_s=0.4,
        version="1.0.0",
    )


def now(logical: str, **found: Any) -> Callable[[Facts], Facts]:
    """Return what makes a resource be found otherwise than it should be."""

    def change(facts: Facts) -> Facts:
        return dataclasses.replace(facts, found={**facts.found, logical: {**(facts.found[logical] or {}), **found}})

    return change


def but(**fields: Any) -> Callable[[Facts], Facts]:
    """Return what makes a fact another."""
    return lambda facts: dataclasses.replace(facts, **fields)


def health(**fields: Any) -> Callable[[Facts], Facts]:
    return lambda facts: dataclasses.replace(facts, health={**facts.health, **fields})


def watch(**fields: Any) -> Callable[[Facts], Facts]:
    return but(watches=(dataclasses.replace(WATCH, **fields),))


def items(**given: Any) -> Callable[[Facts], Facts]:
    return lambda facts: dataclasses.replace(facts, items={**facts.items, **given})


def policies(**given: Any) -> Callable[[Facts], Facts]:
    found = RESOURCES["Role"][3]["policies"]
    return now("Role", policies={name: row for name, row in {**found, **given}.items() if row is not None})


def unreadable(name: str, value: Any) -> dict[str, Any]:
    """Return the item of a watched table with a second version that cannot be read."""
    item = watch_item("orders", [Rules(ALWAYS, "by")])
    item["versions"]["L"].append({"M": {name: value}})
    return item


def hiding(name: str) -> dict[str, Any]:
    """Return the rules of a table with a second version that hides this attribute."""
    later = with_places(Rules("2024-01-01T00:00:00.000Z", "by"), redact=[(name,)])
    return watch_item("orders", [Rules(ALWAYS, "by"), later])


WIDE = {"Statement": [{"Action": "dynamodb:GetRecords", "Resource": "*"}]}
CASES: list[tuple[str, Callable[[Facts], Facts], str]] = [
    ("stack-failed", but(status="UPDATE_ROLLBACK_FAILED"), "continue-update-rollback"),
    ("stack-failed", but(status="UPDATE_IN_PROGRESS"), "weaudit deploy --stage prod"),
    ("stack-unprotected", but(protected=False), "--enable-termination-protection"),
    (
        "last-release",
        but(last_release={"label": "4+def", "outcome": "failed", "reason": "no room", "deployed": "deployed"}),
        "no room",
    ),
    ("release-differs", health(release="2+aaa"), "2+aaa"),
    ("version-differs", health(version="0.9.0"), "0.9.0"),
    ("health", health(state="degraded", problems=["Audit: gone"]), "Audit: gone"),
    ("health", but(health={"failed": "Runtime.ExitError"}), "weaudit logs health"),
    ("not-checked", but(unread={"Audit": "AccessDenied"}), "AccessDenied"),
    ("resource-gone", but(found={"Bucket": None}), "bucket"),
    ("stream-off", now("Table", stream="", streamArn=""), "StreamViewType=NEW_AND_OLD_IMAGES"),
    ("stream-view", now("Table", stream="KEYS_ONLY"), "KEYS_ONLY"),
    ("stream-replaced", now("Table", streamArn=STREAM + "-2"), STREAM + "-2"),
    ("mapping-disabled", now("Mapping", state="Disabled"), "--uuid 0f3c2d7e --enabled"),
    ("mapping-elsewhere", now("Mapping", function=ALIAS.removesuffix(":learn")), f"--function-name {ALIAS}"),
    ("mapping-failing", now("Mapping", lastResult="PROBLEM: Function call failed"), "weaudit logs audit_producer"),
    ("mapping-failing", watch(last_result="PROBLEM: Function call failed"), "orders"),
    ("backlog", but(ages_ms={"audit_producer": 61_000.0}), "61 s"),
    ("alias-elsewhere", now("Alias", version="6"), "--function-version 7"),
    ("alias-weights", now("Alias", weights={"8": 0.1}), "version 8"),
    ("function-stopped", now("Function", reserved=0), "delete-function-concurrency"),
    ("function-stopped", now("Function", state="Failed", reason="no key"), "no key"),
    ("quarantine", but(evidence={QUARANTINE: f"{QUARANTINE}audit_producer/1.json"}), "weaudit quarantine"),
    ("given-up", but(evidence={"aws/lambda/": "aws/lambda/0f3c/shard/1.json"}), "weaudit quarantine replay"),
    ("failed-events", now("Queue", messages=2), "2 events"),
    ("undelivered", now("Undelivered", messages=1), "1 event"),
    ("nothing-kept", now("Mapping", failures=""), '--destination-config \'{"OnFailure":{"Destination":"arn:aws:s3'),
    ("nothing-kept", now("Mapping", failures="arn:aws:s3:::another"), "another"),
    ("nothing-kept", now("Invocations", failures=""), "--qualifier live --maximum-retry-attempts 2 --destination"),
    ("nothing-kept", now("ImagesQueue", failures=""), "set-queue-attributes"),
    ("nothing-kept", now("Rule", targets={QUEUE: ""}), "put-targets --rule images"),
    ("nothing-kept", watch(failures=""), "--uuid 77aa --destination-config"),
    ("table-unprotected", now("Table", protected=False), "--deletion-protection-enabled"),
    ("table-recovery", now("Table", recovery=False), "update-continuous-backups"),
    ("table-keeps-erased", now("Keys", recovery=True), "--table-name weaudit-keys-prod "),
    ("table-keeps-erased", now("Keys", recovery=True), "PointInTimeRecoveryEnabled=false"),
    ("table-key", now("Table", key=""), f"KMSMasterKeyId={KEY}"),
    ("bucket-public", now("Bucket", blocked={}), "put-public-access-block"),
    ("bucket-versioning", now("Bucket", versioning="Suspended"), "Status=Enabled"),
    ("bucket-unlocked", now("Bucket", lock=False), "put-object-lock-configuration --bucket bucket"),
    ("bucket-encryption", now("Bucket", algorithm="AES256", key=""), "put-bucket-encryption"),
    ("bucket-notification", now("Bucket", notifies=[]), "audit_producer"),
    ("bucket-notification", now("Bucket", eventBridge=False), "EventBridge"),
    ("policy-changed", now("BucketPolicy", policy=None), "put-bucket-policy"),
    ("policy-changed", now("QueuePolicy", policy={"Statement": []}), "set-queue-attributes"),
    ("role-changed", policies(own=None), "stream/*"),
    ("role-changed", policies(own=WIDE), "put-role-policy"),
    ("role-changed", policies(admin=WIDE), "delete-role-policy --role-name producer-role --policy-name admin"),
    ("role-changed", now("Role", attached=["arn:aws:iam::aws:policy/AdministratorAccess"]), "detach-role-policy"),
    ("role-changed", now("Role", trust={"Statement": []}), "update-assume-role-policy"),
    ("role-changed", now("Role", boundary=""), "put-role-permissions-boundary"),
    ("log-retention", now("LogGroup", retention=None), "--retention-in-days 30"),
    ("log-key", now("LogGroup", key=""), "associate-kms-key"),
    ("rule-disabled", now("Rule", state="DISABLED"), "enable-rule --name images"),
    ("rule-changed", now("Rule", targets={}), "nobody"),
    ("rule-changed", now("Rule", pattern={"source": ["aws.ec2"]}), "put-rule --name images --event-pattern"),
    ("rule-disabled", now("Clock", state="DISABLED"), "enable-rule --name seal"),
    ("rule-changed", now("Clock", schedule="rate(1 day)"), "--schedule-expression 'rate(1 minute)'"),
    ("rule-changed", now("Clock", targets={QUEUE: ""}), "put-targets --rule seal"),
    ("policy-changed", now("Key", policy={"Statement": []}), "put-key-policy --key-id 1234"),
    ("key-unusable", now("Key", state="PendingDeletion"), "cancel-key-deletion"),
    ("alarm-off", now("Alarm", enabled=False), "enable-alarm-actions --alarm-names errors"),
    ("alarm-off", now("Alarm", actions=[]), TOPIC),
    ("alarm-off", now("Alarm", actions=[]), '"Threshold":1000.0'),
    ("alarm-changed", now("Alarm", definition={"Threshold": 9e9}), "and not 1000"),
    ("alarm-changed", now("Filter", pattern="{ $.n > 9 }"), '"metricTransformations":[{"metricName":"m"}]'),
    ("policy-changed", now("TopicPolicy", policy={"Statement": []}), "sns set-topic-attributes"),
    ("alarm-ringing", now("Alarm", state="ALARM"), "More than 1 % of calls fail."),
    ("alarm-unheard", now("Topic", confirmed=0), f"sns subscribe --topic-arn {TOPIC}"),
    ("subscription-waiting", now("Topic", waiting=["email"]), "email"),
    ("watch-broken", watch(state="stream off"), "weaudit watch orders"),
    ("watch-broken", watch(state="table gone"), "weaudit unwatch orders"),
    ("watch-broken", policies(**{WATCH.stack: None}), "lost the policy"),
    ("watch-outdated", but(outdated={"orders": ("update the stack",)}), "update the stack"),
    ("configuration-item", items(IMAGE_PIPELINE={"renditions": {"S": "none"}}), "weaudit history IMAGE_PIPELINE"),
    ("configuration-item", items(CACHE_TTL_SEC={"value": {"N": "-1"}}), "86400"),
    ("configuration-item", items(**{"WATCH/orders": {"actor": {"S": "by"}}}), "WATCH/orders"),
    ("configuration-item", items(**{"WATCH/orders": {"versions": {"L": []}}}), "weaudit rules orders"),
    ("configuration-item", items(**{"WATCH/orders": {"versions": {"L": []}}}), "the changes of orders wait"),
    ("configuration-item", items(**{"WATCH/orders": unreadable("exclud", {"SS": ["card"]})}), '"exclud" is no rule'),
    ("configuration-item", items(**{"WATCH/orders": hiding("sk")}), '"sk" cannot be under redact'),
    ("configuration-item", items(**{"WATCH/Configuration": hiding("key")}), "weaudit rules Configuration"),
    ("configuration-item", items(**{"WATCH/Images": hiding("imageKey")}), "weaudit rules Images"),
    ("configuration-item", items(**{"WATCH/orders": unreadable("actor", {"S": "by"})}), "WATCH/orders"),
    ("configuration-item", items(**{"WATCH/orders": unreadable("from", {"S": "soon"})}), "stay in force"),
    ("ledger-findings", but(ledger={"findings": [("gap", "", "t1"), ("altered", "r-1", "t2")]}), "altered r-1 at t2"),
    ("ledger-findings", but(ledger={"findings": [("deleted", "r-1", "t2")]}), "a finding of the last week"),
    ("ledger-silent", but(ledger={"age_s": 10_800.0, "findings": []}), "sealed 3 hours ago"),
    ("ledger-unsound", but(ledger={"unsound": "it is not signed"}), "it is not signed"),
    ("clock", but(skew_s=-90.0), "90 s behind"),
]  # fmt: skip


def test_of_a_healthy_installation_there_is_nothing_to_say() -> None:
    assert examine(healthy()) == []


@pytest.mark.parametrize(("code", "change", "told"), CASES, ids=[f"{code}-{n}" for n, (code, *_) in enumerate(CASES)])
def test_a_fault_is_one_finding_with_what_to_do(code: str, change: Callable[[Facts], Facts], told: str) -> None:
    [finding] = examine(change(healthy()))
    assert finding.code == code
    assert told in f"{finding.what}\n{finding.do}"
    assert all(finding.document().values())
    assert UNKNOWN not in "".join(finding.document().values())


def test_errors_come_before_warnings() -> None:
    facts = now("LogGroup", retention=7)(now("Alias", version="6")(healthy()))
    assert [finding.severity for finding in examine(facts)] == ["error", "warning"]


def test_what_the_engine_does_not_do_is_no_finding_there() -> None:
    facts = now("Table", key="")(now("Topic", confirmed=0)(healthy()))
    facts = now("Bucket", algorithm="AES256", key="")(facts)
    assert len(examine(facts)) == 3
    assert examine(dataclasses.replace(facts, on_engine=True)) == []


def test_a_deployment_turns_recovery_on_on_the_engine_too_so_it_is_looked_for_there() -> None:
    facts = dataclasses.replace(now("Table", recovery=False)(healthy()), on_engine=True)
    assert [finding.code for finding in examine(facts)] == ["table-recovery"]


def test_every_code_has_its_case_and_its_row_in_the_page() -> None:
    assert {code for code, *_ in CASES} == CODES.keys()
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {code: (severity, meaning) for code, severity, meaning in rows} == CODES


def test_every_kind_that_is_read_is_judged() -> None:
    assert CHECKS.keys() == {*resource_facts.READERS, resource_facts.ALARM} == {kind for kind, *_ in RESOURCES.values()}

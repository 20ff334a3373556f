"""`weaudit doctor` on the engine: silent where all is well; of each planted fault it finds that one alone."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import client, eventually, run
from weaudit.capture.configuration import ALWAYS
from weaudit.installation.outputs import Installation

pytestmark = pytest.mark.engine
Step = Callable[[], Any]


def diagnosis() -> tuple[int, dict[str, Any]]:
    code, text = run("doctor", "--json")
    return code, json.loads(text)


class Faults:
    """Pairs of what breaks something and what mends it, by the code that has to be found."""

    def __init__(self) -> None:
        self.names = Installation.find().outputs
        self.evidence = self.names["EvidenceBucketName"]

    def in_groups(self) -> list[list[tuple[str, Step, Step]]]:
        """One of each kind at a time."""
        rows = itertools.zip_longest(self.functions(), self.stores(), self.settings())
        return [[fault for fault in row if fault is not None] for row in rows]

    def functions(self) -> list[tuple[str, Step, Step]]:
        functions, iam, role = client("lambda"), client("iam"), self.names["AuditProducerRoleName"]
        [mapping] = functions.list_event_source_mappings(EventSourceArn=self.names["ConfigurationStreamArn"])[
            "EventSourceMappings"
        ]
        document = iam.get_role_policy(RoleName=role, PolicyName="audit_producer")["PolicyDocument"]
        stripped = {**document, "Statement": [row for row in document["Statement"] if row["Sid"] != "KeepEvidence"]}
        wide = {**document, "Statement": [*document["Statement"][1:], {**document["Statement"][0], "Resource": "*"}]}
        version = functions.get_alias(FunctionName="audit_producer", Name="learn")["FunctionVersion"]

        def enable(on: bool) -> Step:
            return lambda: functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)

        def point(at: str) -> Step:
            return lambda: functions.update_alias(FunctionName="audit_producer", Name="learn", FunctionVersion=at)

        def allow(what: Any) -> Step:
            words = {"RoleName": role, "PolicyName": "audit_producer", "PolicyDocument": json.dumps(what)}
            return lambda: iam.put_role_policy(**words)

        health = {"FunctionName": "image_processor"}
        failing = {"FunctionName": "s3-processor-dev", "Qualifier": "live", "MaximumRetryAttempts": 2}
        destination = functions.get_function_event_invoke_config(FunctionName="s3-processor-dev", Qualifier="live")

        def keep(where: Any) -> Step:
            return lambda: functions.put_function_event_invoke_config(**failing, DestinationConfig=where)

        return [
            ("nothing-kept", keep({}), keep(destination["DestinationConfig"])),
            ("mapping-disabled", enable(False), enable(True)),
            ("alias-elsewhere", point("$LATEST"), point(version)),
            ("role-changed", allow(stripped), allow(document)),
            ("role-changed", allow(wide), allow(document)),
            (
                "function-stopped",
                lambda: functions.put_function_concurrency(**health, ReservedConcurrentExecutions=0),
                lambda: functions.delete_function_concurrency(**health),
            ),
        ]

    def stores(self) -> list[tuple[str, Step, Step]]:
        s3, sqs = client("s3"), client("sqs")
        poison = {"Bucket": self.evidence, "Key": "raw/quarantine/audit_producer/1.json"}
        queue = {"QueueUrl": self.names["FailedEventsQueueUrl"]}
        policy = s3.get_bucket_policy(Bucket=self.evidence)["Policy"]
        blocked = s3.get_public_access_block(Bucket=self.evidence)["PublicAccessBlockConfiguration"]
        bucket = {"Bucket": self.names["BucketName"]}
        told = s3.get_bucket_notification_configuration(**bucket)
        del told["ResponseMetadata"]

        images = {"QueueUrl": sqs.get_queue_url(QueueName="weaudit-images-dev")["QueueUrl"]}
        kept = sqs.get_queue_attributes(**images, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
        undelivered = {"QueueUrl": self.names["UndeliveredQueueUrl"]}

        def empty() -> None:
            sqs.purge_queue(**undelivered)

        def redrive(policy: str) -> Step:
            return lambda: sqs.set_queue_attributes(**images, Attributes={"RedrivePolicy": policy})

        def version(status: str) -> Step:
            return lambda: s3.put_bucket_versioning(
                Bucket=self.evidence, VersioningConfiguration={"Status": status}
            )  # fmt: skip

        def block(how: Any) -> Step:
            return lambda: s3.put_public_access_block(Bucket=self.evidence, PublicAccessBlockConfiguration=how)

        def tell(whom: Any) -> Step:
            return lambda: s3.put_bucket_notification_configuration(**bucket, NotificationConfiguration=whom)

        return [
            ("quarantine", lambda: s3.put_object(**poison, Body=b"{}"), lambda: s3.delete_object(**poison)),
            ("undelivered", lambda: sqs.send_message(**undelivered, MessageBody="{}"), empty),
            ("nothing-kept", redrive(""), redrive(kept)),
            ("failed-events", lambda: sqs.send_message(**queue, MessageBody="{}"), lambda: sqs.purge_queue(**queue)),
            (
                "policy-changed",
                lambda: s3.delete_bucket_policy(Bucket=self.evidence),
                lambda: s3.put_bucket_policy(Bucket=self.evidence, Policy=policy),
            ),
            ("bucket-public", block({**blocked, "BlockPublicPolicy": False}), block(blocked)),
            ("bucket-versioning", version("Suspended"), version("Enabled")),
            ("bucket-notification", tell({"EventBridgeConfiguration": {}}), tell(told)),
        ]

    def settings(self) -> list[tuple[str, Step, Step]]:
        logs, events, dynamodb = client("logs"), client("events"), client("dynamodb")
        rule = "weaudit-dev-images"
        [target] = events.list_targets_by_rule(Rule=rule)["Targets"]
        careless = {name: value for name, value in target.items() if name != "DeadLetterConfig"}
        elsewhere = {**target, "Arn": target["DeadLetterConfig"]["Arn"]}
        watch = client("cloudwatch")
        alarm = watch.describe_alarms()["MetricAlarms"][0]["AlarmName"]
        group = {"logGroupName": "/aws/lambda/audit_producer"}

        def recover(table: str, on: bool) -> Step:
            return lambda: dynamodb.update_continuous_backups(
                TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on}
            )

        keys = self.names["KeysTableName"]

        def hand_on(to: Any) -> Step:
            return lambda: events.put_targets(Rule=rule, Targets=[to])

        def put(key: str, **attributes: Any) -> Step:
            item = {"key": {"S": key}, **attributes}
            return lambda: dynamodb.put_item(TableName="Configuration", Item=item)

        def delete(key: str) -> Step:
            return lambda: dynamodb.delete_item(TableName="Configuration", Key={"key": {"S": key}})

        version = {"from": {"S": "2024-01-01T00:00:00.000Z"}, "exclude": {"SS": ["imageKey"]}}
        hides_the_key = {"versions": {"L": [{"M": {"from": {"S": ALWAYS}}}, {"M": version}]}}
        return [
            (
                "log-retention",
                lambda: logs.delete_retention_policy(**group),
                lambda: logs.put_retention_policy(**group, retentionInDays=30),
            ),
            (
                "alarm-off",
                lambda: watch.disable_alarm_actions(AlarmNames=[alarm]),
                lambda: watch.enable_alarm_actions(AlarmNames=[alarm]),
            ),
            ("table-recovery", recover("Audit", False), recover("Audit", True)),
            ("table-keeps-erased", recover(keys, True), recover(keys, False)),
            ("rule-disabled", lambda: events.disable_rule(Name=rule), lambda: events.enable_rule(Name=rule)),
            ("rule-changed", hand_on(elsewhere), hand_on(target)),
            ("nothing-kept", hand_on(careless), hand_on(target)),
            ("configuration-item", put("IMAGE_PIPELINE", renditions={"S": "none"}), delete("IMAGE_PIPELINE")),
            ("configuration-item", put("CACHE_TTL_SEC", value={"S": "soon"}), delete("CACHE_TTL_SEC")),
            ("configuration-item", put("WATCH/Images", **hides_the_key), delete("WATCH/Images")),
            ("watch-broken", self.watch_and_break, lambda: run("unwatch", "orders", "--yes", "--force")),
        ]

    def watch_and_break(self) -> None:
        dynamodb = client("dynamodb")
        dynamodb.create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        assert run("watch", "orders", "--yes")[0] == 0
        assert diagnosis()[1]["findings"] == []  # its stack's policy at the role is no stranger
        dynamodb.update_table(TableName="orders", StreamSpecification={"StreamEnabled": False})


def test_each_planted_fault_is_found_and_nothing_else(state_dir: Path) -> None:
    code, document = diagnosis()
    assert (code, document["findings"], document["healthy"]) == (0, [], True)
    assert document["checked"] > 40
    assert "is healthy" in run("doctor")[1]
    # A diagnosis reads the whole installation: three faults that share nothing are planted for each.
    for planted in Faults().in_groups():
        for _code, plant, _mend in planted:
            plant()
        code, document = diagnosis()
        assert sorted(row["code"] for row in document["findings"]) == sorted(code for code, _, _ in planted), document
        assert (code, document["healthy"]) == (1, False)
        assert all(all(row.values()) for row in document["findings"])
        for _code, _plant, mend in planted:
            mend()
    assert diagnosis()[1]["findings"] == []
    # What Lambda gave up on lands in the evidence bucket; the rule puts word of it into the queue.
    s3, given_up = client("s3"), {"Bucket": Faults().evidence, "Key": "aws/lambda/0f3c/shardId-1/2026/01/01/x.json"}
    s3.put_object(**given_up, Body=b"{}")
    eventually(lambda: sorted(row["code"] for row in diagnosis()[1]["findings"]) == ["given-up", "undelivered"])
    s3.delete_object(**given_up)
    client("sqs").purge_queue(QueueUrl=Faults().names["UndeliveredQueueUrl"])
    assert diagnosis()[1]["findings"] == []
    # A stream that is turned off cannot be turned on again as the same one, so this is the last.
    client("dynamodb").update_table(TableName="Configuration", StreamSpecification={"StreamEnabled": False})
    code, text = run("doctor")
    assert (code, text.count("error  ")) == (1, 1)
    assert "stream-off: the stream of Configuration is off" in text
    assert "aws dynamodb update-table --table-name Configuration" in text

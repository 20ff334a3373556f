"""What the engine makes of the template, property by property, also under another prefix and with permissions on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import image_fakes
from tests.conftest import RunningEngine
from tests.e2e.pictures import drawn
from weaudit.deploy import packaging, stack, templates
from weaudit.evidence import QUARANTINE, VALUES
from weaudit.functions import FUNCTIONS
from weaudit.installation import stacks
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target
from weaudit.local import engine as engines
from weaudit.local import process

pytestmark = pytest.mark.engine


def outputs(client: Callable[[str], Any], name: str) -> dict[str, str]:
    [found] = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def test_the_stack_is_as_the_template_says(engine: RunningEngine) -> None:
    names = outputs(engine.client, "weaudit-dev")
    account = engine.client("sts").get_caller_identity()["Account"]
    assert names["ConfigurationTableName"] == "Configuration"
    assert names["AuditTableName"] == "Audit"
    assert names["KeysTableName"] == "weaudit-keys-dev"
    assert names["EvidenceBucketName"] == f"weaudit-evidence-dev-{account}"
    assert names["AuditProducerFunctionName"] == "audit_producer"
    assert names["AuditProducerAliasArn"].endswith(":function:audit_producer:learn")
    assert names["ConfigurationStreamArn"].split("/")[1] == "Configuration"
    engine.client("iam").get_role(RoleName=names["AuditProducerRoleName"])

    found = engine.client("lambda").get_function_configuration(FunctionName=names["AuditProducerAliasArn"])
    assert found["Handler"] == "index.lambda_handler"
    assert (found["Runtime"], found["MemorySize"], found["Timeout"]) == ("python3.13", 256, 300)
    assert found["Architectures"] == ["x86_64"]
    assert found["TracingConfig"] == {"Mode": "Active"}
    assert found["LoggingConfig"]["LogGroup"] == "/aws/lambda/audit_producer"
    assert found["LoggingConfig"]["LogFormat"] == "JSON"
    assert found["Role"].endswith(f"/{names['AuditProducerRoleName']}")
    variables = found["Environment"]["Variables"]
    assert variables["TARGET_TABLE"] == "Audit"
    assert variables["KEYS_TABLE"] == names["KeysTableName"]
    assert variables["EVIDENCE_BUCKET"] == names["EvidenceBucketName"]
    assert variables["INLINE_VALUE_BYTES"] == "4096"
    assert variables["ACTOR_ATTRIBUTE"] == "updatedBy"
    assert variables["LOG_LEVEL"] == "INFO"


def test_table_update_is_as_the_template_says(engine: RunningEngine) -> None:
    names = outputs(engine.client, "weaudit-dev")
    assert names["TableUpdateFunctionName"] == "table-update-function"
    assert names["TableUpdateAliasArn"].endswith(":function:table-update-function:live")
    assert names["AuditLogsTableName"] == "audit_logs"
    found = engine.client("lambda").get_function_configuration(FunctionName=names["TableUpdateAliasArn"])
    assert (found["Runtime"], found["MemorySize"], found["Timeout"]) == ("python3.13", 256, 30)
    assert found["Environment"]["Variables"] == {
        "TABLE_NAME": "Configuration",
        "AUDIT_LOG_TABLE": "audit_logs",
        "ENABLE_AUDIT_LOG": "false",
        "MARK_LOGGED_UPDATES": "true",
        "UPDATABLE_TABLES": "",
        "CONFIGURATION_TABLE": "Configuration",
        "AUDIT_TABLE": "Audit",
        "KEYS_TABLE": names["KeysTableName"],
        "CACHE_TTL_SEC": "60",
        "LOG_LEVEL": "INFO",
    }


def test_s3_processor_is_as_the_template_says(engine: RunningEngine) -> None:
    names = outputs(engine.client, "weaudit-dev")
    account = engine.client("sts").get_caller_identity()["Account"]
    assert names["BucketName"] == f"lambda-trigger-bucket-dev-{account}"
    assert names["DynamoDBTableName"] == "lambda-invocation-logs-dev"
    assert names["LambdaFunctionName"] == "s3-processor-dev"
    assert names["LambdaFunctionAliasArn"].endswith(":function:s3-processor-dev:live")
    found = engine.client("lambda").get_function_configuration(FunctionName=names["LambdaFunctionAliasArn"])
    assert (found["Runtime"], found["MemorySize"], found["Timeout"]) == ("python3.13", 128, 30)
    assert found["Environment"]["Variables"] == {
        "DYNAMODB_TABLE_NAME": names["DynamoDBTableName"],
        "EVIDENCE_BUCKET": names["EvidenceBucketName"],
        "LOG_LEVEL": "INFO",
    }
    failing = engine.client("lambda").get_function_event_invoke_config(
        FunctionName="s3-processor-dev", Qualifier="live"
    )
    assert failing["MaximumRetryAttempts"] == 2
    assert failing["DestinationConfig"]["OnFailure"]["Destination"].endswith(":weaudit-failed-events-dev")
    table = engine.client("dynamodb").describe_table(TableName=names["DynamoDBTableName"])["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [
        ("requestId", "HASH"),
        ("timestamp", "RANGE"),
    ]
    notified = engine.client("s3").get_bucket_notification_configuration(Bucket=names["BucketName"])
    [called] = notified["LambdaFunctionConfigurations"]
    assert called["Events"] == ["s3:ObjectCreated:*"]
    assert called["LambdaFunctionArn"].endswith(":function:s3-processor-dev")
    assert "EventBridgeConfiguration" in notified
    sqs = engine.client("sqs")
    queue = sqs.get_queue_attributes(QueueUrl=names["FailedEventsQueueUrl"], AttributeNames=["All"])["Attributes"]
    assert (queue["MessageRetentionPeriod"], queue["SqsManagedSseEnabled"]) == ("1209600", "true")


def test_image_processor_is_as_the_template_says(engine: RunningEngine) -> None:
    names = outputs(engine.client, "weaudit-dev")
    account = engine.client("sts").get_caller_identity()["Account"]
    assert names["ImagesTableName"] == "Images"
    assert names["RenditionsBucketName"] == f"weaudit-renditions-dev-{account}"
    assert names["ImageProcessorFunctionName"] == "image_processor"
    functions = engine.client("lambda")
    found = functions.get_function_configuration(FunctionName=names["ImageProcessorAliasArn"])
    assert (found["Runtime"], found["MemorySize"], found["Timeout"]) == ("python3.13", 2048, 90)
    assert found["Environment"]["Variables"]["IMAGE_MAX_PIXELS"] == "100000000"
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    [mapping] = [one for one in mappings if one["FunctionArn"] == names["ImageProcessorAliasArn"]]
    assert mapping["EventSourceArn"].endswith(":weaudit-images-dev")
    assert (mapping["BatchSize"], mapping["ScalingConfig"]) == (1, {"MaximumConcurrency": 2})
    audited = [one["EventSourceArn"] for one in mappings if one["FunctionArn"] == names["AuditProducerAliasArn"]]
    assert {names["ImagesStreamArn"], names["ConfigurationStreamArn"]} <= set(audited)


def test_the_event_source_is_as_the_template_says(engine: RunningEngine) -> None:
    names = outputs(engine.client, "weaudit-dev")
    [mapping] = engine.client("lambda").list_event_source_mappings(EventSourceArn=names["ConfigurationStreamArn"])[
        "EventSourceMappings"
    ]
    assert mapping["FunctionArn"] == names["AuditProducerAliasArn"]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["BatchSize"] == 100
    assert mapping["MaximumBatchingWindowInSeconds"] == 1
    assert mapping["ParallelizationFactor"] == 4
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == -1
    assert mapping["MaximumRecordAgeInSeconds"] == 82_800
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": f"arn:aws:s3:::{names['EvidenceBucketName']}"}}
    assert not mapping.get("FunctionResponseTypes")


def test_tables_bucket_and_logs_are_as_the_template_says(engine: RunningEngine) -> None:
    names = outputs(engine.client, "weaudit-dev")
    audit = engine.client("dynamodb").describe_table(TableName=names["AuditTableName"])["Table"]
    assert {index["IndexName"]: index["Projection"] for index in audit["GlobalSecondaryIndexes"]} == {
        "history": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["modificationTime", "changeId"]},
        "changes": {"ProjectionType": "KEYS_ONLY"},
    }
    assert audit["DeletionProtectionEnabled"] is False  # Retain is false on the engine
    recovery = {
        names[table]: engine.client("dynamodb").describe_continuous_backups(TableName=names[table])[
            "ContinuousBackupsDescription"
        ]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        for table in ("AuditTableName", "KeysTableName")
    }
    assert recovery == {"Audit": "ENABLED", "weaudit-keys-dev": "DISABLED"}
    s3 = engine.client("s3")
    assert s3.get_bucket_versioning(Bucket=names["EvidenceBucketName"])["Status"] == "Enabled"
    assert set(
        s3.get_public_access_block(Bucket=names["EvidenceBucketName"])["PublicAccessBlockConfiguration"].values()
    ) == {True}
    [group] = engine.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/audit_producer")["logGroups"]
    assert group["retentionInDays"] == 30


def test_a_second_stack_fits_beside_the_first(
    engine: RunningEngine, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    name = Stage("test", "second-").stack
    first = engine.client("dynamodb").describe_table(TableName="Configuration")["Table"]["TableArn"]
    parameters = {
        "Prefix": "second-",
        "EnvironmentSuffix": "test",
        "ActorAttribute": "who",
        "LogLevel": "DEBUG",
        "LogRetentionDays": "7",
        "Retain": "false",
        "UpdatableTableArns": first,
        "CreateKmsKey": "true",
    }

    def deploy(parameters: dict[str, str]) -> None:
        stack.deploy(
            engine.target,
            name=name,
            template=templates.path("template.yaml"),
            artifacts=[packaging.build(function, tmp_path) for function in FUNCTIONS],
            parameters=parameters,
            progress=lambda _line: None,
        )

    deploy(parameters)
    names = outputs(engine.client, name)
    account = engine.client("sts").get_caller_identity()["Account"]
    assert names["ConfigurationTableName"] == "second-Configuration"
    assert names["AuditTableName"] == "second-Audit"
    assert names["KeysTableName"] == "second-weaudit-keys-test"
    assert names["EvidenceBucketName"] == f"second-weaudit-evidence-test-{account}"
    assert names["AuditProducerFunctionName"] == "second-audit_producer"
    assert names["BucketName"] == f"second-lambda-trigger-bucket-test-{account}"
    assert names["DynamoDBTableName"] == "second-lambda-invocation-logs-test"
    assert names["LambdaFunctionName"] == "second-s3-processor-test"
    groups = engine.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/second-")["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == {
        f"/aws/lambda/{function.deployed_as('second-', 'test')}": 7 for function in FUNCTIONS
    }

    # Its own key encrypts what holds data (the engine tells it of logs and queues), and outlives the stack.
    dynamodb, kms = engine.client("dynamodb"), engine.client("kms")
    key = kms.describe_key(KeyId="alias/second-weaudit-test-data")["KeyMetadata"]
    assert {group["kmsKeyId"] for group in groups} == {key["Arn"]}
    queue = engine.client("sqs").get_queue_attributes(
        QueueUrl=names["FailedEventsQueueUrl"], AttributeNames=["KmsMasterKeyId"]
    )
    assert queue["Attributes"] == {"KmsMasterKeyId": key["Arn"]}

    engine.client("s3").put_object(Bucket=names["BucketName"], Key="second.txt", Body=b"x")
    [row] = eventually(lambda: dynamodb.scan(TableName=names["DynamoDBTableName"])["Items"])
    assert (row["objectKey"], row["functionName"]) == ({"S": "second.txt"}, {"S": "second-s3-processor-test"})

    dynamodb.put_item(TableName="second-Configuration", Item={"key": {"S": "one"}, "who": {"S": "ada"}})
    [record] = eventually(lambda: dynamodb.scan(TableName="second-Audit")["Items"])
    assert record["tableName"] == {"S": "second-Configuration"}
    assert record["actor"] == {"M": {"kind": {"S": "stated"}, "name": {"S": "ada"}}}

    # A parameter's new value reaches the version that the alias points at.
    deploy({**parameters, "ActorAttribute": "writer"})
    configured = engine.client("lambda").get_function_configuration(
        FunctionName="second-audit_producer", Qualifier="learn"
    )
    assert configured["Environment"]["Variables"]["ACTOR_ATTRIBUTE"] == "writer"

    # Its function may update the first stack's table, and logs that in its own log.
    dynamodb.put_item(TableName="Configuration", Item={"key": {"S": "lent"}})
    document = {"id": "lent", "attributes": {"n": 1}, "enable_logging": True}
    for table, success in (("Configuration", True), ("Audit", False)):
        payload = json.dumps({**document, "table_name": table})
        answer = engine.client("lambda").invoke(FunctionName=names["TableUpdateAliasArn"], Payload=payload)
        assert json.loads(answer["Payload"].read())["success"] is success
    tables = [row["table_name"]["S"] for row in dynamodb.scan(TableName="second-audit_logs")["Items"]]
    assert sorted(tables) == ["Audit", "Configuration"]

    cloudformation = engine.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    eventually(lambda: stacks.describe(engine.target, name) is None)
    assert "second-Audit" not in dynamodb.list_tables()["TableNames"]
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"
    assert "Audit" in dynamodb.list_tables()["TableNames"]


def images_are_processed_by_the_roles_permissions(
    client: Callable[[str], Any], names: dict[str, str], eventually: Callable[..., Any]
) -> None:
    dynamodb = client("dynamodb")

    def row(key: str) -> Any:
        return dynamodb.get_item(TableName=names["ImagesTableName"], Key={"imageKey": {"S": key}}).get("Item")

    def outcome(event: Any) -> str:
        answer = client("lambda").invoke(FunctionName=names["ImageProcessorAliasArn"], Payload=json.dumps(event))
        said = answer["Payload"].read()
        assert "FunctionError" not in answer, said
        return str(json.loads(said)["images"][0]["outcome"])

    # By the queue: the pipeline is read, kept as the last good one, its renditions are put, the row is audited.
    pipeline = {"key": {"S": "IMAGE_PIPELINE"}, "renditions": {"L": [{"M": {"name": {"S": "r"}, "width": {"N": "8"}}}]}}
    dynamodb.put_item(TableName=names["ConfigurationTableName"], Item=pipeline)
    client("s3").put_object(Bucket=names["BucketName"], Key="one.png", Body=drawn(["png"])[0])
    assert eventually(lambda: row("one.png"))["status"] == {"S": "processed"}
    kept = client("s3").list_objects_v2(Bucket=names["RenditionsBucketName"])["Contents"]
    assert "pipelines/last-good.json" in [found["Key"] for found in kept]
    eventually(lambda: {"S": "Images"} in [one["tableName"] for one in dynamodb.scan(TableName="Audit")["Items"]])
    # What is gone is told from what is forbidden; what is no event is quarantined.
    wish = image_fakes.wish("missing.png", "any")
    wish["detail"]["bucket"]["name"] = names["BucketName"]
    assert outcome(wish) == "superseded"
    assert outcome({"detail": "none"}) == "quarantined"


def test_the_roles_permissions_are_enough(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    started = engines.up(port=process.free_port(), state_dir=tmp_path / "engine", auth=True)
    try:
        client = Target.of(started).client
        dynamodb = client("dynamodb")
        dynamodb.put_item(TableName="Configuration", Item={"key": {"S": "one"}})
        eventually(lambda: dynamodb.scan(TableName="Audit")["Items"])

        names = outputs(client, "weaudit-dev")
        # A large value, and one that takes its place: the function puts both, and looks whether the first is there.
        for letter in "ab":
            dynamodb.put_item(TableName="Configuration", Item={"key": {"S": "large"}, "v": {"S": letter * 5000}})
        found = eventually(lambda: dynamodb.scan(
            TableName="Audit", FilterExpression="attribute_exists(oldValueRef)")["Items"]
        )  # fmt: skip
        references = [found[0][name]["M"]["key"]["S"] for name in ("oldValueRef", "newValueRef")]
        for key in references:
            assert client("s3").head_object(Bucket=names["EvidenceBucketName"], Key=key)["ContentLength"] > 0

        # An update and a failed one: the function reads the key, writes both tables and logs the failure.
        function = names["TableUpdateAliasArn"]
        document: dict[str, Any] = {"id": "one", "attributes": {"n": 1}, "enable_logging": True, "request_id": "r"}
        for condition, status in (("attribute_not_exists(n)", "success"), ("n = 2", "ConditionalCheckFailed")):
            payload = json.dumps({**document, "condition_expression": condition, "request_id": status})
            found = json.loads(client("lambda").invoke(FunctionName=function, Payload=payload)["Payload"].read())
            assert found.get("error", "success") == status, found
        rows = dynamodb.scan(TableName=names["AuditLogsTableName"])["Items"]
        assert sorted(row["status"]["S"] for row in rows if "record_id" in row) == ["ConditionalCheckFailed", "success"]

        # A record that can never be audited: the function keeps it in the evidence bucket, by its own permission.
        broken = {"Records": [{"eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {}}]}
        answer = client("lambda").invoke(FunctionName=names["AuditProducerAliasArn"], Payload=json.dumps(broken))
        assert "FunctionError" not in answer, answer["Payload"].read()
        listed = client("s3").list_objects_v2(Bucket=names["EvidenceBucketName"])["Contents"]
        [kept] = [row for row in listed if not row["Key"].startswith(VALUES)]
        assert kept["Key"].startswith(f"{QUARANTINE}audit_producer/")

        # An object that lands, and a notification that can never be logged.
        client("s3").put_object(Bucket=names["BucketName"], Key="one.txt", Body=b"x")
        eventually(lambda: dynamodb.scan(TableName=names["DynamoDBTableName"])["Items"])
        broken = {"Records": [{"eventSource": "aws:s3"}]}
        answer = client("lambda").invoke(FunctionName=names["LambdaFunctionAliasArn"], Payload=json.dumps(broken))
        assert json.loads(answer["Payload"].read())["statusCode"] == 500
        [kept] = client("s3").list_objects_v2(
            Bucket=names["EvidenceBucketName"], Prefix=f"{QUARANTINE}s3_processor/"
        )["Contents"]  # fmt: skip
        assert kept["Size"] > 0

        images_are_processed_by_the_roles_permissions(client, names, eventually)
    finally:
        engines.down(state_dir=started.directory, force=True)
    assert not started.alive

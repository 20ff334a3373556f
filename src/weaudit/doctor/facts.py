"""What a resource of the stack is now, kind by kind: the few settings that `weaudit doctor` judges, under our names."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from weaudit.doctor.template import Expected

Reader = Callable[[Any, Expected], dict[str, Any]]
# What services call a thing that is not there.
_GONE = (
    "NoSuchBucket", "NoSuchEntity", "NonExistentQueue", "NotFound", "QueueDoesNotExist", "ResourceNotFound", "404",
)  # fmt: skip
_MISSING = {"Error": {"Code": "ResourceNotFound"}}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
_ALARMS = 100
DEFINING = ("Threshold", "ComparisonOperator", "EvaluationPeriods", "DatapointsToAlarm", "TreatMissingData")
"""What says when an alarm rings, of the properties that template and service call by the same name."""


def read(reader: Reader, client: Any, resource: Expected) -> dict[str, Any] | None:
    """Return what a reader reads, None where the resource is not there. Raises boto3's other errors."""
    try:
        return reader(client, resource)
    except client.exceptions.ClientError as error:
        if any(text in str(error.response["Error"]["Code"]) for text in _GONE):
            return None
        raise


def _table(client: Any, resource: Expected) -> dict[str, Any]:
    found = client.describe_table(TableName=resource.physical)["Table"]
    backups = client.describe_continuous_backups(TableName=resource.physical)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    stream = found.get("StreamSpecification") or {}
    return {
        "stream": stream.get("StreamViewType", "") if stream.get("StreamEnabled") else "",
        "streamArn": found.get("LatestStreamArn", ""),
        "protected": bool(found.get("DeletionProtectionEnabled")),
        "recovery": recovery == "ENABLED",
        "key": (found.get("SSEDescription") or {}).get("KMSMasterKeyArn", ""),
    }


def _bucket(client: Any, resource: Expected) -> dict[str, Any]:
    name = resource.physical
    client.head_bucket(Bucket=name)
    blocked = _or_none(client, lambda: client.get_public_access_block(Bucket=name)) or {}
    encryption = _or_none(client, lambda: client.get_bucket_encryption(Bucket=name)) or {}
    notified = client.get_bucket_notification_configuration(Bucket=name)
    locked = None
    if resource.properties.get("ObjectLockEnabled"):
        locked = _or_none(client, lambda: client.get_object_lock_configuration(Bucket=name))
    rules = encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    defaults = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
    return {
        "blocked": blocked.get("PublicAccessBlockConfiguration", {}),
        "versioning": client.get_bucket_versioning(Bucket=name).get("Status", ""),
        "lock": (locked or {}).get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled",
        "algorithm": defaults.get("SSEAlgorithm", ""),
        "key": defaults.get("KMSMasterKeyID", ""),
        "notifies": [row["LambdaFunctionArn"] for row in notified.get("LambdaFunctionConfigurations", ())],
        "eventBridge": "EventBridgeConfiguration" in notified,
    }


def _or_none(client: Any, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except client.exceptions.ClientError as error:
        # A setting that is not there has an error of its own: NoSuchBucketPolicy, NoSuchPublicAccessBlockConfiguration…
        code = str(error.response["Error"]["Code"])
        if code != "NoSuchBucket" and (code.startswith("NoSuch") or code.endswith("NotFoundError")):
            return None
        raise


def _bucket_policy(client: Any, resource: Expected) -> dict[str, Any]:
    found = _or_none(client, lambda: client.get_bucket_policy(Bucket=resource.properties["Bucket"]))
    return {"policy": json.loads(found["Policy"]) if found else None}


def _queue(client: Any, resource: Expected) -> dict[str, Any]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client.get_queue_attributes(QueueUrl=resource.physical, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(found.get("RedrivePolicy") or "{}")
    return {
        "messages": sum(int(found.get(name, 0)) for name in names),
        "failures": redrive.get("deadLetterTargetArn", ""),
    }


def _queue_policy(client: Any, resource: Expected) -> dict[str, Any]:
    url = resource.properties["Queues"][0]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {})
    return {"policy": json.loads(found["Policy"]) if found.get("Policy") else None}


def _role(client: Any, resource: Expected) -> dict[str, Any]:
    name = resource.physical
    role = client.get_role(RoleName=name)["Role"]
    pages = client.get_paginator("list_role_policies").paginate(RoleName=name)
    inline = [policy for page in pages for policy in page["PolicyNames"]]
    attached = client.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    return {
        "policies": {
            policy: client.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in inline
        },
        "attached": sorted(row["PolicyArn"] for page in attached for row in page["AttachedPolicies"]),
        "trust": role["AssumeRolePolicyDocument"],
        "boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
    }


def _log_group(client: Any, resource: Expected) -> dict[str, Any]:
    # describe_log_groups finds by a prefix, and names with it for a beginning may be more than a page.
    pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=resource.physical)
    rows = [row for page in pages for row in page["logGroups"] if row["logGroupName"] == resource.physical]
    if not rows:
        raise client.exceptions.ResourceNotFoundException(_MISSING, "DescribeLogGroups")
    return {"retention": rows[0].get("retentionInDays"), "key": rows[0].get("kmsKeyId", "")}


def _function(client: Any, resource: Expected) -> dict[str, Any]:
    found = client.get_function_configuration(FunctionName=resource.physical)
    reserved = client.get_function_concurrency(FunctionName=resource.physical)
    return {
        "state": found.get("State", "Active"),
        "reason": found.get("StateReason", ""),
        "reserved": reserved.get("ReservedConcurrentExecutions"),
    }


def _alias(client: Any, resource: Expected) -> dict[str, Any]:
    function, name = resource.physical.split(":")[6:8]
    found = client.get_alias(FunctionName=function, Name=name)
    weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return {"version": found["FunctionVersion"], "weights": weights}


def _mapping(client: Any, resource: Expected) -> dict[str, Any]:
    found = client.get_event_source_mapping(UUID=resource.physical)
    return {
        "state": found["State"],
        "function": found["FunctionArn"],
        "source": found["EventSourceArn"],
        "lastResult": found.get("LastProcessingResult", ""),
        "failures": _on_failure(found),
    }


def _on_failure(found: Any) -> str:
    return str((found.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination", ""))


def _invocations(client: Any, resource: Expected) -> dict[str, Any]:
    said = resource.properties
    found = client.get_function_event_invoke_config(FunctionName=said["FunctionName"], Qualifier=said["Qualifier"])
    return {"failures": _on_failure(found)}


def _rule(client: Any, resource: Expected) -> dict[str, Any]:
    name = resource.physical.rpartition("|")[2]
    found = client.describe_rule(Name=name)
    targets = client.list_targets_by_rule(Rule=name)["Targets"]
    return {
        "state": found["State"],
        "pattern": json.loads(found.get("EventPattern") or "{}"),
        "schedule": found.get("ScheduleExpression", ""),
        "targets": {row["Arn"]: row.get("DeadLetterConfig", {}).get("Arn", "") for row in targets},
    }


def alarms(client: Any, resources: Sequence[Expected]) -> dict[str, dict[str, Any] | None]:
    """Return what alarms are now, by their logical ids: many at a time, because CloudWatch takes few such calls."""
    found = {}
    for start in range(0, len(resources), _ALARMS):
        names = [resource.physical for resource in resources[start : start + _ALARMS]]
        pages = client.get_paginator("describe_alarms").paginate(AlarmNames=names, AlarmTypes=["MetricAlarm"])
        found.update({row["AlarmName"]: _alarm(row) for page in pages for row in page["MetricAlarms"]})
    return {resource.logical: found.get(resource.physical) for resource in resources}


def _alarm(row: Any) -> dict[str, Any]:
    return {
        "state": row.get("StateValue", ""),
        "enabled": row.get("ActionsEnabled", True),
        "actions": row.get("AlarmActions", []),
        "description": row.get("AlarmDescription") or "",
        "definition": {name: row[name] for name in DEFINING if name in row},
    }


def _topic(client: Any, resource: Expected) -> dict[str, Any]:
    pages = client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=resource.physical)
    rows = [row for page in pages for row in page["Subscriptions"]]
    # An endpoint is somebody's address: the protocol is enough to say which one waits.
    waiting = [row["Protocol"] for row in rows if not row["SubscriptionArn"].startswith("arn:")]
    return {"confirmed": len(rows) - len(waiting), "waiting": waiting}


def _key(client: Any, resource: Expected) -> dict[str, Any]:
    state = client.describe_key(KeyId=resource.physical)["KeyMetadata"]["KeyState"]
    policy = client.get_key_policy(KeyId=resource.physical, PolicyName="default")["Policy"]
    return {"state": state, "policy": json.loads(policy)}


def _topic_policy(client: Any, resource: Expected) -> dict[str, Any]:
    found = client.get_topic_attributes(TopicArn=resource.properties["Topics"][0])["Attributes"].get("Policy")
    return {"policy": json.loads(found) if found else None}


def _metric_filter(client: Any, resource: Expected) -> dict[str, Any]:
    group = resource.properties["LogGroupName"]
    rows = client.describe_metric_filters(logGroupName=group, filterNamePrefix=resource.physical)["metricFilters"]
    if resource.physical not in [row["filterName"] for row in rows]:
        raise client.exceptions.ResourceNotFoundException(_MISSING, "DescribeMetricFilters")
    [pattern] = [row["filterPattern"] for row in rows if row["filterName"] == resource.physical]
    return {"pattern": pattern}


ALARM = "AWS::CloudWatch::Alarm"
READERS: dict[str, tuple[str, Reader]] = {
    "AWS::DynamoDB::Table": ("dynamodb", _table),
    "AWS::Events::Rule": ("events", _rule),
    "AWS::IAM::Role": ("iam", _role),
    "AWS::KMS::Key": ("kms", _key),
    "AWS::Lambda::Alias": ("lambda", _alias),
    "AWS::Lambda::EventInvokeConfig": ("lambda", _invocations),
    "AWS::Lambda::EventSourceMapping": ("lambda", _mapping),
    "AWS::Lambda::Function": ("lambda", _function),
    "AWS::Logs::LogGroup": ("logs", _log_group),
    "AWS::Logs::MetricFilter": ("logs", _metric_filter),
    "AWS::S3::Bucket": ("s3", _bucket),
    "AWS::S3::BucketPolicy": ("s3", _bucket_policy),
    "AWS::SNS::Topic": ("sns", _topic),
    "AWS::SNS::TopicPolicy": ("sns", _topic_policy),
    "AWS::SQS::Queue": ("sqs", _queue),
    "AWS::SQS::QueuePolicy": ("sqs", _queue_policy),
}
"""The boto3 client and the reader of each kind of resource that is judged; alarms are read by ``alarms``."""

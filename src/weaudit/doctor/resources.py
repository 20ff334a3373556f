"""Whether a resource is as the template says: one function a kind, expected and found in, findings out. Pure."""

import json
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from weaudit.doctor import alarms
from weaudit.doctor.findings import Finding, spelled
from weaudit.doctor.template import UNKNOWN, Expected, same
from weaudit.watch.plan import VIEW

if TYPE_CHECKING:
    from weaudit.doctor.gathering import Facts

Check = Callable[[Expected, dict[str, Any], "Facts"], Iterator[Finding]]


def _table(wanted: Expected, found: dict[str, Any], facts: "Facts") -> Iterator[Finding]:
    name, said = wanted.physical, wanted.properties
    view = said.get("StreamSpecification", {}).get("StreamViewType", "")
    aws = "aws dynamodb update-table --table-name"
    if view and not found["stream"]:
        do = f"{aws} {name} --stream-specification StreamEnabled=true,StreamViewType={VIEW}"
        yield Finding("stream-off", name, f"the stream of {name} is off", do)
    elif view and found["stream"] != view:
        what = f"the stream of {name} shows {found['stream']}, not {view}"
        yield Finding("stream-view", name, what, f"{aws} {name} --stream-specification StreamEnabled=false")
    if str(said.get("DeletionProtectionEnabled")).lower() == "true" and not found["protected"]:
        what = f"{name} may be deleted"
        yield Finding("table-unprotected", name, what, f"{aws} {name} --deletion-protection-enabled")
    recovers = str(said.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled")).lower() == "true"
    do = f"aws dynamodb update-continuous-backups --table-name {name} --point-in-time-recovery-specification "
    if recovers and not found["recovery"]:
        what = f"{name} has no point-in-time recovery"
        yield Finding("table-recovery", name, what, f"{do}PointInTimeRecoveryEnabled=true")
    elif found["recovery"] and not recovers:
        # Of the template's tables that is the one of keys alone.
        what = f"{name} has point-in-time recovery: what is erased there can be brought back"
        yield Finding("table-keeps-erased", name, what, f"{do}PointInTimeRecoveryEnabled=false")
    key = said.get("SSESpecification", {}).get("KMSMasterKeyId", "")
    # The gap of MiniStack 1.5.33: its CloudFormation gives tables and buckets no key, which would do nothing there.
    if key and not _is_key(key, found["key"]) and not facts.on_engine:
        what = f"{name} is encrypted with {found['key'] or 'a key of AWS'}, not with {key}"
        do = f"{aws} {name} --sse-specification Enabled=true,SSEType=KMS,KMSMasterKeyId={key}"
        yield Finding("table-key", name, what, do)


def _is_key(wanted: str, found: str) -> bool:
    # By its ARN or its id; an alias is not told from the key behind it.
    return UNKNOWN in wanted or ":alias/" in wanted or found.rpartition("/")[2] == wanted.rpartition("/")[2]


def _bucket(wanted: Expected, found: dict[str, Any], facts: "Facts") -> Iterator[Finding]:
    name, said = wanted.physical, wanted.properties
    aws = f"aws s3api {{}} --bucket {name}"
    blocked = {key: str(value).lower() == "true" for key, value in said["PublicAccessBlockConfiguration"].items()}
    if off := [key for key, value in blocked.items() if value and not found["blocked"].get(key)]:
        do = aws.format("put-public-access-block") + f" --public-access-block-configuration {spelled(blocked)}"
        yield Finding("bucket-public", name, f"{name} does not block public access ({', '.join(off)})", do)
    if said.get("VersioningConfiguration", {}).get("Status") == "Enabled" and found["versioning"] != "Enabled":
        do = aws.format("put-bucket-versioning") + " --versioning-configuration Status=Enabled"
        yield Finding("bucket-versioning", name, f"{name} keeps no versions", do)
    if str(said.get("ObjectLockEnabled")).lower() == "true" and not found["lock"]:
        do = aws.format("put-object-lock-configuration") + " --object-lock-configuration ObjectLockEnabled=Enabled"
        yield Finding("bucket-unlocked", name, f"{name} has no Object Lock", do)
    [rule, *_] = said["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    default = rule["ServerSideEncryptionByDefault"]
    key = default.get("KMSMasterKeyID", "")
    differs = found["algorithm"] != default["SSEAlgorithm"] or (key and not _is_key(key, found["key"]))
    if differs and not (key and facts.on_engine):
        rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bool(key)}]}
        do = aws.format("put-bucket-encryption") + f" --server-side-encryption-configuration {spelled(rules)}"
        yield Finding("bucket-encryption", name, f"{name} does not encrypt with {key or default['SSEAlgorithm']}", do)
    yield from _notification(wanted, found, facts)


def _notification(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    said = wanted.properties.get("NotificationConfiguration", {})
    functions = [row["Function"] for row in said.get("LambdaConfigurations", ())]
    missing = [arn for arn in functions if not any(same(arn, other) for other in found["notifies"])]
    bridge = str(said.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled")).lower() == "true"
    if not missing and (found["eventBridge"] or not bridge):
        return
    document = {
        "LambdaFunctionConfigurations": [
            {"LambdaFunctionArn": row["Function"], "Events": [row["Event"]]}
            for row in said.get("LambdaConfigurations", ())
        ],
        **({"EventBridgeConfiguration": {}} if bridge else {}),
    }
    unheard = [arn.split(":")[6] for arn in missing] + ([] if found["eventBridge"] or not bridge else ["EventBridge"])
    do = f"aws s3api put-bucket-notification-configuration --bucket {wanted.physical} --notification-configuration "
    what = f"{wanted.physical} does not tell {', '.join(unheard)} of its objects"
    yield Finding("bucket-notification", wanted.physical, what, do + spelled(document))


def _policy(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    if found["policy"] is not None and _same_policy(wanted.properties["PolicyDocument"], found["policy"]):
        return
    state = "has no policy any more" if found["policy"] is None else "has another policy than the template's"
    document = wanted.properties["PolicyDocument"]
    if wanted.kind == "AWS::S3::BucketPolicy":
        name = str(wanted.properties["Bucket"])
        do = f"aws s3api put-bucket-policy --bucket {name} --policy {spelled(document)}"
    elif wanted.kind == "AWS::SNS::TopicPolicy":
        arn = str(wanted.properties["Topics"][0])
        name = arn.rpartition(":")[2]
        words = "--attribute-name Policy --attribute-value"
        do = f"aws sns set-topic-attributes --topic-arn {arn} {words} {spelled(document)}"
    else:
        url = str(wanted.properties["Queues"][0])
        name = url.rpartition("/")[2]
        attributes = spelled({"Policy": json.dumps(document, separators=(",", ":"))})
        do = f"aws sqs set-queue-attributes --queue-url {url} --attributes {attributes}"
    yield Finding("policy-changed", name, f"{name} {state}", do)


def _same_policy(wanted: Any, found: Any) -> bool:
    return same(wanted["Statement"], found.get("Statement", []))


def _role(wanted: Expected, found: dict[str, Any], facts: "Facts") -> Iterator[Finding]:
    name, said = wanted.physical, wanted.properties
    policies = {row["PolicyName"]: row["PolicyDocument"] for row in said.get("Policies", ())}
    for policy, document in policies.items():
        if policy not in found["policies"] or not _same_policy(document, found["policies"][policy]):
            state = "differs from the template's" if policy in found["policies"] else "is gone"
            do = f"aws iam put-role-policy --role-name {name} --policy-name {policy} --policy-document "
            yield Finding("role-changed", name, f"the policy {policy} of {name} {state}", do + spelled(document))
    others = {
        row.properties.get("PolicyName") for row in facts.expected.values() if row.kind == "AWS::IAM::Policy"
    } | {watch.stack for watch in facts.watches}  # fmt: skip
    if "watched tables" not in facts.unread:
        for policy in sorted(found["policies"].keys() - policies.keys() - others):
            what = f"{name} has the policy {policy}, which no template gave it"
            do = f"aws iam delete-role-policy --role-name {name} --policy-name {policy}"
            yield Finding("role-changed", name, what, do)
    managed = {row.physical for row in facts.expected.values() if row.kind == "AWS::IAM::ManagedPolicy"}
    for arn in found["attached"]:
        if arn not in managed and not any(same(one, arn) for one in said.get("ManagedPolicyArns", ())):
            what = f"{name} has {arn} attached, which no template gave it"
            do = f"aws iam detach-role-policy --role-name {name} --policy-arn {arn}"
            yield Finding("role-changed", name, what, do)
    if not _same_policy(said["AssumeRolePolicyDocument"], found["trust"]):
        do = f"aws iam update-assume-role-policy --role-name {name} --policy-document "
        what = f"{name} may be taken on by others than the template says"
        yield Finding("role-changed", name, what, do + spelled(said["AssumeRolePolicyDocument"]))
    boundary = said.get("PermissionsBoundary", "")
    if not same(boundary, found["boundary"]):
        verb = f"put-role-permissions-boundary --role-name {name} --permissions-boundary {boundary}"
        do = f"aws iam {verb if boundary else f'delete-role-permissions-boundary --role-name {name}'}"
        yield Finding("role-changed", name, f"{name} has the boundary {found['boundary'] or 'none'}", do)


def _log_group(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    name, days = wanted.physical, wanted.properties.get("RetentionInDays")
    if days is not None and str(found["retention"]) != str(days):
        kept = "for ever" if found["retention"] is None else f"for {found['retention']} days"
        do = f"aws logs put-retention-policy --log-group-name {name} --retention-in-days {days}"
        yield Finding("log-retention", name, f"{name} keeps its lines {kept}, not for {days} days", do)
    key = wanted.properties.get("KmsKeyId", "")
    if key and not _is_key(key, found["key"]):
        do = f"aws logs associate-kms-key --log-group-name {name} --kms-key-id {key}"
        yield Finding("log-key", name, f"{name} is not encrypted with {key}", do)


def _function(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    name = wanted.physical
    if found["reserved"] == 0:
        do = f"aws lambda delete-function-concurrency --function-name {name}"
        yield Finding("function-stopped", name, f"{name} cannot run: its reserved concurrency is 0", do)
    if found["state"] not in ("Active", "Inactive", "Pending"):
        what = f"{name} is {found['state']}: {found['reason'] or 'no reason given'}"
        yield Finding("function-stopped", name, what, f"aws lambda get-function --function-name {name}")


def _alias(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    function, alias = wanted.physical.split(":")[6:8]
    version = str(wanted.properties.get("FunctionVersion", UNKNOWN))
    aws = f"aws lambda update-alias --function-name {function} --name {alias}"
    if UNKNOWN not in version and found["version"] != version:
        what = f"{function}:{alias} points at version {found['version']}, and the release published {version}"
        yield Finding("alias-elsewhere", f"{function}:{alias}", what, f"{aws} --function-version {version}")
    if found["weights"]:
        what = f"{function}:{alias} sends a part of its calls to version {', '.join(sorted(found['weights']))}"
        do = f"{aws} --routing-config AdditionalVersionWeights={{}}"
        yield Finding("alias-weights", f"{function}:{alias}", what, do)


def _mapping(wanted: Expected, found: dict[str, Any], facts: "Facts") -> Iterator[Finding]:
    source, function = str(found["source"]), str(wanted.properties["FunctionName"])
    name = source.split(":")[5].split("/")[1] if "/stream/" in source else source.rpartition(":")[2]
    aws = f"aws lambda update-event-source-mapping --uuid {wanted.physical}"
    short = ":".join(function.split(":")[6:8])
    if found["state"] not in ("Enabled", "Enabling", "Creating", "Updating"):
        what = f"{short} gets nothing from {name}: the mapping is {found['state']}"
        yield Finding("mapping-disabled", name, what, f"{aws} --enabled")
    if not same(function, found["function"]):
        what = f"events of {name} go to {found['function']}, not to {short}"
        yield Finding("mapping-elsewhere", name, what, f"{aws} --function-name {function}")
    if str(found["lastResult"]).startswith(("PROBLEM", "FAILED")):
        what = f"the last batch from {name} failed: {found['lastResult']}"
        yield Finding("mapping-failing", name, what, f"weaudit logs {_ours(function, facts)}")
    now = next(
        (
            facts.found.get(row.logical) or {}
            for row in facts.expected.values()
            if row.kind == "AWS::DynamoDB::Table" and f":table/{row.physical}/stream/" in source
        ),
        {},
    )
    if now.get("stream") and now["streamArn"] != source:
        options = f"--function-name {function} --event-source-arn {now['streamArn']} --starting-position TRIM_HORIZON"
        what = f"the stream of {name} is a new one, and {short} reads the one before"
        do = f"aws lambda create-event-source-mapping {options}"
        yield Finding("stream-replaced", name, what, do)
    yield from _kept(wanted, found, f"{short}, of {name},", aws)


def _kept(wanted: Expected, found: dict[str, Any], whose: str, aws: str) -> Iterator[Finding]:
    """Say where what a function cannot process goes nowhere, or somewhere else."""
    to = str(wanted.properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", ""))
    if to and not same(to, found["failures"]):
        what = f"what {whose} cannot process goes {found['failures'] or 'nowhere'}, not to {to.replace(UNKNOWN, '*')}"
        document = spelled({"OnFailure": {"Destination": to}})
        yield Finding("nothing-kept", whose.partition(",")[0], what, f"{aws} --destination-config {document}")


def _invocations(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    name, alias = wanted.properties["FunctionName"], wanted.properties["Qualifier"]
    aws = f"aws lambda put-function-event-invoke-config --function-name {name} --qualifier {shlex.quote(alias)}"
    settings = ("MaximumRetryAttempts", "maximum-retry-attempts"), ("MaximumEventAgeInSeconds", "maximum-event-age")
    given = "".join(f" --{word} {wanted.properties[key]}" for key, word in settings if key in wanted.properties)
    yield from _kept(wanted, found, f"{name}:{alias}", aws + given)


def _ours(function: str, facts: "Facts") -> str:
    from weaudit.functions import FUNCTIONS

    name = function.split(":")[6]
    prefix, suffix = facts.parameters.get("Prefix", ""), facts.parameters.get("EnvironmentSuffix", "dev")
    return next((row.name for row in FUNCTIONS if row.deployed_as(prefix, suffix) == name), name)


def _queue(wanted: Expected, found: dict[str, Any], facts: "Facts") -> Iterator[Finding]:
    count = found["messages"]
    events = f"{count} event{'' if count == 1 else 's'}"
    wait = f"wait{'s' if count == 1 else ''} in {wanted.name}"
    if wanted.physical == facts.outputs.get("FailedEventsQueueUrl") and count:
        what = f"{events} that Lambda gave up on {wait}"
        yield Finding("failed-events", wanted.name, what, "weaudit failed-events")
    if wanted.physical == facts.outputs.get("UndeliveredQueueUrl") and count:
        what = f"{events} that EventBridge could not deliver, or of records that Lambda gave up on, {wait}"
        yield Finding("undelivered", wanted.name, what, "weaudit failed-events")
    redrive = wanted.properties.get("RedrivePolicy")
    if redrive and not same(redrive["deadLetterTargetArn"], found["failures"]):
        what = f"what fails again and again in {wanted.name} goes {found['failures'] or 'nowhere'}"
        attributes = spelled({"RedrivePolicy": json.dumps(redrive, separators=(",", ":"))})
        do = f"aws sqs set-queue-attributes --queue-url {wanted.physical} --attributes {attributes}"
        yield Finding("nothing-kept", wanted.name, what, do)


def _rule(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    name, said = wanted.physical.rpartition("|")[2], wanted.properties
    if str(said.get("State", "ENABLED")) != "DISABLED" and found["state"] == "DISABLED":
        yield Finding("rule-disabled", name, f"the rule {name} is off", f"aws events enable-rule --name {name}")
    if "EventPattern" in said and not same(said["EventPattern"], found["pattern"]):
        do = f"aws events put-rule --name {name} --event-pattern {spelled(said['EventPattern'])}"
        yield Finding("rule-changed", name, f"the rule {name} looks for other events than the template says", do)
    if (schedule := said.get("ScheduleExpression", "")) != found["schedule"]:
        do = f"aws events put-rule --name {name} --schedule-expression {shlex.quote(schedule)}"
        yield Finding("rule-changed", name, f"the rule {name} rings at {found['schedule']}, not at {schedule}", do)
    targets = {row["Arn"]: row.get("DeadLetterConfig", {}).get("Arn", "") for row in said["Targets"]}
    do = f"aws events put-targets --rule {name} --targets {spelled(said['Targets'])}"
    if not same(list(targets), list(found["targets"])):
        where = ", ".join(sorted(found["targets"])) or "nobody"
        yield Finding("rule-changed", name, f"the rule {name} hands its events on to {where}", do)
    elif not same(targets, found["targets"]):
        kept = ", ".join(sorted(filter(None, found["targets"].values()))) or "nowhere"
        yield Finding("nothing-kept", name, f"what the rule {name} cannot deliver goes {kept}", do)


def _key(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    name = wanted.physical
    if found["state"] not in ("Enabled", "Creating", "Updating"):
        verb = "cancel-key-deletion" if found["state"] == "PendingDeletion" else "enable-key"
        yield Finding("key-unusable", name, f"the key {name} is {found['state']}", f"aws kms {verb} --key-id {name}")
    policy = wanted.properties["KeyPolicy"]
    if not _same_policy(policy, found["policy"]):
        what = f"the key {name} has another policy than the template's"
        do = f"aws kms put-key-policy --key-id {name} --policy {spelled(policy)}"
        yield Finding("policy-changed", name, what, do)


CHECKS: dict[str, Check] = {
    "AWS::CloudWatch::Alarm": alarms.alarm,
    "AWS::DynamoDB::Table": _table,
    "AWS::Events::Rule": _rule,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::Alias": _alias,
    "AWS::Lambda::EventInvokeConfig": _invocations,
    "AWS::Lambda::EventSourceMapping": _mapping,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Logs::MetricFilter": alarms.metric_filter,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _policy,
    "AWS::SNS::Topic": alarms.topic,
    "AWS::SNS::TopicPolicy": _policy,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _policy,
}
"""The check of each kind of resource; resource_facts.READERS reads what it judges."""

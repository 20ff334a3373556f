"""What the embedded engine lets pass and AWS refuses: each check yields what is wrong with a translated template.

Sizes and names are measured with parameters as long as they may be. Limits, unless said otherwise:
docs.aws.amazon.com, AWSCloudFormation/latest/UserGuide/cloudformation-limits.html, lambda/latest/dg/
gettingstarted-limits.html, IAM/latest/UserGuide/reference_iam-quotas.html.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.infra.intrinsics import ACCOUNT, REGION, Resolver, references
from tests.infra.policies import Statement, allows, listed, matches

Template = Mapping[str, Any]
LONGEST = {"Prefix": "q" * 15 + "-", "EnvironmentSuffix": "z" * 12}
_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
_BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/{'b' * 128}"


def resolver(template: Template) -> Resolver:
    """Return values of the template's functions as on AWS, with every option on."""
    given: dict[str, Any] = {**LONGEST, "KmsKeyArn": _KEY, "PermissionsBoundaryArn": _BOUNDARY}
    given |= {"CreateKmsKey": "true", "GuardDuty": "create"}
    given |= {"UpdatableTableArns": ["arn:aws:dynamodb:x:1:table/" + "t" * 200], "CallerRoleNames": ["caller"]}
    given |= {"JwtIssuer": "https://example.com", "ImagePluginLayerArns": [f"arn:aws:lambda:{REGION}:1:layer:x:1"]}
    return Resolver(template, {name: value for name, value in given.items() if name in template["Parameters"]})


def of_type(template: Template, *kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and properties, resolved, of the resources of these types that AWS would make."""
    resolve = resolver(template)
    for name, row in template["Resources"].items():
        if row["Type"] in kinds and ("Condition" not in row or resolve.holds(row["Condition"])):
            yield name, resolve(row.get("Properties", {}))


# ---- who may call whom


def overlapping_notifications(template: Template) -> Iterator[str]:
    """S3 refuses two targets for one event of one object."""
    for name, bucket in of_type(template, "AWS::S3::Bucket"):
        wanted = bucket.get("NotificationConfiguration", {})
        rows = [
            row for kind in ("LambdaConfigurations", "QueueConfigurations", "TopicConfigurations")
            for row in wanted.get(kind, [])
        ]  # fmt: skip
        for first, second in itertools.combinations(rows, 2):
            if _overlap(first, second):
                yield f"{name}: {first['Event']} goes to two targets"


def _overlap(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    events = first["Event"], second["Event"]
    if not (matches(events[0], events[1]) or matches(events[1], events[0])):
        return False
    one, other = _filters(first), _filters(second)
    starts = one["prefix"].startswith(other["prefix"]) or other["prefix"].startswith(one["prefix"])
    ends = one["suffix"].endswith(other["suffix"]) or other["suffix"].endswith(one["suffix"])
    return starts and ends


def _filters(row: Mapping[str, Any]) -> dict[str, str]:
    rules = row.get("Filter", {}).get("S3Key", {}).get("Rules", [])
    return {"prefix": "", "suffix": ""} | {rule["Name"].lower(): rule["Value"] for rule in rules}


def missing_invoke_permissions(template: Template) -> Iterator[str]:
    """AWS calls a function for a service only where a permission on that very function or alias says so."""
    permissions = [row for _, row in of_type(template, "AWS::Lambda::Permission")]
    for caller, principal, function, source in _calls(template):
        if not any(
            row["Principal"] == principal
            and row["FunctionName"] == function
            and row["Action"] == "lambda:InvokeFunction"
            and matches(row.get("SourceArn", "nobody"), source)
            for row in permissions
        ):
            yield f"{caller}: {principal} may not call {function} for {source}"


def _calls(template: Template) -> Iterator[tuple[str, str, str, str]]:
    for name, bucket in of_type(template, "AWS::S3::Bucket"):
        for row in bucket.get("NotificationConfiguration", {}).get("LambdaConfigurations", []):
            yield name, "s3.amazonaws.com", row["Function"], f"arn:aws:s3:::{bucket['BucketName']}"
    integrations = dict(of_type(template, "AWS::ApiGatewayV2::Integration"))
    for name, route in of_type(template, "AWS::ApiGatewayV2::Route"):
        target = route["Target"].removeprefix("integrations/").rpartition("-")[0]
        method, path = route["RouteKey"].split(" ")
        path = re.sub(r"\{[^}]*\}", "*", path)
        source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{route['ApiId']}/$default/{method}{path}"
        yield name, "apigateway.amazonaws.com", integrations[target]["IntegrationUri"], source
    for name, rule in of_type(template, "AWS::Events::Rule"):
        for row in rule["Targets"]:
            if ":sqs:" not in row["Arn"] and ":sns:" not in row["Arn"]:
                yield name, "events.amazonaws.com", row["Arn"], f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule['Name']}"


def closed_queues(template: Template) -> Iterator[str]:
    """A queue takes events of EventBridge only where its policy says so."""
    policies = [row for _, row in of_type(template, "AWS::SQS::QueuePolicy")]
    open_to = [
        found
        for row in policies
        for found in row["PolicyDocument"]["Statement"]
        if found["Effect"] == "Allow" and found["Principal"] == {"Service": "events.amazonaws.com"}
    ]
    for name, rule in of_type(template, "AWS::Events::Rule"):
        source = {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule['Name']}"}
        for target in rule["Targets"]:
            for arn in (target["Arn"], target.get("DeadLetterConfig", {}).get("Arn", "")):
                if ":sqs:" in arn and not allows(open_to, "sqs:SendMessage", arn, source):
                    yield f"{name}: {arn} takes nothing from EventBridge for it"


_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def missing_source_permissions(template: Template) -> Iterator[str]:
    """Lambda makes a mapping, and keeps failures, only where the function's own role may do it."""
    for name, mapping in of_type(template, "AWS::Lambda::EventSourceMapping"):
        role, source = _role_of(template, mapping["FunctionName"]), mapping["EventSourceArn"]
        for action in _STREAM if ":dynamodb:" in source else _QUEUE:
            if not allows(role, action, source):
                yield f"{name}: the function's role lacks {action} on {source}"
        yield from _destination_faults(name, role, mapping)
    for name, config in of_type(template, "AWS::Lambda::EventInvokeConfig"):
        yield from _destination_faults(name, _role_of(template, config["FunctionName"]), config)


def _destination_faults(name: str, role: list[Statement], row: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("OnFailure", "OnSuccess"):
        target = row.get("DestinationConfig", {}).get(kind, {}).get("Destination", "")
        asked = {"s3": [("s3:PutObject", f"{target}/aws/lambda/x"), ("s3:ListBucket", target)]}
        asked["sqs"] = [("sqs:SendMessage", target)]
        for action, arn in asked.get(target.split(":")[2], []) if target else []:
            if not allows(role, action, arn, {"aws:ResourceAccount": ACCOUNT}):
                yield f"{name}: the function's role lacks {action} on {arn}"


def _role_of(template: Template, function: str) -> list[Statement]:
    # A Ref of an alias or a function without a name is its logical name and letters.
    resources, resolve = template["Resources"], resolver(template)
    names = {
        str(resolve({"Ref": name})): name for name, row in resources.items() if row["Type"] == "AWS::Lambda::Alias"
    }
    names |= {properties["FunctionName"]: name for name, properties in of_type(template, "AWS::Lambda::Function")}
    logical = names[function]
    if resources[logical]["Type"] == "AWS::Lambda::Alias":
        logical = resources[logical]["Properties"]["FunctionName"]["Ref"]
    role = resources[logical]["Properties"]["Role"]["Fn::GetAtt"][0]
    policies = resolve(resources[role]["Properties"]["Policies"])
    return [found for policy in policies for found in policy["PolicyDocument"]["Statement"]]


# ---- sizes and names


def oversized(template: Template) -> Iterator[str]:
    """Policies, templates and what else has a largest size."""
    size = len(json.dumps(template))
    counts = {"Resources": 500, "Parameters": 200, "Outputs": 200}
    if size > 1_000_000:
        yield f"the template is {size:,} bytes; CloudFormation takes 1,000,000"
    yield from (
        f"{len(template.get(part, {}))} {part}" for part, most in counts.items() if len(template.get(part, {})) > most
    )
    for name, role in of_type(template, "AWS::IAM::Role"):
        inline = sum(_letters(policy["PolicyDocument"]) for policy in role.get("Policies", []))
        if inline > 10_240:
            yield f"{name}: its policies are {inline:,} characters; a role holds 10,240"
        if (trust := _letters(role["AssumeRolePolicyDocument"])) > 2_048:
            yield f"{name}: its trust policy is {trust:,} characters; a role takes 2,048"
    for name, policy in of_type(template, "AWS::IAM::ManagedPolicy"):
        if (letters := _letters(policy["PolicyDocument"])) > 6_144:
            yield f"{name}: {letters:,} characters; a managed policy holds 6,144"
    calls = itertools.groupby(
        sorted((row["FunctionName"], _letters(row) + 150) for _, row in of_type(template, "AWS::Lambda::Permission")),
        key=lambda pair: pair[0],
    )
    for function, pairs in calls:
        if sum(letters for _, letters in pairs) > 20_480:
            yield f"{function}: permissions of more than 20,480 characters"
    for name, function in of_type(template, "AWS::Lambda::Function"):
        variables = function.get("Environment", {}).get("Variables", {})
        if sum(len(str(key)) + len(str(value)) for key, value in variables.items()) > 4_096:
            yield f"{name}: its environment is larger than 4 KB"
        # Deploying adds a digest of the parameters.
        if len(function.get("Description", "")) + len(" (settings 01234567)") > 256:
            yield f"{name}: its description is longer than 256 characters"


def _letters(document: Any) -> int:
    return len(re.sub(r"\s", "", json.dumps(document)))


_ALLOWED_NAMES = {
    "AWS::S3::Bucket": ("BucketName", r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"),
    "AWS::Lambda::Function": ("FunctionName", r"[A-Za-z0-9_-]{1,64}"),
    "AWS::DynamoDB::Table": ("TableName", r"[A-Za-z0-9_.-]{3,255}"),
    "AWS::SQS::Queue": ("QueueName", r"[A-Za-z0-9_-]{1,80}"),
    "AWS::Logs::LogGroup": ("LogGroupName", r"[.\-_/#A-Za-z0-9]{1,512}"),
    "AWS::ApiGatewayV2::Api": ("Name", r".{1,128}"),
    "AWS::IAM::Role": ("Path", r"/[\x21-\x7e]{0,510}/"),
    "AWS::Events::Rule": ("Name", r"[.\-_A-Za-z0-9]{1,64}"),
}


def unusable_names(template: Template) -> Iterator[str]:
    """Names that a service refuses, or that a second stack would have as well."""
    for kind, (key, pattern) in _ALLOWED_NAMES.items():
        for name, properties in of_type(template, kind):
            text = properties.get(key)
            if text is None:
                continue
            if not re.fullmatch(pattern, text):
                yield f"{name}: {text!r} ({len(text)} characters) is no name for {kind}"
            if LONGEST["Prefix"] not in text:
                yield f"{name}: {text!r} has no prefix, and a second stack would want it too"
    stack = len("{Prefix}weaudit-{EnvironmentSuffix}".format(**LONGEST))
    for name, properties in of_type(template, "AWS::Events::Rule"):
        # Without a name of its own it is the stack's, its own and twelve letters, each after a hyphen.
        if "Name" not in properties and stack + len(name) + 14 > 64:
            yield f"{name}: the rule's name would be longer than 64 characters"


def wrong_keys(template: Template) -> Iterator[str]:
    """Attributes are declared where they are keys, and only there; indexes are 20 at most."""
    for name, table in of_type(template, "AWS::DynamoDB::Table"):
        indexes = [*table.get("GlobalSecondaryIndexes", []), *table.get("LocalSecondaryIndexes", [])]
        keys = {part["AttributeName"] for row in (table, *indexes) for part in row["KeySchema"]}
        if declared := keys ^ {row["AttributeName"] for row in table["AttributeDefinitions"]}:
            yield f"{name}: {', '.join(sorted(declared))} declared and no key, or a key and not declared"
        if len(indexes) > 20:
            yield f"{name}: {len(indexes)} indexes"


# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html: those that a function cannot set.
RESERVED = {
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
}  # fmt: skip


def refused_variables(template: Template) -> Iterator[str]:
    """Lambda refuses variables of its own, and names that do not begin with a letter."""
    for name, function in of_type(template, "AWS::Lambda::Function"):
        for variable in function.get("Environment", {}).get("Variables", {}):
            if variable in RESERVED or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", variable):
                yield f"{name}: the variable {variable} is Lambda's own, or no name"


# ---- order and time


def cycles(template: Template) -> Iterator[str]:
    """CloudFormation refuses resources that wait for each other, whatever branch of a condition says so."""
    resources = template["Resources"]
    waits = {
        name: sorted(
            {*references(row.get("Properties", {})), *listed(row.get("DependsOn", []))} & (resources.keys() - {name})
        )
        for name, row in resources.items()
    }
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> Iterator[str]:
        if name in path:
            yield " -> ".join((*path[path.index(name) :], name))
        elif name not in done:
            for other in waits[name]:
                yield from walk(other, (*path, name))
            done.add(name)

    for name in resources:
        yield from walk(name, ())


def impatient_queues(template: Template) -> Iterator[str]:
    """Lambda refuses a queue whose messages come back before the function had its time."""
    queues = {properties["QueueName"]: properties for _, properties in of_type(template, "AWS::SQS::Queue")}
    functions = {properties["FunctionName"]: properties for _, properties in of_type(template, "AWS::Lambda::Function")}
    resources, resolve = template["Resources"], resolver(template)
    for name, mapping in of_type(template, "AWS::Lambda::EventSourceMapping"):
        queue = queues.get(mapping["EventSourceArn"].rpartition(":")[2])
        if queue is None:
            continue
        alias = resources[mapping["FunctionName"].rpartition("-")[0]]["Properties"]["FunctionName"]["Ref"]
        function = functions[resolve(resources[alias]["Properties"]["FunctionName"])]
        if int(queue.get("VisibilityTimeout", 30)) < function["Timeout"]:
            yield f"{name}: messages come back before {function['Timeout']} s"
        if mapping.get("BatchSize", 10) > 10 and not mapping.get("MaximumBatchingWindowInSeconds"):
            yield f"{name}: more than 10 messages at once need a batching window"


def unsettled_targets(template: Template) -> Iterator[str]:
    """S3 asks Lambda, while the bucket is made, whether it may call: the permission has to be there by then."""
    resources = template["Resources"]
    for name, row in resources.items():
        wanted = row.get("Properties", {}).get("NotificationConfiguration", {}).get("LambdaConfigurations", [])
        before = [resources[other]["Type"] for other in listed(row.get("DependsOn", []))]
        if row["Type"] == "AWS::S3::Bucket" and wanted and "AWS::Lambda::Permission" not in before:
            yield f"{name}: is made before S3 may call the function"


CHECKS = (
    overlapping_notifications, missing_invoke_permissions, closed_queues, missing_source_permissions, oversized,
    unusable_names, wrong_keys, refused_variables, cycles, impatient_queues, unsettled_targets,
)  # fmt: skip


# ---- what SAM itself has to know

_OWN = ("CodeUri", "InlineCode", "PackageType", "AutoPublishAlias", "AutoPublishAliasAllProperties", "Policies",
        "AutoPublishCodeSha256", "DeploymentPreference", "VersionDeletionPolicy", "Connectors")  # fmt: skip


def parameters_in_sam(template: Template) -> Iterator[str]:
    """Properties that SAM reads while it translates; the engine knows no parameter's value then."""
    rows = {name: row["Properties"] for name, row in template["Resources"].items() if "Serverless" in row["Type"]}
    rows |= {f"Globals.{name}": row for name, row in template.get("Globals", {}).items()}
    for name, properties in rows.items():
        for key in _OWN:
            if list(references(properties.get(key))):
                yield f"{name}.{key}: SAM has to know this before there are parameters"
        for event, row in properties.get("Events", {}).items():
            if list(references(row["Type"])) or "Fn::If" in row["Properties"]:
                yield f"{name}.{event}: SAM has to know what event this is"

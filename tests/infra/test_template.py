"""The template: sound by cfn-lint as it is and as SAM translates it, least privilege, and one with the code."""

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tests.infra.intrinsics import ACCOUNT, REGION, Resolver
from tests.infra.policies import allows, matches
from tests.ledger.keys import signer, witness
from weaudit.capture.store_secrets import ORIGIN, ROOT
from weaudit.deploy import packaging
from weaudit.doctor.gathering import GIVEN_UP
from weaudit.evidence import QUARANTINE, RULES, VALUES
from weaudit.functions import FUNCTIONS, Function
from weaudit.installation import payloads
from weaudit.updates.store_secret import REQUEST

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
TEXT = TEMPLATE.read_text(encoding="utf-8")


class _Session:
    region_name = "us-east-1"


def translate(text: str) -> dict[str, Any]:
    """Turn a SAM template into the CloudFormation that AWS would make of it."""
    uploaded = yaml_parse(text.replace("../dist/", "s3://bucket/"))
    translated: dict[str, Any] = Translator({}, Parser(), boto_session=_Session()).translate(uploaded, {})
    return translated


SAM: dict[str, Any] = yaml_parse(TEXT)
PLAIN = translate(TEXT)
RESOURCES: dict[str, Any] = PLAIN["Resources"]
# The key that encrypts: the stack's own, or the one that it was given.
KEY = {"Fn::If": ["MakesKmsKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, {"Ref": "KmsKeyArn"}]}


def of_type(kind: str) -> dict[str, Any]:
    return {name: found["Properties"] for name, found in RESOURCES.items() if found["Type"] == kind}


def function_resource(function: Function) -> tuple[str, dict[str, Any]]:
    wanted = {"Fn::Sub": "${Prefix}" + function.physical_name}
    [found] = [item for item in of_type("AWS::Lambda::Function").items() if item[1]["FunctionName"] == wanted]
    return found


def statements(value: Any) -> Iterator[dict[str, Any]]:
    """Every policy statement of the template, also behind conditions."""
    if isinstance(value, dict):
        if "Effect" in value and "Action" in value:
            yield value
        for part in value.values():
            yield from statements(part)
    elif isinstance(value, list):
        for part in value:
            yield from statements(part)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def lint(path: Path) -> str:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


# ---- by itself


def test_cfn_lint_is_clean_on_what_sam_makes_of_it(tmp_path: Path) -> None:
    # Without this step errors inside SAM's own properties pass unseen.
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(PLAIN))
    assert lint(path) == ""


def test_faults_inside_sam_are_seen(tmp_path: Path) -> None:
    text = TEXT
    for right, wrong in (
        ("python3.13", "python3.99"),
        ("TRIM_HORIZON", "FIRST_OF_ALL"),
        ("!GetAtt ConfigurationTable.StreamArn\n            Start", "!GetAtt Missing.StreamArn\n            Start"),
    ):
        assert right in text
        text = text.replace(right, wrong)
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(translate(text)))
    found = lint(path)
    for wrong in ("python3.99", "FIRST_OF_ALL", "Missing"):
        assert wrong in found


def test_every_parameter_is_used_and_says_what_it_does() -> None:
    rest = json.dumps({key: value for key, value in SAM.items() if key != "Parameters"})
    for name, parameter in SAM["Parameters"].items():
        assert parameter["Description"]
        assert f'"Ref": "{name}"' in rest or f"${{{name}}}" in rest, name


# ---- permissions


def test_no_statement_allows_every_action() -> None:
    for statement in statements(RESOURCES):
        if statement["Effect"] == "Allow":
            assert not [action for action in listed(statement["Action"]) if "*" in action], statement


def test_a_resource_of_all_has_its_reason_beside_it() -> None:
    lines = [line for line in TEXT.splitlines() if line.strip().startswith(("Resource: '*'", 'Resource: "*"', "- '*'"))]
    of_all = [statement for statement in statements(RESOURCES) if "*" in listed(statement.get("Resource", []))]
    assert len(lines) == len(of_all)
    assert all("# reason: " in line for line in lines)


def test_audit_producer_may_do_this_and_no_more() -> None:
    policies = RESOURCES["AuditProducerRole"]["Properties"]["Policies"]
    found = {statement["Sid"]: sorted(listed(statement["Action"])) for statement in statements(policies)}
    assert found == {
        "ReadTheStream": [
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        ],
        "ReadWatchedTables": ["dynamodb:GetItem"],
        "PutRecords": ["dynamodb:BatchWriteItem", "dynamodb:PutItem"],
        "KeepEvidence": ["s3:PutObject"],
        "FailureDestination": ["s3:ListBucket"],
        "LookForValues": ["s3:GetObject"],
        "ReadAndMakeKeys": ["dynamodb:BatchGetItem", "dynamodb:PutItem"],
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "WriteTraces": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
        "UseTheKey": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
    }
    on = {statement["Sid"]: statement["Resource"] for statement in statements(policies)}
    assert on["LookForValues"] == {"Fn::Sub": "${EvidenceBucket.Arn}/values/*"}
    assert on["ReadAndMakeKeys"] == {"Fn::GetAtt": ["KeysTable", "Arn"]}
    assert on["KeepEvidence"] == [
        {"Fn::Sub": f"${{EvidenceBucket.Arn}}/{prefix}*"} for prefix in (QUARANTINE, RULES, VALUES, GIVEN_UP)
    ]


def test_no_function_but_audit_producer_may_read_the_secret_that_hashes_depend_on() -> None:
    resolve = Resolver(PLAIN, {"Prefix": "p-", "EnvironmentSuffix": "dev"})
    table = str(resolve({"Fn::GetAtt": ["KeysTable", "Arn"]}))
    assert table.endswith(":table/p-weaudit-keys-dev")
    reaching = {
        (role, action)
        for role, properties in of_type("AWS::IAM::Role").items()
        for found in statements(resolve(properties.get("Policies", [])))
        for action in listed(found["Action"])
        for resource in listed(found["Resource"])
        # Of the resources that name everything there are X-Ray's and the like alone.
        if action.startswith("dynamodb:") and any(matches(resource, arn) for arn in (table, f"{table}/index/x"))
    }
    assert reaching == {
        ("AuditProducerRole", "dynamodb:BatchGetItem"),
        ("AuditProducerRole", "dynamodb:PutItem"),
        ("TableUpdateRole", "dynamodb:BatchGetItem"),
        ("TableUpdateRole", "dynamodb:PutItem"),
        ("LedgerSealerRole", "dynamodb:BatchGetItem"),
        ("LedgerSealerRole", "dynamodb:PutItem"),
        # Of the resource "*": it reads nothing.
        ("LedgerSealerRole", "dynamodb:ListStreams"),
    }
    updating = list(statements(resolve(RESOURCES["TableUpdateRole"]["Properties"]["Policies"])))
    for action in ("dynamodb:BatchGetItem", "dynamodb:PutItem"):
        for row in (ROOT, ORIGIN, "SUBJECT/0", "REQUEST/0"):
            assert not allows(updating, action, table, {"dynamodb:LeadingKeys": row})
        assert allows(updating, action, table, {"dynamodb:LeadingKeys": REQUEST})
    sealing = list(statements(resolve(RESOURCES["LedgerSealerRole"]["Properties"]["Policies"])))
    for action in ("dynamodb:BatchGetItem", "dynamodb:PutItem"):
        for row in (ROOT, REQUEST, "SUBJECT/0"):
            assert not allows(sealing, action, table, {"dynamodb:LeadingKeys": row})
        assert allows(sealing, action, table, {"dynamodb:LeadingKeys": ORIGIN})
    assert not [kind for kind in RESOURCES.values() if kind["Type"] == "AWS::IAM::Policy"]
    # The one managed policy is for callers of the API.
    managed = [statements(properties) for properties in of_type("AWS::IAM::ManagedPolicy").values()]
    assert {action for policy in managed for found in policy for action in listed(found["Action"])} == {
        "execute-api:Invoke"
    }


def test_the_table_of_keys_is_named_to_who_reads_it_and_to_who_must_not_write_it() -> None:
    told = {
        name
        for name, properties in of_type("AWS::Lambda::Function").items()
        if "KeysTable" in json.dumps(properties.get("Environment", {}))
    }
    assert told == {"AuditProducer", "TableUpdate", "LedgerSealer"}


def test_s3_processor_may_do_this_and_no_more() -> None:
    policies = RESOURCES["S3ProcessorRole"]["Properties"]["Policies"]
    found = {
        statement["Sid"]: (sorted(listed(statement["Action"])), statement["Resource"])
        for statement in statements(policies)
    }
    assert found == {
        "LogInvocations": (["dynamodb:PutItem"], {"Fn::GetAtt": ["InvocationLogsTable", "Arn"]}),
        "KeepEvidence": (["s3:PutObject"], {"Fn::Sub": "${EvidenceBucket.Arn}/raw/quarantine/*"}),
        "FailureDestination": (["sqs:SendMessage"], {"Fn::GetAtt": ["FailedEventsQueue", "Arn"]}),
        "WriteLogs": (["logs:CreateLogStream", "logs:PutLogEvents"], {"Fn::GetAtt": ["S3ProcessorLogGroup", "Arn"]}),
        "WriteTraces": (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
        "UseTheKey": (
            ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
            KEY,
        ),
    }


def test_table_update_may_do_this_and_no_more() -> None:
    policies = RESOURCES["TableUpdateRole"]["Properties"]["Policies"]
    found = {
        statement["Sid"]: (sorted(listed(statement["Action"])), statement["Resource"])
        for statement in statements(policies)
    }
    updating = ["dynamodb:DescribeTable", "dynamodb:UpdateItem"]
    assert found.pop("ReadAndMakeOneKey") == (
        ["dynamodb:BatchGetItem", "dynamodb:PutItem"],
        {"Fn::GetAtt": ["KeysTable", "Arn"]},
    )
    [reading] = [one for one in statements(policies) if one["Sid"] == "ReadRulesOfTables"]
    assert reading["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["WATCH/*"]}}
    assert found == {
        "ReadRulesOfTables": (["dynamodb:GetItem"], {"Fn::GetAtt": ["ConfigurationTable", "Arn"]}),
        "UpdateRecords": (updating, {"Fn::GetAtt": ["ConfigurationTable", "Arn"]}),
        "UpdateRecordsOfOtherTables": (updating, {"Ref": "UpdatableTableArns"}),
        "LogUpdates": (["dynamodb:PutItem"], {"Fn::GetAtt": ["AuditLogsTable", "Arn"]}),
        "WriteLogs": (["logs:CreateLogStream", "logs:PutLogEvents"], {"Fn::GetAtt": ["TableUpdateLogGroup", "Arn"]}),
        "WriteTraces": (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
        "UseTheKey": (
            ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
            KEY,
        ),
    }


def test_a_boundary_bounds_every_role() -> None:
    for role in of_type("AWS::IAM::Role").values():
        assert role["PermissionsBoundary"]["Fn::If"][:2] == ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}]


def test_buckets_are_private_and_take_tls_only() -> None:
    for name, bucket in of_type("AWS::S3::Bucket").items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        # Evidence keeps its versions; what users put is theirs to version; renditions can be made again.
        enabled = {"Status": "Enabled"}
        assert bucket.get("VersioningConfiguration") == {
            "EvidenceBucket": enabled,
            "LedgerBucket": enabled,
            "TriggerBucket": {"Fn::If": ["KeepsObjectVersions", enabled, {"Ref": "AWS::NoValue"}]},
        }.get(name), name
        assert "BucketEncryption" in bucket
        [policy] = [found for found in of_type("AWS::S3::BucketPolicy").values() if found["Bucket"] == {"Ref": name}]
        deny = next(statements(policy))
        assert all(found["Effect"] == "Deny" for found in statements(policy))
        assert (deny["Effect"], deny["Action"]) == ("Deny", "s3:*")
        assert deny["Condition"] == {
            "Bool": {"aws:SecureTransport": "false"},
            "StringNotEquals": {"aws:ResourceAccount": "000000000000"},
        }


# ---- data


def keys(schema: list[dict[str, str]]) -> dict[str, str]:
    return {part["KeyType"]: part["AttributeName"] for part in schema}


def test_tables_have_the_keys_and_indexes_of_the_contract() -> None:
    tables = of_type("AWS::DynamoDB::Table")
    assert keys(tables["ConfigurationTable"]["KeySchema"]) == {"HASH": "key"}
    assert tables["ConfigurationTable"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    audit = tables["AuditTable"]
    assert keys(audit["KeySchema"]) == {"HASH": "id"}
    assert {index["IndexName"]: keys(index["KeySchema"]) for index in audit["GlobalSecondaryIndexes"]} == {
        "history": {"HASH": "historyKey", "RANGE": "changeOrder"},
        "changes": {"HASH": "changesKey", "RANGE": "changesOrder"},
    }
    assert {index["IndexName"]: index["Projection"] for index in audit["GlobalSecondaryIndexes"]} == {
        "history": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["modificationTime", "changeId"]},
        "changes": {"ProjectionType": "KEYS_ONLY"},
    }
    assert audit["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
    secrets = tables["KeysTable"]
    assert secrets["TableName"] == {"Fn::Sub": "${Prefix}weaudit-keys-${EnvironmentSuffix}"}
    assert keys(secrets["KeySchema"]) == {"HASH": "id"}
    # A copy of a secret, in a stream or an index, would outlive its erasure.
    assert not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes", "StreamSpecification"} & secrets.keys()
    logs = tables["AuditLogsTable"]
    assert logs["TableName"] == {"Fn::Sub": "${Prefix}audit_logs"}
    assert keys(logs["KeySchema"]) == {"HASH": "log_id"}
    assert {index["IndexName"]: keys(index["KeySchema"]) for index in logs["GlobalSecondaryIndexes"]} == {
        "record_id": {"HASH": "record_id", "RANGE": "timestamp"}
    }
    # (The embedded engine does not take this from a template.)
    assert logs["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_invocation_log_has_the_key_of_the_contract() -> None:
    log = of_type("AWS::DynamoDB::Table")["InvocationLogsTable"]
    assert log["TableName"] == {"Fn::Sub": "${Prefix}lambda-invocation-logs-${EnvironmentSuffix}"}
    assert keys(log["KeySchema"]) == {"HASH": "requestId", "RANGE": "timestamp"}
    assert "GlobalSecondaryIndexes" not in log


def test_data_is_recoverable_and_protected_by_retain() -> None:
    for name in (*of_type("AWS::DynamoDB::Table"), *of_type("AWS::S3::Bucket")):
        assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == ("Delete", "Retain")
    for name, table in of_type("AWS::DynamoDB::Table").items():
        # What is erased from the table of keys must be gone.
        recovery = None if name == "KeysTable" else {"PointInTimeRecoveryEnabled": True}
        assert table.get("PointInTimeRecoverySpecification") == recovery, name
        assert table["DeletionProtectionEnabled"] == {"Fn::If": ["Retained", True, False]}
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert "SSESpecification" in table


def test_raw_records_do_not_stay_and_evidence_does() -> None:
    rules = of_type("AWS::S3::Bucket")["EvidenceBucket"]["LifecycleConfiguration"]["Rules"]
    ending = {rule["Prefix"]: rule for rule in rules if any("Expiration" in name for name in rule)}
    # What is put aside, by us and by Lambda; values, and whatever else is kept, have no end.
    assert ending.keys() == {"raw/", GIVEN_UP}
    assert QUARANTINE.startswith("raw/")
    assert not [prefix for prefix in (RULES, VALUES) if prefix.startswith(tuple(ending))]
    for rule in ending.values():
        assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 30)
        # Else the bucket's versions would keep what expired.
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


# ---- functions


def test_the_template_has_the_functions_of_the_map_and_no_others() -> None:
    names = [properties["FunctionName"]["Fn::Sub"] for properties in of_type("AWS::Lambda::Function").values()]
    assert sorted(names) == sorted("${Prefix}" + function.physical_name for function in FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_function_runs_its_own_zip_with_its_own_log_group(function: Function) -> None:
    logical, properties = function_resource(function)
    assert SAM["Resources"][logical]["Properties"]["CodeUri"] == f"../dist/{function.name}.zip"
    assert properties["Handler"] == "index.lambda_handler"
    assert properties["Runtime"] == f"python{packaging.PYTHON}"
    assert properties["TracingConfig"] == {"Mode": "Active"}
    group = properties["LoggingConfig"]["LogGroup"]["Ref"]
    assert of_type("AWS::Logs::LogGroup")[group]["LogGroupName"] == {
        "Fn::Sub": f"/aws/lambda/${{Prefix}}{function.physical_name}"
    }
    assert of_type("AWS::Logs::LogGroup")[group]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    role = properties["Role"]["Fn::GetAtt"][0]
    [logs] = [found for found in statements(RESOURCES[role]) if "logs:PutLogEvents" in listed(found["Action"])]
    assert logs["Resource"] == {"Fn::GetAtt": [group, "Arn"]}


class _Reads(Mapping[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._values = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_function_has_the_variables_that_it_reads(function: Function) -> None:
    declared = set(function_resource(function)[1]["Environment"]["Variables"])
    reads = _Reads()
    importlib.import_module(f"weaudit.handlers.{function.name}").connect(reads)
    assert {name for name in reads.names if not name.startswith("AWS_")} <= declared
    constants = {
        node.value
        for path in packaging.modules(function)
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Constant)
    }
    assert declared <= constants, "a variable that no code reads"


def streams() -> dict[str, Any]:
    """Return the mappings of streams by the table's logical name."""
    mappings = of_type("AWS::Lambda::EventSourceMapping").values()
    sources = [(mapping["EventSourceArn"]["Fn::GetAtt"], mapping) for mapping in mappings]
    return {name: mapping for (name, attribute), mapping in sources if attribute == "StreamArn"}


SEALED = {"AuditTable", "AuditLogsTable", "InvocationLogsTable"}


def test_every_table_with_a_stream_is_audited_or_sealed_and_none_is_both() -> None:
    tables = of_type("AWS::DynamoDB::Table")
    with_stream = {name for name, table in tables.items() if "StreamSpecification" in table}
    # The trail's own changes must never come back to it.
    assert set(streams()) == with_stream - SEALED == {"ConfigurationTable", "ImagesTable"}
    for name in with_stream:
        assert tables[name]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.parametrize("table", ["ConfigurationTable", "ImagesTable"])
def test_the_stream_invokes_the_alias_and_no_failure_is_lost(table: str) -> None:
    mapping = streams()[table]
    alias = of_type("AWS::Lambda::Alias")[mapping["FunctionName"]["Ref"]]
    assert alias["Name"] == "learn"
    assert alias["FunctionName"] == {"Ref": function_resource(FUNCTIONS[0])[0]}
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == -1
    # A stream forgets after 24 hours; records must reach the destination, whole, before that.
    assert 12 * 3600 <= mapping["MaximumRecordAgeInSeconds"] < 24 * 3600
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": ["EvidenceBucket", "Arn"]}}}
    # The embedded engine takes a batch with reported item failures for done, and loses them.
    assert "FunctionResponseTypes" not in mapping


def test_commands_wait_for_the_functions_that_they_call() -> None:
    called = ("AuditProducer", "S3Processor", "ImageProcessor")
    assert all(RESOURCES[name]["Properties"]["Timeout"] < payloads.LONGEST_CALL_S for name in called)


def test_an_event_of_lambda_fits_into_the_timeout() -> None:
    for mapping in streams().values():
        assert 1 <= mapping["BatchSize"] <= 10_000
        assert 1 <= mapping["ParallelizationFactor"] <= 10


# ---- ledger


def ledger_statements(parameters: dict[str, str], part: str) -> list[dict[str, Any]]:
    """Return the statements of the policy of the ledger's bucket, key or role, for these parameters."""
    found = RESOURCES[part]["Properties"]
    return list(statements(Resolver(PLAIN, parameters)(found)))


def test_ledger_sealer_may_do_this_and_no_more() -> None:
    found = {
        one["Sid"]: (sorted(listed(one["Action"])), one["Resource"])
        for one in ledger_statements({}, "LedgerSealerRole")
        if "Principal" not in one
    }
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"
    tables = [f"{table}{name}" for name in ("Audit", "audit_logs", "lambda-invocation-logs-dev")]
    bucket = f"arn:aws:s3:::weaudit-ledger-dev-{ACCOUNT}"
    assert found == {
        "ReadTheStreams": (
            ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            [f"{arn}/stream/*" for arn in tables],
        ),
        "FindTheStreams": (["dynamodb:ListStreams"], "*"),
        "ReadRows": (["dynamodb:BatchGetItem"], tables),
        "ReadValues": (["s3:GetObject"], f"arn:aws:s3:::weaudit-evidence-dev-{ACCOUNT}/values/*"),
        "KeepOneKey": (["dynamodb:BatchGetItem", "dynamodb:PutItem"], f"{table}weaudit-keys-dev"),
        "WriteTheLedger": (
            ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectRetention"],
            f"{bucket}/*",
        ),
        "ListTheLedger": (["s3:ListBucket", "s3:ListBucketVersions"], bucket),
        "WriteLogs": (
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/weaudit-ledger-sealer:*",
        ),
        "WriteTraces": (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
    }
    [signing] = [
        one for one in ledger_statements({"LedgerKeyArn": "arn:key"}, "LedgerSealerRole") if one.get("Sid") == "Sign"
    ]
    assert (signing["Action"], signing["Resource"]) == (["kms:GetPublicKey", "kms:Sign"], "arn:key")
    [asking] = [
        one
        for one in ledger_statements({"WitnessFunctionArn": "arn:witness"}, "LedgerSealerRole")
        if one.get("Sid") == "AskTheWitness"
    ]
    assert (asking["Action"], asking["Resource"]) == (
        ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"], "arn:witness",
    )  # fmt: skip


def test_the_parameters_of_the_witness_take_what_its_page_makes() -> None:
    key = witness("audit.example.com/witness").key
    parameters = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Parameters"]
    url = "https://abc.lambda-url.eu-west-1.on.aws/"
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:weaudit-ledger-witness"
    for name, value in (("WitnessKey", str(key)), ("WitnessUrl", url), ("WitnessFunctionArn", arn)):
        assert re.fullmatch(parameters[name]["AllowedPattern"], value)
        assert re.fullmatch(parameters[name]["AllowedPattern"], "")
    assert not re.fullmatch(parameters["WitnessKey"]["AllowedPattern"], str(signer("log").key))


def test_the_engine_alone_lets_the_sealer_read_any_stream() -> None:
    [reading] = [
        one
        for one in ledger_statements({"AWS::AccountId": "000000000000"}, "LedgerSealerRole")
        if one.get("Sid") == "ReadTheStreams"
    ]
    assert reading["Resource"] == "*"


def test_the_key_signs_for_the_sealer_alone() -> None:
    key = RESOURCES["LedgerKey"]["Properties"]
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
    sealer = Resolver(PLAIN, {})({"Fn::GetAtt": ["LedgerSealerRole", "Arn"]})
    allowed = [one for one in ledger_statements({}, "LedgerKey") if one["Effect"] == "Allow"]
    signing = {one["Principal"]["AWS"] for one in allowed if "kms:Sign" in listed(one["Action"])}
    assert signing == {sealer}
    # Neither may anybody be given it by a grant. Its public part may be read by whom the account lets.
    actions = {action for one in allowed for action in listed(one["Action"])}
    assert "kms:CreateGrant" not in actions
    assert allows(allowed, "kms:GetPublicKey", "key")
    [denied] = [one for one in ledger_statements({}, "LedgerKey") if one["Effect"] == "Deny"]
    assert {"kms:ScheduleKeyDeletion", "kms:PutKeyPolicy"} <= set(denied["Action"])
    # No function's role, whatever its own policies come to say.
    [pattern] = listed(denied["Condition"]["ArnLike"]["aws:PrincipalArn"])
    resolve = Resolver(PLAIN, {})
    roles = [resolve({"Fn::GetAtt": [name, "Arn"]}) for name in of_type("AWS::IAM::Role")]
    assert all(matches(pattern, role) for role in roles)


@pytest.mark.parametrize("administrator", ["", f"arn:aws:iam::{ACCOUNT}:role/ada"])
def test_the_ledger_is_written_by_the_sealer_and_its_locks_end_by_its_administrator(administrator: str) -> None:
    found = {
        one["Sid"]: one for one in ledger_statements({"LedgerAdministratorArn": administrator}, "LedgerBucketPolicy")
    }
    assert found.keys() == {
        "TlsOnly", "TheSealerAloneWrites", "FunctionsDeleteNothing", "OnlyTheAdministratorEndsLocks",
    }  # fmt: skip
    assert {(one["Effect"], one["Principal"]) for one in found.values()} == {("Deny", "*")}
    writing, ending = found["TheSealerAloneWrites"], found["OnlyTheAdministratorEndsLocks"]
    sealer = Resolver(PLAIN, {})({"Fn::GetAtt": ["LedgerSealerRole", "Arn"]})
    assert writing["Condition"]["ArnNotEquals"] == {"aws:PrincipalArn": sealer}
    assert {"s3:PutObject", "s3:PutObjectRetention"} <= set(writing["Action"])
    assert ending["Action"] == "s3:BypassGovernanceRetention"
    wanted = {"ArnNotEquals": {"aws:PrincipalArn": administrator}} if administrator else {}
    assert ending["Condition"] == {**wanted, "StringNotEquals": {"aws:ResourceAccount": "000000000000"}}
    assert {"s3:DeleteObject", "s3:DeleteObjectVersion"} <= set(found["FunctionsDeleteNothing"]["Action"])


def test_the_ledger_is_locked_object_by_object_and_only_commits_end() -> None:
    bucket = RESOURCES["LedgerBucket"]["Properties"]
    assert bucket["ObjectLockEnabled"] is True
    assert "ObjectLockConfiguration" not in bucket
    ending = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if any("Expiration" in name for name in rule)]
    assert [(rule["Prefix"], rule["ExpirationInDays"]) for rule in ending] == [("commits/", 30)]
    assert ending[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


@pytest.mark.parametrize(("retain", "days"), [("true", "365"), ("false", "0")])
def test_nothing_is_locked_that_a_stack_is_to_be_removed_with(retain: str, days: str) -> None:
    variables = Resolver(PLAIN, {"Retain": retain})(RESOURCES["LedgerSealer"]["Properties"]["Environment"]["Variables"])
    assert variables["LEDGER_LOCK_DAYS"] == days
    assert variables["LEDGER_ORIGIN"] == f"weaudit/{ACCOUNT}/{REGION}/stack"


def test_the_clock_calls_the_sealer_every_minute_and_tries_no_call_a_second_time() -> None:
    rule = RESOURCES["LedgerSealerRule"]["Properties"]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    [target] = rule["Targets"]
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert RESOURCES["LedgerSealerRetries"]["Properties"]["MaximumRetryAttempts"] == 0
    alias = of_type("AWS::Lambda::Alias")[target["Arn"]["Ref"]]
    assert (alias["Name"], alias["FunctionName"]) == ("live", {"Ref": "LedgerSealer"})
    permission = RESOURCES["LedgerSealerPermission"]["Properties"]
    assert permission["FunctionName"] == target["Arn"]
    assert permission["SourceArn"] == {"Fn::GetAtt": ["LedgerSealerRule", "Arn"]}


# ---- objects


def test_the_bucket_calls_the_alias_and_tells_eventbridge() -> None:
    bucket = of_type("AWS::S3::Bucket")["TriggerBucket"]
    assert bucket["BucketName"] == {
        "Fn::Sub": "${Prefix}lambda-trigger-bucket-${EnvironmentSuffix}-${AWS::AccountId}"
    }  # fmt: skip
    [called] = bucket["NotificationConfiguration"]["LambdaConfigurations"]
    assert called["Event"] == "s3:ObjectCreated:*"
    condition, on_the_engine, on_aws = called["Function"]["Fn::If"]
    assert (condition, on_the_engine) == ("OnTheEmbeddedEngine", {"Fn::GetAtt": ["S3Processor", "Arn"]})
    alias = of_type("AWS::Lambda::Alias")[on_aws["Ref"]]
    assert (alias["Name"], alias["FunctionName"]) == ("live", {"Ref": "S3Processor"})
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"] == {"EventBridgeEnabled": True}


def test_s3_may_call_the_function_before_the_bucket_says_so_and_for_this_bucket_only() -> None:
    permission = RESOURCES["S3ProcessorPermission"]["Properties"]
    assert permission["Principal"] == "s3.amazonaws.com"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    bucket = of_type("AWS::S3::Bucket")["TriggerBucket"]["BucketName"]["Fn::Sub"]
    assert permission["SourceArn"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::" + bucket}
    assert "S3ProcessorPermission" in listed(RESOURCES["TriggerBucket"]["DependsOn"])


def test_an_event_that_s3_processor_cannot_handle_is_tried_again_and_then_kept() -> None:
    for name, qualifier in (("S3ProcessorFailures", "live"), ("S3ProcessorFailuresOnTheEngine", "$LATEST")):
        failures = RESOURCES[name]["Properties"]
        assert (failures["FunctionName"], failures["Qualifier"]) == ({"Ref": "S3Processor"}, qualifier)
        assert (failures["MaximumRetryAttempts"], failures["MaximumEventAgeInSeconds"]) == (2, 6 * 3600)
        assert failures["DestinationConfig"] == {
            "OnFailure": {"Destination": {"Fn::GetAtt": ["FailedEventsQueue", "Arn"]}}
        }
    assert RESOURCES["S3ProcessorFailuresOnTheEngine"]["Condition"] == "OnTheEmbeddedEngine"


def test_failed_events_are_kept_for_14_days_encrypted_and_by_tls_only() -> None:
    queue = of_type("AWS::SQS::Queue")["FailedEventsQueue"]
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["SqsManagedSseEnabled"] == {"Fn::If": ["HasKmsKey", {"Ref": "AWS::NoValue"}, True]}
    assert queue["KmsMasterKeyId"] == {"Fn::If": ["HasKmsKey", KEY, {"Ref": "AWS::NoValue"}]}
    [policy] = [
        found for found in of_type("AWS::SQS::QueuePolicy").values() if {"Ref": "FailedEventsQueue"} in found["Queues"]
    ]
    [deny] = [found for found in statements(policy) if found["Effect"] == "Deny"]
    assert (deny["Action"], deny["Condition"]["Bool"]) == ("sqs:*", {"aws:SecureTransport": "false"})
    assert deny["Condition"]["StringNotEquals"] == {"aws:ResourceAccount": "000000000000"}

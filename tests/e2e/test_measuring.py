"""What is measured and told, on the engine: alarms that reach somebody, lines that CloudWatch and OpenSearch take."""

import base64
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningEngine
from tests.embedded_metrics import metrics_of
from tests.infra.test_alarms import ALARMS
from weaudit.functions import FUNCTIONS
from weaudit.runtime.metrics import UNITS

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]


def outputs(engine: RunningEngine) -> dict[str, str]:
    [found] = engine.client("cloudformation").describe_stacks(StackName="weaudit-dev")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def test_each_alarm_reaches_who_subscribed_with_what_to_do(
    engine: RunningEngine, eventually: Callable[..., Any]
) -> None:
    sqs, sns, cloudwatch = (engine.client(service) for service in ("sqs", "sns", "cloudwatch"))
    names = {alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    # That of the findings of GuardDuty comes with its parameter alone.
    ours = {f"weaudit-dev-{name}" for name in ALARMS} - {"weaudit-dev-findings-rule"}
    assert ours <= names
    url = sqs.create_queue(QueueName="who-is-on-call")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = outputs(engine)["AlarmsTopicArn"]
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    told: dict[tuple[str, str], Any] = {}

    def read() -> None:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            envelope = json.loads(message["Body"])
            found = json.loads(envelope["Message"])
            told[found["AlarmName"], found["NewStateValue"]] = (envelope["Subject"], found)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def all_told() -> bool:
        read()
        return set(told) >= {(name, state) for name in ours for state in ("ALARM", "OK")}

    try:
        for name in sorted(ours):
            for state in ("ALARM", "OK"):
                cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a drill")
        eventually(all_told)
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=url)
    for name in ours:
        subject, message = told[name, "ALARM"]
        assert name in subject
        assert message["NewStateReason"] == "a drill"
        means, _, todo = message["AlarmDescription"].partition(" What to do: ")
        assert means
        # Names are filled in: whoever reads it knows which function, queue or bucket.
        assert "${" not in means + todo
        assert (
            f"docs/operating.md#{ALARMS[name.removeprefix('weaudit-dev-')]['AlarmDescription'].rpartition('#')[2]}"
            in todo
        )


def lines(engine: RunningEngine, function: str) -> list[str]:
    pages = engine.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
    return [event["message"].strip() for page in pages for event in page["events"]]


def measured(engine: RunningEngine, function: str, metric: str) -> list[float]:
    """Return every value of a metric that CloudWatch would take from the function's log; all have to be valid."""
    found: list[float] = []
    for line in lines(engine, function):
        if '"_aws"' in line:
            for (name, dimensions), values in metrics_of(line).items():
                assert dimensions[0] == ("function", function)
                found += values if name == metric else []
    return found


def test_functions_measure_what_they_do_and_the_filter_sees_what_went_aside(
    engine: RunningEngine, eventually: Callable[..., Any]
) -> None:
    names, functions = outputs(engine), engine.client("lambda")
    engine.client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": "measured"}, "v": {"N": "1"}})
    engine.client("s3").put_object(Bucket=names["BucketName"], Key="measured.txt", Body=b"x")
    poison = json.dumps({"Records": [{"measured": "poison"}]})
    functions.invoke(FunctionName=names["AuditProducerAliasArn"], Payload=poison)
    functions.invoke(FunctionName=names["ReadTrailAliasArn"], Payload=json.dumps({"no": "request"}))
    eventually(lambda: sum(measured(engine, "audit_producer", "quarantined")) >= 1)
    eventually(lambda: sum(measured(engine, "audit_producer", "changes")) >= 2)
    eventually(lambda: any(value < 60_000 for value in measured(engine, "audit_producer", "lagMs")))
    eventually(lambda: sum(measured(engine, "s3-processor-dev", "logged")) >= 1)
    eventually(lambda: sum(measured(engine, "image_processor", "images")) >= 1)
    eventually(lambda: sum(measured(engine, "weaudit-api-trail", "answers")) >= 1)
    # The gap of MiniStack 1.5.33: it takes the words of a filter's pattern for text, and lets anything through.
    [row] = engine.client("logs").describe_metric_filters(logGroupName="/aws/lambda/audit_producer")["metricFilters"]
    parts = re.fullmatch(r"\{ \$\.(\w+) > (\d+) \}", row["filterPattern"])
    assert parts is not None
    told = [json.loads(line) for line in lines(engine, "audit_producer") if line.startswith("{")]
    aside = [line for line in told if isinstance(line.get(parts[1]), int) and line[parts[1]] > int(parts[2])]
    assert 1 <= len(aside) < len([line for line in told if line["message"] == "batch done"])
    assert all(isinstance(line[row["metricTransformations"][0]["metricValue"][2:]], int) for line in aside)


FORWARDER = """
import os
def handler(event, context):
    with open(os.environ["INTO"], "a") as file:
        file.write(event["awslogs"]["data"] + "\\n")
    print("forwarded")
"""


def test_a_subscription_carries_lines_whose_fields_opensearch_knows(
    engine: RunningEngine, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", FORWARDER)
    functions, logs, into = engine.client("lambda"), engine.client("logs"), tmp_path / "carried"
    arn = functions.create_function(
        FunctionName="forwarder",
        Runtime="python3.13",
        Handler="index.handler",
        Role="arn:aws:iam::000000000000:role/forwarder",
        Code={"ZipFile": packed.getvalue()},
        Environment={"Variables": {"INTO": str(into)}},
    )["FunctionArn"]
    groups = [f"/aws/lambda/{function.deployed_as()}" for function in FUNCTIONS]
    for group in groups:
        logs.put_subscription_filter(
            logGroupName=group, filterName="opensearch", filterPattern="", destinationArn=arn
        )  # fmt: skip

    def carried() -> list[dict[str, Any]]:
        found = []
        # What follows the last line feed is still being written.
        for line in into.read_text().split("\n")[:-1] if into.exists() else []:
            payload = json.loads(gzip.decompress(base64.b64decode(line)))
            assert payload["messageType"] == "DATA_MESSAGE"
            found += [{**event, "group": payload["logGroup"]} for event in payload["logEvents"]]
        return found

    try:
        names = outputs(engine)
        engine.client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": "carried"}})
        engine.client("s3").put_object(Bucket=names["BucketName"], Key="carried.txt", Body=b"x")
        for name in ("TableUpdate", "ReadTrail", "ListObjects", "ReadImages", "Health", "LedgerSealer"):
            functions.invoke(
                FunctionName=names[f"{name}AliasArn"], Payload=json.dumps({"requestContext": {}, "body": "{}"})
            )
        # Lambda's own lines of a call (START, END) may be carried before the function's record of it.
        eventually(lambda: {event["group"] for event in carried() if event["message"].startswith("{")} >= set(groups))
    finally:
        for group in groups:
            logs.delete_subscription_filter(logGroupName=group, filterName="opensearch")
        functions.delete_function(FunctionName="forwarder")
    template = json.loads((ROOT / "infra" / "opensearch" / "index-template.json").read_text(encoding="utf-8"))
    fields = template["template"]["mappings"]["properties"]
    kinds = {
        "keyword": (str, list, type(None)),
        "long": (int, list),
        "boolean": (bool,),
        "object": (dict,),
        "date": (str,),
    }
    ours = [event["message"] for event in carried() if event["message"].startswith("{")]
    assert len({json.loads(line).get("function") for line in ours}) >= len(FUNCTIONS)
    for line in ours:
        for name, value in json.loads(line).items():
            assert name in fields, f"{name} is not in the index template"
            assert isinstance(value, kinds[fields[name]["type"]]), (name, value)
    assert set(UNITS) <= set(fields)

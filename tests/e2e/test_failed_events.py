"""`weaudit failed-events`: what was given up is listed with its function, tried again, and removed once it is taken."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningEngine
from tests.e2e.commands import client, eventually, records_of, run
from tests.image_fakes import created
from tests.notifications import object_record
from tests.strategies import stream_record
from weaudit.installation.outputs import Installation

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _commands_find_it(engine: RunningEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(engine.directory))


@pytest.fixture(autouse=True)
def _nothing_is_left_of_others(_commands_find_it: None) -> None:
    """Other tests make events fail on the same engine; how many there are is counted here."""
    outputs = Installation.find().outputs
    for name in ("FailedEventsQueueUrl", "UndeliveredQueueUrl"):
        client("sqs").purge_queue(QueueUrl=outputs[name])
    for row in (
        client("s3").list_objects_v2(Bucket=outputs["EvidenceBucketName"], Prefix="aws/lambda/").get("Contents", [])
    ):
        client("s3").delete_object(Bucket=outputs["EvidenceBucketName"], Key=row["Key"])


def listed(*words: str) -> tuple[int, Any]:
    code, text = run("failed-events", "--json", *words)
    return code, json.loads(text)


def test_what_was_given_up_is_listed_tried_again_and_removed_where_it_was_taken() -> None:
    assert listed() == (0, {"events": [], "left": 0})
    installation = Installation.find()
    queue = {"QueueUrl": installation.outputs["FailedEventsQueueUrl"]}
    bucket = installation.outputs["BucketName"]
    given_up = {"Records": [object_record("given-up.txt")]}
    image = created("given-up.png", b"", "1")
    image["detail"]["bucket"]["name"] = bucket
    lost = created("lost.png", b"", "1")
    lost["detail"]["bucket"]["name"] = "no-such-bucket-anywhere"
    wrapped = {"requestPayload": given_up, "responsePayload": {"errorMessage": "the table \x1b[31mis throttled"}}
    for body in (wrapped, image, lost, ["nobody's"]):
        client("sqs").send_message(**queue, MessageBody=json.dumps(body))
    client("sqs").send_message(**queue, MessageBody="no JSON")

    code, found = listed()
    assert (code, found["left"]) == (1, 5)
    functions = sorted((event["function"], event["error"].partition(":")[0]) for event in found["events"])
    unknown = "unknown"
    assert functions == [
        ("?", unknown),
        ("?", unknown),
        ("image_processor", unknown),
        ("image_processor", unknown),
        ("s3_processor", "the table \x1b[31mis throttled"),
    ]
    happened = {event["function"]: event["happened_at"] for event in found["events"]}
    assert happened["image_processor"] == image["time"]
    assert happened["s3_processor"] == given_up["Records"][0]["eventTime"]
    assert happened["?"] is None
    code, text = run("failed-events")
    assert code == 1
    assert "\x1b[31m" not in text

    code, found = listed("--retry")
    assert (code, found["left"]) == (1, 3)
    reasons = {event["function"]: event["why"] for event in found["events"] if "why" in event}
    assert set(reasons) == {"image_processor", "?"}
    rows = client("dynamodb").scan(TableName=installation.outputs["DynamoDBTableName"])["Items"]
    assert "given-up.txt" in [row["objectKey"]["S"] for row in rows]
    assert listed("--limit", "2")[1]["left"] == 2

    # What nobody takes stays until somebody removes it; the engine keeps it hidden from no one else meanwhile.
    client("sqs").purge_queue(**queue)
    assert run("failed-events")[0] == 0


def test_what_aws_could_not_deliver_is_listed_and_tried_again_as_well() -> None:
    installation = Installation.find()
    outputs, s3, sqs = installation.outputs, client("s3"), client("sqs")
    queue = {"QueueUrl": outputs["UndeliveredQueueUrl"]}
    heard = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns = client("sns")
    hearing = sns.subscribe(TopicArn=outputs["AlarmsTopicArn"], Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    # A batch that Lambda gave up on, as it keeps one: the rule puts word of it into the queue.
    change = stream_record(None, {"key": {"S": "given-up-change"}, "value": {"N": "7"}})
    kept = {"requestContext": {"condition": "RecordAgeExceeded"}, "payload": json.dumps({"Records": [change]})}
    keys = [f"aws/lambda/0f3c/shardId-1/2026/01/01/{name}.json" for name in ("batch", "replayed", "broken")]
    for key, body in zip(keys, (kept, kept, {"requestContext": {}}), strict=True):
        s3.put_object(Bucket=outputs["EvidenceBucketName"], Key=key, Body=json.dumps(body))
    # What EventBridge could not deliver, with its error; a finding among it, and an upload of a name like those above.
    image = created("aws/lambda/x.png", b"", "1")
    image["detail"]["bucket"]["name"] = outputs["BucketName"]
    finding = {"source": "aws.guardduty", "detail": {"severity": 8, "type": "Recon:IAMUser/X", "id": "f1"}}
    error = {"ERROR_MESSAGE": {"DataType": "String", "StringValue": "the queue's policy refuses"}}
    for event in (image, finding):
        sqs.send_message(**queue, MessageBody=json.dumps(event), MessageAttributes=error)

    eventually(lambda: listed()[1]["left"] == 5)
    code, found = listed()
    assert code == 1
    refused = "the queue's policy refuses"
    assert sorted((event["function"], event["error"]) for event in found["events"]) == [
        *[("audit_producer", f"Lambda gave up on the records in {key}") for key in sorted(keys)],
        ("image_processor", refused),
        ("the topic of alarms", refused),
    ]
    assert run("quarantine", "replay", keys[1])[0] == 0
    code, found = listed("--retry")
    # The replayed one is done, whoever replayed it; what holds no records stays.
    assert (code, found["left"]) == (1, 1)
    [left] = [event for event in found["events"] if "why" in event]
    assert (left["function"], left["why"]) == (
        "audit_producer", "this entry holds no records: Lambda kept no payload with it",
    )  # fmt: skip
    [record] = records_of("given-up-change")
    assert record["newValue"]["M"]["value"] == {"N": "7"}
    [message] = sqs.receive_message(QueueUrl=heard, WaitTimeSeconds=1)["Messages"]
    assert "finding of severity 8" in json.loads(message["Body"])["Message"]
    assert "f1" in json.loads(message["Body"])["Message"]
    kept_still = s3.list_objects_v2(Bucket=outputs["EvidenceBucketName"], Prefix="aws/lambda/")["Contents"]
    assert [row["Key"] for row in kept_still] == [keys[2]]
    s3.delete_object(Bucket=outputs["EvidenceBucketName"], Key=keys[2])
    assert listed("--retry")[1]["left"] == 0
    sns.unsubscribe(SubscriptionArn=hearing)
    sqs.delete_queue(QueueUrl=heard)


def test_when_an_event_was_given_up_is_told_where_somebody_knows_it() -> None:
    """SQS keeps the time at which a message was first sent, also where it moves it to another queue."""
    installation, sqs = Installation.find(), client("sqs")
    failed = {"QueueUrl": installation.outputs["FailedEventsQueueUrl"]}
    arn = sqs.get_queue_attributes(**failed, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    source = {"QueueUrl": sqs.create_queue(QueueName="tried", Attributes={"RedrivePolicy": redrive})["QueueUrl"]}
    try:
        sqs.send_message(**source, MessageBody=json.dumps(created("moved.png", b"", "1")))
        received: list[Any] = []

        def moved() -> bool:
            received.extend(sqs.receive_message(**source, VisibilityTimeout=0).get("Messages", []))
            return bool(received) and listed()[1]["left"] == 1

        eventually(moved)
        wrapped = {"requestPayload": {"Records": [object_record("told.txt")]}}
        sqs.send_message(**failed, MessageBody=json.dumps(wrapped))
        found = {event["function"]: event["given_up_at"] for event in listed()[1]["events"]}
        assert found["image_processor"] is None
        assert found["s3_processor"] is not None
        [line] = [line for line in run("failed-events")[1].splitlines() if "image_processor" in line]
        assert line.rstrip().endswith("unknown")
    finally:
        sqs.delete_queue(**source)
        sqs.purge_queue(**failed)


def test_every_command_that_the_page_gives_exists() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    assert "weaudit failed-events --retry" in page
    assert run("failed-events", "--help")[0] == 0

"""`weaudit images` and `reprocess`: what they print, and what they say where there is nothing."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import RunningEngine
from tests.e2e.pictures import drawn
from weaudit.cli import main

pytestmark = pytest.mark.engine


def run(engine: RunningEngine, *arguments: str) -> Any:
    return CliRunner().invoke(main.app, arguments, env={**engine.environment, "NO_COLOR": "1", "COLUMNS": "240"})


@pytest.fixture
def uploaded(engine: RunningEngine, eventually: Callable[..., Any]) -> Callable[[str, bytes], dict[str, Any]]:
    """Return a function that uploads an object and returns its row."""
    outputs = engine.client("cloudformation").describe_stacks(StackName="weaudit-dev")["Stacks"][0]["Outputs"]
    bucket = next(row["OutputValue"] for row in outputs if row["OutputKey"] == "BucketName")

    def upload(key: str, content: bytes) -> dict[str, Any]:
        engine.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
        request = {"TableName": "Images", "Key": {"imageKey": {"S": key}}}
        found: dict[str, Any] = eventually(lambda: engine.client("dynamodb").get_item(**request).get("Item"))
        return found

    return upload


def test_an_image_is_shown_with_its_renditions(engine: RunningEngine, uploaded: Callable[..., Any]) -> None:
    key = f"cli/{uuid.uuid4()} \x1b[31mred.png"
    row = uploaded(key, drawn(["png"])[0])
    shown = run(engine, "images", key)
    assert shown.exit_code == 0
    assert "\x1b" not in shown.stdout
    for text in (
        row["sha256"]["S"],
        row["pipelineVersion"]["S"],
        row["renditions"]["L"][0]["M"]["key"]["S"],
        "96 x 64",
    ):
        assert text in shown.stdout
    document = json.loads(run(engine, "images", key, "--json").stdout)
    assert document["imageKey"] == key
    assert document["width"] == 96
    assert document["renditions"][0]["key"] == row["renditions"]["L"][0]["M"]["key"]["S"]


def test_a_rejected_image_says_why_and_can_be_listed_alone(engine: RunningEngine, uploaded: Callable[..., Any]) -> None:
    key = f"cli/{uuid.uuid4()}.png"
    uploaded(key, b"no image")
    assert "rejected (NotAnImage)" in run(engine, "images", key).stdout
    listed = run(engine, "images", "--rejected", "--limit", "1000")
    assert key in listed.stdout
    documents = json.loads(run(engine, "images", "--rejected", "--json", "--limit", "1000").stdout)
    assert {row["status"] for row in documents} == {"rejected"}
    assert "--limit" in run(engine, "images", "--rejected", "--limit", "1").stderr or len(documents) == 1


def test_an_image_that_is_not_there_is_told(engine: RunningEngine) -> None:
    missing = run(engine, "images", "no/such.png")
    assert missing.exit_code == 1
    assert missing.stdout == ""
    assert "no/such.png" in missing.stderr


def test_only_images_of_other_pipelines_are_processed_again(
    engine: RunningEngine, uploaded: Callable[..., Any]
) -> None:
    key = f"cli/{uuid.uuid4()}.png"
    row = uploaded(key, drawn(["png"])[0])
    # Rows that other tests made up may fail here; an image of the pipeline in force is not even asked for.
    document = json.loads(run(engine, "reprocess", "--dry-run", "--json").stdout)
    assert document["pipelineVersion"] == row["pipelineVersion"]["S"]
    assert key not in document["images"]
    every = json.loads(run(engine, "reprocess", "--all", "--dry-run", "--json").stdout)
    assert key not in every["images"]
    assert every["counts"]["unchanged"] >= 1
    shown = run(engine, "reprocess", "--json")
    assert key not in {failure["key"] for failure in json.loads(shown.stdout)["failed"]}
    assert "" not in shown.stderr.splitlines()


def test_a_dry_run_says_what_the_run_then_does(
    engine: RunningEngine, uploaded: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Images that are done, rejected, gone, of another pipeline or bucket, without a row; and objects that are none."""
    name = f"cli/{uuid.uuid4()}"
    outputs = engine.client("cloudformation").describe_stacks(StackName="weaudit-dev")["Stacks"][0]["Outputs"]
    bucket = next(row["OutputValue"] for row in outputs if row["OutputKey"] == "BucketName")
    s3, events, dynamodb = (engine.client(service) for service in ("s3", "events", "dynamodb"))
    picture, other = drawn(["png", "jpeg"])
    for key in ("done", "gone", "old"):
        uploaded(f"{name}/{key}.png", picture)
    request = {"TableName": "Images", "Key": {"imageKey": {"S": f"{name}/old.png"}}}
    dynamodb.update_item(
        **request,
        UpdateExpression="SET pipelineVersion = :old",
        ExpressionAttributeValues={":old": {"S": "old"}},
    )
    s3.put_object(Bucket=bucket, Key=f"{name}/archived.png", Body=picture, StorageClass="DEEP_ARCHIVE")
    archived = {"TableName": "Images", "Key": {"imageKey": {"S": f"{name}/archived.png"}}}
    elsewhere = {"imageKey": {"S": f"{name}/elsewhere.png"}, "bucket": {"S": "a-bucket-that-is-gone"}}
    dynamodb.put_item(TableName="Images", Item={**dynamodb.get_item(**request)["Item"], **elsewhere})
    eventually(lambda: dynamodb.get_item(**archived).get("Item"))
    [rule] = [found["Name"] for found in events.list_rules()["Rules"] if found["Name"].endswith("-images")]
    events.disable_rule(Name=rule)
    try:
        for key, body in (("unseen.jpg", other), ("text.txt", b"hello"), ("lying.png", b"hello")):
            s3.put_object(Bucket=bucket, Key=f"{name}/{key}", Body=body)
        s3.delete_object(Bucket=bucket, Key=f"{name}/gone.png")
        planned = json.loads(run(engine, "reprocess", "--all", "--dry-run", "--json").stdout)
        ours = [key for key in planned["images"] if key.startswith(name)]
        assert ours == [f"{name}/old.png", f"{name}/unseen.jpg"]
        before = [dynamodb.get_item(**found)["Item"] for found in (request, archived)]
        assert [dynamodb.get_item(**found)["Item"] for found in (request, archived)] == before
        told = run(engine, "reprocess", "--all", "--dry-run")
        assert told.exit_code == 1
        assert f"{name}/elsewhere.png: GetObject: NoSuchBucket (HTTP 404): The specified" in told.stderr
        assert told.stdout.splitlines() == planned["images"]
        for outcome, count in planned["counts"].items():
            assert f"{count:,} " in told.stderr, outcome
        done = json.loads(run(engine, "reprocess", "--all", "--json").stdout)
        assert planned["counts"] == done["counts"]
        assert {failure["key"] for failure in planned["failed"]} == {failure["key"] for failure in done["failed"]}
        gone = json.loads(run(engine, "images", f"{name}/gone.png", "--json").stdout)
        assert (gone["status"], gone["deletion"]["reason"]) == ("deleted", "noticed")
        shown = run(engine, "images", f"{name}/gone.png").stdout
        assert "at the latest" in shown
        assert f"{gone['deletedAt']}" in shown
        rejected = json.loads(run(engine, "images", f"{name}/archived.png", "--json").stdout)
        assert rejected["rejection"]["code"] == "Archived"
    finally:
        events.enable_rule(Name=rule)


def test_images_is_watched_by_the_stack_itself(engine: RunningEngine) -> None:
    rows = {row["table"]: row for row in json.loads(run(engine, "watched", "--json").stdout)}
    assert rows["Images"]["state"] == "Enabled"
    assert rows["Images"]["stack"] == rows["Configuration"]["stack"]
    for command in ("watch", "unwatch"):
        refused = run(engine, command, "Images", "--yes")
        assert refused.exit_code == 2
        assert "own stack" in refused.stderr

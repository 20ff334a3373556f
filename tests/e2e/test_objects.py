"""Objects through the real engine: each is one row, whatever its key, however often its event comes, whatever fails."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import client, eventually, run
from weaudit.installation.outputs import Installation
from weaudit.local import engine, process
from weaudit.objects.arrivals import ObjectEvent, row_id

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("stack")]

KEYS = (
    "plain.txt",
    "with space.txt",
    "a+b.txt",
    "a%2Bb.txt",
    "100%.txt",
    "folder/sub folder/ü-日本-\N{CAMERA}.txt",
    "a&b=c?d#e;f,g:h@i$j.txt",
    "'quoted' \"twice\" <tag> [bold]x[/bold]",
    "e\u0301 is not \u00e9",
    "x" * 1024,
    "é" * 512,
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start one engine for this file; its tests keep apart by their keys."""
    folder = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEAUDIT_STATE_DIR", str(folder))
        engine.up(port=process.free_port(), state_dir=folder)
        yield
        engine.down(state_dir=folder, force=True)


def rows(*beginnings: str) -> list[dict[str, Any]]:
    """Return the rows of objects whose key begins with one of these."""
    table = Installation.find().invocation_log
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return [row for page in pages for row in page["Items"] if row["objectKey"]["S"].startswith(beginnings)]


def bucket() -> str:
    return Installation.find().trigger_bucket


def notification(rows_found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the event that would bring these rows again, with the keys as S3 encodes them."""
    from urllib.parse import quote_plus

    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventTime": row["timestamp"]["S"],
                "eventName": row["eventName"]["S"],
                "s3": {
                    "bucket": {"name": row["bucketName"]["S"]},
                    "object": {
                        "key": quote_plus(row["objectKey"]["S"], safe="/"),
                        "size": int(row["size"]["N"]),
                        "eTag": row["eTag"]["S"],
                        "sequencer": row["sequencer"]["S"],
                    },
                },
            }
            for row in rows_found
        ]
    }


def invoke(event: Any) -> dict[str, Any]:
    alias = Installation.find().outputs["LambdaFunctionAliasArn"]
    answer = client("lambda").invoke(FunctionName=alias, Payload=json.dumps(event))
    assert "FunctionError" not in answer
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return found


def test_each_object_is_one_row_by_the_name_that_it_was_given_though_every_event_comes_twice() -> None:
    s3, name = client("s3"), bucket()
    for key in KEYS:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    s3.copy_object(Bucket=name, Key="copy.txt", CopySource={"Bucket": name, "Key": "a+b.txt"})
    upload = s3.create_multipart_upload(Bucket=name, Key="parts.bin")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="parts.bin", UploadId=upload, PartNumber=1, Body=b"p" * 100)
    s3.complete_multipart_upload(
        Bucket=name, Key="parts.bin", UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )  # fmt: skip
    s3.put_object(Bucket=name, Key="plain.txt", Body=b"again")
    s3.delete_object(Bucket=name, Key="100%.txt")
    expected = sorted([*KEYS, "copy.txt", "parts.bin", "plain.txt"])
    eventually(lambda: len(rows(*expected)) >= len(expected))

    before = rows(*expected)
    assert sorted(row["objectKey"]["S"] for row in before) == expected
    assert {row["eventName"]["S"] for row in before} == {
        "ObjectCreated:Put", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload",
    }  # fmt: skip
    for row in before:
        event = ObjectEvent(
            bucket=name, key=row["objectKey"]["S"], event_name=row["eventName"]["S"], at=row["timestamp"]["S"],
            version="", sequencer=row["sequencer"]["S"], etag="", size_bytes=None,
        )  # fmt: skip
        assert row["requestId"]["S"] == row_id(event)
        assert row["functionName"]["S"] == Installation.find().outputs["LambdaFunctionName"]
        assert row["awsRequestId"]["S"]

    answer = invoke(notification(before))
    assert (answer["statusCode"], json.loads(answer["body"])["logged"]) == (200, len(before))

    # By another invocation: it adds no row and changes none.
    def by_id(row: dict[str, Any]) -> tuple[str, str]:
        return row["requestId"]["S"], row["timestamp"]["S"]

    assert sorted(rows(*expected), key=by_id) == sorted(before, key=by_id)


def test_what_can_never_be_logged_is_kept_shown_and_stops_nothing() -> None:
    client("s3").put_object(Bucket=bucket(), Key="good/a.txt", Body=b"x")
    eventually(lambda: len(rows("good/")) == 1)
    event = notification(rows("good/"))
    event["Records"].insert(0, {"eventSource": "aws:s3"})
    event["Records"][1]["s3"]["object"]["sequencer"] = "FF"
    answer = invoke(event)
    assert answer["statusCode"] == 500
    assert [found["record"] for found in json.loads(answer["body"])["failed"]] == [0]
    assert len(rows("good/")) == 2
    assert invoke({"Service": "Amazon S3", "Event": "s3:TestEvent"})["statusCode"] == 200
    code, text = run("quarantine", "--json")
    [entry] = json.loads(text)
    assert (code, entry["code"]) == (1, "MalformedEvent")
    assert entry["id"].startswith("raw/quarantine/s3_processor/")
    code, text = run("quarantine", "replay", "--json")
    assert (code, json.loads(text)["failed"]) == (1, [entry["id"]])


def test_an_outage_of_the_table_hands_the_event_over_whole_and_it_can_be_brought_again() -> None:
    installation = Installation.find()
    dynamodb, table = client("dynamodb"), installation.invocation_log
    description = dynamodb.describe_table(TableName=table)["Table"]
    dynamodb.delete_table(TableName=table)
    client("s3").put_object(Bucket=bucket(), Key="in an outage.txt", Body=b"x")
    queue, found = installation.outputs["FailedEventsQueueUrl"], list[Any]()

    def received() -> bool:
        found.extend(client("sqs").receive_message(QueueUrl=queue).get("Messages", []))
        return bool(found)

    eventually(received)
    kept = json.loads(found[0]["Body"])
    assert kept["requestContext"]["condition"] == "RetriesExhausted"
    assert "ResourceNotFoundException" in kept["responsePayload"]["errorMessage"]
    dynamodb.create_table(
        TableName=table,
        KeySchema=description["KeySchema"],
        AttributeDefinitions=description["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
    )
    assert invoke(kept["requestPayload"])["statusCode"] == 200
    assert [row["objectKey"]["S"] for row in rows("in an outage")] == ["in an outage.txt"]


def test_put_uploads_files_and_folders_and_objects_shows_when_each_was_logged(tmp_path: Path) -> None:
    code, text = run("objects", "in/", "--json")
    assert (code, json.loads(text)) == (0, [])
    folder = tmp_path / "some files"
    (folder / "deep").mkdir(parents=True)
    (folder / "a+b.txt").write_text("one")
    (folder / "deep" / "photo.WEBP").write_bytes(b"two")
    (tmp_path / "large.bin").write_bytes(b"\0" * (20 * 1024 * 1024))
    paths = [str(folder), str(tmp_path / "large.bin"), str(tmp_path / "not there")]
    code, text = run("put", *paths, "--prefix", "in/", "--json")
    document = json.loads(text)
    keys = ["in/large.bin", "in/some files/a+b.txt", "in/some files/deep/photo.WEBP"]
    assert code == 1
    assert [one["key"] for one in document["uploaded"]] == keys
    assert [one["file"] for one in document["failed"]] == [str(tmp_path / "not there")]
    head = client("s3").head_object(Bucket=bucket(), Key=keys[2])
    assert (head["ContentType"], head["ContentLength"]) == ("image/webp", 3)

    def listed(*words: str) -> list[dict[str, Any]]:
        return list(json.loads(run("objects", *words, "--json")[1]))

    eventually(lambda: all(one["loggedAt"] for one in listed("in/")))
    assert [(one["key"], one["bytes"]) for one in listed("in/")] == list(
        zip(keys, (20 * 1024 * 1024, 3, 3), strict=True)
    )  # fmt: skip
    assert listed("in/")[0]["eventName"] == "ObjectCreated:CompleteMultipartUpload"
    assert [one["key"] for one in listed("in/some")] == keys[1:]
    assert [one["key"] for one in listed("in/", "--limit", "1")] == keys[:1]
    assert listed("nothing/") == []

    # One that nobody was told of: put while the bucket notified no one.
    s3 = client("s3")
    notified = s3.get_bucket_notification_configuration(Bucket=bucket())
    s3.put_bucket_notification_configuration(Bucket=bucket(), NotificationConfiguration={})
    s3.put_object(Bucket=bucket(), Key=keys[1], Body=b"silently")
    notified.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=bucket(), NotificationConfiguration=notified)
    code, text = run("objects", "in/some", "--utc")
    assert code == 0
    [silent, other] = [line for line in text.splitlines() if "in/some" in line]
    assert silent.endswith(" no")
    assert not other.endswith(" no")
    assert time.strftime("%Y-", time.gmtime()) in other

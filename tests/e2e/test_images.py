"""Images through the real engine: every event twice, rows once, and each rendition led back to its pipeline."""

import functools
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.api_events import second
from tests.e2e.commands import client, eventually, run
from tests.e2e.pictures import drawn, mixed
from tests.image_fakes import created, deleted
from tests.sizes import sized
from weaudit.images.pipeline import version_of
from weaudit.installation.outputs import Installation
from weaudit.items.plain import typed
from weaudit.local import engine, process

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("stack")]
OBJECTS = sized(90)
PIPELINE = {
    "renditions": [
        {"name": "small", "width": 48, "format": "webp"},
        {
            "name": "grey",
            "width": 40,
            "height": 32,
            "fit": "cover",
            "format": "jpeg",
            "filters": [{"name": "greyscale"}],
        },
    ]
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start one engine for this file; its tests keep apart by their keys."""
    folder = tmp_path_factory.mktemp("images")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEAUDIT_STATE_DIR", str(folder))
        engine.up(port=process.free_port(), state_dir=folder)
        sqs.cache_clear()  # a worker that comes back to this file has another engine
        # At once, and not after what the parameter says.
        configure("CACHE_TTL_SEC", {"value": 0})
        yield
        engine.down(state_dir=folder, force=True)


def configure(key: str, attributes: dict[str, Any]) -> None:
    item = {"key": {"S": key}, **{name: typed(value, name) for name, value in attributes.items()}}
    client("dynamodb").put_item(TableName="Configuration", Item=item)


def rows(beginning: str = "") -> dict[str, dict[str, Any]]:
    pages = client("dynamodb").get_paginator("scan").paginate(TableName="Images")
    found = {row["imageKey"]["S"]: row for page in pages for row in page["Items"]}
    return {key: row for key, row in found.items() if key.startswith(beginning)}


def put(key: str, content: bytes, content_type: str = "binary/octet-stream") -> None:
    bucket = Installation.find().outputs["BucketName"]
    client("s3").put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)


def answered(event: dict[str, Any]) -> dict[str, Any]:
    answer = client("lambda").invoke(FunctionName="image_processor:live", Payload=json.dumps(event))
    assert "FunctionError" not in answer, answer["Payload"].read()
    [image] = json.loads(answer["Payload"].read())["images"]
    return dict(image)


def deliver_twice() -> None:
    """Add a second rule, and a second notification: every event is delivered by both."""
    events, s3, names = client("events"), client("s3"), Installation.find().outputs
    [rule] = [found for found in events.list_rules()["Rules"] if found["Name"].endswith("-images")]
    [target] = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    events.put_rule(Name="again", EventPattern=rule["EventPattern"])
    events.put_targets(Rule="again", Targets=[{"Id": "again", "Arn": target["Arn"]}])
    found = s3.get_bucket_notification_configuration(Bucket=names["BucketName"])
    [first] = found["LambdaFunctionConfigurations"]
    s3.put_bucket_notification_configuration(
        Bucket=names["BucketName"],
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [first, {**first, "Id": "again"}],
            "EventBridgeConfiguration": {},
        },
    )


@functools.cache
def sqs() -> Any:
    return client("sqs")


def waiting() -> int:
    queue = sqs().get_queue_url(QueueName="weaudit-images-dev")["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs().get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


def test_objects_of_mixed_kinds_have_their_rows_once_though_every_event_comes_twice() -> None:
    configure("IMAGE_PIPELINE", PIPELINE)
    deliver_twice()
    # What a busy machine did not get done in time comes again while the test waits for it.
    queue = sqs().get_queue_url(QueueName="weaudit-images-dev")["QueueUrl"]
    sqs().set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "30"})
    objects = mixed(OBJECTS)
    s3, bucket = client("s3"), Installation.find().outputs["BucketName"]
    log = Installation.find().invocation_log
    uploaded: list[str] = []

    def on_their_way() -> int:
        return len(uploaded) - int(client("dynamodb").scan(TableName=log, Select="COUNT")["Count"])

    def upload(one: tuple[str, tuple[bytes, str, str | None]]) -> None:
        key, (content, content_type, _outcome) = one
        s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)
        uploaded.append(key)
        # The engine starts a process for each event that finds none at rest: let few be on their way.
        eventually(lambda: on_their_way() <= 8, seconds=120)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, objects.items()))
    expected = {key: outcome for key, (_content, _type, outcome) in objects.items() if outcome}
    eventually(lambda: waiting() == 0 and len(rows()) >= len(expected), seconds=120)

    found = rows()
    assert {
        key: row["rejection"]["M"]["code"]["S"] if "rejection" in row else row["status"]["S"]
        for key, row in found.items()
    } == expected
    for key, row in found.items():
        if expected[key] != "processed":
            continue
        content = objects[key][0]
        assert row["sha256"]["S"] == hashlib.sha256(content).hexdigest()
        assert row["bytes"] == {"N": str(len(content))}
        assert [made["M"]["name"]["S"] for made in row["renditions"]["L"]] == ["small", "grey"]
        assert [made["M"]["height"]["N"] for made in row["renditions"]["L"]][1] == "32"
    # Each rendition that a row names is there, with that hash; one of each kind is enough to read.
    renditions = Installation.find().outputs["RenditionsBucketName"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=renditions)
    kept = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
    named = {
        made["M"]["key"]["S"]: made["M"]["sha256"]["S"] for row in found.values() for made in row["renditions"]["L"]
    }
    assert {key for key in kept if not key.startswith("pipelines/")} == set(named)
    for key in sorted(named)[:20]:
        body = s3.get_object(Bucket=renditions, Key=key)["Body"].read()
        assert hashlib.sha256(body).hexdigest() == named[key]

    # The other log: a row an object, though each of its events came twice as well.
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=log)
    logged = Counter(row["objectKey"]["S"] for page in pages for row in page["Items"])
    assert logged == Counter(objects.keys())

    # The rows are audited as every watched table's items are: each was written once.
    eventually(
        lambda: json.loads(run("verify", "--table", "Images", "--json")[1])["tables"][0]["changes"] == len(found)
    )
    code, text = run("verify", "--table", "Images", "--json")
    assert code == 0, text
    code, text = run("images", "--json", "--limit", "1000")
    assert code == 0
    assert {row["imageKey"] for row in json.loads(text)} == set(found)


def test_a_picture_that_is_packed_and_says_so_is_shown_and_one_that_does_not_is_told() -> None:
    bucket, packed = Installation.find().outputs["BucketName"], gzip.compress(drawn(["jpeg"])[0])
    for key, encoding in (("packed/said.jpg", "gzip"), ("packed/unsaid.jpg", "")):
        client("s3").put_object(Bucket=bucket, Key=key, Body=packed, ContentEncoding=encoding)
    eventually(lambda: len(rows("packed/")) == 2)
    said, unsaid = rows("packed/")["packed/said.jpg"], rows("packed/")["packed/unsaid.jpg"]
    assert (said["status"]["S"], said["format"]["S"], said["bytes"]["N"]) == ("processed", "jpeg", str(len(packed)))
    assert (said["sha256"]["S"], said["eTag"]) == (hashlib.sha256(packed).hexdigest(), unsaid["eTag"])
    assert "does not say so" in unsaid["rejection"]["M"]["reason"]["S"]


def test_a_change_of_the_pipeline_is_in_the_trail_and_names_what_it_made() -> None:
    [picture] = drawn(["jpeg"])
    configure("IMAGE_PIPELINE", PIPELINE)
    put("traced/first.jpg", picture)
    eventually(lambda: bool(rows("traced/first")))
    configure("IMAGE_PIPELINE", {"renditions": [{"name": "tiny", "width": 16, "format": "png"}]})
    put("traced/second.jpg", picture)
    eventually(lambda: bool(rows("traced/second")))

    def versions() -> list[str]:
        changes = json.loads(run("history", "IMAGE_PIPELINE", "--json")[1])
        asked = [("as-of", "IMAGE_PIPELINE", "--sequence", change["sequenceNumber"], "--json") for change in changes]
        return [version_of(typed(json.loads(run(*words)[1])["item"], "item")["M"]) for words in asked]

    made = {key: row["pipelineVersion"]["S"] for key, row in rows("traced/").items()}
    eventually(lambda: set(made.values()) <= set(versions()))
    assert made["traced/second.jpg"] == versions()[-1]
    assert made["traced/first.jpg"] in versions()[:-1]

    # A bad one is refused, and the last good one stays in force.
    configure("IMAGE_PIPELINE", {"renditions": [{"name": "tiny", "width": "wide"}]})
    put("traced/third.jpg", picture)
    eventually(lambda: bool(rows("traced/third")))
    [third] = rows("traced/third").values()
    assert third["pipelineVersion"]["S"] == made["traced/second.jpg"]
    assert "width" in third["warnings"]["L"][0]["S"]
    code, _text = run("reprocess")
    assert code == 2

    # The images of old pipelines are made again, once.
    configure("IMAGE_PIPELINE", PIPELINE)
    code, text = run("reprocess", "--dry-run", "--json")
    planned = json.loads(text)
    assert code == 0
    assert {"traced/second.jpg", "traced/third.jpg"} <= set(planned["images"])
    assert "traced/first.jpg" not in planned["images"]
    code, text = run("reprocess", "--json")
    assert code == 0, text
    # Other tests have left images here; some of them are rejected.
    assert sum(json.loads(text)["counts"].values()) == sum(planned["counts"].values())
    assert {row["pipelineVersion"]["S"] for row in rows("traced/").values()} == {planned["pipelineVersion"]}
    assert json.loads(run("reprocess", "--json")[1])["counts"] == {}


def test_late_and_repeated_events_leave_the_row_of_the_object_that_is_there() -> None:
    first, later = drawn(["png", "webp"])
    bucket = Installation.find().outputs["BucketName"]

    def event(content: bytes, sequencer: str) -> dict[str, Any]:
        found = created("late.png", content, sequencer)
        found["detail"]["bucket"]["name"] = bucket
        return found

    put("late.png", first)
    eventually(lambda: bool(rows("late.png")))
    put("late.png", later)
    eventually(lambda: rows("late.png")["late.png"]["format"] == {"S": "webp"})
    before = rows("late.png")
    old, now = event(first, "FF"), event(later, before["late.png"]["sequencer"]["S"])
    assert answered(old)["outcome"] == "superseded"
    assert answered(now)["outcome"] == "unchanged"
    assert answered(event(later, "00"))["outcome"] == "unchanged"
    assert rows("late.png") == before


def test_an_outage_brings_the_event_again_and_at_last_to_the_queue_of_failed_events() -> None:
    [picture] = drawn(["png"])
    functions, queues = client("lambda"), client("sqs")
    queue = queues.get_queue_url(QueueName="weaudit-images-dev")["QueueUrl"]
    found = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy", "VisibilityTimeout"])[
        "Attributes"
    ]
    redrive = json.loads(found["RedrivePolicy"])
    hurried = {"VisibilityTimeout": "1", "RedrivePolicy": json.dumps({**redrive, "maxReceiveCount": 2})}
    before = functions.get_alias(FunctionName="image_processor", Name="live")["FunctionVersion"]
    variables = functions.get_function_configuration(FunctionName="image_processor")["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName="image_processor", Environment={"Variables": {**variables, "IMAGES_TABLE": "NoSuchTable"}}
    )
    broken = functions.publish_version(FunctionName="image_processor")["Version"]
    functions.update_alias(FunctionName="image_processor", Name="live", FunctionVersion=broken)
    queues.set_queue_attributes(QueueUrl=queue, Attributes=hurried)
    try:
        put("outage/lost.png", picture)
        failed = Installation.find().outputs["FailedEventsQueueUrl"]
        messages: list[Any] = []

        def arrived() -> bool:
            messages.extend(queues.receive_message(QueueUrl=failed, MaxNumberOfMessages=10).get("Messages", []))
            return any("outage/lost.png" in message["Body"] for message in messages)

        eventually(arrived, seconds=60)
    finally:
        queues.set_queue_attributes(QueueUrl=queue, Attributes=found)
        functions.update_function_configuration(FunctionName="image_processor", Environment={"Variables": variables})
        functions.update_alias(FunctionName="image_processor", Name="live", FunctionVersion=before)
    assert not rows("outage/")
    # The outage is over: every object that has no row is looked at.
    code, text = run("reprocess", "--all", "--json")
    assert code == 0, text
    assert rows("outage/lost.png")["outage/lost.png"]["status"] == {"S": "processed"}
    # What S3 has to say of it later still wins.
    put("outage/lost.png", picture)
    eventually(lambda: rows("outage/")["outage/lost.png"]["sequencer"]["S"] != "0" * 40)


def renditions(key: str) -> set[str]:
    """Return the keys of all renditions of an image that are there."""
    prefix = f"images/{hashlib.sha256(key.encode()).hexdigest()}/"
    found = client("s3").list_objects_v2(Bucket=Installation.find().outputs["RenditionsBucketName"], Prefix=prefix)
    return {one["Key"] for one in found.get("Contents", [])}


def named(key: str) -> set[str]:
    return {part["M"]["key"]["S"] for part in rows(key)[key]["renditions"]["L"]}


def status(key: str) -> str:
    return str(rows(key).get(key, {}).get("status", {}).get("S", ""))


def test_a_deleted_original_takes_its_renditions_and_links_along_and_its_row_says_when() -> None:
    key, (picture,) = "gone/a b+é.png", drawn(["png"])
    bucket = Installation.find().outputs["BucketName"]
    put(key, picture)
    put("gone/twin.png", picture)
    eventually(lambda: status(key) == status("gone/twin.png") == "processed")
    asked = second("GET /v1/images", key=key)

    def told() -> Any:
        answer = client("lambda").invoke(FunctionName="weaudit-api-images:live", Payload=json.dumps(asked))
        return json.loads(json.loads(answer["Payload"].read())["body"])

    links = [part["url"] for part in told()["renditions"]]
    assert {requests.get(link, timeout=10).status_code for link in links} == {200}
    before = rows(key)[key]
    client("s3").delete_object(Bucket=bucket, Key=key)
    eventually(lambda: status(key) == "deleted")
    eventually(lambda: not renditions(key))
    assert {requests.get(link, timeout=10).status_code for link in links} == {404}
    # One with the same content keeps its own.
    assert renditions("gone/twin.png") == named("gone/twin.png") != set()
    row = rows(key)[key]
    assert row["deletion"]["M"]["reason"] == {"S": "DeleteObject"}
    assert row["deletion"]["M"]["landed"] == before["sequencer"]
    assert row["deletedAt"]["S"] > before["eventTime"]["S"]
    for kept in ("sha256", "eTag", "width", "eventTime", "pipelineVersion"):
        assert row[kept] == before[kept]
    document = told()
    assert (document["status"], document["renditions"], document["deletedAt"]) == ("deleted", [], row["deletedAt"]["S"])
    assert "linksExpireAt" not in document
    code, text = run("images", key)
    assert code == 0
    assert f"{row['deletedAt']['S']}: DeleteObject" in text
    # Late and repeated events change nothing.
    late = created(key, picture, before["sequencer"]["S"])
    again = deleted(key, row["sequencer"]["S"])
    again["time"] = row["deletedAt"]["S"]
    for event in (late, again, late):
        event["detail"]["bucket"]["name"] = bucket
        assert answered(event)["outcome"] == "unchanged"
    assert rows(key)[key] == row
    # The trail has both states, and whoever uploads it again gets it again.
    eventually(lambda: len(json.loads(run("history", key, "--table", "Images", "--json")[1])) == 2)
    put(key, picture)
    eventually(lambda: status(key) == "processed")
    assert "deletedAt" not in rows(key)[key]
    assert renditions(key) == named(key) != set()


def test_uploads_and_deletions_in_quick_succession_leave_what_is_true_at_the_end() -> None:
    bucket, s3 = Installation.find().outputs["BucketName"], client("s3")
    pictures = drawn(["png", "webp", "jpeg"])
    for number in range(12):
        for picture in pictures:
            s3.put_object(Bucket=bucket, Key=f"quick/{number}.png", Body=picture)
            s3.delete_object(Bucket=bucket, Key=f"quick/{number}.png")
        if number % 2:
            s3.put_object(Bucket=bucket, Key=f"quick/{number}.png", Body=pictures[0])
    eventually(lambda: waiting() == 0, seconds=120)
    for number in range(12):
        key = f"quick/{number}.png"
        if number % 2:
            assert status(key) == "processed"
            assert rows(key)[key]["eTag"]["S"] == hashlib.md5(pictures[0], usedforsecurity=False).hexdigest()
            assert renditions(key) == named(key) != set()
        else:
            assert status(key) in ("deleted", "")
            assert not renditions(key)


def test_what_s3_never_gives_has_its_row_at_once_and_fails_nothing() -> None:
    (picture,) = drawn(["png"])
    bucket, s3 = Installation.find().outputs["BucketName"], client("s3")
    for name in ("GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"):
        s3.put_object(Bucket=bucket, Key=f"cold/{name}.png", Body=picture, StorageClass=name)
    s3.put_object(Bucket=bucket, Key="cold/backup.tar", Body=picture, StorageClass="DEEP_ARCHIVE")
    theirs = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_object(Bucket=bucket, Key="cold/sse-c.png", Body=picture, **theirs)
    eventually(lambda: waiting() == 0 and len(rows("cold/")) == 4)
    codes = {
        key.removeprefix("cold/"): row["rejection"]["M"]["code"]["S"] if "rejection" in row else row["status"]["S"]
        for key, row in rows("cold/").items()
    }
    assert codes == {
        "GLACIER.png": "Archived",
        "DEEP_ARCHIVE.png": "Archived",
        "GLACIER_IR.png": "processed",
        "sse-c.png": "Unreadable",
    }
    assert "DEEP_ARCHIVE: restore it" in run("images", "cold/DEEP_ARCHIVE.png")[1]
    failed = Installation.find().outputs["FailedEventsQueueUrl"]
    messages = sqs().receive_message(QueueUrl=failed, MaxNumberOfMessages=10).get("Messages", [])
    assert not [message for message in messages if "cold/" in message["Body"]]
    s3.restore_object(Bucket=bucket, Key="cold/GLACIER.png", RestoreRequest={"Days": 1})

    def restored() -> bool:
        found = s3.head_object(Bucket=bucket, Key="cold/GLACIER.png").get("Restore", "")
        return 'ongoing-request="false"' in found

    eventually(restored)
    assert run("reprocess")[0] == 0
    assert (status("cold/GLACIER.png"), status("cold/DEEP_ARCHIVE.png")) == ("processed", "rejected")


def test_what_the_queue_brings_that_is_no_event_is_quarantined_and_can_be_tried_again() -> None:
    queue = client("sqs").get_queue_url(QueueName="weaudit-images-dev")["QueueUrl"]
    client("sqs").send_message(QueueUrl=queue, MessageBody='{"detail": "none"}')
    evidence = Installation.find().evidence_bucket

    def kept() -> list[Any]:
        found = client("s3").list_objects_v2(Bucket=evidence, Prefix="raw/quarantine/image_processor/")
        return list(found.get("Contents", []))

    eventually(lambda: bool(kept()))
    [entry] = kept()
    code, text = run("quarantine", "replay", entry["Key"], "--json")
    assert (code, json.loads(text)) == (1, {"replayed": 0, "failed": [entry["Key"]]})


def test_each_hostile_file_has_its_recorded_outcome_and_the_function_goes_on() -> None:
    from tests.images import hostile

    # All of them go through images.pixels in tests/images; here it is the function that has to hold.
    files = list(hostile.files())[::3]
    allowed = {f"hostile/{number} {name}.png": outcomes for number, (name, _, outcomes) in enumerate(files)}
    for key, (_name, content, _outcomes) in zip(allowed, files, strict=True):
        put(key, content, "image/png")
    eventually(lambda: waiting() == 0 and len(rows("hostile/")) == len(allowed), seconds=120)
    found = {
        key: row["rejection"]["M"]["code"]["S"] if "rejection" in row else row["status"]["S"]
        for key, row in rows("hostile/").items()
    }
    assert {key: code for key, code in found.items() if code not in allowed[key]} == {}
    failed = Installation.find().outputs["FailedEventsQueueUrl"]
    messages = sqs().receive_message(QueueUrl=failed, MaxNumberOfMessages=10).get("Messages", [])
    assert not [message for message in messages if "hostile/" in message["Body"]]


def test_versions_markers_and_what_they_uncover() -> None:
    """The last test of this file: from here on the bucket has versions."""
    bucket, s3, key = Installation.find().outputs["BucketName"], client("s3"), "versions/x.png"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    png, jpeg = drawn(["png", "jpeg"])

    def version(content: bytes) -> str:
        return str(s3.put_object(Bucket=bucket, Key=key, Body=content)["VersionId"])

    def shown() -> tuple[str, str]:
        row = rows(key).get(key, {})
        return str(row.get("status", {}).get("S", "")), str(row.get("versionId", {}).get("S", ""))

    first = version(png)
    eventually(lambda: shown() == ("processed", first))
    current = version(jpeg)
    eventually(lambda: shown() == ("processed", current))
    eventually(lambda: renditions(key) == named(key) != set())
    # An older version that is deleted changes nothing.
    middle = version(png)
    eventually(lambda: shown() == ("processed", middle))
    row = rows(key)[key]
    s3.delete_object(Bucket=bucket, Key=key, VersionId=current)
    eventually(lambda: waiting() == 0)
    assert rows(key)[key] == row
    # A delete marker hides the image, and its removal brings it back.
    marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
    eventually(lambda: shown()[0] == "deleted")
    assert rows(key)[key]["deletion"]["M"]["type"] == {"S": "Delete Marker Created"}
    eventually(lambda: not renditions(key))
    s3.delete_object(Bucket=bucket, Key=key, VersionId=marker)
    eventually(lambda: shown() == ("processed", middle))
    # The current version goes, and the one under it comes to light; then that one goes as well.
    s3.delete_object(Bucket=bucket, Key=key, VersionId=middle)
    eventually(lambda: shown() == ("processed", first))
    eventually(lambda: renditions(key) == named(key) != set())
    s3.delete_object(Bucket=bucket, Key=key, VersionId=first)
    eventually(lambda: shown()[0] == "deleted")
    assert rows(key)[key]["deletion"]["M"]["type"] == {"S": "Permanently Deleted"}
    eventually(lambda: waiting() == 0 and not renditions(key))
    code, text = run("verify", "--table", "Images", "--json")
    assert code == 0, text

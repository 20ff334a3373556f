"""Events that come twice, late, in any order, or are no events."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus

from tests.e2e.commands import client, eventually
from tests.faults.reports import Line
from tests.faults.work import Round, compared, differences, is_whole, scanned
from tests.faults.world import World, try_again
from tests.image_fakes import created
from weaudit.evidence import QUARANTINE
from weaudit.installation.outputs import Installation


def twice(world: World, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Deliver every change, every object and every image by two ways each."""
    began = time.monotonic()
    one = Round("twice", pictures, count=count)
    rounds.append(one)
    with _second_ways():
        one.work()
        found = one.settled(helping=try_again)
        # What comes the second time, and would double something, comes soon after the first.
        eventually(lambda: _waiting() == 0, 60)
        time.sleep(1.5)
        found = one.count()
    injected = one.expected()["Audit"].total() + 2 * one.uploads.total()
    return Line("every event twice", injected, found, is_whole(), time.monotonic() - began, tuple(one.problems))


@contextlib.contextmanager
def _second_ways() -> Iterator[None]:
    functions, s3, events = client("lambda"), client("s3"), client("events")
    bucket = Installation.find().trigger_bucket
    stream = client("dynamodb").describe_table(TableName="Configuration")["Table"]["LatestStreamArn"]
    alias = functions.get_alias(FunctionName="audit_producer", Name="learn")["AliasArn"]
    mapping = functions.create_event_source_mapping(
        FunctionName=alias, EventSourceArn=stream, StartingPosition="TRIM_HORIZON", BatchSize=7
    )
    [rule] = [found for found in events.list_rules()["Rules"] if found["Name"].endswith("-images")]
    [target] = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    events.put_rule(Name="again", EventPattern=rule["EventPattern"])
    events.put_targets(Rule="again", Targets=[{"Id": "again", "Arn": target["Arn"]}])
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    [first] = found["LambdaFunctionConfigurations"]
    both = {"LambdaFunctionConfigurations": [first, {**first, "Id": "again"}], "EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=both)
    try:
        yield
    finally:
        once = {"LambdaFunctionConfigurations": [first], "EventBridgeConfiguration": {}}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=once)
        events.remove_targets(Rule="again", Ids=["again"])
        events.delete_rule(Name="again")
        functions.delete_event_source_mapping(UUID=mapping["UUID"])


def _waiting() -> int:
    queues = client("sqs")
    url = queues.get_queue_url(QueueName="weaudit-images-dev")["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(map(int, queues.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def reordered(world: World, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Deliver all that one round made again, shuffled and some of it twice; nothing that is kept may change."""
    began = time.monotonic()
    one = Round("reordered", pictures, count=count)
    rounds.append(one)
    one.work()
    one.settled(helping=try_again)
    before = _kept()
    events = _again(one)
    world.chance("late and out of order").shuffle(events)
    for function, event in events:
        answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        if "FunctionError" in answer:
            one.problems.append(f"{function} raised {answer['Payload'].read()[:200]!r}")
    after = _kept()
    one.problems += differences(before, after)
    found = one.count() + compared(before, after)
    return Line("late and out of order", len(events), found, is_whole(), time.monotonic() - began, tuple(one.problems))


def _kept() -> dict[str, Counter[Any]]:
    """Return all that the round left, to the byte, by store."""
    keys = {"Audit": "itemKey", Installation.find().invocation_log: "objectKey", "Images": "imageKey"}
    return {
        table: Counter(json.dumps(item, sort_keys=True, default=str) for item in scanned(table, key, "reordered"))
        for table, key in keys.items()
    }


def _again(one: Round) -> list[tuple[str, Any]]:
    changes = [record for record in stream() if record["dynamodb"]["Keys"]["key"]["S"].startswith(f"{one.name}-")]
    found: list[tuple[str, Any]] = [("audit_producer:learn", {"Records": [change]}) for change in changes]
    backwards = list(reversed(changes))
    found += [("audit_producer:learn", {"Records": backwards[at : at + 9] * 2}) for at in range(0, len(changes), 9)]
    processor = f"{Installation.find().outputs['LambdaFunctionName']}:live"
    rows = scanned(Installation.find().invocation_log, "objectKey", one.name)
    found += [(processor, {"Records": [notification(row)] * 2}) for row in rows]
    for row in scanned("Images", "imageKey", one.name):
        event = created(row["imageKey"]["S"], b"", row["sequencer"]["S"], etag=row["eTag"]["S"])
        event["detail"]["object"]["size"] = int(row["bytes"]["N"])
        event["detail"]["bucket"]["name"] = row["bucket"]["S"]
        older = json.loads(json.dumps(event))
        older["detail"]["object"]["sequencer"] = "00"
        found += [("image_processor:live", event), ("image_processor:live", older)]
    return found


def notification(row: Any) -> dict[str, Any]:
    """Return the record that S3 sent for a row of the invocation log."""
    found = {"size": int(row["size"]["N"]), "eTag": row["eTag"]["S"], "sequencer": row["sequencer"]["S"]}
    return {
        "eventSource": "aws:s3",
        "eventTime": row["timestamp"]["S"],
        "eventName": row["eventName"]["S"],
        "s3": {
            "bucket": {"name": row["bucketName"]["S"]},
            "object": {"key": quote_plus(row["objectKey"]["S"], safe="/"), **found},
        },
    }


def stream() -> Iterator[Any]:
    """Yield every record of Configuration's stream as Lambda is given it."""
    streams = client("dynamodbstreams")
    arn = client("dynamodb").describe_table(TableName="Configuration")["Table"]["LatestStreamArn"]
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        at = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = streams.get_shard_iterator(**at)["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator, Limit=1000)
            if not page["Records"]:
                break
            for record in page["Records"]:
                at_s = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
                record["dynamodb"]["ApproximateCreationDateTime"] = at_s
                yield {**record, "eventSourceARN": arn}
            iterator = page.get("NextShardIterator")


_POISON: tuple[Any, ...] = (None, 7, "text", [], {}, {"dynamodb": []}, {"eventSource": "aws:s3", "s3": {}})


def poison(world: World, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Mix what is no event among those that are: each is kept in quarantine, and those around it are handled."""
    began = time.monotonic()
    one = Round("poison", pictures, count=count)
    rounds.append(one)
    one.work()
    one.settled(helping=try_again)
    before = _quarantined()
    functions, processor = client("lambda"), f"{Installation.find().outputs['LambdaFunctionName']}:live"
    changes = [record for record in stream() if record["dynamodb"]["Keys"]["key"]["S"].startswith("poison-")]
    rows = scanned(Installation.find().invocation_log, "objectKey", one.name)
    # The good ones around the poison are new to the trail: their records are taken away first.
    missing = [record for record in scanned("Audit", "itemKey", one.name) if record["tableName"]["S"] != "Images"]
    for kept in missing:
        client("dynamodb").delete_item(TableName="Audit", Key={"id": kept["id"]})
    for place, bad in enumerate(_POISON):
        share = changes[place :: len(_POISON)]
        functions.invoke(FunctionName="audit_producer:learn", Payload=json.dumps({"Records": [bad, *share, bad]}))
        records = [bad, *map(notification, rows[place :: len(_POISON)])]
        functions.invoke(FunctionName=processor, Payload=json.dumps({"Records": records}))
    queue = client("sqs").get_queue_url(QueueName="weaudit-images-dev")["QueueUrl"]
    for place, bad in enumerate(_POISON):
        body = "no JSON {" if bad is None else json.dumps({"poison": place, "event": bad})
        client("sqs").send_message(QueueUrl=queue, MessageBody=body)
    found = one.settled()
    # A batch's equal twins are one in quarantine.
    wanted = Counter({"audit_producer": len(_POISON), "s3_processor": len(_POISON), "image_processor": len(_POISON)})
    with contextlib.suppress(AssertionError):
        eventually(lambda: _quarantined() - before >= wanted, 30)
    kept_bad = _quarantined() - before
    found += compared({"quarantine": wanted}, {"quarantine": kept_bad})
    injected = wanted.total()
    return Line("poison among good events", injected, found, is_whole(), time.monotonic() - began, tuple(one.problems))


def _quarantined() -> Counter[str]:
    """Return how many records of each function are in quarantine, by the keys of their objects."""
    pages = (
        client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=Installation.find().evidence_bucket, Prefix=QUARANTINE)
    )
    names = [
        found["Key"].removeprefix(QUARANTINE).partition("/")[0] for page in pages for found in page.get("Contents", [])
    ]
    known = ("s3_processor", "image_processor")
    return Counter(name if name in known else "audit_producer" for name in names)


KINDS: dict[str, Callable[..., Line]] = {
    "every event twice": twice,
    "late and out of order": reordered,
    "poison among good events": poison,
}

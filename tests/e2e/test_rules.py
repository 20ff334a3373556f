"""Rules of a table on the running system: what they hide is stored nowhere, and the trail stays provable."""

import base64
import gzip
import hashlib
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.e2e import doors
from tests.e2e.commands import client, eventually, run, verified
from weaudit.capture.configuration import ALWAYS, versions_of, watch_item, watch_key
from weaudit.capture.rules import Rules, place_of, with_places
from weaudit.cli.main import app
from weaudit.evidence import QUARANTINE
from weaudit.installation.outputs import Installation
from weaudit.installation.targets import wire
from weaudit.items.hashes import commitment, masked_hash, state_hash
from weaudit.items.times import iso_time
from weaudit.items.values import spelled
from weaudit.local import engine, process
from weaudit.watch.applying import Watching

pytestmark = pytest.mark.engine
CARDS, OTHERS, FEW = "cards", "cards.others", "cards_of_few"
TABLES = (CARDS, OTHERS, FEW, "Configuration")
# What Lambda and we keep of raw records: the one exception.
RAW = ("raw/", "aws/lambda/")
PLACES = {
    "exclude": ["token", "who.token"],
    "redact": ["card", "who.card"],
    "hash": ["email", "who.email"],
    "ignore": ["at"],
}


def rules(since: str = ALWAYS, /, **places: list[str]) -> Rules:
    return with_places(Rules(since), **{name: [place_of(text) for text in texts] for name, texts in places.items()})


def watch(table: str, *versions: Rules) -> None:
    """Make a table with these versions of its rules, and watch it."""
    dynamodb = client("dynamodb")
    dynamodb.put_item(TableName="Configuration", Item=watch_item(table, versions))
    if table != "Configuration":
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        )
        watching = Watching(Installation.find())
        watching.apply(watching.plan(table), lambda _line: None)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One engine for this file, which commands find by the environment."""
    directory = tmp_path_factory.mktemp("rules")
    engine.up(port=process.free_port(), state_dir=directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEAUDIT_STATE_DIR", str(directory))
        for table in ("Configuration", CARDS, OTHERS):
            watch(table, rules(**PLACES))
        watch(FEW, rules(only=["n"]))
        yield directory
    engine.down(state_dir=directory, force=True)


def records(table: str) -> list[dict[str, Any]]:
    pages = client("dynamodb").get_paginator("scan").paginate(TableName="Audit")
    found = [item for page in pages for item in wire(page["Items"]) if item["tableName"]["S"] == table]
    return sorted(found, key=lambda item: (item["changeOrder"]["S"], item.get("updatedAttribute", {"S": ""})["S"]))


class Planted:
    """Values that rules hide, and each form in which they might be stored."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.answers: list[bytes] = []  # of the API

    def new(self, name: str, size: int = 0) -> str:
        """Return a value that nothing else holds, with what JSON escapes."""
        number = len(self.values)
        self.values[f"{name}{number}"] = value = f'geheim-{name}-{number}-"ü\\{"x" * size}'
        return value

    def found_in(self, everything: bytes, salts: set[bytes]) -> list[str]:
        """Return whose values are there: as a text, as base64, or as a hash that needs no secret."""
        words = set(re.findall(rb"[A-Za-z0-9+/]{22,}", everything))
        found = set()
        for name, value in self.values.items():
            head = value.partition('"')[0].encode()  # as it is in each way to write JSON
            # Base64 of a text that begins anywhere.
            texts = [head, *(base64.b64encode(head[cut:])[1:-4] for cut in range(3))]
            if any(text in everything for text in texts) or not words.isdisjoint(_hashes(value, salts)):
                found.add(name)
        return sorted(found)


def _hashes(value: str, salts: set[bytes]) -> Iterator[bytes]:
    digests = [
        hashlib.new(algorithm, text).digest()
        for text in (value.encode(), json.dumps(value).encode(), spelled({"S": value}).encode())
        for algorithm in ("sha256", "sha1", "md5")
    ]
    for salt, at in itertools.product(salts, PLACE_NAMES):
        digests.append(bytes.fromhex(commitment(salt, at, spelled({"S": value}).encode())))
        digests.append(state_hash(salt, {at: {"S": value}}))
        digests.append(masked_hash(salt.ljust(32, b"\0"), {at: {"S": value}}))
    for digest in digests:
        yield digest.hex().encode()
        yield base64.b64encode(digest).rstrip(b"=")


PLACE_NAMES = ("token", "card", "email", "who.token", "who.card", "who.email")


def stored(*, raw: bool = False) -> bytes:
    """Return every byte that can be read of all tables but the watched ones, all buckets, logs and queues.

    With ``raw``, only what is kept of raw records.
    """
    s3, dynamodb, logs, sqs = (client(name) for name in ("s3", "dynamodb", "logs", "sqs"))
    found = []
    for bucket in s3.list_buckets()["Buckets"]:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"]):
            for version in page.get("Versions", []):
                if version["Key"].startswith(RAW) == raw:
                    head = {"Bucket": bucket["Name"], "Key": version["Key"], "VersionId": version["VersionId"]}
                    answer = s3.get_object(**head)
                    body = answer["Body"].read()
                    found.append(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
                    found.append(json.dumps([version["Key"], answer["ETag"], answer["Metadata"]]).encode())
    if raw:
        return b"\n".join(found)
    for table in dynamodb.list_tables()["TableNames"]:
        if table not in TABLES:
            pages = dynamodb.get_paginator("scan").paginate(TableName=table)
            found += [json.dumps(wire(page["Items"]), ensure_ascii=False).encode() for page in pages]
    for group in logs.describe_log_groups()["logGroups"]:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
            found += [event["message"].encode() for event in page["events"]]
    for url in sqs.list_queues().get("QueueUrls", []):
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        found += [message["Body"].encode() for message in answer.get("Messages", [])]
    return b"\n".join(found)


def hidden(planted: Planted, size: int = 0) -> dict[str, Any]:
    """Return attributes with a planted value under each rule that hides it, in a map as well."""
    return {
        "token": {"S": planted.new("token", size)},
        "card": {"S": planted.new("card", size)},
        "email": {"S": planted.new("email", size)},
        "who": {
            "M": {
                "token": {"S": planted.new("inner-token")},
                "card": {"M": {"number": {"S": planted.new("inner-card")}}},
                "email": {"S": planted.new("inner-email")},
                "text": {"S": "t" * size},
            }
        },
    }


@pytest.fixture(scope="module")
def planted(state: Path) -> Planted:
    """Plant values with every kind of event and of question, in the tables of this file's engine."""
    planted = Planted()
    dynamodb = client("dynamodb")
    # Every kind of event: small and large values, maps and what is no map, in each of the tables.
    for table in (CARDS, OTHERS, FEW, "Configuration"):
        for size in (0, 3_000, 9_000):
            key = {"key": {"S": f"k{size}"}}
            dynamodb.put_item(TableName=table, Item={**key, "n": {"N": "1"}, **hidden(planted, size)})
            dynamodb.put_item(TableName=table, Item={**key, "n": {"N": "2"}, **hidden(planted, size)})
            odd = {"who": {"L": [{"S": planted.new("list")}]}}  # a path leads into what is no map
            dynamodb.put_item(TableName=table, Item={**key, "n": {"N": "3"}, **hidden(planted), **odd})
            dynamodb.put_item(TableName=table, Item={**key, "n": {"N": "4"}})
            dynamodb.put_item(TableName=table, Item={**key, "n": {"N": "5"}, **hidden(planted, size)})
            dynamodb.delete_item(TableName=table, Key=key)
    # Every door to an update, logged and remembered, that succeeds and that fails.
    dynamodb.put_item(TableName="Configuration", Item={"key": {"S": "door"}, "n": {"N": "1"}})
    for number, (door, ask) in enumerate(doors.DOORS.items()):
        names = {"token", "card", "email"}
        attributes: dict[str, Any] = {name: planted.new(f"{name}-{door}") for name in sorted(names)}
        attributes["who"] = {"card": planted.new(f"inner-{door}"), "seen": number}
        document = {"id": "door", "attributes": attributes, "enable_logging": True, "request_id": f"r-{number}"}
        assert ask(document)[0] == 200
        assert ask(document)[0] == 200  # remembered
        assert ask({**document, "id": "nobody", "request_id": f"s-{number}"})[0] == 404
        failing = {**document, "request_id": f"t-{number}", "condition_expression": "attribute_not_exists(n)"}
        assert ask(failing)[0] == 412
    assert doors.direct({"attributes": {"card": planted.new("no-id")}, "enable_logging": True})[0] == 400
    # A record that can never be audited is kept whole, among the raw records alone.
    broken = {"eventName": "MODIFY", "dynamodb": {"NewImage": {"card": {"S": planted.new("quarantined")}}}}
    payload = json.dumps({"Records": [broken]})
    client("lambda").invoke(FunctionName="audit_producer", Qualifier="learn", Payload=payload)

    eventually(lambda: len(records(CARDS)) >= 30 and len(records("Configuration")) >= 40 and len(records(FEW)) >= 15)
    # What is shown is asked for as well: answers and logs of the API's functions.
    for table in TABLES[:3]:
        for command in (["history", "k3000"], ["as-of", "k3000", "1s"], ["changes"]):
            run(*command, "--table", table, "--json")
    for path in ("history", "changes"):
        event: dict[str, Any] = {
            "version": "2.0", "routeKey": f"GET /v1/tables/{{table}}/{path}", "rawPath": f"/v1/tables/{CARDS}/{path}",
            "rawQueryString": "key=k9000" if path == "history" else "", "pathParameters": {"table": CARDS},
            "queryStringParameters": {"key": "k9000"} if path == "history" else {},
            "requestContext": {"http": {"method": "GET", "path": f"/v1/tables/{CARDS}/{path}"}, "requestId": "r"},
        }  # fmt: skip
        answer = client("lambda").invoke(FunctionName="weaudit-api-trail", Payload=json.dumps(event))
        planted.answers.append(answer["Payload"].read())
    assert b"[REDACTED]" in planted.answers[0]
    return planted


def test_what_rules_hide_is_stored_nowhere_but_in_raw_records(planted: Planted) -> None:
    salts = {base64.b64decode(record["salt"]["B"]) for table in TABLES for record in records(table)}
    everything = stored() + b"\n".join(planted.answers)
    assert everything.count(b"[REDACTED]") > 50
    assert b"hmac-sha256:" in everything
    assert planted.found_in(everything, salts) == []
    assert any("quarantined" in name for name in planted.found_in(stored(raw=True), set()))
    assert len(planted.values) > 250

    reports: list[dict[str, Any]] = verified()["tables"]
    assert not [report for report in reports if report["findings"] or report["notCompared"]]


def test_hashed_values_show_equality_within_a_table_and_none_across_tables(state: Path) -> None:
    dynamodb = client("dynamodb")
    for table, key in itertools.product((CARDS, OTHERS), ("ana", "bo")):
        dynamodb.put_item(TableName=table, Item={"key": {"S": key}, "email": {"S": "same@example.org"}})
    dynamodb.put_item(TableName=CARDS, Item={"key": {"S": "cy"}, "email": {"S": "other@example.org"}})

    def shown(table: str) -> dict[str, str]:
        whole = {record["itemKey"]["S"]: record.get("newValue", {}).get("M", {}) for record in records(table)}
        return {key: whole[key]["email"]["S"] for key in ("ana", "bo", "cy") if "email" in whole.get(key, {})}

    eventually(lambda: len(shown(CARDS)) == 3 and len(shown(OTHERS)) == 2)
    one, other = shown(CARDS), shown(OTHERS)
    assert one["ana"] == one["bo"] != one["cy"]
    assert other["ana"] == other["bo"]
    assert one["ana"] != other["ana"]


def test_rules_change_while_eight_write_and_every_batch_comes_twice(state: Path) -> None:
    table, dynamodb = "ruled", client("dynamodb")
    watch(table, rules())
    now_ms = round(time.time() * 1000)
    versions = [
        rules(),
        rules(iso_time(now_ms + 4_000), redact=["card"]),
        rules(iso_time(now_ms + 6_000), redact=["card", "token"], ignore=["at"]),
        rules(iso_time(now_ms + 8_000), hash=["card"], exclude=["token"], ignore=["at"]),
        rules(iso_time(now_ms + 10_000)),
    ]
    # No change was made yet, so no function has read the rules.
    dynamodb.put_item(TableName="Configuration", Item=watch_item(table, versions))
    ends = time.monotonic() + 12

    def work(writer: int) -> None:
        for number in itertools.count():
            if time.monotonic() > ends:
                return
            item = {
                "key": {"S": f"{writer}-{number % 3}"},
                "n": {"N": str(number // 3)},
                "at": {"N": str(number)},
                "card": {"S": f"card-{writer}-{number // 9}"},
                "token": {"S": f"token-{number // 6}"},
            }
            dynamodb.put_item(TableName=table, Item=item)
            time.sleep(0.1)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last: list[int] = []

    def quiet() -> bool:
        last.append(len(records(table)))
        time.sleep(1)
        return len(last) > 3 and len(set(last[-4:])) == 1

    eventually(quiet, seconds=120)
    before = records(table)
    assert len({record.get("rules", {}).get("B") for record in before}) == 4
    events = delivered(table)
    for start in range(0, len(events), 100):
        payload = json.dumps({"Records": events[start : start + 100]})
        answer = client("lambda").invoke(FunctionName="audit_producer", Qualifier="learn", Payload=payload)
        assert "FunctionError" not in answer
    assert records(table) == before

    code, text = run("verify", "--table", table, "--json")
    document = json.loads(text)
    [report] = document["tables"]
    assert (code, report["findings"]) == (0, [])
    assert report["items"] == 24
    named = {place for found in report["notCompared"] for place in found["places"]}
    assert named <= {"card", "token"}
    assert "card" in named


def delivered(table: str) -> list[dict[str, Any]]:
    """Return the records of a table's stream, as Lambda would deliver them."""
    streams = client("dynamodbstreams")
    arn = client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        at = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = streams.get_shard_iterator(**at)["ShardIterator"]
        while iterator:
            answer = streams.get_records(ShardIterator=iterator, Limit=1000)
            for record in answer["Records"]:
                body = wire(record["dynamodb"])
                body["ApproximateCreationDateTime"] = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
                found.append({**record, "dynamodb": body, "eventSourceARN": arn})
            if not answer["Records"]:
                break
            iterator = answer.get("NextShardIterator")
    return found


def test_the_rules_of_rules_hide_nothing_of_the_rules(state: Path) -> None:
    found = [record for record in records("Configuration") if record["itemKey"]["S"].startswith("WATCH/")]
    assert found
    assert all("rules" not in record for record in found)
    [made] = [
        record for record in found if record["itemKey"]["S"] == f"WATCH/{CARDS}" and "updatedAttribute" not in record
    ]
    item = client("dynamodb").get_item(TableName="Configuration", Key=watch_key(CARDS))["Item"]
    assert made["newValue"]["M"]["versions"] == wire(item)["versions"]
    assert versions_of(made["newValue"]["M"]) == (rules(**PLACES),)
    assert QUARANTINE.startswith(RAW[0])


def test_a_past_state_and_a_difference_say_what_rules_leave_out(state: Path) -> None:
    client("dynamodb").put_item(TableName=CARDS, Item={"key": {"S": "dan"}, "n": {"N": "1"}, "at": {"N": "1"}})
    eventually(lambda: any(record["itemKey"] == {"S": "dan"} for record in records(CARDS)))
    for words in (["as-of", "dan", "0s"], ["diff", "dan", "1h", "0s"]):
        result = CliRunner().invoke(app, [*words, "--table", CARDS])
        assert "Left out by the table's rules: at, token, who.token." in result.stderr
    _, text = run("as-of", "dan", "0s", "--table", CARDS, "--json")
    assert json.loads(text)["rules"] == {name: sorted(places) for name, places in PLACES.items()}


def test_the_files_that_the_engine_leaves_hold_it_no_more_than_its_answers_did(state: Path, planted: Planted) -> None:
    """The last test of this file: it stops the engine."""
    engine.down(state_dir=state, force=True)
    saved = json.loads((state / "data" / "dynamodb.json").read_text(encoding="utf-8"))
    tables = saved["payload"]["tables"]["data"]
    sources = [name for name in tables if name.rpartition("\0")[2].strip("'") in (*TABLES, "ruled")]
    assert len(sources) >= len(TABLES)
    for name in sources:
        del tables[name]
    files = [path for path in state.rglob("*") if path.is_file() and path.name != "dynamodb.json"]
    kept = [path for path in files if not any(f"/{prefix}" in str(path) for prefix in RAW)]
    assert len(files) > len(kept) > 50
    bodies = [path.read_bytes() for path in kept if path.suffix not in (".zip", ".pyc")]
    unpacked = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in bodies]
    assert planted.found_in(b"\n".join([json.dumps(saved, ensure_ascii=False).encode(), *unpacked]), set()) == []

"""Planted faults, poison and very large values: each is found, kept or read back, by the commands that users have."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.api_events import second
from tests.e2e.commands import client, faults, recorded, records_of, run, verified
from tests.strategies import stream_record
from weaudit.cli import main
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("state_dir")]

# A defect as a release may bring one: it fails on one item, every time.
DEFECT = """
from weaudit.capture import records

_decide = records.decide

def decide(change, terms):
    if change.keys["key"]["S"] == "poison":
        raise KeyError("defect")
    return _decide(change, terms)

records.decide = decide
"""


def put(key: str, number: int, **attributes: Any) -> None:
    item = {"key": {"S": key}, "n": {"N": str(number)}, **attributes}
    client("dynamodb").put_item(TableName="Configuration", Item=item)


def change_items(keys: list[str]) -> None:
    """Change each item four times, and wait until all of it is in the trail."""
    for number in range(1, 5):
        for key in keys:
            put(key, number)
    for key in keys:
        recorded(key, 4)


def release(defect: str = "") -> None:
    """Put the function's package behind the alias, with a defect in it or without."""
    (function,) = [function for function in FUNCTIONS if function.name == "audit_producer"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        for path in packaging.modules(function):
            archive.write(path, f"weaudit/{path.relative_to(Path(packaging.__file__).parents[1])}")
        archive.writestr("index.py", defect + packaging.entry(function))
    functions = client("lambda")
    functions.update_function_code(FunctionName="audit_producer", ZipFile=package.getvalue())
    version = functions.publish_version(FunctionName="audit_producer")["Version"]
    functions.update_alias(FunctionName="audit_producer", Name="learn", FunctionVersion=version)


def test_verify_names_each_planted_fault_and_nothing_else() -> None:
    table = client("dynamodb")
    change_items(["whole", "removed", "edited", "added", "moved", "claimed", "behind", "gone"])
    assert verified()["whole"]

    table.delete_item(TableName="Audit", Key={"id": records_of("removed")[1]["id"]})
    edited = records_of("edited")[2]
    table.put_item(TableName="Audit", Item={**edited, "newValue": {"N": "99"}})
    added = records_of("added")[2]
    table.put_item(TableName="Audit", Item={**added, "id": {"S": "00000000-0000-4000-8000-000000000000"}})
    # A whole change, its index keys too, is moved in time; another one is said to be somebody's.
    moved = records_of("moved")[2]
    at, shard = "2024-06-01T00:00:00.000Z", moved["changesKey"]["S"][-1]
    index = {"changesKey": f"Configuration#2024-06#{shard}", "changesOrder": f"{at}#{moved['sequenceNumber']['S']}"}
    fields = {name: {"S": text} for name, text in {**index, "modificationTime": at}.items()}
    table.put_item(TableName="Audit", Item={**moved, **fields})
    actor = {"M": {"kind": {"S": "stated"}, "name": {"S": "mallory"}}}
    table.put_item(TableName="Audit", Item={**records_of("claimed")[2], "actor": actor})
    functions = client("lambda")
    stream = table.describe_table(TableName="Configuration")["Table"]["LatestStreamArn"]
    (mapping,) = functions.list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    put("behind", 5)
    put("unheard", 1)
    table.delete_item(TableName="Configuration", Key={"key": {"S": "gone"}})

    assert faults() == {
        ("gap", "removed"),
        ("edited", "edited"),
        ("leftover", "added"),
        ("edited", "added"),
        ("misdated", "moved"),
        ("edited", "moved"),
        ("edited", "claimed"),
        ("unaudited", "behind"),
        ("unaudited", "unheard"),
        ("unaudited", "gone"),
    }
    code, text = run("verify", "--table", "Configuration", "--item", "removed")
    assert code == 1
    assert records_of("removed")[1]["sequenceNumber"]["S"].lstrip("0") in text
    assert run("verify", "--table", "Configuration", "--item", "whole")[0] == 0
    assert run("verify", "--table", "Configurations")[0] == 2
    assert run("verify", "--item", "whole")[0] == 2


def test_poison_is_quarantined_those_behind_it_are_audited_and_a_replay_after_the_fix_closes_the_gap() -> None:
    assert run("quarantine") == (0, "The quarantine is empty: every change that was delivered has been audited.\n")
    release(DEFECT)
    for number in (1, 2):
        put("before", number)
        put("poison", number)
        put("behind", number)
    for key in ("before", "behind"):
        recorded(key, 2)
    assert records_of("poison") == []
    assert faults() == {("unaudited", "poison")}

    code, text = run("quarantine", "--json")
    entries = json.loads(text)
    assert (code, {entry["code"] for entry in entries}) == (1, {"KeyError"})
    assert len(entries) == 2
    shown = json.loads(run("quarantine", "show", entries[0]["id"])[1])
    assert shown["record"]["dynamodb"]["Keys"] == {"key": {"S": "poison"}}
    code, text = run("quarantine", "replay", "--json")
    assert (code, json.loads(text)["replayed"]) == (1, 0)
    assert len(json.loads(run("quarantine", "--json")[1])) == 2

    release()
    assert run("quarantine", "replay") == (0, "2 audited, 0 still in quarantine.\n")
    assert run("quarantine")[0] == 0
    assert len(records_of("poison")) == 2
    assert verified()["whole"]


def test_a_batch_of_large_records_that_lambda_gave_up_is_replayed() -> None:
    records = [large_record(number, "\u0444" * 190_000, "\u044f" * 190_000) for number in range(3)]
    [entry] = given_up(records)
    assert run("quarantine", "replay", entry) == (0, "1 audited, 0 still in quarantine.\n")
    assert [record["sequenceNumber"]["S"].lstrip("0") for record in records_of("replayed")] == ["1", "2", "3"]
    assert run("quarantine")[0] == 0


def test_a_record_that_no_call_carries_is_audited_as_the_page_says(tmp_path: Path) -> None:
    # Empty texts in a list: a byte each to DynamoDB, nine in JSON.
    images: list[Any] = [{"L": [{"S": ""}] * 380_000 + [{"S": letter}]} for letter in "ab"]
    [entry] = given_up([large_record(0, images[0], images[1], key="beyond")])
    code, text = run("quarantine", "replay", entry)
    assert (code, text) == (1, "0 audited, 1 still in quarantine.\n")
    assert records_of("beyond") == []

    page = Path(__file__).parents[2] / "docs" / "operating.md"
    (script,) = re.findall(r"^python - <<'EOF'\n(.*?)^EOF$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "entry.json").write_text(run("quarantine", "show", entry)[1], encoding="utf-8")
    variables = json.loads(run("env", "--json")[1])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "'records': 1" in done.stdout
    assert [record["updatedAttribute"]["S"] for record in records_of("beyond")] == ["t"]
    client("s3").delete_object(Bucket=evidence_bucket(), Key=entry)
    assert run("quarantine")[0] == 0


def large_record(number: int, old: Any, new: Any, key: str = "replayed") -> dict[str, Any]:
    """Return a record of the stream of Configuration by which ``t`` becomes another value, or text."""
    images = [
        {"key": {"S": key}, "t": value if isinstance(value, dict) else {"S": value + str(number + step)}}
        for step, value in enumerate((old, new))
    ]
    return stream_record(*images, SequenceNumber=str(number + 1))


def evidence_bucket() -> str:
    names = [str(found["Name"]) for found in client("s3").list_buckets()["Buckets"]]
    return next(name for name in names if name.startswith("weaudit-evidence-"))


def given_up(records: list[dict[str, Any]]) -> list[str]:
    """Keep a batch as Lambda does that gave it up; return its ids in the quarantine."""
    body = {"payload": json.dumps({"Records": records}), "requestContext": {"condition": "RetryAttemptsExhausted"}}
    client("s3").put_object(Bucket=evidence_bucket(), Key="aws/lambda/m/shardId/2024", Body=json.dumps(body).encode())
    return [entry["id"] for entry in json.loads(run("quarantine", "--json")[1])]


def test_an_item_of_390_kb_is_recorded_shown_and_its_moved_value_read_back() -> None:
    for letter in "abc":
        put("large", ord(letter), text={"S": letter * 380_000}, rest={"S": "r" * 9_000})
    recorded("large", 5)
    moved = [record for record in records_of("large") if "newValueRef" in record or "oldValueRef" in record]
    assert moved
    assert all(("newValue" in record) != ("newValueRef" in record) for record in moved)

    history = json.loads(run("history", "large", "--json")[1])
    (last,) = [change for change in history[-1]["attributes"] if change["updatedAttribute"] == "text"]
    assert last["oldValue"] == "b" * 380_000
    assert last["newValue"] == "c" * 380_000
    assert "380,00" in run("history", "large")[1]
    assert verified()["whole"]

    reference = moved[-1].get("newValueRef") or moved[-1]["oldValueRef"]
    bucket, key = reference["M"]["bucket"]["S"], reference["M"]["key"]["S"]
    client("s3").put_object(Bucket=bucket, Key=key, Body=b'{"S":"other"}')
    assert faults() == {("lost", "large")}
    assert "altered" in run("history", "large")[1]
    client("s3").delete_object(Bucket=bucket, Key=key)
    assert faults() == {("lost", "large")}


def test_what_a_rule_has_archived_is_named_and_does_not_stop_all_else() -> None:
    for letter in "ab":
        put("cold", ord(letter), text={"S": letter * 380_000}, rest={"S": "r" * 9_000})
    recorded("cold", 3)
    moved = next(record for record in records_of("cold") if "newValueRef" in record or "oldValueRef" in record)
    reference = (moved.get("newValueRef") or moved["oldValueRef"])["M"]
    bucket, key = reference["bucket"]["S"], reference["key"]["S"]
    kept = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    client("s3").put_object(Bucket=bucket, Key=key, Body=kept, StorageClass="DEEP_ARCHIVE")
    # A command says which object it is, and that there is something to do.
    told = CliRunner().invoke(main.app, ["history", "cold"])
    assert told.exit_code == 1
    assert f"s3://{bucket}/{key} is archived" in told.stderr
    assert "restore" in told.stderr
    # The API shows the item's history without that value.
    asked = second("GET /v1/tables/{table}/history", {"table": "Configuration"}, key="cold")
    answer = client("lambda").invoke(FunctionName="weaudit-api-trail:live", Payload=json.dumps(asked))
    assert json.loads(answer["Payload"].read())["statusCode"] == 200

    entry = {"Bucket": bucket, "Key": "raw/quarantine/audit_producer/cold.json"}
    client("s3").put_object(**entry, Body=b"{}", StorageClass="GLACIER")
    try:
        code, text = run("quarantine", "--json")
        assert (code, [found["code"] for found in json.loads(text)]) == (1, ["Archived"])
        assert CliRunner().invoke(main.app, ["quarantine", "show", entry["Key"]]).exit_code == 1
    finally:
        client("s3").delete_object(**entry)
        client("s3").put_object(Bucket=bucket, Key=key, Body=kept)


def test_an_item_as_deep_as_dynamodb_allows_is_recorded() -> None:
    value: dict[str, Any] = {"S": "deep"}
    for _ in range(31):
        value = {"L": [value]}
    put("deep", 1, value=value)
    recorded("deep", 1)
    assert verified()["whole"]


def test_one_item_is_verified_however_its_key_is_spelled_and_one_that_never_was_is_none() -> None:
    dynamodb, item = client("dynamodb"), {"pk": {"S": "a"}, "sk": {"N": "7"}}
    made = dynamodb.create_table(
        TableName="Pairs",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="Pairs", Item=item)
    change = {
        "eventName": "INSERT",
        "eventSourceARN": made["TableDescription"]["TableArn"] + "/stream/2024-01-01T00:00:00.000",
        "dynamodb": {
            "ApproximateCreationDateTime": 1704067200,
            "SequenceNumber": "7",
            "Keys": item,
            "NewImage": item,
        },
    }
    answer = client("lambda").invoke(FunctionName="audit_producer", Payload=json.dumps({"Records": [change]}).encode())
    assert json.loads(answer["Payload"].read())["records"] == 1
    for spelled in (
        '{"pk":{"S":"a"},"sk":{"N":"7"}}',
        '{"sk": {"N": "7.0"}, "pk": {"S": "a"}}',
        '{"pk": "a", "sk": 7}',
    ):
        code, text = run("verify", "--table", "Pairs", "--item", spelled)
        assert (code, text.strip()) == (0, "Pairs: 1 change of 1 item: whole"), spelled
    for table, unknown in (("Pairs", '{"pk": "a", "sk": 8}'), ("Configuration", "never was"), ("Configuration", "")):
        assert run("verify", "--table", table, "--item", unknown) == (2, ""), unknown

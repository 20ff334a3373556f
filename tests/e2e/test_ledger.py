"""The ledger through the real engine: what happens is sealed once, and what somebody does to rows or log is named.

The log only grows, and each test leaves in it what it did. So every test makes rows of its own, and looks for what is
said of them; what a test does to the log's objects, it undoes.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from tests.e2e import ledgers
from tests.e2e.commands import client, eventually, recorded, records_of, run
from tests.faults.deliveries import notification, stream
from weaudit.capture.hashes import origin, record_hash
from weaudit.cli import main, verify_ledger
from weaudit.installation.outputs import Installation
from weaudit.installation.targets import wire
from weaudit.ledger import checkpoints, notes
from weaudit.ledger.notes import VerifierKey
from weaudit.local import engine, process
from weaudit.trail.verification.rows import stored_hash

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("stack")]

Row = dict[str, Any]
OLD = "2024-06-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start an engine for this file, on which nothing is sealed but by :func:`seal`; return its state directory."""
    folder = tmp_path_factory.mktemp("ledger")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEAUDIT_STATE_DIR", str(folder))
        patch.setattr(verify_ledger, "_PAUSE_S", 0.01)  # before it calls a checkpoint rolled back
        engine.up(port=process.free_port(), state_dir=folder)
        place.cache_clear()  # a worker that comes back to this file has another engine
        quiet()
        seal()
        yield folder
        engine.down(state_dir=folder, force=True)


def quiet() -> None:
    """Stop the clock by which the ledger is sealed every minute: a seal says what came since the one before."""
    events = client("events")
    [rule] = [rule["Name"] for rule in events.list_rules()["Rules"] if rule["Name"].endswith("-seal")]
    events.disable_rule(Name=rule)


@cache
def place() -> Installation:
    return Installation.find()


# ---- what is done


def put(key: str, number: int) -> None:
    client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": key}, "n": {"N": str(number)}})


def changed(changes: int = 3) -> list[Row]:
    """Change an item that is new, and return its records once they are there."""
    key = f"item-{uuid.uuid4()}"
    for number in range(changes):
        put(key, number)
    recorded(key, changes)
    return records_of(key)


def sealed_records(changes: int = 3) -> list[Row]:
    """Return the records of a new item, which are sealed, and all else that had come."""
    found = changed(changes)
    assert seal()["findings"] == 0
    return found


def logged(key: str, value: int = 7) -> Row:
    """Update an item with a log entry, and return that."""
    assert run("update", key, f"n={value}", "--log", "--reason", "a test")[0] == 0
    [row] = [row for row in scanned(audit_logs()) if row.get("record_id") == {"S": key}]
    return row


def uploaded() -> Row:
    """Upload an object, and return its row of the invocation log."""
    key = f"{uuid.uuid4()}.txt"
    client("s3").put_object(Bucket=place().trigger_bucket, Key=key, Body=b"x")

    def rows() -> list[Row]:
        return [row for row in scanned(place().invocation_log) if row.get("objectKey") == {"S": key}]

    found: list[Row] = eventually(rows)
    assert len(found) == 1
    return found[0]


def seal() -> dict[str, Any]:
    answer = client("lambda").invoke(FunctionName=place().ledger_sealer, Payload=b"{}")
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, found
    assert found["behind"] is False
    return found


def write(table: str, row: Row) -> None:
    client("dynamodb").put_item(TableName=table, Item=row)


def remove(row: Row) -> None:
    client("dynamodb").delete_item(TableName="Audit", Key={"id": row["id"]})


def scanned(table: str) -> list[Row]:
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [row for page in pages for row in page["Items"]]


def audit_logs() -> str:
    return str(place().outputs["AuditLogsTableName"])


# ---- what the log says


def fetched(path: str) -> bytes:
    return ledgers.fetched(path, place().ledger_bucket)


def size() -> int:
    return ledgers.head(place().ledger_bucket)[0]


def log() -> list[dict[str, Any]]:
    return ledgers.log(place().ledger_bucket)


def kinds(row_id: str) -> list[str]:
    return [entry["kind"] for entry in log() if entry.get("id") == row_id]


def checked(*words: str) -> dict[str, Any]:
    """Return what `weaudit verify --ledger` says, whose exit code has to agree."""
    code, text = run("verify", "--ledger", "--json", *words)
    document: dict[str, Any] = json.loads(text)
    assert (code == 0) == document["whole"]
    return document


def named(row_id: str) -> list[tuple[int, str]]:
    """Return step and kind of what is found about a row."""
    return [(found["step"], found["kind"]) for found in checked()["findings"] if found["id"] == row_id]


def of_log(document: dict[str, Any]) -> list[tuple[int, str]]:
    """Return what is wrong with the log itself, whatever it says of rows."""
    return [(found["step"], found["kind"]) for found in document["findings"] if found["step"] < 5]


# ---- everything is sealed, once


def test_every_row_that_came_is_sealed_once_with_how_far_the_streams_were_read() -> None:
    seal()
    before = size()
    records = changed()
    row = logged(records[0]["itemKey"]["S"])
    recorded(records[0]["itemKey"]["S"], 4)
    arrival = uploaded()
    answer = seal()
    new = log()[before:]
    expected: Counter[Any] = Counter(
        ("record", None, record["id"]["S"]) for record in records_of(records[0]["itemKey"]["S"])
    )
    expected["log", audit_logs(), row["log_id"]["S"]] = 1
    where = f"{arrival['requestId']['S']}/{arrival['timestamp']['S']}"
    expected["log", place().invocation_log, where] = 1
    assert Counter((one["kind"], one.get("table"), one["id"]) for one in new[:-1]) == expected
    # By the pure part, which a stranger may use as well.
    hashes = {record["id"]["S"]: stored_hash(wire(record)) for record in records_of(records[0]["itemKey"]["S"])}
    assert all(hashes[one["id"]] == bytes.fromhex(one["hash"]) for one in new if one["kind"] == "record")
    assert (new[-1]["kind"], new[-1]["n"], "behind" in new[-1]) == ("seal", 6, False)
    tables = {"Audit", audit_logs(), place().invocation_log}
    assert {arn.split("/")[1] for arn in new[-1]["marks"]} == tables
    assert (answer["sealed"], answer["findings"], answer["size"]) == (6, 0, before + 7)
    assert seal()["sealed"] == 0
    assert size() == before + 7
    assert of_log(checked()) == []
    # What makes requests idempotent is no evidence.
    assert not [one for one in log() if str(one.get("id", "")).startswith("request#")]


def test_an_event_that_comes_again_adds_nothing() -> None:
    records, arrival = changed(), uploaded()
    seal()
    key = records[0]["itemKey"]
    changes = [record for record in stream() if record["dynamodb"]["Keys"]["key"] == key]
    assert len(changes) == 3
    functions, processor = client("lambda"), f"{place().outputs['LambdaFunctionName']}:live"
    for _ in range(2):
        for function, event in (("audit_producer:learn", changes), (processor, [notification(arrival)])):
            answer = functions.invoke(FunctionName=function, Payload=json.dumps({"Records": event}))
            assert "FunctionError" not in answer
    assert seal()["sealed"] == 0


# ---- what somebody does to records


def edited(records: list[Row]) -> list[str]:
    write("Audit", {**records[1], "newValue": {"N": "99"}})
    return [records[1]["id"]["S"]]


def moved(records: list[Row]) -> list[str]:
    """Move a whole change in time, its index keys too."""
    one = records[1]
    keys = {
        "modificationTime": OLD,
        "changesKey": f"Configuration#2024-06#{one['changesKey']['S'][-1]}",
        "changesOrder": f"{OLD}#{one['sequenceNumber']['S']}",
    }
    write("Audit", {**one, **{name: {"S": text} for name, text in keys.items()}})
    return [one["id"]["S"]]


def claimed(records: list[Row]) -> list[str]:
    write("Audit", {**records[1], "actor": {"M": {"kind": {"S": "stated"}, "name": {"S": "mallory"}}}})
    return [records[1]["id"]["S"]]


def swapped(records: list[Row]) -> list[str]:
    one, two = records[1:3]
    write("Audit", {**two, "id": one["id"]})
    write("Audit", {**one, "id": two["id"]})
    return [one["id"]["S"], two["id"]["S"]]


def removed(records: list[Row]) -> list[str]:
    remove(records[1])
    return [records[1]["id"]["S"]]


def added(records: list[Row]) -> list[str]:
    row = {**records[1], "id": {"S": str(uuid.uuid4())}}
    write("Audit", row)
    return [row["id"]["S"]]


TAMPERINGS: dict[str, tuple[Callable[[list[Row]], list[str]], str, str]] = {
    "a value edited": (edited, "altered", "altered"),
    "moved in time": (moved, "altered", "altered"),
    "said to be somebody's": (claimed, "altered", "altered"),
    "two swapped": (swapped, "altered", "altered"),
    "removed": (removed, "missing", "deleted"),
    "added, without the secret": (added, "foreign", "foreign"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_is_done_to_records_is_named_before_it_is_sealed_and_for_ever_after(name: str) -> None:
    tamper, differs, kind = TAMPERINGS[name]
    records = sealed_records()
    changed_ids = tamper(records)
    document = checked()
    mine = {record["id"]["S"] for record in records} | set(changed_ids)
    about = [(one["step"], one["kind"], one["id"]) for one in document["findings"] if one["id"] in mine]
    assert sorted(about) == sorted((6, differs, row_id) for row_id in changed_ids)
    answer = seal()
    assert answer["findings"] == len(changed_ids)
    assert [kinds(row_id)[-1] for row_id in changed_ids] == [kind] * len(changed_ids)
    assert [named(row_id) for row_id in changed_ids] == [[(5, kind)]] * len(changed_ids)
    # Putting back what was there hides nothing, and is another finding, unless it is just what audit_producer writes.
    for record in records:
        write("Audit", record)
    for row_id in changed_ids:
        if kind == "foreign":
            remove({"id": {"S": row_id}})
    assert seal()["findings"] == (0 if kind == "deleted" else len(changed_ids))
    assert all((5, kind) in named(row_id) for row_id in changed_ids)


def test_the_sealer_logs_which_record_it_was() -> None:
    [row_id] = edited(sealed_records())
    seal()
    code, text = run("logs", "ledger_sealer")
    [line] = [line for line in text.splitlines() if row_id in line]
    assert code == 0
    assert '"finding"' in line
    assert '"altered"' in line


def test_a_record_with_the_right_origin_is_sealed_as_ours_and_named_by_the_trail_alone() -> None:
    """Who has the secret ORIGIN can write records that pass for ours: the ledger says when, and no more."""
    records = sealed_records()
    key = records[0]["itemKey"]["S"]
    [secret] = [row for row in scanned(place().outputs["KeysTableName"]) if row["id"] == {"S": "ORIGIN"}]
    row = {**records[1], "id": {"S": str(uuid.uuid4())}}
    digest = record_hash(wire(row), row["oldValue"], row["newValue"])
    [key_of_origin] = [value["B"] for value in secret.values() if "B" in value]
    write("Audit", {**row, "origin": {"B": origin(key_of_origin, digest)}})
    assert seal()["findings"] == 0
    assert kinds(row["id"]["S"]) == ["record"]
    assert named(row["id"]["S"]) == []
    said = json.loads(run("verify", "--table", "Configuration", "--item", key, "--json")[1])
    assert "leftover" in {found["kind"] for table in said["tables"] for found in table["findings"]}


def test_a_receipt_is_not_made_of_what_was_edited(tmp_path: Path) -> None:
    [row_id] = edited(sealed_records())
    seal()
    refused = CliRunner().invoke(main.app, ["prove", row_id, "-o", str(tmp_path / "x")])
    assert refused.exit_code == 1
    assert "is not the one that was sealed" in refused.stderr
    assert "altered" in refused.stderr
    assert not (tmp_path / "x").exists()


# ---- what somebody does to rows of the logs


def test_rows_of_the_logs_that_were_changed_or_renamed_are_named() -> None:
    records, arrival = changed(), uploaded()
    row = logged(records[0]["itemKey"]["S"])
    seal()
    renamed = str(uuid.uuid4())
    write(audit_logs(), {**row, "log_id": {"S": renamed}})
    client("dynamodb").delete_item(TableName=audit_logs(), Key={"log_id": row["log_id"]})
    write(place().invocation_log, {**arrival, "size": {"N": "2"}})
    where = f"{arrival['requestId']['S']}/{arrival['timestamp']['S']}"
    assert named(row["log_id"]["S"]) == [(6, "missing")]
    assert named(where) == [(6, "altered")]
    assert seal()["findings"] == 2
    assert named(row["log_id"]["S"]) == [(5, "deleted")]
    assert named(where) == [(5, "altered")]
    # Nothing in a row of a log says who wrote it: under its new name it is one that was written, and when.
    assert kinds(renamed) == ["log"]
    assert named(renamed) == []


# ---- what somebody does to the log's objects


@contextmanager
def replaced(path: str, content: bytes | None) -> Iterator[None]:
    """Put another object in the place of one, or hide it behind a delete marker; then take that away."""
    s3, where = client("s3"), {"Bucket": place().ledger_bucket, "Key": path}
    made = s3.delete_object(**where) if content is None else s3.put_object(**where, Body=content)
    try:
        yield
    finally:
        s3.delete_object(**where, VersionId=made["VersionId"])


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def newest(folder: str) -> str:
    """Return the path of the last, partial tile or bundle, as a log of fewer than 65,536 entries has it."""
    index, width = divmod(size(), 256)
    return f"{folder}/{index:03}.p/{width}" if width else f"{folder}/{index - 1:03}"


def test_a_byte_of_a_tile_or_of_an_entry_that_was_flipped_is_named() -> None:
    [row_id] = [record["id"]["S"] for record in sealed_records(1)]
    tile, bundle = newest("tile/0"), newest("tile/entries")
    with replaced(tile, flipped(fetched(tile), 0)):
        document = checked()
        assert of_log(document) == [(3, "tile")]
        assert document["findings"][0]["text"].startswith(tile)
    content = fetched(bundle)
    digits = content.index(b'"hash":"', content.index(row_id.encode()) - 100) + 8
    other = b"0" if content[digits : digits + 1] != b"0" else b"1"
    with replaced(bundle, content[:digits] + other + content[digits + 1 :]):
        document = checked()
        [found] = [one for one in document["findings"] if one["step"] == 2]
        assert (found["kind"], found["id"]) == ("changed", row_id)
        assert document["rows"] == {}
        assert document["proven"] < document["size"]
    with replaced(bundle, None):
        assert (2, "cut") in of_log(checked())
    assert of_log(checked()) == []


def test_a_checkpoint_that_was_rolled_back_is_named_and_the_sealer_goes_on_from_what_was_signed() -> None:
    sealed_records()
    old, before = fetched("checkpoint"), size()
    records = sealed_records()
    client("s3").put_object(Bucket=place().ledger_bucket, Key="checkpoint", Body=old)
    document = checked()
    assert of_log(document) == [(1, "rolledBack")]
    assert document["size"] > before
    put(records[0]["itemKey"]["S"], 99)
    recorded(records[0]["itemKey"]["S"], 4)
    seal()
    assert size() > document["size"]
    assert of_log(checked()) == []
    assert [kinds(record["id"]["S"]) for record in records] == [["record"]] * 3


def test_a_log_that_was_cut_behind_delete_markers_is_found_by_the_markers_and_by_who_kept_a_checkpoint(
    tmp_path: Path,
) -> None:
    """Locks keep versions, and do not keep them from being hidden. The sealer looks behind the markers."""
    sealed_records()
    old = fetched("checkpoint")
    records = sealed_records()
    kept = tmp_path / "kept"
    kept.write_bytes(fetched("checkpoint"))
    archived = f"checkpoints/{size():020}"
    s3, bucket = client("s3"), place().ledger_bucket
    version = s3.head_object(Bucket=bucket, Key=archived)["VersionId"]
    until = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=1)}
    s3.put_object_retention(Bucket=bucket, Key=archived, Retention=until)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=archived, VersionId=version)
    before = checked()
    with replaced(archived, None):
        # The archive alone: what the hint says is still signed. The marker is seen by who may list versions.
        assert of_log(checked()) == [(3, "hidden")]
        assert checked()["archivedCheckpoints"] == before["archivedCheckpoints"] - 1
        s3.put_object(Bucket=bucket, Key="checkpoint", Body=old)
        # An older log is whole in itself. Its last rows look as if they were still to be sealed.
        document = checked()
        assert (of_log(document), document["size"]) == ([(3, "hidden")], int(old.splitlines()[1]))
        assert document["rows"]["notSealedYet"] == {"Audit": 3}
        document = checked("--since-checkpoint", str(kept))
        assert sorted(of_log(document)) == [(3, "hidden"), (4, "cut")]
        # The next run of the sealer finds the version, and hints at it again.
        seal()
        assert fetched("checkpoint") == kept.read_bytes()
    assert of_log(checked("--since-checkpoint", str(kept))) == []
    assert [kinds(record["id"]["S"]) for record in records] == [["record"]] * 3


def test_commits_that_were_deleted_or_forged_change_nothing() -> None:
    sealed_records()
    s3, bucket = client("s3"), place().ledger_bucket
    for found in s3.list_objects_v2(Bucket=bucket, Prefix="commits/")["Contents"]:
        s3.delete_object(Bucket=bucket, Key=found["Key"])
    assert of_log(checked()) == []
    s3.put_object(Bucket=bucket, Key=f"commits/{size():020}", Body=b"not made by the sealer")
    records = changed()
    answer = seal()
    # The forged one is told, and ours is put in its place.
    assert (answer["sealed"], answer["findings"]) == (3, 1)
    assert [kinds(record["id"]["S"]) for record in records] == [["record"]] * 3
    assert of_log(checked()) == []


def test_a_checkpoint_that_was_kept_is_a_beginning_of_the_log_and_another_history_is_a_fork(tmp_path: Path) -> None:
    sealed_records()
    kept = tmp_path / "kept"
    kept.write_bytes(fetched("checkpoint"))
    sealed_records()
    document = checked("--since-checkpoint", str(kept))
    assert (of_log(document), document["keptCheckpoint"]) == ([], int(kept.read_bytes().splitlines()[1]))
    # Who may use the key can sign anything: another root of that size, say.
    key = VerifierKey.read(run("ledger", "key")[1].strip())
    text = checkpoints.text_of(key.name, document["keptCheckpoint"], bytes(32))
    kms, arn = client("kms"), place().ledger_key

    def sign(message: bytes) -> bytes:
        how = {"MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
        signature: bytes = kms.sign(KeyId=arn, Message=message, **how)["Signature"]
        return signature

    kept.write_bytes(notes.written(text, [notes.signed_by(key, sign, text)]))
    assert of_log(checked("--since-checkpoint", str(kept))) == [(4, "fork")]


# ---- what the sealer cannot see


def test_a_stream_that_was_turned_off_and_on_is_a_gap() -> None:
    """What was written meanwhile has no entry, and the row itself says how old it is: the gap says not to trust it."""
    row = logged(sealed_records()[0]["itemKey"]["S"])
    seal()
    dynamodb = client("dynamodb")
    dynamodb.update_table(TableName=audit_logs(), StreamSpecification={"StreamEnabled": False})
    past, now = ({**row, "log_id": {"S": str(uuid.uuid4())}} for _ in range(2))
    past["timestamp"] = {"S": OLD}
    now["timestamp"] = {"S": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")}
    write(audit_logs(), past)
    write(audit_logs(), now)
    on = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    dynamodb.update_table(TableName=audit_logs(), StreamSpecification=on)
    before = size()
    assert seal()["findings"] > 0
    gaps = [entry for entry in log()[before:] if entry["kind"] == "gap"]
    assert gaps
    assert all(f":table/{audit_logs()}/stream/" in gap["stream"] for gap in gaps)
    document = checked()
    assert [(one["step"], one["kind"]) for one in document["findings"] if one["entry"] is not None][-1] == (5, "gap")
    assert named(past["log_id"]["S"]) == [(6, "added")]
    assert named(now["log_id"]["S"]) == []
    assert document["rows"]["notSealedYet"] == {audit_logs(): 1}
    # Others may compare all rows.
    for one in (past, now):
        dynamodb.delete_item(TableName=audit_logs(), Key={"log_id": one["log_id"]})
    seal()
    assert [kinds(one["log_id"]["S"]) for one in (past, now)] == [["deleted"]] * 2


# ---- without AWS, and without the engine


def test_a_copy_is_verified_without_aws_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [row_id] = edited(sealed_records())
    seal()
    key = run("ledger", "key")[1].strip()
    online = checked()
    assert run("ledger", "copy", str(tmp_path / "copy"))[0] == 0
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(tmp_path / "none"))
    offline = checked("--offline", str(tmp_path / "copy"), "--key", key)
    assert offline["findings"] == [found for found in online["findings"] if found["step"] < 6]
    assert row_id in {found["id"] for found in offline["findings"]}
    assert (offline["size"], offline["root"]) == (online["size"], online["root"])
    assert offline["rows"] == {}
    assert offline["notCompared"].keys() == {"all"}


def test_receipts_by_the_api_and_by_the_command_are_checked_without_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = sealed_records()
    record_id, key = records[1]["id"]["S"], run("ledger", "key")[1].strip()
    (tmp_path / "api").write_text(run("call", "GET", f"/v1/records/{record_id}/proof")[1])
    assert run("prove", record_id, "-o", str(tmp_path / "command"))[0] == 0
    assert (tmp_path / "api").read_bytes() == (tmp_path / "command").read_bytes()
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(tmp_path / "none"))
    code, text = run("check", str(tmp_path / "api"), "--key", key, "--json")
    found = json.loads(text)
    assert (code, found["proven"], found["entry"]["id"]) == (0, True, record_id)
    assert (found["record"]["oldValue"], found["record"]["newValue"]) == (0, 1)
    damaged = (tmp_path / "api").read_bytes()
    where = damaged.index(b"\n", 60) - 9
    (tmp_path / "damaged").write_bytes(flipped(damaged, where))
    assert run("check", str(tmp_path / "damaged"), "--key", key)[0] == 1


def test_an_engine_that_was_down_lost_nothing_and_nothing_is_found_that_was_not_done(stack: Path) -> None:
    sealed_records()
    before = checked()
    records = changed()
    engine.down(state_dir=stack)
    engine.up(state_dir=stack)
    quiet()
    more = changed()
    seal()
    assert [kinds(record["id"]["S"]) for record in (*records, *more)] == [["record"]] * 6
    after = checked()
    assert after["findings"] == before["findings"]
    assert after["size"] > before["size"]

"""`weaudit demo`: its tour leaves every record, row, log entry and response right, and it fails if a stop does not."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests import oracle
from tests.conftest import RunningEngine
from weaudit.cli.main import app
from weaudit.demo import picture, stops, tour
from weaudit.demo.steps import KEY, NOTE, STEPS, TABLE, Step
from weaudit.demo.stops import PHOTOGRAPH, SEATS
from weaudit.demo.tour import Printing, Tour
from weaudit.errors import WeauditError
from weaudit.functions import FUNCTIONS
from weaudit.installation import draining
from weaudit.installation.repairs.reprocessing import current_version
from weaudit.installation.targets import Target, wire
from weaudit.items.texts import dumps
from weaudit.items.values import Item
from weaudit.trail.changes import AuditedChange
from weaudit.trail.documents import document

SOURCES = str(Path(__file__).parents[2] / "src")


def test_each_picture_is_another_object_of_the_same_pixels() -> None:
    first, second = picture.made(), picture.made()
    assert first != second
    assert len(first) == len(second)
    assert Image.open(BytesIO(first)).tobytes() == Image.open(BytesIO(second)).tobytes()


# ---- what the tour leaves


def toured(engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, *, kept: bool = False) -> Result:
    """Run the demo, and check every field of what it made and of what it was answered; return what it printed.

    ``kept`` says that its item was there before, so that its last change is the restoring.
    """
    opened = Tour.of(engine.state, "weaudit", Printing(note=print, text=print, changes=print))
    seen = {change.order for key in (KEY, SEATS) for change in opened.trail.item(TABLE, key)}
    responses: list[tuple[int, Any]] = []
    ask = Tour.ask

    def heard(*request: Any, **options: Any) -> tuple[int, Any]:
        responses.append(ask(*request, **options))
        return responses[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Tour, "ask", heard)
        from_ms = int(time.time() * 1000)
        done = CliRunner().invoke(app, ["demo", "--state", str(engine.directory), "--utc"])
        until_ms = int(time.time() * 1000)
    assert done.exit_code == 0, done.stderr
    five = [change for change in opened.trail.item(TABLE, KEY) if change.order not in seen]
    if kept and five[-1].event_name == "INSERT":
        del five[-1]
    five = last(five)
    updated = [change for change in opened.trail.item(TABLE, SEATS) if change.order not in seen]
    updating, signed, unsigned, as_of = responses
    assert record_faults(opened, five, from_ms, until_ms) == []
    assert oracle.answer_faults(*updating, SEATS, ["left"]) == []
    assert update_faults(opened, updated[-1:]) == []
    assert list(picture_faults(opened)) == []
    newest = islice(opened.trail.item(TABLE, SEATS, newest_first=True), 1)
    expected = [json.loads(dumps(document(change))) for change in opened.with_callers(newest)]
    assert (signed[0], signed[1]["changes"], unsigned[0]) == (200, expected, 403)
    assert oracle.state_faults(*as_of, TABLE, KEY, {"key": KEY, "value": 1800, "note": NOTE}) == []
    assert ledger_says(opened, five[1]) == ["altered", "altered"]
    return done


def ledger_says(opened: Tour, change: AuditedChange) -> list[str]:
    """Check the receipt that the demo wrote, and return what the ledger says is wrong with the record of it."""
    environment = {"WEAUDIT_STATE_DIR": str(opened.directory)}
    key = CliRunner().invoke(app, ["ledger", "key"], env=environment).stdout.strip()
    file = str(opened.directory / "demo" / "record.tlog-proof")
    checked = json.loads(CliRunner().invoke(app, ["check", file, "--key", key, "--json"]).stdout)
    assert checked["record"]["id"] == change.record_ids[0]
    assert (checked["record"]["oldValue"], checked["record"]["newValue"]) == (3600, 1800)
    verified = json.loads(CliRunner().invoke(app, ["verify", "--ledger", "--json"], env=environment).stdout)
    return [found["kind"] for found in verified["findings"] if found["id"] == change.record_ids[0]]


def last(changes: list[AuditedChange]) -> list[AuditedChange]:
    """Return the steps' changes, which are the last; one that was made before the demo may have arrived late."""
    five = changes[-len(STEPS) :]
    return five if [change.event_name for change in five] == [step.event_name for step in STEPS] else changes


def record_faults(opened: Tour, changes: list[AuditedChange], from_ms: int, until_ms: int) -> list[str]:
    audit_table = opened.installation.audit_table
    records = {
        name: wire(opened.dynamodb.get_item(TableName=audit_table, Key={"id": {"S": name}}).get("Item"))
        for change in changes
        for name in change.record_ids
    }
    faults = list(oracle.faults(TABLE, KEY, STEPS, records, from_ms, until_ms))
    listed = {name for change in opened.trail.table(TABLE, since=changes[0].at) for name in change.record_ids}
    return faults + [f"record {name}: not in the index of the table's changes" for name in records.keys() - listed]


def update_faults(opened: Tour, changes: list[AuditedChange]) -> list[str]:
    key = {"log_id": {"S": (changes[0].change_id if changes else None) or "none"}}
    logs = opened.installation.outputs["AuditLogsTableName"]
    entry = opened.dynamodb.get_item(TableName=logs, Key=key, ConsistentRead=True).get("Item")
    caller = opened.installation.target.client("sts").get_caller_identity()["Arn"]
    expected: Item = {
        "table_name": {"S": TABLE},
        "record_id": {"S": SEATS},
        "caller": {"S": caller},
        "updated_attributes": {"M": {"left": {"N": "9"}}},
    }
    return oracle.logged_faults(opened.with_callers(changes), entry, expected)


def picture_faults(opened: Tour) -> Iterator[str]:
    s3, installation = opened.installation.target.client("s3"), opened.installation
    path = opened.directory / "demo" / "sunset.jpg"
    etag = s3.head_object(Bucket=installation.trigger_bucket, Key=PHOTOGRAPH)["ETag"].strip('"')
    upload = picture.Upload(installation.trigger_bucket, PHOTOGRAPH, path.read_bytes(), etag, path)
    key = {"imageKey": {"S": PHOTOGRAPH}}
    row = opened.dynamodb.get_item(TableName=installation.images_table, Key=key, ConsistentRead=True)["Item"]
    bucket = installation.outputs["RenditionsBucketName"]
    named = [one["M"] for one in row.get("renditions", {}).get("L", [])]
    renditions = [s3.get_object(Bucket=bucket, Key=one["key"]["S"])["Body"].read() for one in named]
    try:
        version = current_version(installation)
    except WeauditError:
        version = ""  # another test's pipeline is refused, and the last good one is in force
    yield from oracle.image_faults(row, upload, version, renditions)
    rows = [
        row
        for page in opened.dynamodb.get_paginator("scan").paginate(
            TableName=installation.invocation_log, ConsistentRead=True
        )
        for row in page["Items"]
        if (row["objectKey"], row.get("eTag")) == ({"S": PHOTOGRAPH}, {"S": etag})
    ]
    function = next(row.deployed_as() for row in FUNCTIONS if row.name == "s3_processor")
    yield from oracle.arrival_faults(rows, upload, function)


# ---- the command


def demo(engine: RunningEngine, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "weaudit.cli.main", "demo", "--state", str(engine.directory), "--utc", *words]
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.engine
def test_the_demo_makes_its_tour_and_does_so_again(engine: RunningEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        done = toured(engine, monkeypatch)
        shown = [line.split()[2:] for line in done.stdout.splitlines() if re.match(r"\d{4}-\d\d-\d\d \d", line)]
        assert [words[1] for words in shown[:5]] == ["created", "value", "note", "note", "deleted"]
        assert shown[1] == ["unknown", "value", "3600", "→", "1800"]
        assert shown[5] == ["root", "(logged)", "left", "10", "→", "9"]
        assert shown[6] == shown[1]
        assert re.search(r"^altered: \S{36}: it was changed after it was written$", done.stdout, re.MULTILINE)
        assert done.stdout.endswith("\nEvery stop showed what it should.\n")
        assert re.findall(r"^(\d) of 8: ", done.stderr, re.MULTILINE) == list("12345678")
        functions = ("audit_producer", "table_update", "image_processor", "s3_processor", "read_trail", "ledger_sealer")
        for function in functions:
            assert re.search(rf"^\d of 8: .*\b{function}\b", done.stderr, re.MULTILINE), function
        assert len(done.stderr.partition("Try next:\n")[2].splitlines()) == 3


def recorded(client: Any) -> list[Any]:
    records = client.scan(TableName="Audit", ConsistentRead=True)["Items"]
    return [record for record in records if record["itemKey"]["S"] == SEATS]


@pytest.mark.engine
def test_what_went_wrong_is_told_and_fails(engine: RunningEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "WAIT_SECONDS", 3.0)  # how long a fault is looked at again before it is one
    client = Target.of(engine.state).client("dynamodb")
    if not recorded(client):
        assert demo(engine).returncode == 0
    first = recorded(client)[0]
    client.delete_item(TableName="Audit", Key={"id": first["id"]})
    try:
        done = CliRunner().invoke(app, ["demo", "--state", str(engine.directory), "--utc"])
        assert done.exit_code == 1
        assert f"Configuration {SEATS}: not whole" in done.stdout
        assert "Every stop showed" not in done.stdout
        assert f"- Configuration {SEATS}: " in done.stderr
    finally:
        client.put_item(TableName="Audit", Item=first)


@pytest.mark.engine
def test_each_stop_that_does_not_show_what_it_should_is_named(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = stops.photographed
    monkeypatch.setattr(tour, "WAIT_SECONDS", 2.0)
    monkeypatch.setattr(Step, "attributes", ())
    monkeypatch.setattr(Tour, "ask", lambda *_request, **_options: (200, {"item": {}, "complete": True}))
    monkeypatch.setattr(draining, "sealed", lambda *_sealer: False)
    monkeypatch.setattr(stops, "photographed", lambda tour: upload(tour)._replace(etag="another"))
    done = CliRunner().invoke(app, ["demo", "--state", str(engine.directory), "--utc"])
    assert done.exit_code == 1
    assert "Every stop showed" not in done.stdout
    for fault in (
        f"the trail of {KEY} has ",
        "the update's change does not name its caller",
        f"there is no row of the picture {PHOTOGRAPH} with the ETag another",
        "the picture's arrival has 0 rows instead of one",
        "the signed request was answered with 200 and no change",
        "the unsigned request was answered with 200 instead of 403",
        f"{KEY} after its third change was answered with 200 ",
        "the ledger has no proof of the record ",
    ):
        assert f"- {fault}" in done.stderr


@pytest.mark.engine
@pytest.mark.skipif(shutil.which("aws") is None, reason="no AWS CLI: the line to try next was NOT run")
def test_what_to_try_next_runs(engine: RunningEngine, tmp_path: Path) -> None:
    line = demo(engine).stderr.partition("Try next:\n")[2].splitlines()[0]
    program = tmp_path / "weaudit"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m weaudit.cli.main "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": SOURCES, "AWS_PAGER": ""}
    done = subprocess.run(["bash", "-euc", line], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    client = Target.of(engine.state).client("dynamodb")
    assert client.get_item(TableName=TABLE, Key={"key": {"S": "GREETING"}})["Item"]["value"] == {"S": "hello"}
    client.delete_item(TableName=TABLE, Key={"key": {"S": "GREETING"}})


@pytest.mark.engine
def test_an_item_that_was_there_is_there_again(engine: RunningEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Target.of(engine.state).client("dynamodb")
    kept = {"key": {"S": KEY}, "value": {"N": "60"}}
    client.put_item(TableName=TABLE, Item=kept)
    done = toured(engine, monkeypatch, kept=True)
    assert "put aside" in done.stderr
    assert client.get_item(TableName=TABLE, Key={"key": {"S": KEY}})["Item"] == kept
    client.delete_item(TableName=TABLE, Key={"key": {"S": KEY}})


@pytest.mark.engine
def test_a_port_that_the_engine_does_not_have_is_refused(engine: RunningEngine) -> None:
    done = demo(engine, "--port", str(engine.state.port + 1))
    assert done.returncode == 3
    assert "already up, on port" in done.stderr

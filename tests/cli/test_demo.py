"""`weaudit demo`: exit code 0 only where the trail is right in every field."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningEngine
from tests.strategies import change
from weaudit.cli import demo_checking
from weaudit.cli.demo import KEY, STEPS, TABLE
from weaudit.deploy.targets import Target
from weaudit.domain.auditing import decide
from weaudit.domain.changes import Item

AT_MS = 1_704_067_200_000


def demo_records() -> dict[str, Item | None]:
    """Return the records that the demo's steps make."""
    records = [
        record
        for number, step in enumerate(STEPS)
        for record in decide(
            change(step.before, step.after, keys={"key": {"S": KEY}}, sequence=str(1000 + number), created_at_ms=AT_MS)
        )
    ]
    return {record["id"]["S"]: record for record in records}


def faults(records: dict[str, Item | None], from_ms: int = AT_MS, until_ms: int = AT_MS) -> list[str]:
    return list(demo_checking.faults(TABLE, KEY, STEPS, records, from_ms, until_ms))


def test_the_records_that_the_steps_make_are_right() -> None:
    assert faults(demo_records()) == []


@pytest.mark.parametrize("field", ["itemKey", "modificationTime", "tableName", "eventName", "sequenceNumber"])
def test_a_missing_field_is_named(field: str) -> None:
    records = demo_records()
    _, second, *_ = records.values()
    assert second is not None
    del second[field]
    assert any(f.startswith("change the value to 1800") and field in f for f in faults(records))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("newValue", {"S": "1800"}),
        ("newValue", {"N": "1800.0"}),
        ("oldValue", {"NULL": True}),
        ("updatedAttribute", {"S": "key"}),
        ("afterHash", {"S": "0" * 64}),
        ("historyKey", {"S": "0" * 64}),
        ("changesKey", {"S": "Configuration#2024-01#x"}),
        ("changesOrder", {"S": "2024-01-01T00:00:00.000Z#1"}),
        ("changeOrder", {"S": f"#{'1001'.zfill(40)}"}),
        ("modificationTime", {"S": "2024-01-01 00:00:00"}),
        ("modificationTime", {"S": "2023-12-31T23:00:00.000Z"}),
        ("id", {"S": "c4ca4238-a0b9-1382-8dcc-509a6f75849b"}),
        ("invented", {"S": "x"}),
        ("actor", {"M": {}}),
    ],
)
def test_a_wrong_field_is_named(field: str, value: dict[str, Any]) -> None:
    records = demo_records()
    _, second, *_ = records.values()
    assert second is not None
    second[field] = value
    assert any(f.startswith("change the value to 1800") and field in f for f in faults(records))


def test_lost_doubled_and_swapped_records_are_named() -> None:
    records = demo_records()
    ids = list(records)
    assert any("4 records instead of 5" in f for f in faults({name: records[name] for name in ids[1:]}))
    assert any("6 records instead of 5" in f for f in faults({**records, "more": records[ids[0]]}))
    assert any("not in the table" in f for f in faults({**records, ids[2]: None}))
    assert any("does not follow" in f for f in faults({name: records[name] for name in reversed(ids)}))


def demo(engine: RunningEngine, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "weaudit.cli.main", "demo", "--state", str(engine.directory), "--utc", *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.engine
def test_the_demo_shows_a_right_trail_and_does_so_again(engine: RunningEngine) -> None:
    for _ in range(2):
        done = demo(engine)
        assert done.returncode == 0, done.stderr
        shown = [line.split()[3:] for line in done.stdout.splitlines() if line.startswith("20")]
        assert [words[0] for words in shown] == ["created", "value", "note", "note", "deleted"]
        assert shown[1] == ["value", "3600", "→", "1800"]
        assert "The trail is right: 5 changes, 5 records" in done.stdout
        assert len(done.stderr.partition("Try next:\n")[2].splitlines()) == 3


@pytest.mark.engine
def test_an_item_that_was_there_is_there_again(engine: RunningEngine) -> None:
    client = Target.of(engine.state).client("dynamodb")
    kept = {"key": {"S": KEY}, "value": {"N": "60"}}
    client.put_item(TableName=TABLE, Item=kept)
    done = demo(engine)
    assert done.returncode == 0, done.stderr
    assert "put aside" in done.stderr
    assert client.get_item(TableName=TABLE, Key={"key": {"S": KEY}})["Item"] == kept
    client.delete_item(TableName=TABLE, Key={"key": {"S": KEY}})


@pytest.mark.engine
def test_a_port_that_the_engine_does_not_have_is_refused(engine: RunningEngine) -> None:
    done = demo(engine, "--port", str(engine.state.port + 1))
    assert done.returncode == 3
    assert "already up, on port" in done.stderr

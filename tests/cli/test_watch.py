"""`weaudit watch`, `unwatch`, `watched`: what they say, ask and refuse."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import RunningEngine
from weaudit.cli import main
from weaudit.cli.printing import output

pytestmark = pytest.mark.engine
TABLE = "cli_watched"


@pytest.fixture
def table(engine: RunningEngine) -> Iterator[str]:
    client = engine.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    yield TABLE
    run(engine, "unwatch", TABLE, "--yes", "--force")
    client.delete_item(TableName="Configuration", Key={"key": {"S": f"WATCH/{TABLE}"}})
    client.delete_table(TableName=TABLE)


def run(engine: RunningEngine, *arguments: str) -> Any:
    return CliRunner().invoke(main.app, arguments, env={**engine.environment, "NO_COLOR": "1", "COLUMNS": "200"})


def answered(engine: RunningEngine, answers: str, *arguments: str) -> tuple[int, str]:
    """Run the command on a terminal on which somebody types ``answers``."""
    ours, theirs = pty.openpty()
    os.write(ours, answers.encode())
    done = subprocess.run(
        [sys.executable, "-m", "weaudit.cli.main", *arguments],
        env={**os.environ, **engine.environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    return done.returncode, done.stdout


def streaming(engine: RunningEngine) -> bool:
    found = engine.client("dynamodb").describe_table(TableName=TABLE)["Table"]
    return bool((found.get("StreamSpecification") or {}).get("StreamEnabled"))


def watched_tables(engine: RunningEngine) -> dict[str, Any]:
    shown = run(engine, "watched", "--json")
    assert shown.exit_code == 0, shown.stderr
    return {row["table"]: row for row in json.loads(shown.stdout)}


def test_without_a_terminal_nothing_is_done_unless_it_was_agreed_to(engine: RunningEngine, table: str) -> None:
    refused = run(engine, "watch", table)
    assert refused.exit_code == output.EXIT_USAGE
    assert "turn the stream of cli_watched on" in refused.stderr
    assert "--yes" in refused.stderr
    assert not streaming(engine)
    assert table not in watched_tables(engine)
    assert run(engine, "watch", table, "--yes").exit_code == 0
    assert run(engine, "unwatch", table).exit_code == output.EXIT_USAGE
    assert table in watched_tables(engine)


def test_somebody_is_asked(engine: RunningEngine, table: str) -> None:
    code, shown = answered(engine, "n\n", "watch", table)
    assert code == output.EXIT_FAILED, shown
    assert not streaming(engine)
    code, shown = answered(engine, "y\n", "watch", table)
    assert code == 0, shown
    assert f"{table} is watched." in shown
    assert streaming(engine)
    # One answer for the watch, one for the stream that was turned on for it.
    code, shown = answered(engine, "y\ny\n", "unwatch", table)
    assert code == 0, shown
    assert "Turn it off?" in shown
    assert not streaming(engine)


def test_documents_and_lists(engine: RunningEngine, table: str) -> None:
    shown = run(engine, "watch", table, "--actor", "by", "--yes", "--json")
    assert shown.exit_code == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert (document["table"], document["state"], document["actor"]) == (table, "Enabled", "by")
    assert (len(document["done"]), document["turnedStreamOn"]) == (3, True)
    again = run(engine, "watch", table, "--yes")
    assert (again.exit_code, "watched already" in again.stdout) == (0, True)
    rows = watched_tables(engine)
    assert (rows[table]["actor"], rows["Configuration"]["state"]) == ("by", "Enabled")
    assert rows[table]["since"].endswith("Z")
    assert table in run(engine, "watched").stdout
    removed = run(engine, "unwatch", table, "--yes", "--json")
    assert json.loads(removed.stdout) == {"table": table, "stack": document["stack"], "streamOff": False}
    assert "stays on" in removed.stderr
    assert streaming(engine)


def test_rules_are_options_that_may_be_repeated_and_replace_a_list(engine: RunningEngine, table: str) -> None:
    options = ("--exclude", "card", "--exclude", r"a\.b", "--ignore", "at", "--hash", "e.mail", "--require-reason")
    shown = run(engine, "watch", table, *options, "--yes", "--json")
    assert shown.exit_code == 0, shown.stderr
    assert r"'a\.b' and 'card' are excluded" in shown.stderr
    rules = json.loads(shown.stdout)["rules"]
    assert rules == {
        "from": "1970-01-01T00:00:00.000Z", "actor": "updatedBy", "fresh": "", "subject": "", "requireReason": True,
        "exclude": [r"a\.b", "card"], "hash": ["e.mail"], "ignore": ["at"], "only": [], "redact": [],
    }  # fmt: skip
    assert "2 exclude, 1 hash, 1 ignore, reason" in run(engine, "watched").stdout
    again = run(engine, "watch", table, "--exclude", "", "--no-require-reason", "--yes")
    assert again.exit_code == 0, again.stderr
    assert "are no longer excluded" in again.stderr
    assert "Records that were made before stay as they are" in again.stderr
    # In force minutes later: until then what was in force is.
    assert watched_tables(engine)[table]["rules"] == rules
    assert "there is nothing to do" in run(engine, "watch", table, "--hash", "e.mail").stdout


def test_rules_that_are_not_valid_are_named_and_go_with_the_next(engine: RunningEngine, table: str) -> None:
    assert run(engine, "watch", table, "--ignore", "at", "--yes").exit_code == 0
    key, client = {"key": {"S": f"WATCH/{table}"}}, engine.client("dynamodb")
    versions = client.get_item(TableName="Configuration", Key=key)["Item"]["versions"]["L"]
    misspelt = {"M": {"from": {"S": "2024-01-01T00:00:00.000Z"}, "exclud": {"L": [{"S": "card"}]}}}
    client.put_item(TableName="Configuration", Item={**key, "versions": {"L": [*versions, misspelt]}})
    again = run(engine, "watch", table)
    assert (again.exit_code, "nothing to do" in again.stdout) == (0, True)
    assert '"exclud" is no rule' in again.stderr
    assert "those before stay in force" in again.stderr
    assert f"{table}: not all of its rules are valid" in run(engine, "watched").stderr
    assert '"exclud" is no rule' in watched_tables(engine)[table]["faults"][0]
    mended = run(engine, "watch", table, "--ignore", "at", "--yes")
    assert 'drop from Configuration what is not valid of the rules of cli_watched: version 2: "exclud"' in mended.stderr
    assert watched_tables(engine)[table]["faults"] == []


def test_raw_records_are_counted_once(engine: RunningEngine) -> None:
    s3, bucket = engine.client("s3"), "weaudit-evidence-dev-000000000000"
    keys = [f"{prefix}tests/{number}.json" for prefix in ("raw/quarantine/", "aws/lambda/") for number in range(2)]
    before = run(engine, "watched", "--json")
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
    try:
        shown = run(engine, "watched", "--json")
    finally:
        for key in keys:
            s3.delete_object(Bucket=bucket, Key=key)
    assert json.loads(shown.stdout) == json.loads(before.stdout)
    said = re.search(r"keeps (\d+) raw record\(s\) under raw/ and aws/lambda/", shown.stderr)
    assert said is not None
    earlier = re.search(r"keeps (\d+) raw", before.stderr)
    assert int(said[1]) == 4 + (int(earlier[1]) if earlier else 0)


def test_trouble_is_shown_with_what_to_do(engine: RunningEngine, table: str) -> None:
    assert run(engine, "watch", table, "--yes").exit_code == 0
    client = engine.client("dynamodb")
    client.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    shown = run(engine, "watched")
    assert "stream off" in shown.stdout
    assert f"`weaudit watch {table}` turns it on again" in shown.stderr
    assert run(engine, "watch", table, "--yes").exit_code == 0
    assert watched_tables(engine)[table]["state"] == "Enabled"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("watch", "Audit", "--yes"), "each record in it would make further records"),
        (("watch", "audit_logs", "--yes"), "is no change of your data"),
        (("watch", "Configuration", "--yes"), "watched already"),
        (("watch", "nowhere", "--yes"), "there is no table"),
        (("watch", "Configuration", "--exclude", "key", "--yes"), "part of the key"),
        (("watch", "Configuration", "--redact", "tags[0]", "--yes"), 'Name the whole list: "tags"'),
        (("watch", "Configuration", "--redact", "a", "--hash", "a", "--yes"), "under hash and under redact"),
        (("watch", "Configuration", "--exclude", "updatedBy", "--yes"), "no change could say who made it"),
        (("unwatch", "nowhere", "--yes"), "is not watched"),
        (("unwatch", "Configuration", "--yes"), "own stack"),
    ],
)
def test_refusals_say_why(engine: RunningEngine, arguments: tuple[str, ...], reason: str) -> None:
    shown = run(engine, *arguments)
    assert shown.exit_code == output.EXIT_USAGE
    assert reason in shown.stderr
    assert "Traceback" not in shown.stderr

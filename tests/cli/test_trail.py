"""`weaudit history` and `weaudit changes`, over moto."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from tests.aws.moto_relay import moto_environment
from tests.strategies import change
from tests.trails import EVIDENCE, changed, make_audit_table, write
from weaudit.cli.main import app

AT_MS = 1_711_922_395_000  # 2024-03-31T21:59:55Z
LIFE: list[dict[str, Any] | None] = [
    None,
    {"value": {"N": "3600"}},
    {"value": {"N": "1800"}},
    {"value": {"N": "1800"}, "note": {"S": "grün"}},
    None,
]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """An account with Configuration and an Audit table that holds the life of CACHE_TTL_SEC."""
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(tmp_path))
    with moto_environment() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        dynamodb = boto3.client("dynamodb", environment["AWS_REGION"])
        make_audit_table(dynamodb)
        make_table(dynamodb, "Configuration", {"key": "S"}, stream=True)
        write(dynamodb, changed("CACHE_TTL_SEC", LIFE, at_ms=AT_MS))
        yield dynamodb


def make_table(dynamodb: Any, name: str, keys: dict[str, str], *, stream: bool) -> None:
    kinds = ("HASH", "RANGE")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in keys.items()],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)],
        **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}} if stream else {}),
    )


def test_history_tells_an_items_life(client: Any) -> None:
    result = run("history", "CACHE_TTL_SEC", "--utc")
    assert result.exit_code == 0
    assert [line.split()[2:] for line in result.stdout.splitlines()[1:]] == [
        ["unknown", "created", "{key:", '"CACHE_TTL_SEC",', "value:", "3600}"],
        ["unknown", "value", "3600", "→", "1800"],
        ["unknown", "note", "+", '"grün"'],
        ["unknown", "deleted", "{key:", '"CACHE_TTL_SEC",', "value:", "1800,", "note:", '"grün"}'],
    ]
    assert result.stderr == ""


def test_json_is_one_document_with_every_field(client: Any) -> None:
    found = json.loads(run("history", "CACHE_TTL_SEC", "--json").stdout)
    assert [one["eventName"] for one in found] == ["INSERT", "MODIFY", "MODIFY", "REMOVE"]
    hashes = [(one.get("beforeHash"), one.get("afterHash")) for one in found]
    assert [after for _, after in hashes[:-1]] == [before for before, _ in hashes[1:]]
    one = found[1]
    assert one.pop("beforeHash") != one.pop("afterHash")
    assert len(one["attributes"][0].pop("recordId")) == 36
    assert one == {
        "tableName": "Configuration",
        "itemKey": "CACHE_TTL_SEC",
        "modificationTime": "2024-03-31T21:59:56.000Z",
        "eventName": "MODIFY",
        "sequenceNumber": "1000000000000000000002",
        "attributes": [{"updatedAttribute": "value", "oldValue": 3600, "newValue": 1800}],
    }


def test_an_attribute_is_followed_through_creation_and_deletion(client: Any) -> None:
    found = json.loads(run("history", "CACHE_TTL_SEC", "--attribute", "value", "--json").stdout)
    steps = [(one["attributes"][0].get("oldValue"), one["attributes"][0].get("newValue")) for one in found]
    assert steps == [(None, 3600), (3600, 1800), (1800, None)]


def test_ranges_order_and_limit(client: Any) -> None:
    def events(*words: str) -> list[str]:
        return [one["eventName"] for one in json.loads(run(*words, "--json", "--utc").stdout)]

    for command in (["history", "CACHE_TTL_SEC"], ["changes"]):
        assert events(*command, "--limit", "1") == ["INSERT"]
        assert events(*command, "--newest-first", "-n", "2") == ["REMOVE", "MODIFY"]
        assert events(*command, "--since", "2024-03-31T21:59:57") == ["MODIFY", "REMOVE"]
        assert events(*command, "--until", "2024-03-31T21:59:55Z") == ["INSERT"]
        assert len(events(*command, "--since", "2024-03-31", "--until", "2024-03-31")) == 4
        assert events(*command, "--since", "2h") == []


BEATING: list[dict[str, Any] | None] = [
    None,
    *({"v": {"N": str(n // 4)}, "updatedAt": {"N": str(n)}, "größe": {"S": "x" * (n % 2)}} for n in range(8)),
    None,
]


@pytest.mark.parametrize("command", [["history", "BEAT"], ["changes", "--since", "2024-04-01"]])
def test_changes_of_what_is_left_out_are_folded_into_one_line(client: Any, command: list[str]) -> None:
    write(client, changed("BEAT", BEATING, at_ms=AT_MS + 24 * 3_600_000, first=50))
    result = run(*command, "--without", "updatedAt", "--without", "größe", "--utc")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()[1:]
    assert lines[1] == lines[3] == "… 3 changes of größe, updatedAt alone"
    assert "updatedAt" not in lines[0] + lines[2] + lines[4]
    assert [line.split()[-3:] for line in (lines[0], lines[2], lines[4])] == [
        ['"BEAT",', "v:", "0}"],
        ["0", "→", "1"],
        ['"BEAT",', "v:", "1}"],
    ]
    # A limit counts what is shown, and nothing is read beyond it, in either direction.
    found = run(*command, "--without", "updatedAt", "--without", "größe", "--limit", "2").stdout.splitlines()[1:]
    assert ["folded" if line.startswith("…") else "shown" for line in found] == ["shown", "folded", "shown"]
    found = run(*command, "--without", "updatedAt", "--without", "größe", "-r", "-n", "1").stdout.splitlines()[1:]
    assert len(found) == 1
    assert "deleted" in found[0]


@pytest.mark.parametrize("command", [["history", "BEAT"], ["changes", "--since", "2024-04-01"]])
def test_as_json_what_is_left_out_is_counted(client: Any, command: list[str]) -> None:
    write(client, changed("BEAT", BEATING, at_ms=AT_MS + 24 * 3_600_000, first=50))
    whole = json.loads(run(*command, "--json").stdout)
    found = json.loads(run(*command, "--json", "--without", "updatedAt", "--without", "größe").stdout)
    assert (found.keys(), found["folded"]) == ({"changes", "folded"}, 6)
    kept = [whole[0], whole[4], whole[8]]
    for one in kept:
        one["attributes"] = [part for part in one["attributes"] if part.get("updatedAttribute", "v") == "v"]
        for part in one["attributes"]:
            for side in ("oldValue", "newValue"):
                if isinstance(part.get(side), dict):
                    part[side] = {name: part[side][name] for name in ("key", "v")}
    assert found["changes"] == kept
    nothing = json.loads(run(*command, "--json", "--without", "nothing").stdout)
    assert (len(nothing["changes"]), nothing["folded"]) == (9, 0)
    # What is left out of everything that there is.
    steps = [{"n": {"N": str(n)}} for n in range(3)]
    write(client, changed("NOISE", steps, at_ms=AT_MS + 48 * 3_600_000, first=90))
    result = run("history", "NOISE", "--without", "n", "--json")
    assert (result.stdout, result.stderr) == ('{\n  "changes": [],\n  "folded": 2\n}\n', "")
    assert run("history", "NOISE", "--without", "n").stdout.splitlines()[1:] == ["… 2 changes of n alone"]


def test_what_cannot_be_left_out_is_refused(client: Any) -> None:
    for command in (["history", "CACHE_TTL_SEC"], ["changes"]):
        result = run(*command, "--without", "")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "--without needs an attribute's name" in result.stderr
    result = run("history", "CACHE_TTL_SEC", "-a", "value\x1b", "--without", "note", "--without", "value\x1b")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "leaves out what --attribute asks for" in result.stderr
    assert "\x1b" not in result.stderr
    found = json.loads(run("history", "CACHE_TTL_SEC", "-a", "value", "--without", "note", "--json").stdout)
    assert (len(found["changes"]), found["folded"]) == (3, 0)
    assert run("history", "CACHE_TTL_SEC", "-a", "value", "--without", "note", "-n", "1").exit_code == 0


def test_changes_of_a_table_name_their_items(client: Any) -> None:
    write(client, changed("OTHER", [None, {}], at_ms=AT_MS + 500, first=100))
    result = run("changes", "--utc")
    assert [line.split()[3] for line in result.stdout.splitlines()[1:]] == [
        "CACHE_TTL_SEC", "OTHER", "CACHE_TTL_SEC", "CACHE_TTL_SEC", "CACHE_TTL_SEC",
    ]  # fmt: skip


@pytest.mark.parametrize("live", [True, False])
def test_a_key_of_several_parts_is_found_with_and_without_its_table(client: Any, live: bool) -> None:
    keys = {"pk": {"S": "a"}, "sk": {"N": "7"}}
    write(client, [change(None, keys, keys=keys, table="Orders", created_at_ms=AT_MS)])
    if live:
        make_table(client, "Orders", {"pk": "S", "sk": "N"}, stream=True)
    result = run("history", '{"sk": 7.0, "pk": "a"}', "--table", "Orders", "--json")
    assert [one["itemKey"] for one in json.loads(result.stdout)] == ['{"pk":{"S":"a"},"sk":{"N":"7"}}']
    if live:
        refused = run("history", "a", "--table", "Orders")
        assert refused.exit_code == 2
        assert "whose key is pk (S), sk (N)" in refused.stderr


def test_an_empty_answer_says_what_to_check(client: Any) -> None:
    make_table(client, "Plain", {"key": "S"}, stream=False)
    for words, hint in [
        (["history", "nope"], "Is the key spelled exactly like this?"),
        (["history", "nope", "--table", "Gone"], "There is no table Gone now."),
        (["history", "nope", "--table", "Plain"], "Plain is not audited: its stream is off."),
        (["history", "nope", "--table", ""], "is not a valid name of a table"),
        (["changes", "--table", "Plain"], "Plain is not audited: its stream is off."),
        (["changes", "--since", "1h"], "weaudit logs audit_producer"),
        (["history", "CACHE_TTL_SEC", "--attribute", "x"], "No change of 'x' of 'CACHE_TTL_SEC'"),
    ]:
        result = run(*words)
        assert (result.exit_code, result.stdout) == (0, "")
        assert hint in result.stderr
        assert "Looked at http://127.0.0.1:" in result.stderr
        assert run(*words, "--json").stdout == "[]\n"
    assert r"No change of 'a\x1b' in Configuration" in run("history", "a\x1b").stderr


def test_a_long_value_is_cut_on_the_screen_and_whole_as_json(client: Any) -> None:
    objects: dict[str, bytes] = {}
    write(client, changed("BIG", [None, {"t": {"S": "x" * 9000}}], at_ms=AT_MS, first=200), objects=objects)
    s3 = boto3.client("s3", "us-east-1", endpoint_url=client.meta.endpoint_url)
    s3.create_bucket(Bucket=EVIDENCE)
    ((key, body),) = objects.items()
    s3.put_object(Bucket=EVIDENCE, Key=key, Body=body)
    assert "--json shows them whole" in run("history", "BIG").stderr
    (found,) = json.loads(run("history", "BIG", "--json").stdout)
    assert found["attributes"][0]["newValue"]["t"] == "x" * 9000
    s3.put_object(Bucket=EVIDENCE, Key=key, Body=body[:-1])
    assert "are gone from the evidence bucket, or were altered there: t" in " ".join(
        run("history", "BIG").stdout.split()
    )


def test_a_missing_audit_table_and_a_bad_range_are_refused(client: Any) -> None:
    missing = run("history", "k", "--audit-table", "Elsewhere")
    assert missing.exit_code == 1
    assert "there is no audit table Elsewhere" in missing.stderr
    assert run("changes", "--since", "1h", "--until", "2h").exit_code == 2
    assert run("changes", "--since", "soon").exit_code == 2
    assert run("changes", "--limit", "0").exit_code == 2
    assert run("changes", "--limit", str(10**20)).exit_code == 0


def test_another_audit_table_is_read(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_audit_table(client, "two-Audit")
    write(client, changed("k", [None, {}], at_ms=AT_MS), "two-Audit")
    assert len(json.loads(run("changes", "--json", "--audit-table", "two-Audit").stdout)) == 1
    monkeypatch.setenv("WEAUDIT_AUDIT_TABLE", "two-Audit")
    assert len(json.loads(run("changes", "--json").stdout)) == 1


def test_without_anywhere_to_look_it_says_how_to_begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(tmp_path))
    result = run("history", "k")
    assert result.exit_code == 3
    assert "weaudit up" in result.stderr


@pytest.mark.parametrize("command", ["history", "changes", "demo"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: weaudit {command}" in run(command, "--help").stdout

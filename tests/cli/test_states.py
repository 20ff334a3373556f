"""`weaudit as-of` and `weaudit diff`, over moto."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cli.test_trail import AT_MS, client, make_table, run
from tests.conftest import RunningEngine
from tests.strategies import change
from tests.trails import changed, write
from weaudit.aws import errors
from weaudit.aws.client import DynamoDB
from weaudit.errors import DeployError
from weaudit.installation.outputs import Installation

__all__ = ["client"]  # the fixture: an account that holds the life of CACHE_TTL_SEC


@pytest.fixture(autouse=True)
def _no_stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is deployed in these accounts: moto's CloudFormation needs packages that nothing else does."""

    def find() -> Installation:
        raise DeployError("there is no stack")

    if "engine" not in request.keywords:
        monkeypatch.setattr(Installation, "find", find)


def document(*words: str, code: int = 0) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def test_an_item_as_it_was(client: Any) -> None:
    result = run("as-of", "CACHE_TTL_SEC", "2024-03-31T21:59:56Z", "--utc")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [["key", '"CACHE_TTL_SEC"'], ["value", "1800"]]
    assert result.stderr.splitlines() == [
        "It was so from 2024-03-31 21:59:56 UTC on (by unknown, sequence 1000000000000000000002).",
        "The next change followed at 2024-03-31 21:59:57.",
    ]


def test_a_state_as_json_has_every_field(client: Any) -> None:
    found = document("as-of", "CACHE_TTL_SEC", "--sequence", "1000000000000000000003")
    assert found["lastChange"].pop("recordIds")[0] != found["nextChange"].pop("recordIds")[0]
    assert found == {
        "tableName": "Configuration",
        "itemKey": "CACHE_TTL_SEC",
        "sequence": "1000000000000000000003",
        "exists": True,
        "complete": True,
        "problems": [],
        "unknown": [],
        "lastChange": {
            "modificationTime": "2024-03-31T21:59:57.000Z",
            "sequenceNumber": "1000000000000000000003",
            "eventName": "MODIFY",
        },
        "nextChange": {
            "modificationTime": "2024-03-31T21:59:58.000Z",
            "sequenceNumber": "1000000000000000000004",
            "eventName": "REMOVE",
        },
        "item": {"key": "CACHE_TTL_SEC", "value": 1800, "note": "grün"},
    }


def test_a_deleted_item_and_a_whole_day(client: Any) -> None:
    found = document("as-of", "CACHE_TTL_SEC", "2024-03-31", "--utc")
    assert (found["at"], found["exists"], found["item"]) == ("2024-03-31T23:59:59.999Z", False, None)
    assert "It was deleted from 2024-03-31 21:59:58 UTC on" in run("as-of", "CACHE_TTL_SEC", "1h", "--utc").stderr


def test_what_the_trail_does_not_tell_is_said_and_is_no_success(client: Any) -> None:
    found = document("as-of", "CACHE_TTL_SEC", "2024-03-30", code=1)
    assert (found["exists"], [problem["code"] for problem in found["problems"]]) == (None, ["BeforeFirstRecord"])
    write(client, changed("OLD", [{"v": {"N": "1"}, "w": {"N": "1"}}, {"v": {"N": "2"}, "w": {"N": "1"}}], at_ms=AT_MS))
    result = run("as-of", "OLD", "2h")
    assert (result.exit_code, result.stdout.split()) == (1, ["v", "2"])
    assert "incomplete: the trail of this item begins with the change" in result.stderr
    assert "(AuditingBeganLater)" in result.stderr
    result = run("as-of", "nope", "2h")
    assert result.exit_code == 1
    assert "(NotRecorded)" in result.stderr
    assert "Is the key 'nope' spelled exactly like this?" in result.stderr


def test_an_item_older_than_its_trail_is_told_whole_where_it_can_be_read(client: Any) -> None:
    client.put_item(TableName="Configuration", Item={"key": {"S": "OLD"}, "v": {"N": "2"}, "w": {"N": "1"}})
    write(client, changed("OLD", [{"v": {"N": "1"}, "w": {"N": "1"}}, {"v": {"N": "2"}, "w": {"N": "1"}}], at_ms=AT_MS))
    assert document("as-of", "OLD", "2h")["item"] == {"key": "OLD", "v": 2, "w": 1}


def test_a_key_that_the_table_cannot_have_is_still_one_of_the_trail(client: Any) -> None:
    """The table may have been made anew with another key: its item cannot be read, and the trail can."""
    long = "k" * 2049
    write(client, changed(long, [{"v": {"N": "1"}, "w": {"N": "1"}}, {"v": {"N": "2"}, "w": {"N": "1"}}], at_ms=AT_MS))
    assert document("as-of", long, "2h", code=1)["item"] == {"v": 2}


_REFUSALS = [("ServiceUnavailable", 503, 3), ("ThrottlingException", 400, 3), ("AccessDeniedException", 400, None)]


def refused(code: str, status: int, operation: str) -> ClientError:
    error: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, operation)


@pytest.mark.parametrize(("code", "status", "unreachable"), _REFUSALS)
def test_an_outage_of_cloudformation_is_not_taken_for_what_nobody_knows(
    client: Any, monkeypatch: pytest.MonkeyPatch, code: str, status: int, unreachable: int | None
) -> None:
    def find() -> Installation:
        raise refused(code, status, "DescribeStacks")

    monkeypatch.setattr(Installation, "find", find)
    # Whether the item was there before its trail begins is known of the stack's own table.
    assert run("diff", "CACHE_TTL_SEC", "2000-01-01", "2100-01-01").exit_code == (unreachable or 1)


@pytest.mark.parametrize(("code", "status", "unreachable"), _REFUSALS)
def test_an_outage_of_the_table_is_not_taken_for_what_nobody_knows(
    client: Any, monkeypatch: pytest.MonkeyPatch, code: str, status: int, unreachable: int | None
) -> None:
    old = {"key": {"S": "OLD"}, "kept": {"S": "k"}}
    write(client, [change(old, {**old, "v": {"N": "1"}}, keys={"key": {"S": "OLD"}}, created_at_ms=AT_MS)])
    client.put_item(TableName="Configuration", Item={**old, "v": {"N": "1"}})
    assert run("as-of", "OLD", "2100-01-01").exit_code == 0
    sent = DynamoDB.call

    def send(self: DynamoDB, operation: str, body: Any) -> Any:
        if operation == "GetItem":
            raise errors.failure(operation, status, code, "")
        return sent(self, operation, body)

    monkeypatch.setattr(DynamoDB, "call", send)
    assert run("as-of", "OLD", "2100-01-01").exit_code == (unreachable or 1)


def test_what_changed_between_two_times(client: Any) -> None:
    times = ["2024-03-31T21:59:55Z", "2024-03-31T21:59:57Z"]
    result = run("diff", "CACHE_TTL_SEC", *times)
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["note", "+", '"grün"'],
        ["value", "3600", "→", "1800"],
    ]
    assert result.stderr == ""
    found = document("diff", "CACHE_TTL_SEC", *times)
    assert found["before"].pop("lastChange")["eventName"] == "INSERT"
    assert found["after"].pop("lastChange")["eventName"] == "MODIFY"
    for side in ("before", "after"):
        assert found[side].pop("nextChange")
        assert found.pop(side) == {"exists": True, "complete": True, "problems": [], "unknown": []}
    assert found == {
        "tableName": "Configuration",
        "itemKey": "CACHE_TTL_SEC",
        "from": "2024-03-31T21:59:55.000Z",
        "to": "2024-03-31T21:59:57.000Z",
        "complete": True,
        "unknown": [],
        "differences": [
            {"path": ["note"], "newValue": "grün"},
            {"path": ["value"], "oldValue": 3600, "newValue": 1800},
        ],
    }


def test_places_within_values_and_members_of_sets_are_shown(client: Any) -> None:
    images: list[dict[str, Any] | None] = [
        None,
        {"m": {"M": {"a b": {"L": [{"N": "1"}]}, "same": {"N": "1"}}}, "s": {"SS": ["a", "b"]}},
        {"m": {"M": {"a b": {"L": [{"N": "2"}]}, "same": {"N": "1.0"}}}, "s": {"SS": ["c", "b"]}},
    ]
    write(client, changed("DEEP", images, at_ms=AT_MS, first=100))
    words = ("diff", "DEEP", "2024-03-31T21:59:55Z", "1h")
    assert [line.split() for line in run(*words).stdout.splitlines()] == [
        ['m["a', 'b"][0]', "1", "→", "2"],
        ["s", "\N{MINUS SIGN}", '"a"', "+", '"c"'],
    ]
    assert document(*words)["differences"] == [
        {"path": ["m", "a b", 0], "oldValue": 1, "newValue": 2},
        {"path": ["s"], "oldValue": "a", "member": True},
        {"path": ["s"], "newValue": "c", "member": True},
    ]


def test_no_difference_and_no_answer_are_told_apart(client: Any) -> None:
    result = run("diff", "CACHE_TTL_SEC", "2h", "1h")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing differs: it did not exist at either time." in result.stderr
    result = run("diff", "CACHE_TTL_SEC", "2024-03-30", "2024-03-31T21:59:55Z")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "As of 2024-03-30: incomplete" in result.stderr
    assert "Unknown: key, value" in result.stderr
    assert document("diff", "nope", "2h", "1h", code=1)["differences"] == []


@pytest.mark.parametrize("live", [True, False])
def test_a_key_of_several_parts(client: Any, live: bool) -> None:
    keys = {"pk": {"S": "a"}, "sk": {"N": "7"}}
    write(client, [change(None, keys, keys=keys, table="Orders", created_at_ms=AT_MS)])
    if live:
        make_table(client, "Orders", {"pk": "S", "sk": "N"}, stream=True)
    assert document("as-of", '{"sk": 7.0, "pk": "a"}', "2h", "--table", "Orders")["item"] == {"pk": "a", "sk": 7}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["as-of", "k"], "give either a time or a change"),
        (["as-of", "k", "2h", "--sequence", "5"], "give either a time or a change"),
        (["as-of", "k", "soon"], "TIME 'soon' is not a time"),
        (["as-of", "k", "--sequence", "five"], "a sequence number has up to 40 digits"),
        (["diff", "k", "1h", "2h"], "T1 1h is after T2 2h"),
        (["diff", "k", "soon", "2h"], "T1 'soon' is not a time"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client: Any, words: list[str], hint: str) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert hint in result.stderr


def test_a_value_that_would_steer_the_terminal_is_shown_escaped(client: Any) -> None:
    write(client, changed("EVIL", [None, {"a\x1b[2J": {"S": "\x1b]0;x\x07"}}], at_ms=AT_MS, first=200))
    for words in (["as-of", "EVIL", "2h"], ["as-of", "EVIL", "2h", "--json"], ["diff", "EVIL", "2024-03-31", "2h"]):
        assert "\x1b" not in run(*words).output


@pytest.mark.engine
def test_of_the_stacks_own_table_it_is_known_what_was_before_the_first_record(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(engine.directory))
    item = {"key": {"S": "as-of"}, "value": {"N": "1.50"}}
    engine.client("dynamodb").put_item(TableName="Configuration", Item=item)
    eventually(lambda: run("as-of", "as-of", "0s").exit_code == 0)
    assert document("as-of", "as-of", "0s")["item"] == {"key": "as-of", "value": 1.5}
    result = run("as-of", "as-of", "1h")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "It did not exist yet." in result.stderr
    result = run("diff", "as-of", "1h", "0s")
    assert [line.split() for line in result.stdout.splitlines()] == [["key", "+", '"as-of"'], ["value", "+", "1.5"]]


@pytest.mark.parametrize("command", ["as-of", "diff"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: weaudit {command}" in run(command, "--help").stdout

"""Updates through every door: one behaviour, all or nothing, logged once, and one change in the trail."""

import json
import random
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.aws import scripted_server
from tests.aws.scripted_server import Request, ScriptedServer, serving
from tests.e2e.commands import client, eventually, run, verified
from tests.e2e.doors import CALLER, DOORS, direct, http, http_event, invoke
from tests.sizes import SIZE
from weaudit.aws.client import DynamoDB
from weaudit.aws.connections import Connection
from weaudit.handlers import table_update
from weaudit.items.times import iso_moment
from weaudit.local import engine, process
from weaudit.updates import plan
from weaudit.updates.requests import Caller, Settings, read_request

pytestmark = pytest.mark.engine
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One engine for this file, which commands find by the environment."""
    directory = tmp_path_factory.mktemp("updates")
    engine.up(port=process.free_port(), state_dir=directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEAUDIT_STATE_DIR", str(directory))
        yield directory
    engine.down(state_dir=directory, force=True)


def put(key: str, **attributes: Any) -> None:
    client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": key}, **attributes})


def get(key: str, table: str = "Configuration") -> dict[str, Any] | None:
    found = client("dynamodb").get_item(TableName=table, Key={"key": {"S": key}}, ConsistentRead=True)
    item: dict[str, Any] | None = found.get("Item")
    return item


def log_of(key: str) -> list[dict[str, Any]]:
    pages = client("dynamodb").get_paginator("scan").paginate(TableName="audit_logs")
    found = [row for page in pages for row in page["Items"] if row.get("record_id") == {"S": key}]
    return sorted(found, key=lambda row: str(row["timestamp"]))


# ---- 1. the error table

ERRORS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no attributes": ({"id": "taken", "attributes": {}}, 400, "InvalidInputError"),
    "syntax": ({"id": "taken", "attributes": {"n": 2}, "condition_expression": "n = ="}, 400, "InvalidInputError"),
    "key attribute": ({"id": "taken", "attributes": {"key": "other"}}, 400, "ValidationError"),
    "rules of a watched table": ({"id": "WATCH/orders", "attributes": {"versions": []}}, 400, "InvalidInputError"),
    "marker": ({"id": "taken", "attributes": {"_weaudit": "x"}}, 400, "ValidationError"),
    "empty name": ({"id": "taken", "attributes": {"": 1}}, 400, "ValidationError"),
    "too many digits": ({"id": "taken", "attributes": {"n": 10**40 + 1}}, 400, "ValidationError"),
    "item size": ({"id": "large", "attributes": {"n": "x" * 60_000}}, 400, "ValidationError"),
    "no such record": ({"id": "nobody", "attributes": {"n": 2}}, 404, "RecordNotFoundError"),
    "no such record, condition": (
        {"id": "nobody", "attributes": {"n": 2}, "condition_expression": "attribute_not_exists(email)"},
        404,
        "RecordNotFoundError",
    ),
    "condition": (
        {"id": "taken", "attributes": {"n": 2}, "condition_expression": "attribute_not_exists(n)"},
        412,
        "ConditionalCheckFailed",
    ),
}


@pytest.mark.parametrize("logged", [False, True], ids=["plain", "logged"])
@pytest.mark.parametrize("name", ERRORS)
def test_every_door_answers_an_error_with_the_same_document_and_status(name: str, logged: bool) -> None:
    document, status, error = ERRORS[name]
    put("taken", n={"N": "1"})
    put("large", text={"S": "x" * 380_000})
    if logged:
        document = {**document, "enable_logging": True}
    before, told = {key: get(key) for key in ("taken", "large")}, len(log_of(document["id"]))
    answers = [door(document) for door in DOORS.values()]
    for found_status, answer in answers:
        assert (found_status, answer["success"], answer["error"]) == (status, False, error)
        assert TIME.fullmatch(answer.pop("timestamp"))
        assert set(answer) == {"success", "error", "message", "details"}
        assert answer["message"]
    assert answers[0] == answers[1] == answers[2]
    assert {key: get(key) for key in before} == before
    entries = log_of(document["id"])[told:]
    assert [entry["status"]["S"] for entry in entries] == ([error] * 3 if logged else [])


@pytest.mark.parametrize("ask", [direct, http])
@pytest.mark.parametrize(
    ("document", "missing"),
    [
        ({}, ["id", "attributes"]),
        ({"attributes": {"n": 1}}, ["id"]),
        ({"id": "taken"}, ["attributes"]),
        ({"enable_logging": True}, ["id", "attributes"]),
    ],
)
def test_missing_fields_are_named(ask: Callable[[Any], Any], document: Any, missing: list[str]) -> None:
    status, answer = ask(document)
    assert (status, answer["error"], answer["details"]["missing_fields"]) == (400, "InvalidInputError", missing)
    if len(missing) == 2:
        assert answer["message"] == "ID and attributes are required"


@pytest.mark.parametrize("body", ["", "{", "[1", '"text"', "null", "[]", "NaN", '{"id": 1, "id": 2}', "[" * 100_000])
def test_a_body_that_is_no_document_is_invalid_input(body: str) -> None:
    answer = invoke(http_event(None, raw=body))
    assert answer["statusCode"] == 400, answer
    assert json.loads(answer["body"])["error"] == "InvalidInputError"


def test_a_table_that_the_stack_may_not_update_is_refused_through_every_door() -> None:
    put("taken", n={"N": "1"})
    document = {"id": "taken", "attributes": {"n": 2}, "table_name": "Audit"}
    answers = [door(document) for door in DOORS.values()]
    assert {status for status, _ in answers} == {400}
    assert {answer["error"] for _, answer in answers} == {"InvalidInputError"}


def test_an_error_of_the_store_tells_no_internals() -> None:
    environment = {**engine_environment(), "TABLE_NAME": "NoSuchTable"}
    stores = table_update.connect(environment)
    status, answer = table_update.handle({"id": "a", "attributes": {"n": 1}}, **stores)
    assert (status, answer["error"]) == (500, "DatabaseError")
    for word in ("NoSuchTable", "ResourceNotFound", "DescribeTable", "127.0.0.1"):
        assert word not in json.dumps(answer)


# ---- 2. values and conditions


@pytest.mark.parametrize("door", DOORS)
def test_reserved_words_are_set_in_one_call(door: str) -> None:
    put("user", name={"S": "old"})
    values = {"name": "Ada", "status": "active", "email": "ada@example.org"}
    status, answer = DOORS[door]({"id": "user", "attributes": values})
    assert status == 200
    assert TIME.fullmatch(answer.pop("timestamp"))
    assert answer == {
        "success": True,
        "message": "Record updated successfully",
        "updated_id": "user",
        "updated_attributes": ["name", "status", "email"],
    }
    assert get("user") == {"key": {"S": "user"}, **{name: {"S": value} for name, value in values.items()}}


def test_every_type_is_stored_without_loss() -> None:
    put("typed")
    digits = "12345678901234567890123456789012345678"
    raw = (
        f'{{"id": "typed", "attributes": {{"n": {digits}, "f": 0.{digits}, "e": 1E+30, "l": [1, "a", null], '
        '"m": {"B": "x", "in": {}}, "b": {"B": "AAEC"}, "ss": {"SS": ["a"]}, "ns": {"NS": [1.5]}, "t": true}}'
    )
    answer = invoke(http_event(None, raw=raw))
    assert answer["statusCode"] == 200, answer
    assert get("typed") == {
        "key": {"S": "typed"},
        "n": {"N": digits},
        "f": {"N": f"0.{digits}"},
        "e": {"N": "1" + "0" * 30},
        "l": {"L": [{"N": "1"}, {"S": "a"}, {"NULL": True}]},
        "m": {"M": {"B": {"S": "x"}, "in": {"M": {}}}},
        "b": {"B": b"\0\1\2"},
        "ss": {"SS": ["a"]},
        "ns": {"NS": ["1.5"]},
        "t": {"BOOL": True},
    }


ITEM: dict[str, Any] = {
    "status": {"S": "it's"},
    "size": {"N": "3"},
    "tags": {"SS": ["a", "b"]},
    "limits": {"M": {"max": {"L": [{"N": "1"}, {"M": {"name": {"S": "x"}}}]}}},
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("attribute_not_exists(email)", True),
        ('status = "it\'s"', True),
        ("size = 3 AND size(status) = 4", True),
        ("size(tags) > 1 and contains(tags, 'a')", True),
        ("limits.max[1].name = 'x'", True),
        ("limits.max[0] BETWEEN 0 AND 1", True),
        ("NOT (size IN (1, 2, 3))", False),
        ("attribute_type(tags, 'S')", False),
        ("begins_with(status, 'x')", False),
        ("missing = 1", False),
    ],
)
def test_conditions_with_reserved_words_literals_paths_and_size(door: str, condition: str, holds: bool) -> None:
    put("conditioned", **ITEM)
    status, answer = DOORS[door]({"id": "conditioned", "attributes": {"n": 1}, "condition_expression": condition})
    assert status == (200 if holds else 412), answer
    assert ("n" in (get("conditioned") or {})) == holds


def engine_environment() -> dict[str, str]:
    names = {"TABLE_NAME": "Configuration", "AUDIT_LOG_TABLE": "audit_logs", "KEYS_TABLE": "weaudit-keys-dev"}
    return {**engine.find().environment(), **names}


class Fuzz:
    """Random conditions: half of them well-formed and with a truth that is known, half a soup of their tokens."""

    TOKENS = (
        *("n", "v", "m.a", "l[0]", "size", "status", "missing", "1", "-2", "3.5", "1e999", "'x'", '"y"', "true"),
        *("null", "=", "<>", "<", "<=", ">", ">=", "(", ")", "[", "]", ".", ",", ":", "#", ":v", "#n", "AND", "OR"),
        *("NOT", "IN", "BETWEEN", "attribute_exists", "attribute_not_exists", "attribute_type", "begins_with"),
        *("contains", "size(", "'", '"', "\\", "\0", "\u00e9", "(n", "size)"),
    )

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 the same conditions each time

    def soup(self) -> str:
        return self.random.choice(("", " ")).join(
            self.random.choice(self.TOKENS) for _ in range(self.random.randint(1, 12))
        )

    def known(self, depth: int = 3) -> tuple[str, bool]:
        """Return a condition on ITEM and whether it holds."""
        kind = self.random.randint(0, 5 if depth else 1)
        if kind <= 1:
            number = self.random.randint(1, 5)
            sign = self.random.choice(("=", "<>", "<", "<=", ">", ">="))
            truth: Any = {"=": number == 3, "<>": number != 3, "<": number > 3, "<=": number >= 3}
            truth |= {">": number < 3, ">=": number <= 3}
            return self.random.choice((f"size {sign} {number}", f"size(l) {sign} {number}")), truth[sign]
        if kind == 2:
            text, truth = self.known(depth - 1)
            return f"NOT ({text})", not truth
        if kind == 3:
            name, there = self.random.choice((("status", True), ("l[2]", True), ("l[3]", False), ("m.zz", False)))
            return f"attribute_{'' if there else 'not_'}exists({name})", True
        (one, left), (two, right) = self.known(depth - 1), self.known(depth - 1)
        return (f"({one} AND {two})", left and right) if kind == 4 else (f"({one} or ({two}))", left or right)


@pytest.mark.parametrize("seed", range(4, 4 + SIZE))
def test_random_conditions_never_fail_and_never_change_what_they_should_not(seed: int) -> None:
    fuzz, stores = Fuzz(seed), table_update.connect(engine_environment())
    dynamodb = DynamoDB(Connection.from_environment("dynamodb", engine_environment()))
    base = {"key": {"S": "fuzzed"}, "size": {"N": "3"}, "status": {"S": "x"}, "m": {"M": {"a": {"N": "1"}}}}
    base |= {"l": {"L": [{"N": "1"}, {"N": "2"}, {"N": "3"}]}, "n": {"N": "0"}}
    other = {**base, "key": {"S": "untouched"}}
    for item in (base, other):
        dynamodb.call("PutItem", {"TableName": "Configuration", "Item": item})
    statuses: dict[int, int] = {}
    for number in range(1, 2_001):
        condition, truth = fuzz.known() if number % 2 else (fuzz.soup(), None)
        document = {"id": "fuzzed", "attributes": {"n": number}, "condition_expression": condition}
        status, answer = table_update.handle(document, **stores)
        statuses[status] = statuses.get(status, 0) + 1
        assert status in (200, 400, 412), (condition, answer)
        if truth is not None:
            assert (status == 200) == truth, (condition, answer)
        key = {"TableName": "Configuration", "Key": {"key": {"S": "fuzzed"}}, "ConsistentRead": True}
        now = dynamodb.call("GetItem", key)["Item"]
        if status == 200:
            base["n"] = {"N": str(number)}
        assert now == base, condition
    key["Key"] = {"key": {"S": "untouched"}}
    assert dynamodb.call("GetItem", key)["Item"] == other
    assert min(statuses.get(status, 0) for status in (200, 400, 412)) > 100, statuses


# ---- 3. request ids


def test_a_repeat_gets_the_first_answer_and_another_request_of_that_id_is_refused() -> None:
    put("repeated", n={"N": "0"})
    document = {"id": "repeated", "attributes": {"n": 1}, "enable_logging": True, "request_id": "r-1"}
    first = direct(document)
    put("repeated", n={"N": "7"})
    assert direct(document) == first
    assert get("repeated") == {"key": {"S": "repeated"}, "n": {"N": "7"}}
    assert [entry["status"]["S"] for entry in log_of("repeated")] == ["success"]
    status, answer = direct({**document, "attributes": {"n": 2}})
    assert (status, answer["error"]) == (400, "InvalidInputError")


def test_what_is_remembered_of_a_request_cannot_be_checked_against_a_guess() -> None:
    put("pin", n={"N": "0"})
    assert direct({"id": "pin", "attributes": {"pin": "4711"}, "request_id": "guess-me"})[0] == 200
    pages = client("dynamodb").get_paginator("scan").paginate(TableName="audit_logs")
    rows = [row for page in pages for row in page["Items"] if "pin" in row.get("answer", {}).get("S", "")]
    [row] = [row for row in rows if json.loads(row["answer"]["S"])["updated_id"] == "pin"]
    assert "4711" not in json.dumps(row)
    found = client("dynamodb").get_item(TableName="weaudit-keys-dev", Key={"id": {"S": "REQUEST"}})
    secret = found["Item"]["secret"]["B"]
    request = read_request(
        {"id": "pin", "attributes": {"pin": "4711"}, "request_id": "guess-me"}, Settings("Configuration")
    )
    for key, same in ((secret, True), (bytes(32), False)):
        again = plan.plan(request, {"key": "S"}, Settings("Configuration"), Caller(), 0, "", secret=key, rules=())
        guessed = again.body["TransactItems"][0]["Put"]["Item"]
        assert [guessed[name] == row[name] for name in ("log_id", "request_hash")] == [same, same]


def test_the_idempotency_key_of_http_is_the_request_id() -> None:
    put("keyed", n={"N": "0"})
    event = http_event({"id": "keyed", "attributes": {"n": 1}}, headers={"Idempotency-Key": "k-1"})
    first = invoke(event)
    put("keyed", n={"N": "7"})
    again = invoke(event)
    assert (again["statusCode"], again["body"]) == (first["statusCode"], first["body"])
    assert (get("keyed") or {})["n"] == {"N": "7"}


def test_two_subjects_of_one_issuer_have_request_ids_of_their_own() -> None:
    put("shared", n={"N": "0"})

    def ask(subject: str, n: int) -> tuple[int, Any]:
        event = http_event({"id": "shared", "attributes": {"n": n}, "request_id": "order-17"})
        claims = {"iss": "https://issuer.example", "sub": subject}
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
        answer = invoke(event)
        return answer["statusCode"], json.loads(answer["body"])

    # Whoever comes first occupies the id for himself alone.
    first = ask("mallory", 1)
    assert (first[0], ask("ada", 2)[0]) == (200, 200)
    assert get("shared") == {"key": {"S": "shared"}, "n": {"N": "2"}}
    assert ask("mallory", 1) == first
    assert ask("ada", 1)[1]["error"] == "InvalidInputError"
    assert get("shared") == {"key": {"S": "shared"}, "n": {"N": "2"}}


def relayed(request: Request, connection: Any, _server: ScriptedServer) -> bool:
    """Hand a request on to the engine, which checks no signature, and its answer back."""
    url = engine_environment()["AWS_ENDPOINT_URL"]
    names = ("content-type", "x-amz-target", "authorization", "x-amz-date")
    asked = urllib.request.Request(  # noqa: S310 the engine of this test
        url + request.path, request.body, {name: request.headers[name] for name in names}
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as found:  # noqa: S310 likewise
            status, body = found.status, found.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    return scripted_server.answer(status, body)(request, connection, _server)


@pytest.mark.parametrize("why", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_repeat_gets_the_first_answer_though_the_rows_of_requests_are_throttled_at_first(why: str) -> None:
    key = f"again-{why}"
    put(key)
    document = {
        "id": key,
        "attributes": {"email": "a"},
        "condition_expression": "attribute_not_exists(email)",
        "request_id": key,
        "enable_logging": True,
    }
    first = table_update.handle(document, **table_update.connect(engine_environment()))
    assert first[0] == 200, first
    # The reasons of the parts are independent: the row that remembers the request was not looked at.
    reasons = [{"Code": why}, {"Code": "ConditionalCheckFailed", "Item": get(key)}, {"Code": "None"}]
    cancelled = scripted_server.answer(
        400, {"__type": "x#TransactionCanceledException", "CancellationReasons": reasons}
    )
    for steps, expected in (((relayed, cancelled, cancelled, relayed), 200), ((relayed, cancelled), 500)):
        with serving(*steps) as server:
            stores = table_update.connect({**engine_environment(), "AWS_ENDPOINT_URL": server.url})
            # The entry of a failed attempt takes its own way.
            stores["audit_logs"] = table_update.connect(engine_environment())["audit_logs"]
            again = table_update.handle(document, **stores)
        assert again[0] == expected, again
        assert again[1] == first[1] if expected == 200 else again[1]["error"] == "DatabaseError"
    assert (get(key) or {})["email"] == {"S": "a"}
    assert [entry["status"]["S"] for entry in log_of(key)] == ["success", "DatabaseError"]


# ---- 4. races


def test_of_two_callers_with_conditions_one_wins_and_one_gets_412() -> None:
    put("raced", n={"N": "0"})
    for turn in range(50):
        barrier, answers = threading.Barrier(2), list[tuple[int, int]]()

        def ask(me: int, turn: int = turn, barrier: Any = barrier, answers: Any = answers) -> None:
            stores = table_update.connect(engine_environment())
            document = {
                "id": "raced",
                "attributes": {"n": turn + 1, "by": me},
                "condition_expression": f"n = {turn}",
                "enable_logging": bool(turn % 2),
            }
            barrier.wait()
            answers.append((table_update.handle(document, **stores)[0], me))

        threads = [threading.Thread(target=ask, args=(me,)) for me in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _ in answers) == [200, 412]
        [winner] = [me for status, me in answers if status == 200]
        found = get("raced") or {}
        assert (found["n"], found["by"]) == ({"N": str(turn + 1)}, {"N": str(winner)})


# ---- 5. the trail


def test_history_shows_a_logged_update_as_one_change_with_its_caller() -> None:
    put("traced", n={"N": "1"})
    document = {"id": "traced", "attributes": {"n": 2, "name": "x"}, "enable_logging": True}
    assert invoke(http_event(document))["statusCode"] == 200
    put("traced", n={"N": "3"}, updatedBy={"S": "grace"})
    put("traced", n={"N": "4"})

    def history() -> list[Any]:
        return list(json.loads(run("history", "traced", "--json")[1]))

    eventually(lambda: len(history()) == 4)
    actors = [change.get("actor") for change in history()]
    assert actors == [None, {"kind": "logged", "name": CALLER}, {"kind": "stated", "name": "grace"}, None]
    logged = history()[1]
    [entry] = log_of("traced")
    assert logged["changeId"] == entry["log_id"]["S"]
    assert [part["updatedAttribute"] for part in logged["attributes"]] == ["n", "name"]
    assert '"_weaudit"' not in json.dumps(history())
    shown = run("history", "traced")[1]
    assert "user/ada" in shown
    assert "(logged)" in shown
    assert "(stated)" in shown
    assert "unknown" in shown
    for record in client("dynamodb").get_paginator("scan").paginate(TableName="Audit"):
        assert "_weaudit" not in json.dumps(record["Items"], default=str)
    assert verified()["whole"]


def test_the_reason_of_an_update_is_shown_wherever_its_change_is() -> None:
    since = iso_moment(datetime.now(UTC) - timedelta(seconds=2))
    put("reasoned", n={"N": "1"})
    document = {"id": "reasoned", "attributes": {"n": 2}}
    assert invoke(http_event(document, headers={"X-WeAudit-Reason": "caf%C3%A9 closes"}))["statusCode"] == 200
    assert direct({"id": "reasoned", "attributes": {"n": 3}, "reason": "two\n\x1b[31mlines"})[0] == 200
    code, text = run("update", "reasoned", "n=4", "--reason", "ticket 4711")
    assert code == 0, text
    assert run("update", "reasoned", "n=5", "--if", "n = 9", "--reason", "in vain")[0] == 1
    reasons = ["café closes", "two\n\x1b[31mlines", "ticket 4711"]
    assert [entry["reason"]["S"] for entry in log_of("reasoned")] == [*reasons, "in vain"]
    eventually(lambda: len(json.loads(run("history", "reasoned", "--json")[1])) == 4)
    expected = [None, *reasons]
    told = json.loads(run("history", "reasoned", "--json")[1])
    assert [change.get("reason") for change in told] == expected
    assert [change.get("reason") for change in call_api("/v1/tables/Configuration/history?key=reasoned")] == expected
    for of_table in (
        json.loads(run("changes", "--since", "5m", "--json")[1]),
        call_api(f"/v1/tables/Configuration/changes?limit=200&since={since}"),
    ):
        assert [change.get("reason") for change in of_table if change["itemKey"] == "reasoned"] == expected
    for words in (["history", "reasoned"], ["changes", "--since", "5m"], ["audit-log", "reasoned"]):
        shown = run(*words)[1]
        assert "\x1b" not in shown
        assert "\\x1b[31mlines" in shown
        assert "ticket 4711" in shown
    found = json.loads(run("as-of", "reasoned", "--sequence", told[3]["sequenceNumber"], "--json")[1])
    assert found["lastChange"]["reason"] == "ticket 4711"
    traced = json.loads(run("trace", told[3]["changeId"], "--json")[1])
    assert [entry["reason"] for entry in traced["updates"]] == ["ticket 4711"]
    assert [change["reason"] for change in traced["changes"]] == ["ticket 4711"]
    assert "reason: ticket 4711" in run("trace", told[3]["changeId"])[1]
    assert verified()["whole"]


def test_a_log_id_put_on_an_item_by_hand_does_not_borrow_a_caller() -> None:
    put("honest")
    assert invoke(http_event({"id": "honest", "attributes": {"n": 1}, "enable_logging": True}))["statusCode"] == 200
    [entry] = log_of("honest")
    put("forged", _weaudit=entry["log_id"])
    eventually(lambda: len(json.loads(run("history", "forged", "--json")[1])) == 1)
    [change] = json.loads(run("history", "forged", "--json")[1])
    assert "actor" not in change


def test_an_old_log_id_brought_back_by_hand_borrows_no_caller_through_any_door() -> None:
    since = iso_moment(datetime.now(UTC) - timedelta(seconds=2))
    put("bait", n={"N": "5"})
    assert invoke(http_event({"id": "bait", "attributes": {"n": 10}, "enable_logging": True}))["statusCode"] == 200
    [entry] = log_of("bait")
    marked = {"_weaudit": entry["log_id"]}
    put("bait", n={"N": "10"})  # the mark is removed, which leaves no record
    put("bait", n={"N": "999999"}, **marked)
    put("bait", n={"N": "5"})
    put("bait", n={"N": "10"}, **marked)  # the very change that was logged, a moment ago

    def told(*words: str) -> list[Any]:
        return list(json.loads(run(*words, "--json")[1]))

    eventually(lambda: len(told("history", "bait")) == 5)
    first = told("history", "bait")[1]
    assert [part["newValue"] for part in first["attributes"]] == [10]
    commands = [["history", "bait"], ["history", "bait", "--attribute", "n"], ["changes", "--since", "5m"]]
    doors = [told(*words, *more) for words in commands for more in ([], ["--newest-first"], ["-r", "-n", "2"])]
    doors += [
        call_api(f"/v1/tables/Configuration/history?key=bait{more}") for more in ("", "&order=desc", "&attribute=n")
    ]
    doors += [call_api(f"/v1/tables/Configuration/changes?limit=200&since={since}")]
    for number, door in enumerate(doors):
        mine = [change for change in door if change["itemKey"] == "bait"]
        assert sum(change.get("changeId") == entry["log_id"]["S"] for change in mine) >= 1, number
        of_caller = [change["sequenceNumber"] for change in mine if "actor" in change]
        seen = {change["sequenceNumber"] for change in mine}
        assert of_caller == [first["sequenceNumber"]] * (first["sequenceNumber"] in seen), number
    last = told("history", "bait", "-r", "-n", "1")[0]
    for change, actor in ((first, {"kind": "logged", "name": CALLER}), (last, None)):
        found = json.loads(run("as-of", "bait", "--sequence", change["sequenceNumber"], "--json")[1])
        assert found["lastChange"].get("actor") == actor
    traced = json.loads(run("trace", entry["log_id"]["S"], "--json")[1])
    assert [change["sequenceNumber"] for change in traced["changes"]] == [first["sequenceNumber"]]
    assert traced["changes"][0]["actor"] == {"kind": "logged", "name": CALLER}
    # Whoever may write the table chooses the mark: that is no fault of the trail.
    assert verified()["whole"]


def call_api(path: str) -> list[Any]:
    """Return the changes that the API answers with."""
    code, text = run("call", "GET", path)
    assert code == 0, text
    return list(json.loads(text)["changes"])


def test_audit_log_shows_success_and_failure() -> None:
    put("told", n={"N": "1"})
    code, text = run("update", "told", "n=2", "--log", "--user-agent", "me")
    assert code == 0, text
    code, _ = run("update", "told", "n=3", "--log", "--if", "n = 9", "--user-agent", "me")
    assert code == 1
    eventually(lambda: len(json.loads(run("audit-log", "told", "--json")[1])) == 2)
    done, failed = json.loads(run("audit-log", "told", "--json")[1])
    assert TIME.fullmatch(done["timestamp"])
    assert done["updated_attributes"] == {"n": 2}
    assert (done["table_name"], done["record_id"], done["user_agent"]) == ("Configuration", "told", "me")
    assert (done["status"], failed["status"]) == ("success", "ConditionalCheckFailed")
    shown = run("audit-log", "told")[1]
    assert "success" in shown
    assert "ConditionalCheckFailed" in shown


def test_an_attribute_given_twice_is_refused_and_so_is_an_empty_record_id() -> None:
    put("once", n={"N": "1"})
    assert run("update", "once", "n=2", "n=3") == (2, "")
    assert get("once") == {"key": {"S": "once"}, "n": {"N": "1"}}
    assert run("audit-log", "") == (2, "")


def test_a_dry_run_shows_the_difference_and_writes_nothing() -> None:
    put("tried", n={"N": "1"}, same={"S": "x"})
    before = get("tried")
    code, text = run("update", "tried", "n=2", "same=x", "fresh=[1]", "--dry-run", "--log", "--if", "n = 1")
    assert code == 0
    assert json.loads(text)["success"]
    code, text = run("update", "tried", "n=2", "--dry-run", "--if", "n = 2")
    assert (code, json.loads(text)["error"]) == (1, "ConditionalCheckFailed")
    code, text = run("update", "tried", "n=2", "--dry-run", "--if", "n = 2", "--request-id", "r")
    assert (code, json.loads(text)["error"]) == (1, "ConditionalCheckFailed")
    code, text = run("update", "nobody-at-all", "n=2", "--dry-run")
    assert (code, json.loads(text)["error"]) == (1, "RecordNotFoundError")
    assert get("tried") == before
    assert log_of("tried") == []


@pytest.mark.parametrize("kind", ["N", "B"])
def test_composite_keys_of_any_type(kind: str) -> None:
    dynamodb, table = client("dynamodb"), f"Parts{kind}"
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": kind},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    part = {"N": {"N": "7"}, "B": {"B": b"\0\1"}}[kind]
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "a"}, "sk": part})
    stores = table_update.connect({**engine_environment(), "TABLE_NAME": table})
    given = {"pk": "a", "sk": {"N": 7, "B": {"B": "AAE="}}[kind]}
    status, answer = table_update.handle({"id": given, "attributes": {"n": 1}}, **stores)
    assert status == 200, answer
    assert dynamodb.get_item(TableName=table, Key={"pk": {"S": "a"}, "sk": part})["Item"]["n"] == {"N": "1"}
    status, answer = table_update.handle({"id": given, "attributes": {"sk": 1}}, **stores)
    assert (status, answer["error"]) == (400, "ValidationError")
    status, answer = table_update.handle({"id": "a", "attributes": {"n": 1}}, **stores)
    assert status == 400, answer


Parts = list[tuple[str, str]]
KEYS: dict[str, tuple[Parts, dict[str, Any], Any]] = {
    "another name": ([("id", "S")], {"id": {"S": "a"}}, "a"),
    "another type": ([("pk", "N")], {"pk": {"N": "1"}}, 1),
    "two parts": ([("pk", "S"), ("sk", "N")], {"pk": {"S": "a"}, "sk": {"N": "1"}}, {"pk": "a", "sk": 1}),
    "one string": ([("pk", "S")], {"pk": {"S": "a"}}, "a"),
}
WAYS: dict[str, dict[str, Any]] = {"plain": {}, "logged": {"enable_logging": True}, "repeatable": {"request_id": "r"}}


@pytest.mark.parametrize("way", WAYS)
def test_a_table_made_anew_with_another_key_is_updated_by_that_key(way: str) -> None:
    dynamodb, table = client("dynamodb"), f"Remade-{way}"
    stores = table_update.connect({**engine_environment(), "TABLE_NAME": table})
    for name, (parts, key, given) in KEYS.items():
        dynamodb.create_table(
            TableName=table,
            KeySchema=[
                {"AttributeName": part, "KeyType": kind}
                for (part, _), kind in zip(parts, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": part, "AttributeType": kind} for part, kind in parts],
            BillingMode="PAY_PER_REQUEST",
        )
        dynamodb.put_item(TableName=table, Item=key)
        document = {"id": given, "attributes": {"n": 1}, **WAYS[way]}
        if "request_id" in document:
            document["request_id"] = f"remade {name}"
        status, answer = table_update.handle(document, **stores)
        assert status == 200, (name, answer)
        assert dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]["n"] == {"N": "1"}
        # What is wrong by today's key is wrong as before.
        status, answer = table_update.handle({**document, "attributes": {parts[0][0]: "x"}}, **stores)
        assert (status, answer["error"]) == (400, "ValidationError"), (name, answer)
        dynamodb.delete_table(TableName=table)
    status, answer = table_update.handle({"id": "a", "attributes": {"n": 1}}, **stores)
    assert (status, answer["error"]) == (500, "DatabaseError"), answer

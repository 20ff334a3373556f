"""Each correction of the engine: its fault in MiniStack as it comes, and its absence in ours."""

import dataclasses
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.session
import pytest
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests import dynamodb_local
from tests.e2e import commands
from tests.local.engines import AWAY, BARE, HOME, OURS, Engine, start
from tests.waiting import eventually
from weaudit.installation import engine_state
from weaudit.local import engine as engines
from weaudit.local import ministack_corrected, process

pytestmark = pytest.mark.engine

Item = dict[str, Any]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with start(BARE, tmp_path_factory.mktemp("bare")) as engine:
        yield engine


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with start(OURS, tmp_path_factory.mktemp("ours")) as engine:
        yield engine


@pytest.fixture(scope="module")
def guarded_bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with start(BARE, tmp_path_factory.mktemp("guarded-bare"), auth=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with start(OURS, tmp_path_factory.mktemp("guarded"), auth=True) as engine:
        yield engine


# ---- writes and the stream


def refusal(call: Callable[[], Any]) -> str:
    """Return the code of the error that the call ends with, or "" where it succeeds."""
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def item(key: str, n: int = 2) -> Item:
    return {"id": {"S": key}, "n": {"N": str(n)}}


def named(table: str, key: str) -> Item:
    return {"TableName": table, "Key": {"id": {"S": key}}}


def put(table: str, key: str) -> Item:
    return {"TableName": table, "Item": item(key)}


def update(table: str, key: str) -> Item:
    change = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}
    return {**named(table, key), **change}


def insert_statement(table: str, key: str) -> Item:
    return {"Statement": f"INSERT INTO \"{table}\" VALUE {{'id': '{key}', 'n': 2}}"}


def update_statement(table: str, key: str) -> Item:
    return {"Statement": f"UPDATE \"{table}\" SET n=2 WHERE id='{key}'"}


def delete_statement(table: str, key: str) -> Item:
    return {"Statement": f"DELETE FROM \"{table}\" WHERE id='{key}'"}


Request = Callable[[str, str], Item]


# By the operation: what makes an item (n = 2), what changes one (n = 1 to 2), what removes one (n = 1).
WRITES: dict[str, dict[str, Request]] = {
    "PutItem": {"INSERT": put, "MODIFY": put},
    "UpdateItem": {"INSERT": update, "MODIFY": update},
    "DeleteItem": {"REMOVE": named},
    "BatchWriteItem": {
        "INSERT": lambda table, key: {"RequestItems": {table: [{"PutRequest": {"Item": item(key)}}]}},
        "MODIFY": lambda table, key: {"RequestItems": {table: [{"PutRequest": {"Item": item(key)}}]}},
        "REMOVE": lambda table, key: {"RequestItems": {table: [{"DeleteRequest": {"Key": {"id": {"S": key}}}}]}},
    },
    "TransactWriteItems": {
        "INSERT": lambda table, key: {"TransactItems": [{"Put": put(table, key)}]},
        "MODIFY": lambda table, key: {"TransactItems": [{"Update": update(table, key)}]},
        "REMOVE": lambda table, key: {"TransactItems": [{"Delete": named(table, key)}]},
    },
    "ExecuteStatement": {"INSERT": insert_statement, "MODIFY": update_statement, "REMOVE": delete_statement},
    "BatchExecuteStatement": {
        "INSERT": lambda table, key: {"Statements": [insert_statement(table, key)]},
        "MODIFY": lambda table, key: {"Statements": [update_statement(table, key)]},
        "REMOVE": lambda table, key: {"Statements": [delete_statement(table, key)]},
    },
    "ExecuteTransaction": {
        "INSERT": lambda table, key: {"TransactStatements": [insert_statement(table, key)]},
        "MODIFY": lambda table, key: {"TransactStatements": [update_statement(table, key)]},
        "REMOVE": lambda table, key: {"TransactStatements": [delete_statement(table, key)]},
    },
    # What it does to items comes later, by the service itself: see `recorded`.
    "UpdateTimeToLive": {},
}
NO_WRITES: dict[str, list[str]] = {
    "reads": ["BatchGetItem", "Query", "Scan", "SearchVectors", "TransactGetItems"],
    "makes or copies what is no table": ["CreateBackup", "DeleteBackup", "ExportTableToPointInTime"],
    "makes an empty table": ["CreateTable"],
    "takes the stream along with the items": ["DeleteTable"],
    "fills a table that it makes itself, without a stream": [
        "ImportTable",
        "RestoreTableFromBackup",
        "RestoreTableToPointInTime",
    ],
    "fills a replica that it makes itself; its writes are in test_replicas_hear_of_every_write": ["UpdateTable"],
    "is of the first version of global tables, which the engine does not know": [
        "CreateGlobalTable",
        "UpdateGlobalTable",
        "UpdateGlobalTableSettings",
    ],
    "changes settings": [
        "DeleteResourcePolicy",
        "DisableKinesisStreamingDestination",
        "EnableKinesisStreamingDestination",
        "PutResourcePolicy",
        "TagResource",
        "UntagResource",
        "UpdateContinuousBackups",
        "UpdateContributorInsights",
        "UpdateKinesisStreamingDestination",
        "UpdateTableReplicaAutoScaling",
    ],
}


def test_every_operation_of_the_service_model_is_a_write_below_or_is_known_to_be_none() -> None:
    model = botocore.session.get_session().get_service_model("dynamodb")
    reading = {name for name in model.operation_names if name.startswith(("Describe", "Get", "List"))}
    none = {name for names in NO_WRITES.values() for name in names}
    assert set(model.operation_names) - reading == WRITES.keys() | none
    for name in NO_WRITES["fills a table that it makes itself, without a stream"]:
        members: Any = model.operation_model(name).input_shape.members
        if "TableCreationParameters" in members:
            members = members["TableCreationParameters"].members
        assert "StreamSpecification" not in members


def recorded(engine: Engine) -> dict[str, list[tuple[str, Item | None, Item | None]]]:
    """Make every write once; return what the stream holds, by the key of the item, which names the write."""
    client, table = engine.client("dynamodb"), engine.table()
    for operation, requests in WRITES.items():
        for kind, request in requests.items():
            key = f"{operation} {kind}"
            if kind != "INSERT":
                client.put_item(TableName=table, Item=item(key, 1))
            answer = getattr(client, xform_name(operation))(**request(table, key))
            assert not any("Error" in response for response in answer.get("Responses", [])), answer
    expired = {**item("UpdateTimeToLive REMOVE", 1), "until": {"N": str(int(time.time()) - 60)}}
    client.put_item(TableName=table, Item=expired)
    client.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    eventually(lambda: "Item" not in client.get_item(**named(table, "UpdateTimeToLive REMOVE")))
    found: dict[str, list[tuple[str, Item | None, Item | None]]] = {}
    for record in engine.records(table):
        change = record["dynamodb"]
        seen = (record["eventName"], change.get("OldImage"), change.get("NewImage"))
        found.setdefault(change["Keys"]["id"]["S"], []).append(seen)
    return found


def silent(found: dict[str, list[tuple[str, Item | None, Item | None]]]) -> set[str]:
    """Return the operations of which some write has not exactly one record with the right images."""
    lacking = set()
    writes: dict[str, dict[str, Request]] = {**WRITES, "UpdateTimeToLive": {"REMOVE": named}}
    for operation, requests in writes.items():
        for kind in requests:
            key = f"{operation} {kind}"
            before, after = item(key, 1), item(key, 2)
            if operation == "UpdateTimeToLive":
                before["until"] = found[key][0][2]["until"]  # type: ignore[index]  # the put's new image
            expected = {
                "INSERT": [("INSERT", None, after)],
                "MODIFY": [("INSERT", None, before), ("MODIFY", before, after)],
                "REMOVE": [("INSERT", None, before), ("REMOVE", before, None)],
            }[kind]
            if found.get(key, []) != expected:
                lacking.add(operation)
    return lacking


def test_every_write_makes_one_record(bare: Engine, ours: Engine) -> None:
    partiql = {"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"}
    assert silent(recorded(bare)) == partiql | {"UpdateTimeToLive"}
    assert silent(recorded(ours)) == set()


def test_what_changes_nothing_makes_no_record(ours: Engine) -> None:
    client, table = ours.client("dynamodb"), ours.table()
    client.put_item(TableName=table, Item=item("a"))
    client.execute_statement(**update_statement(table, "a"))
    client.execute_statement(**delete_statement(table, "nobody"))
    with pytest.raises(client.exceptions.DuplicateItemException):
        client.execute_statement(**insert_statement(table, "a"))
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.execute_transaction(
            TransactStatements=[
                insert_statement(table, "b"),
                delete_statement(table, "a"),
                update_statement(table, "nobody"),
            ]
        )
    answer = client.batch_execute_statement(
        Statements=[insert_statement(table, "a"), insert_statement(table, "c"), update_statement(table, "nobody")]
    )
    assert ["Error" in response for response in answer["Responses"]] == [True, False, True]
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in ours.records(table)] == ["a", "c"]
    assert sorted(found["id"]["S"] for found in client.scan(TableName=table)["Items"]) == ["a", "c"]


def replicated(engine: Engine) -> tuple[list[str], list[str]]:
    """Make a table with a replica and write; return what happened here and there."""
    client, table = engine.client("dynamodb"), engine.table()
    client.update_table(TableName=table, ReplicaUpdates=[{"Create": {"RegionName": AWAY}}])
    client.put_item(TableName=table, Item=item("a", 1))
    client.execute_statement(**update_statement(table, "a"))
    client.put_item(TableName=table, Item={**item("b"), "until": {"N": str(int(time.time()) - 60)}})
    client.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    eventually(lambda: "Item" not in client.get_item(**named(table, "b")))
    here, there = (
        [
            f"{record['dynamodb']['Keys']['id']['S']} {record['eventName']}"
            + (" by " + record["userIdentity"]["PrincipalId"] if "userIdentity" in record else "")
            for record in engine.records(table, region)
        ]
        for region in (HOME, AWAY)
    )
    scans = [engine.client("dynamodb", region).scan(TableName=table)["Items"] for region in (HOME, AWAY)]
    assert (scans[0] == scans[1]) == (len(here) == len(there) == 4)
    return here, there


def test_replicas_hear_of_every_write(bare: Engine, ours: Engine) -> None:
    assert replicated(bare) == (["a INSERT", "b INSERT"], ["a INSERT", "b INSERT"])
    assert replicated(ours) == (
        ["a INSERT", "a MODIFY", "b INSERT", "b REMOVE by dynamodb.amazonaws.com"],
        ["a INSERT", "a MODIFY", "b INSERT", "b REMOVE"],
    )


def left_after_expiry(engine: Engine) -> set[str]:
    client, table, now = engine.client("dynamodb"), engine.table(), int(time.time())
    times = {
        "now": {"N": str(now - 60)},
        "as text": {"S": str(now - 60)},
        "six years ago": {"N": str(now - 6 * 365 * 86_400)},
        "to come": {"N": str(now + 3600)},
    }
    for key, until in times.items():
        client.put_item(TableName=table, Item={**item(key), "until": until})
    client.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    eventually(lambda: "Item" not in client.get_item(**named(table, "now")))
    return {found["id"]["S"] for found in client.scan(TableName=table)["Items"]}


def test_only_a_time_of_the_last_five_years_expires_an_item(bare: Engine, ours: Engine) -> None:
    assert left_after_expiry(bare) == {"to come"}
    assert left_after_expiry(ours) == {"to come", "as text", "six years ago"}


def test_in_the_trail_a_partiql_write_is_a_change_and_an_expiry_is_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(tmp_path))
    with start(OURS, tmp_path) as engine:
        assert engines.up(state_dir=tmp_path) == engine.state, "the stack is on this very engine"
        client = engine.client("dynamodb")
        client.put_item(TableName="Configuration", Item={"key": {"S": "a"}, "n": {"N": "1"}})
        client.execute_statement(Statement='UPDATE "Configuration" SET n=2 WHERE "key"=\'a\'')
        client.update_time_to_live(
            TableName="Configuration", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
        )
        client.update_item(
            TableName="Configuration",
            Key={"key": {"S": "a"}},
            UpdateExpression="SET #until = :past",
            ExpressionAttributeNames={"#until": "until"},
            ExpressionAttributeValues={":past": {"N": str(int(time.time()) - 60)}},
        )

        def changes() -> list[Any]:
            return list(json.loads(commands.run("history", "a", "--json")[1]))

        eventually(lambda: len(changes()) == 4)
        assert [change["eventName"] for change in changes()] == ["INSERT", "MODIFY", "MODIFY", "REMOVE"]
        assert changes()[-1]["actor"] == {"kind": "service", "name": "dynamodb.amazonaws.com"}
        assert changes()[1]["attributes"][0]["newValue"] == 2
        assert commands.verified()["whole"]


def set_records(engine: Engine) -> list[bool]:
    """Write values over each other; return which of them made a record."""
    client, table = engine.client("dynamodb"), engine.table()
    found = []
    for value in (
        {"SS": ["a", "b"]},
        {"SS": ["b", "a"]},
        {"SS": ["b", "a", "c"]},
        {"M": {"in": {"L": [{"NS": ["1", "2"]}, {"BS": [b"x", b"y"]}]}}},
        {"M": {"in": {"L": [{"NS": ["2.0", "1"]}, {"BS": [b"y", b"x"]}]}}},
        {"M": {"SS": {"L": [{"S": "a"}, {"S": "b"}]}}},
        {"M": {"SS": {"L": [{"S": "b"}, {"S": "a"}]}}},
    ):
        before = len(engine.records(table))
        client.put_item(TableName=table, Item={"id": {"S": "a"}, "v": value})
        found.append(len(engine.records(table)) > before)
    return found


def test_a_set_in_another_order_is_no_change(bare: Engine, ours: Engine) -> None:
    assert set_records(bare) == [True] * 7
    assert set_records(ours) == [True, False, True, True, False, True, True]


# ---- what an update leaves


def letters(text: str) -> Item:
    return {"L": [{"S": letter} for letter in text]}


def sets(*members: str) -> Item:
    return {"L": [{"SS": list(member)} for member in members]}


LONG, LONGER = "12345678901234567890123456789012345678", "12345678901234567890123456789012345679"
CUT = "12345678901234567890123456790000000000"
REFUSED = "ValidationException"
# Before, expression, its values, what is right, what the engine makes of it as it comes.
UPDATES: list[tuple[Item, str, Item, Item | str, Item | str]] = [
    (letters("abcd"), "REMOVE v[1], v[2]", {}, letters("ad"), letters("ac")),
    (letters("abcd"), "REMOVE v[2], v[9], v[1]", {}, letters("ad"), letters("ad")),
    (
        {"L": [letters("ab"), letters("cd")]},
        "REMOVE v[0], v[1][0]",
        {},
        {"L": [letters("d")]},
        {"L": [letters("cd")]},
    ),
    ({"M": {"l": letters("abc")}}, "REMOVE v.l[0], v.l[1]", {}, {"M": {"l": letters("c")}}, {"M": {"l": letters("b")}}),
    (
        letters("ab"),
        "SET v[9] = :x, v[7] = :y",
        {":x": {"S": "x"}, ":y": {"S": "y"}},
        letters("abyx"),
        letters("abxy"),
    ),
    (letters("ab"), "SET v[9] = :x REMOVE v[2]", {":x": {"S": "x"}}, letters("abx"), letters("ab")),
    (letters("abc"), "REMOVE v[0], v[1] SET v[9] = :x", {":x": {"S": "x"}}, letters("cx"), letters("bx")),
    (letters("abc"), "REMOVE v[0] SET v[1] = v[0]", {}, letters("ac"), letters("ac")),
    (
        {"L": [{"N": "1"}, {"N": "2"}, {"N": "3"}]},
        "REMOVE v[0] ADD v[1] :n",
        {":n": {"N": "10"}},
        {"L": [{"N": "12"}, {"N": "3"}]},
        {"L": [{"N": "2"}, {"N": "13"}]},
    ),
    (sets("a", "ab", "c"), "REMOVE v[0] DELETE v[1] :s", {":s": {"SS": ["a"]}}, sets("b", "c"), sets("ab", "c")),
    (sets("a", "b", "c"), "REMOVE v[0] DELETE v[1] :s", {":s": {"SS": ["b"]}}, sets("c"), sets("b", "c")),
    ({"N": LONG}, "SET v = v + :n", {":n": {"N": "1"}}, {"N": LONGER}, {"N": CUT}),
    ({"N": LONG}, "ADD v :n", {":n": {"N": "1"}}, {"N": LONGER}, {"N": CUT}),
    ({"N": LONG}, "ADD v :n", {":n": {"N": "0.1"}}, REFUSED, {"N": CUT}),
    ({"N": "1E+125"}, "SET v = v - :n", {":n": {"N": "1E-130"}}, REFUSED, {"N": "1" + "0" * 125}),
    ({"NS": ["1", "2"]}, "DELETE v :n", {":n": {"NS": ["1.0", "3"]}}, {"NS": ["2"]}, {"NS": ["1", "2"]}),
    ({"NS": ["1", "2"]}, "ADD v :n", {":n": {"NS": ["2.0", "3"]}}, {"NS": ["1", "2", "3"]}, REFUSED),
]


def updated(engine: Engine, case: tuple[Any, ...]) -> Any:
    """Return what UpdateItem makes of the value, and what a transaction does, or that it is refused."""
    before, expression, values, *_ = case
    client, table = engine.client("dynamodb"), engine.table()
    change = {"UpdateExpression": expression} | ({"ExpressionAttributeValues": values} if values else {})
    found = []
    calls = {
        "alone": lambda: client.update_item(**named(table, "alone"), **change),
        "transaction": lambda: client.transact_write_items(
            TransactItems=[{"Update": {**named(table, "transaction"), **change}}]
        ),
    }
    for key, call in calls.items():
        client.put_item(TableName=table, Item={"id": {"S": key}, "v": before})
        refused = refusal(call).replace("TransactionCanceledException", REFUSED)
        found.append(refused or client.get_item(**named(table, key), ConsistentRead=True)["Item"]["v"])
    return found


@pytest.mark.parametrize("case", UPDATES, ids=lambda case: case[1])
def test_an_update_is_of_the_item_as_it_was(bare: Engine, ours: Engine, case: tuple[Any, ...]) -> None:
    assert updated(bare, case)[0] == case[4]
    assert updated(ours, case) == [case[3]] * 2


def added(engine: Engine) -> Any:
    client, table = engine.client("dynamodb"), engine.table()
    client.put_item(TableName=table, Item={"id": {"S": "a"}, "v": {"N": LONG}})
    client.update_item(**named(table, "a"), AttributeUpdates={"v": {"Action": "ADD", "Value": {"N": "1"}}})
    return client.get_item(**named(table, "a"))["Item"]["v"]


def test_the_older_form_of_an_update_adds_exactly(bare: Engine, ours: Engine) -> None:
    assert (added(bare), added(ours)) == ({"N": CUT}, {"N": LONGER})


# Before, statement with {table}, its parameters, what is right, what the engine makes of it as it comes.
STATEMENTS: list[tuple[Item, str, list[Item], Item | str, Item | str]] = [
    (letters("abcd"), "REMOVE v[1] REMOVE v[2]", [], letters("ad"), letters("ac")),
    (letters("ab"), "SET v[9]='x' SET v[7]='y' REMOVE v[0]", [], letters("byx"), letters("bxy")),
    ({"N": "1"}, f"SET v=v+{LONG}", [], {"N": LONGER}, {"N": CUT}),
    ({"N": LONG}, "SET v=v+?", [{"N": "1"}], {"N": LONGER}, {"N": CUT}),
    ({"N": "2"}, "SET v=?", [{"N": "1.0"}], {"N": "1"}, {"N": "1.0"}),
    ({"N": "2"}, "SET v=?", [{"L": [{"NS": ["1.0"]}]}], {"L": [{"NS": ["1"]}]}, {"L": [{"NS": ["1.0"]}]}),
    ({"N": "2"}, "SET v=?", [{"SS": []}], REFUSED, {"SS": []}),
]


def stated(engine: Engine, case: tuple[Any, ...]) -> Any:
    before, statement, parameters, *_ = case
    client, table = engine.client("dynamodb"), engine.table()
    client.put_item(TableName=table, Item={"id": {"S": "a"}, "v": before})
    text = f"UPDATE \"{table}\" {statement} WHERE id='a'"
    options = {"Parameters": parameters} if parameters else {}
    refused = refusal(lambda: client.execute_statement(Statement=text, **options))
    return refused or client.get_item(**named(table, "a"), ConsistentRead=True)["Item"]["v"]


@pytest.mark.parametrize("case", STATEMENTS, ids=lambda case: f"{case[1]} {case[2]}")
def test_so_is_a_partiql_statement(bare: Engine, ours: Engine, case: tuple[Any, ...]) -> None:
    assert stated(bare, case) == case[4]
    assert stated(ours, case) == case[3]


def by_value(found: Any) -> Any:
    """Return this with equal numbers as equals: DynamoDB Local keeps the zeros that DynamoDB trims."""
    if isinstance(found, list):
        return [by_value(member) for member in found]
    if not isinstance(found, dict):
        return found
    known: dict[str, Callable[[Any], Any]] = {
        "N": Decimal,
        "NS": lambda numbers: {Decimal(number) for number in numbers},
    }
    return {name: known.get(name, by_value)(value) for name, value in found.items()}


def test_dynamodb_local_says_the_same(tmp_path: Path) -> None:
    with dynamodb_local.running(tmp_path) as variables:
        local = Engine(variables["AWS_ENDPOINT_URL"])
        for case in UPDATES:
            assert by_value(updated(local, case)) == by_value([case[3]] * 2), case[1]
        assert added(local) == {"N": LONGER}
        for statement in STATEMENTS:
            assert by_value(stated(local, statement)) == by_value(statement[3]), statement[1]
        assert set_records(local) == [True, False, True, True, False, True, True]


def test_a_transactions_token_is_compared_with_the_request_as_it_came(ours: Engine) -> None:
    client, table = ours.client("dynamodb"), ours.table()
    wanted = {"Statement": f"INSERT INTO \"{table}\" VALUE {{'id': 'a', 'n': ?}}", "Parameters": [{"N": "1.0"}]}
    for _ in range(2):
        client.execute_transaction(TransactStatements=[wanted], ClientRequestToken="the-same")
    assert [record["dynamodb"]["NewImage"]["n"] for record in ours.records(table)] == [{"N": "1"}]


# ---- who may


def foreign(engine: Engine) -> set[int]:
    """Return how services answer a request with an Authorization header that is no signature."""
    targets = ("DynamoDB_20120810.ListTables", "TrentService.ListKeys", "AmazonSQS.ListQueues")
    return {
        engine.send("POST", "/", b"{}", X_Amz_Target=target, Content_Type="application/x-amz-json-1.0", **header)[0]
        for target in targets
        for header in ({"Authorization": "Bearer abc"}, {"Authorization": "Basic eDp5"})
    } | {engine.send("GET", "/2015-03-31/functions/", Authorization="Bearer abc")[0]}


def test_a_header_that_is_no_signature_is_nobodys(guarded_bare: Engine, guarded: Engine) -> None:
    assert foreign(guarded_bare) == {200}
    assert foreign(guarded) <= {400, 401, 403}
    assert guarded.client("dynamodb").list_tables()["TableNames"] is not None


def routed(engine: Engine) -> dict[str, int]:
    """Return how an HTTP API answers on a route with AWS_IAM, by who asks, and on one that is open."""
    apis = engine.client("apigatewayv2")
    api = apis.create_api(Name="api", ProtocolType="HTTP")["ApiId"]
    integration = apis.create_integration(
        ApiId=api,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="GET",
        IntegrationUri=f"{engine.endpoint}/_ministack",
        PayloadFormatVersion="1.0",
    )["IntegrationId"]
    for route, kind in (("GET /ready", "AWS_IAM"), ("GET /health", "NONE")):
        apis.create_route(ApiId=api, RouteKey=route, AuthorizationType=kind, Target=f"integrations/{integration}")
    apis.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    base = f"/_aws/execute-api/{api}/$default"
    signed = AWSRequest("GET", f"{engine.endpoint}{base}/ready")
    SigV4Auth(Credentials("test", "test"), "execute-api", HOME).add_auth(signed)
    return {
        "unsigned": engine.send("GET", f"{base}/ready")[0],
        "bearer": engine.send("GET", f"{base}/ready", Authorization="Bearer abc")[0],
        "signed": engine.send("GET", f"{base}/ready", **dict(signed.headers))[0],
        "bearer, open": engine.send("GET", f"{base}/health", Authorization="Bearer abc")[0],
    }


@pytest.mark.parametrize("kind", ["open", "guarded"])
def test_a_route_with_iam_takes_signatures_alone(request: pytest.FixtureRequest, kind: str) -> None:
    bare = request.getfixturevalue("bare" if kind == "open" else "guarded_bare")
    ours = request.getfixturevalue("ours" if kind == "open" else "guarded")
    right = {"unsigned": 403, "bearer": 403, "signed": 200, "bearer, open": 200}
    assert routed(bare) == {**right, "bearer": 200}
    assert routed(ours) == right


def all_of(streams: Any, arn: str) -> list[Item]:
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    where = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    return list(streams.get_records(ShardIterator=streams.get_shard_iterator(**where)["ShardIterator"])["Records"])


def refused_readers(engine: Engine) -> dict[str, str]:
    """Return how users are refused who may do anything with one stream, by which stream that is."""
    table, other = engine.table(), engine.table()
    arn, foreign_arn = (
        engine.client("dynamodb").describe_table(TableName=name)["Table"]["LatestStreamArn"] for name in (table, other)
    )
    iam, found = engine.client("iam"), dict[str, str]()
    for who, resource in {
        "this": arn,
        "any of the table": arn.rpartition("/")[0] + "/*",
        "another": foreign_arn,
    }.items():
        user = f"{table}-{len(found)}"
        iam.create_user(UserName=user)
        statement = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": resource}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName=user, PolicyName="one", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        streams = engine.client("dynamodbstreams", keys=(key["AccessKeyId"], key["SecretAccessKey"]))
        found[who] = refusal(lambda: all_of(streams, arn))  # noqa: B023  (called at once)
    return found


def test_a_streams_reader_needs_the_permission_on_that_stream(guarded_bare: Engine, guarded: Engine) -> None:
    denied = "AccessDeniedException"
    assert refused_readers(guarded_bare) == dict.fromkeys(("this", "any of the table", "another"), denied)
    assert refused_readers(guarded) == {"this": "", "any of the table": "", "another": denied}


# ---- objects


def posted(engine: Engine) -> list[str]:
    s3 = engine.client("s3")
    s3.create_bucket(Bucket="forms")
    parts = [
        'Content-Disposition: form-data; name="key"\r\n\r\nin/${filename}',
        'Content-Disposition: form-data; name="file"; filename="é ü😀.jpg"\r\nContent-Type: image/jpeg\r\n\r\nx',
    ]
    body = "".join(f"--limit\r\n{part}\r\n" for part in parts) + "--limit--\r\n"
    status, _ = engine.send("POST", "/forms", body.encode(), Content_Type="multipart/form-data; boundary=limit")
    assert status == 204
    return [found["Key"] for found in s3.list_objects_v2(Bucket="forms")["Contents"]]


def test_a_name_in_a_form_is_utf_8(bare: Engine, ours: Engine) -> None:
    assert posted(bare) == ["in/é ü😀.jpg".encode().decode("latin-1")]
    assert posted(ours) == ["in/é ü😀.jpg"]


def refused_deletions(module: str, directory: Path) -> list[str]:
    """Put three versions, the first two locked, restart, and return how their deletions are refused."""
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    with start(module, directory) as engine:
        s3 = engine.client("s3")
        s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        compliance = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        locks: list[Item] = [compliance, {"ObjectLockLegalHoldStatus": "ON"}, {}]
        versions = [
            s3.put_object(Bucket="locked", Key=f"key {number} é", Body=b"x", **lock)["VersionId"]
            for number, lock in enumerate(locks)
        ]
    with start(module, directory) as engine:
        s3 = engine.client("s3")
        return [
            refusal(lambda: s3.delete_object(Bucket="locked", Key=f"key {number} é", VersionId=version))  # noqa: B023
            for number, version in enumerate(versions)
        ]


def test_locks_of_objects_outlive_a_restart(tmp_path: Path) -> None:
    assert refused_deletions(BARE, tmp_path / "bare") == ["", "", ""]
    assert refused_deletions(OURS, tmp_path / "ours") == ["AccessDenied", "AccessDenied", ""]


# ---- what CloudFormation takes


def deployed(engine: Engine, name: str, resources: Item) -> str:
    """Deploy these resources as a stack of their own, and return how that ended."""
    stacks = engine.client("cloudformation")
    template = {"Parameters": {"Most": {"Type": "Number", "Default": "7"}}, "Resources": resources}
    try:
        stacks.create_stack(StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    except botocore.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])

    def ended() -> str:
        status = str(stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return "" if status.endswith("IN_PROGRESS") else status

    return str(eventually(ended))


def rate(metric: str) -> Item:
    return {
        "Id": metric.lower(),
        "ReturnData": False,
        "MetricStat": {
            "Period": 60,
            "Stat": "Sum",
            "Metric": {"Namespace": "N", "MetricName": metric, "Dimensions": [{"Name": "F", "Value": "f"}]},
        },
    }


def test_the_templates_kinds_are_taken_as_they_are(bare: Engine, ours: Engine) -> None:
    math = {"Id": "rate", "Expression": "IF(calls > 0, 100 * failed / calls, 0)", "ReturnData": True}
    alarm = {"AlarmName": "rate", "Metrics": [math, rate("Failed"), rate("Calls")], "Threshold": 1}
    alarm |= {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 5}
    kinds = {
        "alarm": {"A": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}},
        "query": {"Q": {"Type": "AWS::Logs::QueryDefinition", "Properties": {"Name": "q", "QueryString": "limit 1"}}},
    }
    for name, resources in kinds.items():
        assert deployed(bare, name, resources) != "CREATE_COMPLETE"
        assert deployed(ours, name, resources) == "CREATE_COMPLETE"
    [kept] = ours.client("cloudwatch").describe_alarms(AlarmNames=["rate"])["MetricAlarms"]
    assert (kept["Namespace"], kept["MetricName"], kept["Statistic"]) == ("N", "Failed", "Sum")
    assert kept["Dimensions"] == [{"Name": "F", "Value": "f"}]
    for name in kinds:
        ours.client("cloudformation").delete_stack(StackName=name)
    eventually(lambda: not ours.client("cloudwatch").describe_alarms(AlarmNames=["rate"])["MetricAlarms"])


# ---- the start


def started_with(version: str | None, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Start the engine where this version of MiniStack is installed."""
    path = [str(Path(ministack_corrected.__file__).parents[2])]
    if version is not None:
        information = tmp_path / f"ministack-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ministack\nVersion: {version}\n")
        path.append(str(tmp_path))
    return subprocess.run(
        # -S: without the packages that are installed here.
        [sys.executable, "-S", "-P", "-m", OURS],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_another_version_of_the_engine_is_not_started(tmp_path: Path) -> None:
    ended = started_with("1.5.34", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "WeAudit's corrections are for MiniStack 1.5.33, and 1.5.34 is installed: pip install ministack==1.5.33"
    ]


def test_without_the_engine_it_says_what_to_install(tmp_path: Path) -> None:
    ended = started_with(None, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == ["the embedded engine is not installed: pip install 'weaudit[local]'"]


def test_an_engine_that_has_the_port_does_not_answer_for_the_one_that_was_started(ours: Engine, tmp_path: Path) -> None:
    assert ours.state is not None
    second = engine_state.EngineState(tmp_path, ours.state.port)
    pid = process.spawn(second)
    second = dataclasses.replace(second, pid=pid, identity=engine_state.identity(pid))
    assert not process.wait_ready(second)
    assert "already in use" in process.log_tail(second)
    assert ours.send("GET", "/_ministack/ready")[0] == 200

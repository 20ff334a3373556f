"""ledger_witness over a table that keeps its conditions: of two histories it cosigns one, whatever fails in between."""

import base64
from binascii import a2b_base64
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.ledger.keys import signer, witness
from weaudit.errors import ConditionNotMetError, StoreUnavailableError
from weaudit.handlers import ledger_witness
from weaudit.ledger import checkpoints, ed25519, notes
from weaudit.ledger.tiles import Tail, TileReader
from weaudit.ledger.witness import RefusedError, cosigned, written
from weaudit.runtime.event import Invocation
from weaudit.witnessing.store import Views

NAME = "weaudit/111122223333/eu-west-1/dev"
LOG, WITNESS = signer(NAME), witness("witness.example/one")
INVOCATION = Invocation("weaudit-ledger-witness", "r-1", lambda: 10_000)


def tree(count: int, fork: int = 100) -> TileReader:
    tail = Tail()
    leaves = [b"%d%s" % (at, b"'" if at >= fork else b"") for at in range(count)]
    objects = dict([*tail.append(leaves), *tail.partial(0)])
    return TileReader(count, tail.edge().root(), objects.get)


def note(count: int, fork: int = 100) -> bytes:
    text = checkpoints.text_of(NAME, count, tree(count, fork).root)
    return notes.written(text, [LOG.signature(text)])


class World:
    """The function, its table and its key."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.signed: list[bytes] = []
        self.before_put: Callable[[], Any] = lambda: None
        self.after_put: Callable[[], Any] = lambda: None
        self.before_sign: Callable[[], Any] = lambda: None

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert body["TableName"] == "views"
        if operation == "GetItem":
            assert body["ConsistentRead"] is True
            row = self.rows.get(body["Key"]["origin"]["S"])
            return {"Item": row} if row else {}
        assert operation == "PutItem"
        act, self.before_put = self.before_put, lambda: None
        act()
        item, values = body["Item"], body["ExpressionAttributeValues"]
        row = self.rows.get(item["origin"]["S"])
        same = row is not None and (row["size"], row["root"]) == (values[":size"], values[":root"])
        conditions = {
            "#size = :size AND root = :root": same,
            "attribute_not_exists(origin) OR #size = :size AND root = :root": same or row is None,
        }
        if not conditions[body["ConditionExpression"]]:
            raise ConditionNotMetError("not as it was")
        self.rows[item["origin"]["S"]] = item
        act, self.after_put = self.after_put, lambda: None
        act()
        return {}

    def sign(self, key: str, message: bytes) -> bytes:
        assert key == "arn"
        act, self.before_sign = self.before_sign, lambda: None
        act()
        self.signed.append(message)
        return WITNESS.sign(message)

    def public_key(self, key: str) -> bytes:
        assert key == "arn"
        return ed25519.to_spki(WITNESS.key.public_key)

    def handle(self, event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        cosigner = ledger_witness.Cosigner(cast("Any", self), "arn", WITNESS.key.name, lambda: 1_700_000_000.9)
        return ledger_witness.handle(
            event, INVOCATION, views=Views(self.call, "views"), cosigner=cosigner, logs=(LOG.key,)
        )

    def post(self, body: bytes) -> tuple[int, bytes]:
        response, fields = self.handle(event(body))
        assert fields == {"status": response["statusCode"], "cosigned": int(response["statusCode"] == 200)}
        return response["statusCode"], response["body"].encode()

    def ask(self, count: int, old_size: int = 0, fork: int = 100) -> bytes:
        return cosigned(note(count, fork), WITNESS.key, old_size, tree(count, fork).consistency_proof, self.post)

    @property
    def size(self) -> int:
        return int(self.rows[NAME]["size"]["N"])


def event(body: bytes, method: str = "POST", path: str = "/add-checkpoint", encoded: bool = False) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "requestContext": {"http": {"method": method}},
        "body": base64.b64encode(body).decode() if encoded else body.decode(),
        "isBase64Encoded": encoded,
    }


def test_a_log_that_grows_is_cosigned() -> None:
    world = World()
    for count, old_size in ((0, 0), (3, 0), (7, 3), (7, 7), (9, 0)):
        found = world.ask(count, old_size)
        signed = notes.verified(notes.read(found), [LOG.key, WITNESS.key])
        assert signed == {LOG.key: None, WITNESS.key: 1_700_000_000}
        assert world.size == count
    assert a2b_base64(world.rows[NAME]["root"]["B"]) == tree(9).root


def test_a_response_is_as_the_protocol_has_it() -> None:
    world = World()
    body = written(0, [], note(7))
    for encoded in (False, True):
        world.rows.clear()
        response, _ = world.handle(event(body, encoded=encoded))
        assert response["statusCode"] == 200
        assert response["body"].startswith("— witness.example/one ")
    response, _ = world.handle(event(body))
    assert (response["statusCode"], response["body"]) == (409, "7\n")
    assert response["headers"]["content-type"] == "text/x.tlog.size"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (event(written(0, [], note(7)), path="/"), 404),
        (event(written(0, [], note(7)), method="GET"), 405),
        ({**event(b"", encoded=True), "body": "%"}, 400),
        ({key: value for key, value in event(b"").items() if key != "body"}, 400),
        (event(b"old 0\n"), 400),
        (event(b"old 0\n\n" + note(7).replace(b"weaudit", b"another")), 404),
        (event(b"old 0\n\n" + note(7).replace(b"\n7\n", b"\n8\n")), 403),
        (event(b"old 0\n\n" + notes.written(f"{NAME}\n{'x' * 4000}\n", [LOG.signature("x\n")])), 400),
    ],
)
def test_another_request_is_refused_and_changes_nothing(sent: dict[str, Any], status: int) -> None:
    world = World()
    response, fields = world.handle(sent)
    assert (response["statusCode"], fields["cosigned"]) == (status, 0)
    assert (world.rows, world.signed) == ({}, [])


def test_a_second_history_is_refused_and_what_proves_it_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.ask(7)
    for count in (7, 9):
        with pytest.raises(RefusedError) as refused:
            world.ask(count, 7, fork=5)
        assert refused.value.status == 422
    assert world.size == 7
    said = capsys.readouterr().out
    assert said.count('"WARNING"') == 2
    assert notes.to_base64(tree(9, 5).root).replace("/", "\\/") in said.replace("/", "\\/")
    assert "\\u2014 weaudit/" in said or "— weaudit/" in said


def test_of_two_histories_that_come_at_once_one_is_cosigned() -> None:
    world = World()
    world.before_put = lambda: world.ask(7, fork=5)
    with pytest.raises(RefusedError) as refused:
        world.ask(7)
    assert refused.value.status == 422
    assert len(world.signed) == 1
    assert a2b_base64(world.rows[NAME]["root"]["B"]) == tree(7, 5).root


def test_two_requests_that_come_at_once_are_answered_one_after_the_other() -> None:
    world = World()
    world.before_put = lambda: world.ask(7)
    world.ask(9)  # it is told 7, and asks again
    assert world.size == 9
    world.before_put = lambda: world.ask(12)
    with pytest.raises(RefusedError) as refused:
        world.ask(11, 9)
    assert (refused.value.status, refused.value.size) == (409, 12)


def test_a_crash_between_the_table_and_the_key_costs_a_request_alone() -> None:
    world = World()

    def lost() -> None:
        raise StoreUnavailableError("lost")

    for name, remembered in (("before_put", False), ("after_put", True), ("before_sign", True)):
        setattr(world, name, lost)
        with pytest.raises(StoreUnavailableError):
            world.ask(7)
        assert (bool(world.rows), world.signed) == (remembered, [])
    with pytest.raises(RefusedError):
        world.ask(7, fork=5)
    world.ask(7)
    assert len(world.signed) == 1

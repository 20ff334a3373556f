"""The client against a real server that throttles, resets, stalls, cuts off, closes, and has another clock."""

import base64
import calendar
import contextlib
import hashlib
import json
import threading
import time
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.aws.certificates import Certificate
from tests.aws.scripted_server import (
    Request,
    ScriptedServer,
    Step,
    answer,
    dynamodb,
    hang_up,
    refusal,
    reset,
    serving,
    stall,
)
from weaudit.aws.client import KMS, S3, DynamoDB, Pending, Streams
from weaudit.aws.connections import Connection
from weaudit.aws.transport import BoundedSocket
from weaudit.errors import ConditionNotMetError, RecordRejectedError, StoreRefusedError, StoreUnavailableError

_DONE: dict[str, Any] = {"UnprocessedItems": {}}
_KEYS = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "wJalr"}


class Hasty(Connection):
    """The same with short waits."""

    read_s = 0.2
    first_wait_s = 0.001
    first_throttled_wait_s = 0.002


class Once(Hasty):
    """Tries once: what it survives was not counted as a failure."""

    attempts = 1


def connect(server: ScriptedServer, kind: type[Connection] = Hasty, service: str = "dynamodb", **more: str) -> Any:
    connection = kind.from_environment(service, {**_KEYS, "AWS_ENDPOINT_URL": server.url, **more})
    clients = {"dynamodb": DynamoDB, "streams.dynamodb": Streams, "kms": KMS, "s3": S3}
    return clients[service](connection)


def put(client: DynamoDB) -> dict[str, Any]:
    return client.call("BatchWriteItem", {"RequestItems": {"Audit": []}})


@pytest.mark.parametrize(
    "failing",
    [
        refusal("ThrottlingException"),
        refusal("ProvisionedThroughputExceededException"),
        refusal("TransactionInProgressException"),
        refusal("TransactionConflictException"),
        refusal("InternalServerError", status=500),
        answer(503, b""),
        answer(502, b"<html>a proxy's page</html>"),
        reset,
        hang_up,
        stall,
        dynamodb(_DONE, cut=5),
        dynamodb(_DONE, cut=0),
        answer(200, b""),
        answer(200, b"[]"),
        answer(200, b'{"half":'),
        answer(200, _DONE, headers={"x-amz-crc32": "1"}),
        answer(400, {"__type": "x#ValidationException"}, headers={"x-amz-crc32": "1"}),
    ],
)
def test_what_may_pass_is_tried_again(failing: Step) -> None:
    with serving(failing, failing, dynamodb(_DONE)) as server:
        assert put(connect(server)) == _DONE
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1


@pytest.mark.parametrize(
    ("failing", "status", "code"),
    [(refusal("ThrottlingException"), 400, "ThrottlingException"), (answer(503), 503, ""), (hang_up, 0, "")],
)
def test_attempts_are_bounded(failing: Step, status: int, code: str) -> None:
    with serving(failing) as server, pytest.raises(StoreUnavailableError) as raised:
        put(connect(server))
    assert len(server.requests) == Connection.attempts
    assert (raised.value.status, raised.value.aws_code) == (status, code)


def test_no_attempt_begins_after_the_deadline() -> None:
    class Late(Hasty):
        deadline_s = 0.0

    with serving(answer(500)) as server, pytest.raises(StoreUnavailableError):
        put(connect(server, Late))
    assert len(server.requests) == 1


_NOT_MET = refusal("ConditionalCheckFailedException", "The conditional request failed")


@pytest.mark.parametrize(
    ("steps", "in_doubt"),
    [
        ((_NOT_MET,), False),
        ((refusal("ThrottlingException"), _NOT_MET), False),
        ((hang_up, _NOT_MET), True),
        ((reset, _NOT_MET), True),
        ((stall, _NOT_MET), True),
        ((dynamodb({"Attributes": {}}, cut=3), _NOT_MET), True),
        ((answer(200, b""), _NOT_MET), True),
        ((refusal("InternalServerError", status=500), _NOT_MET), True),
    ],
)
def test_a_condition_met_after_an_attempt_that_may_have_been_carried_out_is_in_doubt(
    steps: tuple[Step, ...], in_doubt: bool
) -> None:
    with serving(*steps) as server:
        client = connect(server)
        with pytest.raises(ConditionNotMetError) as caught:
            client.call("UpdateItem", {})
    assert caught.value.in_doubt == in_doubt


def cancelled(*codes: str) -> Step:
    reasons = [{"Code": code} for code in codes]
    return answer(400, {"__type": "x#TransactionCanceledException", "CancellationReasons": reasons})


@pytest.mark.parametrize("why", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_condition_beside_a_part_that_nobody_looked_at_is_tried_again(why: str) -> None:
    unknown, known = cancelled(why, "ConditionalCheckFailed"), cancelled("ConditionalCheckFailed", "None")
    for steps, codes, asked in (
        ((unknown, unknown, known), ["ConditionalCheckFailed", "None"], 3),
        ((unknown,), [why, "ConditionalCheckFailed"], Connection.attempts),
        ((cancelled("None", "ConditionalCheckFailed"),), ["None", "ConditionalCheckFailed"], 1),
    ):
        with serving(*steps) as server, pytest.raises(ConditionNotMetError) as caught:
            connect(server).call("TransactWriteItems", {})
        assert [reason["Code"] for reason in caught.value.reasons] == codes
        assert len(server.requests) == asked
        assert not caught.value.in_doubt


def test_a_kept_connection_lost_without_an_answer_leaves_doubt() -> None:
    with serving(dynamodb(_DONE), hang_up, _NOT_MET) as server:
        client = connect(server, Once)
        put(client)
        with pytest.raises(ConditionNotMetError) as caught:
            client.call("UpdateItem", {})
    assert caught.value.in_doubt


def test_nobody_there_is_unavailable() -> None:
    with serving(answer(200)) as server:
        client = connect(server)
    with pytest.raises(StoreUnavailableError, match=r"no valid response from 127\.0\.0\.1"):
        put(client)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException"])
def test_a_refusal_is_final(code: str) -> None:
    with serving(refusal(code, "why")) as server, pytest.raises(StoreRefusedError, match=f"{code}.*why") as raised:
        put(connect(server))
    assert len(server.requests) == 1
    assert (raised.value.aws_code, raised.value.status) == (code, 400)


def test_a_record_that_is_too_large_is_rejected_at_once() -> None:
    message = "Item size has exceeded the maximum allowed size"
    with serving(refusal("ValidationException", message)) as server, pytest.raises(RecordRejectedError, match=message):
        put(connect(server))
    assert len(server.requests) == 1


def test_what_dynamodb_could_never_read_is_not_sent() -> None:
    with serving(dynamodb(_DONE)) as server:
        client = connect(server)
        with pytest.raises(RecordRejectedError, match="surrogate"):
            client.call("PutItem", {"Item": {"id": {"S": "\ud800"}}})
        with pytest.raises(RecordRejectedError, match="16 MB"):
            client.call("PutItem", {"Item": {"id": {"S": "x" * (16 * 1024 * 1024)}}})
    assert server.requests == []


def test_an_answer_given_before_the_body_was_read_is_heard() -> None:
    """A server may refuse a large body, and close, while it is still being sent."""

    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with serving(early=early) as server, pytest.raises(RecordRejectedError) as raised:
        connect(server, Patient, "s3").put_object("bucket", "key", b"x" * 50_000_000, "application/json")
    assert raised.value.status == 413


class Patient(Hasty):
    """Has time for large bodies."""

    read_s = 10.0


def test_connections_are_kept_and_shared_by_threads_that_come_and_go() -> None:
    with serving(dynamodb(_DONE)) as server:
        client = connect(server)
        for _ in range(5):
            thread = threading.Thread(target=put, args=(client,))
            thread.start()
            thread.join()
    assert [request.connection for request in server.requests] == [1] * 5


def test_threads_at_one_time_never_share_a_connection() -> None:
    together = threading.Barrier(4)

    def all_at_once(request: Request, connection: Any, server: ScriptedServer) -> bool:
        together.wait()
        number = json.loads(request.body)["number"]
        return dynamodb({"number": number})(request, connection, server)

    with serving(all_at_once) as server:
        client = connect(server, Patient)
        answers: list[tuple[int, Any]] = []

        def work(number: int) -> None:
            for _ in range(20):
                answers.append((number, client.call("PutItem", {"number": number})["number"]))  # noqa: PERF401 one by one, as answers come

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 80
    assert all(sent == received for sent, received in answers)
    assert len({request.connection for request in server.requests}) == 4


def test_a_connection_closed_while_idle_is_noticed_before_it_is_used() -> None:
    with serving(dynamodb(_DONE, close=True), dynamodb(_DONE)) as server:
        client = connect(server, Once)
        put(client)
        assert server.closed.get() == 1
        put(client)
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("lost", [hang_up, reset])
def test_a_kept_connection_lost_without_an_answer_is_no_failure(lost: Step) -> None:
    with serving(dynamodb(_DONE), lost, dynamodb(_DONE)) as server:
        client = connect(server, Once)
        put(client)
        put(client)
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_a_new_connection_lost_without_an_answer_is_a_failure() -> None:
    with serving(hang_up) as server, pytest.raises(StoreUnavailableError):
        put(connect(server, Once))
    assert len(server.requests) == 1


def test_one_silent_kept_connection_lets_go_of_all_that_were_kept() -> None:
    """Lambda freezes a function for minutes: what is closed meanwhile need not come to be known."""
    together = threading.Barrier(4, timeout=10)

    def held(request: Request, connection: Any, server: ScriptedServer) -> bool:
        together.wait()
        return dynamodb(_DONE)(request, connection, server)

    def dead(request: Request, connection: Any, server: ScriptedServer) -> bool:
        return (stall if request.connection <= 4 else dynamodb(_DONE))(request, connection, server)

    class Twice(Hasty):
        attempts = 2
        read_s = 5.0

    with serving(*[held] * 4, dead) as server:
        client = connect(server, Twice)
        threads = [threading.Thread(target=put, args=(client,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        Twice.read_s = Hasty.read_s
        assert put(client) == _DONE
    assert [request.connection for request in server.requests[4:]] == [server.requests[4].connection, 5]


def bodies(count: int) -> list[dict[str, Any]]:
    return [{"RequestItems": {"Audit": [number]}} for number in range(count)]


def place_of(request: Request) -> int:
    [number] = json.loads(request.body)["RequestItems"]["Audit"]
    assert isinstance(number, int)
    return number


def echo(request: Request, connection: Any, server: ScriptedServer) -> bool:
    return dynamodb({"asked": place_of(request)})(request, connection, server)


def begun(client: DynamoDB, count: int, first: int = 0) -> list[Pending]:
    return [client.begin("BatchWriteItem", body) for body in bodies(first + count)[first:]]


def test_several_calls_are_under_way_at_once() -> None:
    # Nobody is answered before four have asked: one after the other, none of them would ever be.
    together = threading.Barrier(4, timeout=10)

    def held(request: Request, connection: Any, server: ScriptedServer) -> bool:
        together.wait()
        return echo(request, connection, server)

    class Patient(Once):
        read_s = 10.0

    with serving(held) as server:
        client = connect(server, Patient)
        answers = [pending.result() for _ in range(2) for pending in begun(client, 4)]
    assert answers == [{"asked": number} for number in range(4)] * 2
    assert len({request.connection for request in server.requests}) == 4


def test_each_call_fails_for_itself_and_what_may_pass_is_tried_again() -> None:
    tried: list[int] = []

    def mixed(request: Request, connection: Any, server: ScriptedServer) -> bool:
        place = place_of(request)
        tried.append(place)
        if place == 1:
            return refusal("ValidationException", "Item size has exceeded")(request, connection, server)
        if place in (2, 3) and tried.count(place) == 1:
            return (hang_up if place == 2 else stall)(request, connection, server)
        return echo(request, connection, server)

    with serving(mixed) as server:
        client = connect(server)
        calls = [*begun(client, 4), client.begin("BatchWriteItem", {"half": "\ud800"})]
        for place in (1, 4):
            with pytest.raises(RecordRejectedError):
                calls[place].result()
        assert [calls[place].result() for place in (0, 2, 3)] == [{"asked": place} for place in (0, 2, 3)]
    assert sorted(tried) == [0, 1, 2, 2, 3, 3]


def test_calls_that_nobody_answers_are_waited_for_at_one_time() -> None:
    class Waiting(Hasty):
        read_s = 1.0

    def late(request: Request, connection: Any, server: ScriptedServer) -> bool:
        # One after the other, four waits would last longer than this: the last would see its answer come.
        if request.connection <= 4 and server.over.wait(2.8):
            return False
        return echo(request, connection, server)

    with serving(late) as server:
        answers = [pending.result() for pending in begun(connect(server, Waiting), 4)]
    assert answers == [{"asked": number} for number in range(4)]
    assert len(server.requests) == 8


def test_who_asks_late_for_an_answer_gets_it_and_has_the_whole_time_for_another_try() -> None:
    class Short(Hasty):
        deadline_s = 0.3

    def second(request: Request, connection: Any, server: ScriptedServer) -> bool:
        return (answer(500) if len(server.requests) == 2 else echo)(request, connection, server)

    with serving(second) as server:
        calls = begun(connect(server, Short), 2)
        time.sleep(2 * Short.deadline_s)
        assert [pending.result() for pending in calls] == [{"asked": 0}, {"asked": 1}]
    assert len(server.requests) == 3


def test_the_connection_of_a_cancelled_call_serves_the_next() -> None:
    with serving(echo) as server:
        client = connect(server, Once)
        for pending in begun(client, 3):
            pending.cancel()
            pending.cancel()
        assert [pending.result() for pending in begun(client, 3)] == [{"asked": number} for number in range(3)]
    assert {request.connection for request in server.requests} == {1, 2, 3}


@pytest.mark.parametrize("lost", [hang_up, stall, dynamodb(_DONE, cut=5)])
def test_what_goes_wrong_with_a_cancelled_call_is_ignored(lost: Step) -> None:
    with serving(lost, echo) as server:
        client = connect(server, Once)
        begun(client, 1)[0].cancel()
        assert begun(client, 1)[0].result() == {"asked": 0}


def test_cancelled_calls_are_never_sent_again() -> None:
    # Their kept connections were closed meanwhile, and a new one would never be answered: each would cost a wait.
    def lost(request: Request, connection: Any, server: ScriptedServer) -> bool:
        return (hang_up if place_of(request) >= 4 else echo)(request, connection, server)

    with serving(lost) as server:
        client = connect(server, Once)
        assert [pending.result() for pending in begun(client, 4)] == [{"asked": number} for number in range(4)]
        for pending in begun(client, 4, first=4):
            pending.cancel()
    assert sorted(place_of(request) for request in server.requests) == list(range(8))


def test_cancelled_calls_cost_one_wait_however_slowly_their_responses_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    limit = BoundedSocket.limit

    def noted(sock: BoundedSocket, wait_s: float, deadline: float) -> None:
        waits.append(deadline)
        limit(sock, wait_s, deadline)

    def trickle(request: Request, connection: Any, server: ScriptedServer) -> bool:
        del request
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not server.over.wait(0.02):
                connection.sendall(b"x")
        return False

    with serving(trickle) as server:
        calls = begun(connect(server, Once), 3)
        written = time.monotonic()
        monkeypatch.setattr(BoundedSocket, "limit", noted)
        for pending in calls:
            pending.cancel()
    # Head and body of the first are waited for until its time is over; the others have had theirs meanwhile.
    assert len(waits) == 6
    assert max(waits[:2]) <= written + Once.read_s


def test_a_service_that_cannot_be_reached_is_tried_once_for_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    connected = HTTPConnection.connect

    def connecting(connection: HTTPConnection) -> None:
        tried.append(connection.host)
        if len(tried) == 1:
            raise TimeoutError("timed out")
        connected(connection)

    monkeypatch.setattr(HTTPConnection, "connect", connecting)
    with serving(echo) as server:
        client = connect(server)
        calls = begun(client, 32)
        assert len(tried) == 1
        # What was not written is written when somebody asks, or never.
        for pending in calls[2:]:
            pending.cancel()
        assert [pending.result() for pending in calls[:2]] == [{"asked": 0}, {"asked": 1}]
        # It can be reached again: calls are under way at once as before.
        assert [pending.result() for pending in begun(client, 3)] == [{"asked": number} for number in range(3)]
    assert sorted(place_of(request) for request in server.requests) == [0, 0, 1, 1, 2]
    assert {request.connection for request in server.requests} == {1, 2, 3}


def test_the_credentials_of_a_call_are_those_that_it_began_with() -> None:
    environment = dict(_KEYS)

    def take_away(request: Request, connection: Any, server: ScriptedServer) -> bool:
        environment.pop("AWS_SECRET_ACCESS_KEY", None)
        return False

    with serving(take_away, _NOT_MET) as server:
        environment["AWS_ENDPOINT_URL"] = server.url
        client = DynamoDB(Hasty.from_environment("dynamodb", environment))
        with pytest.raises(ConditionNotMetError) as caught:
            client.call("UpdateItem", {})
    assert caught.value.in_doubt


def test_kept_connections_that_were_lost_are_no_failure_of_the_calls_under_way() -> None:
    def second_is_lost(request: Request, connection: Any, server: ScriptedServer) -> bool:
        return (hang_up if request.connection <= 4 and place_of(request) >= 4 else echo)(request, connection, server)

    with serving(second_is_lost) as server:
        client = connect(server, Once)
        answers = [pending.result() for first in (0, 4) for pending in begun(client, 4, first)]
    assert answers == [{"asked": number} for number in range(8)]


def test_missing_credentials_are_an_error_of_the_request() -> None:
    with serving(echo) as server:
        connection = Once.from_environment("dynamodb", {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": server.url})
        [pending] = begun(DynamoDB(connection), 1)
        with pytest.raises(StoreRefusedError, match="no AWS credentials"):
            pending.result()
    assert server.requests == []


def test_a_server_that_says_close_is_taken_at_its_word() -> None:
    with serving(answer(200, _DONE, headers={"Connection": "close"}), dynamodb(_DONE)) as server:
        client = connect(server, Once)
        put(client)
        put(client)
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestTimeTooSkewed"])
@pytest.mark.parametrize("ahead_s", [-7200, 7200])
def test_a_clock_that_is_off_is_corrected_by_the_servers(code: str, ahead_s: int) -> None:
    date = formatdate(time.time() + ahead_s, usegmt=True)
    with serving(refusal(code, headers={"Date": date}), dynamodb(_DONE)) as server:
        client = connect(server, Once)
        put(client)
        put(client)
    stamps = [calendar.timegm(time.strptime(r.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")) for r in server.requests]
    assert len(stamps) == 3
    # Corrected once and for all; well within the five minutes that AWS allows.
    assert all(abs(stamp - stamps[0] - ahead_s) < 200 for stamp in stamps[1:])


@pytest.mark.parametrize("headers", [{}, {"Date": "nonsense"}, {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}])
def test_a_signature_refused_for_another_reason_is_final_and_its_text_is_kept_back(headers: dict[str, str]) -> None:
    failing = refusal("InvalidSignatureException", "x-amz-security-token:hunter2", headers=headers)
    with serving(failing) as server, pytest.raises(StoreRefusedError) as raised:
        put(connect(server, AWS_SESSION_TOKEN="hunter2"))
    assert len(server.requests) <= 2
    assert "hunter2" not in str(raised.value)


def test_the_trace_is_passed_on_inside_lambda_only() -> None:
    environment = {**_KEYS, "AWS_LAMBDA_FUNCTION_NAME": "audit_producer", "_X_AMZN_TRACE_ID": "Root=1-a;Sampled=1"}
    with serving(dynamodb(_DONE)) as server:
        environment["AWS_ENDPOINT_URL"] = server.url
        client = DynamoDB(Hasty.from_environment("dynamodb", environment))
        put(client)
        environment["_X_AMZN_TRACE_ID"] = "Root=1-b"
        put(client)
        put(connect(server, _X_AMZN_TRACE_ID="Root=1-c"))
    assert [r.headers.get("x-amzn-trace-id") for r in server.requests] == ["Root=1-a;Sampled=1", "Root=1-b", None]


def test_objects() -> None:
    with serving(answer(200), answer(200, b"\x00\xff"), answer(200, b"")) as server:
        client = connect(server, Once, "s3")
        client.put_object("bucket", "a/b c", b"body", "application/json")
        assert client.get_object("bucket", "a/b c") == b"\x00\xff"
        assert client.get_object("bucket", "empty") == b""
    assert [(r.method, r.path, r.body) for r in server.requests[:2]] == [
        ("PUT", "/bucket/a/b%20c", b"body"),
        ("GET", "/bucket/a/b%20c", b""),
    ]
    assert server.requests[0].headers["x-amz-content-sha256"] == hashlib.sha256(b"body").hexdigest()


@pytest.mark.parametrize("failing", [answer(503, b"<Error><Code>SlowDown</Code></Error>"), answer(200, b"abc", cut=1)])
def test_objects_are_tried_again(failing: Step) -> None:
    with serving(failing, answer(200, b"abc")) as server:
        assert connect(server, service="s3").get_object("bucket", "key") == b"abc"
    assert len(server.requests) == 2


@pytest.mark.parametrize("cut", [b"", b"the who", b"the whole and more"])
def test_a_part_of_an_object_that_is_not_as_long_as_it_says_is_read_again(cut: bytes) -> None:
    headers = {"Content-Range": "bytes 4-12/99"}
    with serving(answer(206, cut, headers=headers), answer(206, b"the whole", headers=headers)) as server:
        found = connect(server, service="s3").read_object("bucket", "key", span="4-12")
    assert found.body == b"the whole"
    assert len(server.requests) == 2


def test_an_answer_in_chunks_is_read_whole() -> None:
    def in_chunks(request: Request, connection: Any, server: ScriptedServer) -> bool:
        connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n')
        connection.sendall(b"3\r\n:1}\r\n0\r\n\r\n")
        return True

    with serving(in_chunks) as server:
        client = connect(server, Once)
        assert [put(client), put(client)] == [{"a": 1}] * 2
    assert [request.connection for request in server.requests] == [1, 1]


def test_errors_of_s3_are_read() -> None:
    body = b"<?xml version='1.0'?><Error><Code>NoSuchBucket</Code><Message>a &lt;b&gt; &amp;amp;</Message></Error>"
    with serving(answer(404, body)) as server, pytest.raises(StoreRefusedError, match="a <b> &amp;") as raised:
        connect(server, service="s3").get_object("bucket", "key")
    assert (raised.value.aws_code, raised.value.status) == ("NoSuchBucket", 404)


def xml_refusal(status: int, code: str) -> Step:
    return answer(status, f"<Error><Code>{code}</Code></Error>".encode())


_THERE, _CONFLICT = xml_refusal(412, "PreconditionFailed"), xml_refusal(409, "ConditionalRequestConflict")


def put_new(server: ScriptedServer, **lock: str) -> bool:
    stored: bool = connect(server, service="s3").put_new("bucket", "key", b"body", "text/plain", **lock)
    return stored


def test_a_new_object_is_put_on_condition_and_may_be_locked() -> None:
    with serving(answer(200)) as server:
        assert put_new(server)
        assert put_new(server, lock_mode="COMPLIANCE", locked_until="2024-01-01T00:00:00Z")
        assert connect(server, service="s3").replace("bucket", "key", b"body", "text/plain", etag="abc")
    plain, locked, replaced = (request.headers for request in server.requests)
    checksum = base64.b64encode(hashlib.sha256(b"body").digest()).decode()
    assert {headers["x-amz-checksum-sha256"] for headers in (plain, locked, replaced)} == {checksum}
    assert plain["if-none-match"] == locked["if-none-match"] == "*"
    assert "x-amz-object-lock-mode" not in plain
    assert locked["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert locked["x-amz-object-lock-retain-until-date"] == "2024-01-01T00:00:00Z"
    assert replaced["if-match"] == '"abc"'
    assert "x-amz-object-lock-mode" in locked["authorization"]


@pytest.mark.parametrize(
    ("steps", "stored"),
    [
        ((_THERE,), False),
        ((_CONFLICT, answer(200)), True),
        ((_CONFLICT, _THERE), False),
        # Its own, perhaps: that is for the caller to read.
        ((hang_up, _THERE), False),
        ((answer(500), answer(200)), True),
    ],
)
def test_an_object_that_is_there_is_never_overwritten(steps: tuple[Step, ...], stored: bool) -> None:
    with serving(*steps) as server:
        assert put_new(server) == stored
    assert {request.headers["if-none-match"] for request in server.requests} == {"*"}


@pytest.mark.parametrize(
    ("failing", "in_doubt"), [(_CONFLICT, True), (stall, True), (answer(503), True), (answer(429), False)]
)
def test_a_put_of_which_the_outcome_is_unknown_is_in_doubt(failing: Step, in_doubt: bool) -> None:
    with serving(failing) as server, pytest.raises(StoreUnavailableError) as raised:
        put_new(server)
    assert raised.value.in_doubt == in_doubt
    assert len(server.requests) == Connection.attempts


def test_a_put_that_is_refused_is_no_object_that_is_there() -> None:
    with serving(xml_refusal(400, "InvalidRequest")) as server, pytest.raises(StoreRefusedError) as raised:
        put_new(server, lock_mode="GOVERNANCE", locked_until="2024-01-01T00:00:00Z")
    assert raised.value.aws_code == "InvalidRequest"


@pytest.mark.parametrize("gone", [_THERE, xml_refusal(404, "NoSuchKey")])
def test_an_object_that_another_one_replaced_is_not_replaced(gone: Step) -> None:
    with serving(gone) as server:
        assert not connect(server, service="s3").replace("bucket", "key", b"", "text/plain", etag="abc")


def test_a_missing_object_is_none_and_a_missing_bucket_an_error() -> None:
    with serving(answer(200, b"abc"), xml_refusal(404, "NoSuchKey"), xml_refusal(404, "NoSuchBucket")) as server:
        client = connect(server, service="s3")
        assert client.get_or_none("bucket", "key") == b"abc"
        assert client.get_or_none("bucket", "key") is None
        with pytest.raises(StoreRefusedError, match="NoSuchBucket"):
            client.get_or_none("bucket", "key")


def test_a_listing_of_versions_that_was_cut_off_is_read_again() -> None:
    whole = b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>\n"
    with serving(answer(200, whole[:-20]), answer(200, whole)) as server:
        assert connect(server, service="s3").list_versions("bucket").next_markers is None
    assert len(server.requests) == 2


def test_keys_sign_and_are_signed_for() -> None:
    answers = [{"Signature": "AAEC"}, {"PublicKey": "AwQF"}]
    with serving(*(answer(200, document) for document in answers)) as server:
        client = connect(server, service="kms")
        assert client.sign("alias/a", b"\xff") == b"\0\1\2"
        assert client.public_key("alias/a") == b"\3\4\5"
    first, second = server.requests
    assert json.loads(first.body) == {
        "KeyId": "alias/a",
        "Message": "/w==",
        "MessageType": "RAW",
        "SigningAlgorithm": "ED25519_SHA_512",
    }
    assert [request.headers["x-amz-target"] for request in (first, second)] == [
        "TrentService.Sign",
        "TrentService.GetPublicKey",
    ]
    assert "/eu-west-1/kms/aws4_request" in first.headers["authorization"]
    assert first.headers["content-type"] == "application/x-amz-json-1.1"


@pytest.mark.parametrize(
    "code", ["TrimmedDataAccessException", "ExpiredIteratorException", "ResourceNotFoundException"]
)
def test_what_a_stream_has_no_more_is_a_refusal_by_its_code(code: str) -> None:
    with serving(refusal("InternalServerError", status=500), refusal(code)) as server:
        with pytest.raises(StoreRefusedError) as raised:
            connect(server, service="streams.dynamodb").call("GetRecords", {"ShardIterator": "i"})
        assert raised.value.aws_code == code
    headers = server.requests[-1].headers
    assert headers["x-amz-target"] == "DynamoDBStreams_20120810.GetRecords"
    assert "/eu-west-1/dynamodb/aws4_request" in headers["authorization"]


def test_tls_is_verified(certificate: Certificate) -> None:
    with serving(dynamodb(_DONE), context=certificate.context) as server:
        client = connect(server, Once, AWS_CA_BUNDLE=certificate.path)
        assert put(client) == put(client) == _DONE
        with pytest.raises(StoreUnavailableError, match=r"(?i)certificate"):
            put(connect(server, Once))
    assert [request.connection for request in server.requests] == [1, 1]


def test_a_missing_file_of_certificates_is_an_error_of_the_request(certificate: Certificate, tmp_path: Path) -> None:
    with serving(dynamodb(_DONE), context=certificate.context) as server:
        client = connect(server, Once, AWS_CA_BUNDLE=str(tmp_path / "nowhere.pem"))
        with pytest.raises(StoreUnavailableError, match=r"(?i)nowhere\.pem cannot be read: .*no such file"):
            put(client)
    assert server.requests == []

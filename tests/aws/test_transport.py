"""What bounds an answer: no wait goes beyond its deadline, and neither too many nor too few bytes are taken for it."""

import io
from http.client import HTTPConnection, HTTPResponse
from types import SimpleNamespace
from typing import Any

import pytest

from tests.aws.certificates import Certificate
from tests.aws.scripted_server import Request, ScriptedServer, Step, answer, dynamodb, serving
from tests.aws.test_client import Hasty, Once, Patient, connect, put
from weaudit.aws import transport
from weaudit.aws.transport import BoundedSocket
from weaudit.errors import StoreUnavailableError

_OK = b"HTTP/1.1 200 OK\r\n"
_DONE: dict[str, Any] = {"UnprocessedItems": {}}


class PatientOnce(Patient):
    """Tries once, with time for large answers."""

    attempts = 1


class Slow(io.RawIOBase):
    """A socket, and the file of it, whose other side gives a byte or takes a part every four seconds of its clock."""

    def __init__(self, content: bytes) -> None:
        self.now = 0.0
        self._content = content
        self._timeout_s = float("inf")

    def settimeout(self, seconds: float) -> None:
        self._timeout_s = seconds

    def makefile(self, mode: str, buffering: int) -> "Slow":
        return self

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wait()
        part, self._content = self._content[:1], self._content[1:]
        buffer[: len(part)] = part
        return len(part)

    def send(self, data: memoryview) -> int:
        self._wait()
        return min(len(data), 16_384)

    def _wait(self) -> None:
        self.now += min(4, self._timeout_s)
        if self._timeout_s < 4:
            raise TimeoutError("timed out")


def slow(content: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Slow, Any]:
    """Return a slow socket, and the bounded one on top of it."""
    sock = Slow(content)
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: sock.now))
    bounded: Any = sock
    return sock, BoundedSocket(bounded)


def read(sock: Any) -> transport.Answer:
    with HTTPResponse(sock, method="GET") as response:
        response.begin()
        return transport.complete(response)


@pytest.mark.parametrize(
    "content",
    [
        _OK,
        _OK + b"Content-Length: 9\r\n\r\n123456789",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\nx: y\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
    ],
)
def test_a_byte_now_and_then_holds_nobody_beyond_the_deadline(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    # The deadline is at every byte of the answer in turn: in its head, its body, its chunks, behind them.
    for place in range(1, len(content) + 1):
        sock, bounded = slow(content, monkeypatch)
        bounded.limit(5.0, 4.0 * place - 1)
        with pytest.raises(TimeoutError):
            read(bounded)
        assert sock.now == 4 * place - 1


def test_a_silent_service_is_waited_for_no_longer_than_one_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    sock, bounded = slow(_OK, monkeypatch)
    bounded.limit(3.0, 20.0)
    with pytest.raises(TimeoutError):
        read(bounded)
    assert sock.now == 3


def test_a_part_taken_now_and_then_holds_nobody_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    sock, bounded = slow(b"", monkeypatch)
    bounded.limit(5.0, 21.0)
    http = HTTPConnection("service.example")
    http.sock = bounded
    http.request("PUT", "/", b"x" * 16_000_000, {"Host": "service.example"})
    with pytest.raises(TimeoutError):
        bounded.flush()
    assert sock.now == 21


class Short(Patient):
    """Has time for each wait, and little for all of them."""

    deadline_s = 0.3


@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_that_trickles_ends_at_the_deadline(tls: bool, certificate: Certificate) -> None:
    def trickle(request: Request, connection: Any, server: ScriptedServer) -> bool:
        try:
            for byte in _OK + b"Content-Length: 2\r\n\r\n{}":
                connection.sendall(bytes((byte,)))
                if server.over.wait(0.03):
                    return False
        except OSError:  # the client has closed the connection, as it should
            return False
        return True

    with serving(trickle, context=certificate.context if tls else None) as server:
        client = connect(server, Short, AWS_CA_BUNDLE=certificate.path)
        with pytest.raises(StoreUnavailableError, match="timed out"):
            put(client)


@pytest.mark.parametrize("tls", [False, True])
def test_a_request_that_is_taken_in_trickles_ends_at_the_deadline(tls: bool, certificate: Certificate) -> None:
    # For three seconds it is taken slowly, but never slower than the deadline for each part; then at once.
    with serving(answer(200), context=certificate.context if tls else None, sips=100) as server:
        client = connect(server, Short, "s3", AWS_CA_BUNDLE=certificate.path)
        with pytest.raises(StoreUnavailableError, match="timed out"):
            client.put_object("bucket", "key", b"x" * 50_000_000, "application/json")
    assert all(len(request.body) < 50_000_000 for request in server.requests)


class Unhurried(Hasty):
    """Waits half a second at a time."""

    read_s = 0.5


@pytest.mark.parametrize("tls", [False, True])
def test_a_large_request_may_take_longer_than_one_wait(tls: bool, certificate: Certificate) -> None:
    with serving(answer(200), context=certificate.context if tls else None, sips=40) as server:
        client = connect(server, Unhurried, "s3", AWS_CA_BUNDLE=certificate.path)
        client.put_object("bucket", "key", b"x" * 10_000_000, "application/json")
    assert len(server.requests[-1].body) == 10_000_000


def sending(*parts: bytes, close: bool = False, endless: bytes = b"") -> Step:
    """Answer with these bytes, and then with ``endless`` over and over again."""

    def step(request: Request, connection: Any, server: ScriptedServer) -> bool:
        for part in parts:
            connection.sendall(part)
        while endless:
            connection.sendall(endless)
        return not close

    return step


@pytest.mark.parametrize(
    "endless",
    [
        sending(_OK, b"Content-Length: 100001\r\n\r\n"),
        sending(_OK, b"Content-Length: 99999999999999999999\r\n\r\n"),
        sending(_OK, b"Content-Length: 100000\r\n\r\n", b"x" * 100_000),  # too many with its head
        sending(_OK, b"Transfer-Encoding: chunked\r\n\r\n", endless=b"5\r\n12345\r\n"),
        sending(_OK, b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", endless=b"x"),
        sending(_OK, b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", endless=b"x"),
        sending(_OK, b"Transfer-Encoding: chunked\r\n\r\n0\r\n", endless=b"a: b\r\n"),
        sending(endless=b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_response_has_an_end(endless: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST_ANSWER_BYTES", 100_000)
    with serving(endless) as server, pytest.raises(StoreUnavailableError, match="more than the 100000"):
        put(connect(server, PatientOnce))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}",
        b"Content-Length: two\r\n\r\n{}",
        b"Content-Length: -2\r\n\r\n{}",
        b"Content-Length:\r\n\r\n{}",
        b"Transfer-Encoding: gzip\r\n\r\n{}",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2x\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
        b"X: " + b"y" * 100_000,
        b"X: y\r\n" * 101 + b"Content-Length: 2\r\n\r\n{}",
    ],
)
@pytest.mark.parametrize("close", [False, True])
def test_an_answer_of_no_known_length_is_refused_and_its_connection_closed(head: bytes, close: bool) -> None:
    with serving(sending(_OK + head, close=close), dynamodb(_DONE)) as server:
        client = connect(server, PatientOnce)
        with pytest.raises(StoreUnavailableError, match=r"its length is not given|cannot be read as HTTP"):
            put(client)
        assert put(client) == _DONE
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize(
    "first", [b"220 smtp.example\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", b"\r\n"]
)
def test_what_is_no_http_is_asked_for_again_and_never_quoted(first: bytes) -> None:
    with serving(sending(first, b"secret")) as server, pytest.raises(StoreUnavailableError) as raised:
        put(connect(server, PatientOnce))
    shown = repr((raised.value, raised.value.__cause__, raised.value.__context__))
    assert "HTTP" in shown
    assert "secret" not in shown
    assert "smtp" not in shown


@pytest.mark.parametrize(
    "whole",
    [
        _OK + b"ETag: x\r\nContent-Length: 3\r\n\r\nabc",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n03\r\nabc\r\n00\r\nETag: x\r\n\r\n",
    ],
)
def test_an_answer_that_is_cut_off_anywhere_is_asked_for_again(whole: bytes) -> None:
    for cut in range(1, len(whole)):
        with serving(sending(whole[:cut], close=True), sending(whole)) as server:
            assert connect(server, service="s3").get_object("bucket", "key") == b"abc"
        assert len(server.requests) == 2, whole[:cut]


@pytest.mark.parametrize("tls", [False, True])
def test_a_large_object_comes_whole(tls: bool, certificate: Certificate) -> None:
    body = bytes(range(256)) * 10_000
    by_length = sending(_OK, b"Content-Length: %d\r\n\r\n" % len(body), body)
    in_chunks = sending(_OK, b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    with serving(by_length, in_chunks, answer(200), context=certificate.context if tls else None) as server:
        client = connect(server, PatientOnce, "s3", AWS_CA_BUNDLE=certificate.path)
        assert client.get_object("bucket", "key") == body
        assert client.get_object("bucket", "key") == body
        client.put_object("bucket", "key", body, "text/plain")
    assert server.requests[2].body == body
    assert [request.connection for request in server.requests] == [1, 1, 1]


@pytest.mark.parametrize("tls", [False, True])
# Within what one reading takes; within what TLS decrypts at a time; more.
@pytest.mark.parametrize("times", [1, 300, 3000])
def test_what_comes_behind_an_answer_is_never_the_next_one(times: int, tls: bool, certificate: Certificate) -> None:
    one = _OK + b'Content-Length: 7\r\n\r\n{"a":1}'
    with serving(sending(one + one * times), dynamodb(_DONE), context=certificate.context if tls else None) as server:
        client = connect(server, PatientOnce, AWS_CA_BUNDLE=certificate.path)
        assert [put(client), put(client)] == [{"a": 1}, _DONE]
    # What was received with the answer is discarded with it; what still waits to be received shows before the next.
    assert server.requests[1].connection == (1 if times == 1 else 2)


def test_a_header_that_would_be_another_request_is_not_sent() -> None:
    with serving(answer(200)) as server:
        client = connect(server, Hasty, "s3")
        with pytest.raises(ValueError, match="Invalid header value"):
            client.read_object("bucket", "key", etag='a"\r\nX: y')
        assert client.get_object("bucket", "key") == b""
    assert [request.headers.get("x") for request in server.requests] == [None]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://a.example", ("a.example", 80)),
        ("https://a.example", ("a.example", 443)),
        ("http://a.example:8000", ("a.example", 8000)),
        ("https://[::1]", ("::1", 443)),
        ("http://[fd00:ec2::23]:8000", ("fd00:ec2::23", 8000)),
    ],
)
def test_a_host_has_a_port(url: str, found: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def connecting(connection: HTTPConnection) -> None:
        asked.append((connection.host, connection.port))
        raise TimeoutError("timed out")

    monkeypatch.setattr(HTTPConnection, "connect", connecting)
    with serving(answer(200)) as server, pytest.raises(StoreUnavailableError):
        put(connect(server, Once, AWS_ENDPOINT_URL_DYNAMODB=url))
    assert asked[0] == found

"""HTTP/1.1 as the functions read it: as http.client does where an answer is well-formed; else it is refused."""

import contextlib
import http.client
import io
import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.trickling import Trickling
from weaudit.adapters import http1
from weaudit.adapters.http1 import HttpConnection, UnreadableAnswerError


@contextlib.contextmanager
def _told(*parts: bytes, closed: bool = True) -> Iterator[HttpConnection]:
    """Give a connection on which these parts have come; ``closed``: and nothing more will."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        for part in parts:
            theirs.sendall(part)
        if closed:
            theirs.shutdown(socket.SHUT_WR)
        yield HttpConnection(ours)


def _read(connection: HttpConnection, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    status, headers = connection.head()
    return status, headers, connection.body(method, status, headers)


@dataclass(frozen=True)
class Told:
    """A well-formed answer: its bytes, to a request of which method, and how many of them belong to it."""

    content: bytes
    method: str
    length: int


_NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_!", min_size=1, max_size=12).map("X-{}".format)
# What http.client reads by way of email: no line breaks of Unicode, which email takes for the end of a header.
_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip)


@st.composite
def answers(draw: st.DrawFn) -> Told:
    """Draw an answer that is framed in one of the ways that there are."""
    body = draw(st.binary(max_size=300))
    method = draw(st.sampled_from(["GET", "POST", "HEAD"]))
    status = draw(st.sampled_from([200, 200, 206, 204, 304, 400, 404, 500, 503]))
    headers = draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=5))
    # https://www.rfc-editor.org/rfc/rfc9112#name-transfer-encoding: not with an answer that has no body.
    framing = draw(st.sampled_from(["length", "close"] if status in (204, 304) else ["length", "chunked", "close"]))
    if draw(st.booleans()):
        headers.append(
            (
                draw(st.sampled_from(["Connection", "connection"])),
                draw(st.sampled_from(["close", "Close", "keep-alive"])),
            )
        )
    sent = body
    if framing == "length":
        headers.append((draw(st.sampled_from(["Content-Length", "content-length"])), str(len(body))))
    elif framing == "chunked":
        headers.append(("Transfer-Encoding", draw(st.sampled_from(["chunked", "Chunked"]))))
        sent = b""
        while body:
            size = draw(st.integers(1, len(body)))
            digits = draw(st.sampled_from([f"{size:x}", f"{size:X}", f"00{size:x}"])) + draw(
                st.sampled_from(["", ";a=b", " ;c"])
            )
            sent += digits.encode() + b"\r\n" + body[:size] + b"\r\n"
            body = body[size:]
        trailers = draw(st.sampled_from([b"", b"x-trailer: 1\r\n", b"a: b\r\nc: d\r\n"]))
        sent += b"0\r\n" + trailers + b"\r\n"
    if method == "HEAD" or status in (204, 304):
        sent = b""
    blanks = draw(st.sampled_from([" ", "", "  ", "\t"]))
    lines = [
        f"HTTP/1.1 {status} {draw(st.sampled_from(['OK', '', 'Not So Good']))}",
        *(f"{n}:{blanks}{v}" for n, v in headers),
    ]
    before = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.integers(0, 2))
    content = before + "\r\n".join((*lines, "", "")).encode("latin-1") + sent
    return Told(content, method, len(content))


class _Sock:
    """What http.client reads of a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, *_arguments: Any) -> io.BytesIO:
        return io.BytesIO(self._content)


@settings(max_examples=300)
@given(told=answers(), sizes=st.lists(st.integers(1, 90), min_size=1, max_size=6))
def test_a_well_formed_answer_is_read_as_http_client_reads_it(told: Told, sizes: list[int]) -> None:
    oracle = http.client.HTTPResponse(_Sock(told.content), method=told.method)  # type: ignore[arg-type]
    oracle.begin()
    body = oracle.read()
    connection = HttpConnection(Trickling(told.content, sizes))  # type: ignore[arg-type]
    status, headers, found = _read(connection, told.method)
    assert (status, found) == (oracle.status, body)
    expected: dict[str, list[str]] = {}
    for name, value in oracle.headers.items():
        expected.setdefault(name.lower(), []).append(value)
    assert headers == {name: ", ".join(values) for name, values in expected.items()}
    assert connection.reusable == (not oracle.will_close)


@settings(max_examples=200)
@given(told=answers(), more=st.binary(min_size=1, max_size=40))
def test_what_comes_behind_an_answer_is_never_the_next_one(told: Told, more: bytes) -> None:
    connection = HttpConnection(Trickling(told.content + more, [10_000]))  # type: ignore[arg-type]
    _status, _headers, _body = _read(connection, told.method)
    assert not connection.reusable


@settings(max_examples=200)
@given(told=answers(), data=st.data())
def test_an_answer_that_is_cut_off_is_not_taken_for_whole(told: Told, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, told.length - 1))
    connection = HttpConnection(Trickling(told.content[:cut], [data.draw(st.integers(1, 70))]))  # type: ignore[arg-type]
    try:
        status, headers = connection.head()
        connection.body(told.method, status, headers)
    except (UnreadableAnswerError, ConnectionResetError):
        return
    # Where its end is the connection's nobody can tell.
    assert not {"content-length", "transfer-encoding"}.intersection(headers)
    assert not connection.reusable


_OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"garbage\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.10 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\rK\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        # Response splitting: a line break that another reader would see, and we would not, or the other way round.
        _OK + b"a: b\rContent-Length: 0\r\n\r\n",
        _OK + b"a: b\nContent-Length: 0\r\n\r\n",
        _OK + b"a: b\n\nHTTP/1.1 200 OK\r\n\r\n",
        _OK + b"a: b\0c\r\n\r\n",
        _OK + b"no colon\r\n\r\n",
        _OK + b": no name\r\n\r\n",
        _OK + b"a : b\r\n\r\n",
        _OK + b"a\xe9: b\r\n\r\n",
        _OK + b"a: b\r\n folded\r\n\r\n",
        # Two lengths, or a length that is none: one of them hides the beginning of another answer.
        _OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        _OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        _OK + b"Content-Length: 1, 1\r\n\r\na",
        _OK + b"Content-Length: +1\r\n\r\na",
        _OK + b"Content-Length: -1\r\n\r\na",
        _OK + b"Content-Length: 0x1\r\n\r\na",
        _OK + b"Content-Length: 1_0\r\n\r\naaaaaaaaaa",
        _OK + b"Content-Length: \xb2\r\n\r\naa",
        _OK + b"Content-Length:\r\n\r\n",
        _OK + b"Content-Length: " + b"9" * 19 + b"\r\n\r\na",
        _OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        _OK + b"Transfer-Encoding: gzip\r\n\r\n",
        _OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        _OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _OK + b"Transfer-Encoding:\r\n\r\n",
        *(_OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk for chunk in (
            b"\r\n", b"g\r\n", b"-1\r\na\r\n", b"+1\r\na\r\n", b"0x1\r\na\r\n0\r\n\r\n", b"1_0\r\n",
            b" 1\r\na\r\n0\r\n\r\n",
            b"1" * 16 + b"\r\n", b"1\r\nab\r\n0\r\n\r\n", b"2\r\na\r\n0\r\n\r\n", b"1\r\na0\r\n\r\n", b"1\r\na\n0\n\n",
            b"1\r\na\r\n", b"1\r\na\r\n0\r\n", b"1;" + b"a" * 10_000 + b"\r\na\r\n0\r\n\r\n",
            b"0\r\n" + b"a: b\r\n" * 101 + b"\r\n", b"0\r\na: " + b"b" * 10_000 + b"\r\n\r\n",
        )),
        _OK + b"a: " + b"b" * 70_000 + b"\r\n\r\n",
        _OK + b"a: b\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + _OK + b"\r\n",
        # The head of an answer that is still to come is a head; one that changes the protocol is the end of this one.
        *(
            b"HTTP/1.1 100 Continue\r\n" + line + b"\r\n\r\n" + _OK + b"\r\n"
            for line in (b"a: b\nc: d", b"a: b\rc", b"no colon", b"a : b", b"a: \0")
        ),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + _OK + b"\r\n",
        # Half of a line break in what is passed over.
        *(
            _OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk
            for chunk in (
                *(b"1;a\nb\r\na\r\n0\r\n\r\n", b"1;a\rb\r\na\r\n0\r\n\r\n", b"1;\0\r\na\r\n0\r\n\r\n"),
                *(b"1\r\na\r\n0\r\na: b\nc\r\n\r\n", b"0;\n\r\n\r\n"),
            )
        ),
        _OK + b"Content-Length: 268435457\r\n\r\na",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n10000001\r\na",
        _OK + b"Content-Length: 5\r\n\r\nfour",
        _OK + b"Content-Length: 5\r\n",
        b"HTTP",
    ],
)  # fmt: skip
def test_what_is_not_framed_in_one_way_is_refused(content: bytes) -> None:
    with _told(content) as connection, pytest.raises(UnreadableAnswerError):
        _read(connection)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_body_is_read_up_to_its_bound(framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "LARGEST_BODY_BYTES", 100)
    for size, sizes in itertools.product((100, 101), ([1], [7, 1000], [1000])):
        body = b"x" * size
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:60], body[60:]))
        content = {
            "length": b"Content-Length: %d\r\n\r\n%b" % (size, body),
            "chunked": b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks,
            "close": b"\r\n" + body,
        }
        connection = HttpConnection(Trickling(_OK + content[framing], sizes))  # type: ignore[arg-type]
        if size == 100:
            assert _read(connection)[2] == body
        else:
            with pytest.raises(UnreadableAnswerError, match="more than"):
                _read(connection)


def test_nothing_at_all_is_a_lost_connection_and_not_an_answer() -> None:
    with _told() as connection, pytest.raises(ConnectionResetError):
        _read(connection)


def test_several_answers_on_one_connection_are_read_in_turn() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = HttpConnection(ours)
        for number in range(3):
            theirs.sendall(_OK + b"Content-Length: 1\r\n\r\n%d" % number)
            assert _read(connection)[2] == b"%d" % number
            assert connection.reusable


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n", _OK + b"Connection: a, CLOSE\r\nContent-Length: 1\r\n"]
)
def test_a_connection_that_will_close_is_not_used_again(head: bytes) -> None:
    with _told(head + b"\r\na", closed=False) as connection:
        assert _read(connection)[2] == b"a"
        assert not connection.reusable


def test_a_large_body_comes_whole() -> None:
    body = bytes(range(256)) * 10_000
    for framed in (
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        b"\r\n" + body,
    ):
        connection = HttpConnection(Trickling(_OK + framed, [70_000, 1, 3]))  # type: ignore[arg-type]
        assert _read(connection)[2] == body


class Recording:
    """A socket that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", b"", ""),
        ("PUT", b"", "Content-Length: 0\r\n"),
        ("POST", b"ab", "Content-Length: 2\r\n"),
        ("PUT", b"x" * 70_000, "Content-Length: 70000\r\n"),
    ],
)
def test_a_request_is_sent_as_it_was_signed(method: str, body: bytes, length: str) -> None:
    sock = Recording()
    HttpConnection(sock).send(method, "/a%20b?c=d", {"Host": "h", "X": "\xe9 y"}, body)  # type: ignore[arg-type]
    assert sock.sent == f"{method} /a%20b?c=d HTTP/1.1\r\nHost: h\r\nX: \xe9 y\r\n{length}\r\n".encode("latin-1") + body


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: y", {}),
        ("/a\n", {}),
        ("/", {"a": "b\r\nc: d"}),
        ("/", {"a": "b\nc: d"}),
        ("/", {"a": "b\rc: d"}),
        ("/", {"a": "b\n\rc"}),
        ("/", {"a\r\nb": "c"}),
        ("/", {"a": "b\0"}),
        ("/", {"a": "\u20ac"}),
    ],
)
def test_a_request_that_would_be_another_is_not_sent(target: str, headers: dict[str, str]) -> None:
    sock = Recording()
    with pytest.raises(ValueError, match=r"may not be there|latin-1"):
        HttpConnection(sock).send("GET", target, headers, b"")  # type: ignore[arg-type]
    assert sock.sent == b""


class Slow(Trickling):
    """A socket whose other side gives a byte, or takes a part, every four seconds of a clock of its own."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content, [1])
        self.now = 0.0
        self._timeout_s = float("inf")

    def settimeout(self, seconds: float) -> None:
        self._timeout_s = seconds

    def _wait(self) -> None:
        self.now += min(4, self._timeout_s)
        if self._timeout_s < 4:
            raise TimeoutError("timed out")

    def recv(self, limit: int) -> bytes:
        self._wait()
        return super().recv(limit)

    def sendall(self, data: bytes) -> None:
        del data
        self._wait()


@pytest.mark.parametrize(
    "content",
    [
        _OK,
        _OK + b"Content-Length: 9\r\n\r\n123456789",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
        _OK + b"\r\n123456789",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
    ],
)
def test_a_byte_now_and_then_holds_nobody_beyond_the_deadline(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    # The deadline is at every byte of the answer in turn: in its head, its body, its chunks, behind them.
    for place in range(1, len(content) + 1):
        sock = Slow(content)
        monkeypatch.setattr(http1, "monotonic", lambda sock=sock: sock.now)
        connection = HttpConnection(sock)  # type: ignore[arg-type]
        connection.limit(5.0, 4.0 * place - 1)
        with pytest.raises(TimeoutError):
            _read(connection)
        assert sock.now == 4 * place - 1


def test_a_part_taken_now_and_then_holds_nobody_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = Slow(b"")
    monkeypatch.setattr(http1, "monotonic", lambda: sock.now)
    connection = HttpConnection(sock)  # type: ignore[arg-type]
    connection.limit(5.0, 20.0)
    with pytest.raises(TimeoutError):
        connection.send("PUT", "/", {"Host": "h"}, b"x" * 16_000_000)
    assert sock.now == 20

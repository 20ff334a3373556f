"""HTTP over the standard library's ``http.client``: connections that are kept, and waits and answers that are bounded.

A request is written at once and its answer is read later, so that one thread can have several under way, each on its
own connection (docs/decisions/0015-calls-under-way.md).
"""

from __future__ import annotations

import base64
import functools
import io
import select
import ssl
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import unquote, urlsplit

from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, Literal

# The most bytes that an answer may have: the most that ImageMaxBytes allows an image, and a megabyte for the head.
# DynamoDB answers with 16 MB of items at most. http.client itself bounds each line of a head (64 KB) and their number.
LARGEST_ANSWER_BYTES = 257 * 1024 * 1024
_LEAST_WAIT_S = 0.1
_PART_BYTES = 65_536


class UnreadableAnswerError(Exception):
    """A response that cannot be what the service meant to say: cut off, empty or damaged."""


@value
class Request:
    """An HTTP request: ``path`` includes the query, ``headers`` include Host."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer:
    """A complete HTTP response; header names are in lower case."""

    __slots__ = ("body", "document", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        # The body as JSON, once the caller has parsed it.
        self.document: dict[str, Any] = {}


class Exchange:
    """One attempt at a request: it is written at once, and its answer is read when somebody asks for it.

    Requests on other connections may be written in between; the waits for their answers are then one. ``waits_s`` are
    the seconds to open a connection in and to wait for the other side at a time; ``deadline`` is of time.monotonic().
    ``in_doubt`` says that the service may have carried the request out, although no answer arrived.
    """

    __slots__ = ("_answer_by", "_error", "_fresh", "_http", "_pool", "_request", "_sock", "_waits_s", "in_doubt")

    def __init__(self, pool: Pool, request: Request, waits_s: tuple[float, float], deadline: float) -> None:
        self.in_doubt = False
        self._pool = pool
        self._request = request
        self._waits_s = waits_s
        self._write(deadline)

    @property
    def connected(self) -> bool:
        """Whether there was a connection to write to."""
        return self._http is not None

    def answer(self, deadline: float, *, again: bool = True) -> Answer:
        """Return the answer. Raises OSError, UnreadableAnswerError.

        ``again``: write the request to another connection where the kept one turns out to be closed.
        """
        while True:
            if self._http is None:
                raise self._error or ConnectionError("never opened")
            try:
                answer, reusable = self._read(self._http, deadline)
            except BaseException as error:
                self.in_doubt = True
                self._http.close()
                timed_out = isinstance(error, TimeoutError)
                if timed_out and not self._fresh:
                    # While Lambda froze the function, all kept connections may have died unnoticed: wait for one only.
                    self._pool.close(self._request.host)
                if self._fresh or not again or timed_out or not isinstance(error, OSError):
                    raise
                # The service closed the connection while it was idle. That is no failure of the service, so the request
                # is written again at once. This ends with the first connection that was not kept.
                self._write(deadline)
            else:
                if reusable:
                    self._pool.keep(self._request.host, self._http, self._sock)
                else:
                    self._http.close()
                return answer

    def discard(self) -> None:
        """Read the answer for its connection's sake, within the time that began when the request was written."""
        try:
            if self._error is None:
                self.answer(self._answer_by, again=False)
            elif self._http is not None:
                self._http.close()
        except (OSError, UnreadableAnswerError):
            return

    def _write(self, deadline: float) -> None:
        """Write the request; ``answer`` raises what goes wrong."""
        request, (connect_s, read_s) = self._request, self._waits_s
        self._http: HTTPConnection | None = None
        self._fresh = True
        self._error: OSError | None = None
        try:
            opened = self._pool.take(request.host, min(connect_s, _later(deadline) - time.monotonic()))
            self._http, self._sock, self._fresh = opened
            self._sock.limit(read_s, _later(deadline))
            self._http.request(request.method, request.path, request.body or None, request.headers)
            self._sock.flush()
        except OSError as error:
            self._error = error
        except BaseException:
            if self._http is not None:
                self._http.close()
            raise
        self._answer_by = time.monotonic() + read_s

    def _read(self, http: HTTPConnection, deadline: float) -> tuple[Answer, bool]:
        """Return the answer, and whether the connection may have another."""
        if self._error is None:
            return self._receive(http, deadline)
        if isinstance(self._error, BrokenPipeError | ConnectionResetError):
            # A service that refuses a body before its end answers and closes: the answer says why.
            try:
                return self._receive(http, deadline)
            except (OSError, UnreadableAnswerError):
                pass
        raise self._error

    def _receive(self, http: HTTPConnection, deadline: float) -> tuple[Answer, bool]:
        read_s = self._waits_s[1]
        try:
            # The wait began when the request was written: several calls that nobody answers cost one wait.
            self._sock.limit(read_s, _later(min(self._answer_by, deadline)))
            with http.getresponse() as response:
                self._sock.limit(read_s, _later(deadline))
                return complete(response), not response.will_close
        except (HTTPException, ValueError) as error:  # int() raises ValueError for some damaged lengths of chunks
            if isinstance(error, OSError):  # RemoteDisconnected: not one byte came
                raise
            # Without the error's text, which may quote the answer.
            raise UnreadableAnswerError(f"it cannot be read as HTTP ({type(error).__name__})") from None


def complete(response: HTTPResponse) -> Answer:
    """Read a response to its end. Raises UnreadableAnswerError, OSError, and what http.client raises."""
    chunked, length = bool(response.chunked), response.length
    if len(response.headers.get_all("Content-Length", ())) + chunked > 1 or (length is None and not chunked):
        # Two lengths may hide another answer. With none, one that is cut off would look complete.
        raise UnreadableAnswerError("its length is not given, or given twice")
    if length is not None and length > LARGEST_ANSWER_BYTES:
        raise UnreadableAnswerError(f"it has {length} bytes, more than the {LARGEST_ANSWER_BYTES} that are read")
    headers = {name.lower(): value.strip() for name, value in response.getheaders()}
    # Without a limit, http.client would allocate as many bytes as a chunk says that it has.
    return Answer(response.status, headers, response.read(LARGEST_ANSWER_BYTES) if chunked else response.read())


class Pool:
    """The open connections to one service, by host; any number of threads may use it at once.

    A request has a connection to itself. Idle connections are kept for the next request, whichever thread makes it:
    never more than there were requests at once.
    """

    def __init__(self, scheme: str, certificates: str | None, proxy: str = "") -> None:
        """Open nothing yet. ``certificates`` is a file of trusted issuers, ``proxy`` a URL through which https goes."""
        self._scheme = scheme
        self._certificates = certificates
        self._proxy = proxy
        self._idle: dict[str, list[tuple[HTTPConnection, BoundedSocket]]] = {}
        if scheme == "https":
            # Read now, while Lambda initialises the function, and not during its first request.
            try:
                _tls(certificates)
            except OSError:  # the first request raises it
                return

    def close(self, host: str = "") -> None:
        """Close the idle connections, all or those to one host."""
        for each in (host,) if host else tuple(self._idle):
            while (kept := self._kept(each)) is not None:
                kept[0].close()

    def take(self, host: str, timeout_s: float) -> tuple[HTTPConnection, BoundedSocket, bool]:
        """Return a connection, its socket, and whether it was opened just now. Raises OSError."""
        while (kept := self._kept(host)) is not None:
            http, sock = kept
            if not sock.is_readable():
                return http, sock, False
            # The other side has closed it, or has sent bytes that answer nothing.
            http.close()
        return *self._opened(host, timeout_s), True

    def keep(self, host: str, http: HTTPConnection, sock: BoundedSocket) -> None:
        """Keep a connection, whose answer was read to its end, for the next request."""
        self._idle.setdefault(host, []).append((http, sock))

    def _kept(self, host: str) -> tuple[HTTPConnection, BoundedSocket] | None:
        try:
            return self._idle[host].pop()
        except (KeyError, IndexError):  # asking first would not do: another thread may take the last one meanwhile
            return None

    def _opened(self, host: str, timeout_s: float) -> tuple[HTTPConnection, BoundedSocket]:
        if self._scheme == "http":
            http = HTTPConnection(host, timeout=timeout_s)
        elif self._proxy:
            http = _tunnelled(self._proxy, host, timeout_s, _tls(self._certificates))
        else:
            http = HTTPSConnection(host, timeout=timeout_s, context=_tls(self._certificates))
        try:
            http.connect()
        except BaseException:
            http.close()
            raise
        sock = BoundedSocket(http.sock)
        http.sock = sock
        return http, sock


class BoundedSocket:
    """What http.client needs of a socket, with every wait bounded, and a deadline for all of them.

    A timeout alone begins anew with each byte: a service that sends or takes a byte now and then would hold a request
    for ever.
    """

    __slots__ = ("_deadline", "_sock", "_unsent", "_wait_s")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent: list[bytes] = []

    def limit(self, wait_s: float, deadline: float) -> None:
        """Wait at most this long at a time, and never beyond a deadline (of time.monotonic)."""
        self._wait_s, self._deadline = wait_s, deadline

    def wait(self) -> None:
        """Give the next operation of the socket the time that is left. Raises TimeoutError where there is none."""
        left_s = min(self._wait_s, self._deadline - time.monotonic())
        if left_s <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left_s)

    def is_readable(self) -> bool:
        """Whether reading would not wait: there are bytes, or the other side has closed."""
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def sendall(self, data: bytes) -> None:
        """Keep it for :meth:`flush`: http.client gives head and body one after the other, and one packet is cheaper."""
        self._unsent.append(data)

    def flush(self) -> None:
        """Send what was given, in parts: each may take as long as a wait. With TLS, one ``send`` would take it all."""
        left, self._unsent = memoryview(b"".join(self._unsent)), []
        while left:
            self.wait()
            left = left[self._sock.send(left[:_PART_BYTES]) :]

    def makefile(self, mode: Literal["rb"]) -> io.BufferedReader:
        """Return a file that reads one answer."""
        return io.BufferedReader(_Received(self, self._sock.makefile(mode, buffering=0)))

    def close(self) -> None:
        """Close it, once the files made of it are closed too."""
        self._sock.close()


class _Received(io.RawIOBase):
    """The bytes of one answer as they arrive, and no more of them than an answer may have."""

    def __init__(self, sock: BoundedSocket, raw: socket.SocketIO) -> None:
        self._sock = sock
        self._raw = raw
        self._left = LARGEST_ANSWER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.wait()
        count = self._raw.readinto(buffer)
        if not count and self._left < LARGEST_ANSWER_BYTES:
            # http.client would take some of what is cut off for complete: a head without its last lines, for one.
            raise UnreadableAnswerError("it is cut off")
        self._left -= count or 0
        if self._left < 0:
            raise UnreadableAnswerError(f"it has more than the {LARGEST_ANSWER_BYTES} bytes that are read")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _tunnelled(proxy: str, host: str, timeout_s: float, tls: ssl.SSLContext) -> HTTPSConnection:
    """Return a connection that reaches a host through a proxy, which sees TLS alone. Raises OSError."""
    # https://www.rfc-editor.org/rfc/rfc9110#name-connect
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    if not parts.hostname:
        raise OSError("the proxy that HTTPS_PROXY names has no host: it must look like http://host:port")
    http = HTTPSConnection(parts.hostname, parts.port or 80, timeout=timeout_s, context=tls)
    headers = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    http.set_tunnel(host, headers=headers)
    return http


@functools.lru_cache(maxsize=2)  # reading the certificates takes milliseconds
def _tls(certificates: str | None) -> ssl.SSLContext:
    """Return settings by which a server must prove its name; ``certificates`` is a file of trusted issuers.

    None stands for the system's issuers. Raises OSError.
    """
    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:  # it names no file
        raise OSError(f"the certificates of {certificates or 'this system'} cannot be read: {error}") from error


def _later(deadline: float) -> float:
    """Return a deadline, or a moment from now if it is over: what has arrived already is worth reading."""
    return max(deadline, time.monotonic() + _LEAST_WAIT_S)

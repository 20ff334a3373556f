"""HTTP over the standard library's ``http.client``, with reused connections and with bounded waits and responses.

A request is written immediately and its response is read later, so that one thread can have several under way, each on
its own connection (docs/decisions/0015-calls-under-way.md).
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

# The most bytes that a response may have: the most that ImageMaxBytes allows an image, and a megabyte for the head.
# DynamoDB returns at most 16 MB of items. http.client itself limits each line of a head (64 KB) and their number.
LARGEST_ANSWER_BYTES = 257 * 1024 * 1024
_LEAST_WAIT_S = 0.1
_PART_BYTES = 65_536


class UnreadableAnswerError(Exception):
    """A response that the service cannot have meant to send: it is cut off, empty or damaged."""


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
    """One attempt at a request: it is written immediately, and its response is read when ``answer`` is called.

    Requests on other connections may be written in between; all then wait together. ``waits_s`` holds the seconds for
    opening a connection and for each wait on the other side; ``deadline`` is a time of time.monotonic(). ``in_doubt``
    says that the service may have carried out the request although no response arrived.
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
        """Whether a connection could be opened or reused."""
        return self._http is not None

    def answer(self, deadline: float, *, again: bool = True) -> Answer:
        """Return the response. Raises OSError, UnreadableAnswerError.

        With ``again``, the request is sent on another connection if the reused one turns out to be closed.
        """
        while True:
            if self._http is None:
                raise self._error or ConnectionError("no connection was opened")
            try:
                answer, reusable = self._read(self._http, deadline)
            except BaseException as error:
                self.in_doubt = True
                self._http.close()
                timed_out = isinstance(error, TimeoutError)
                if timed_out and not self._fresh:
                    # All idle connections may have died unnoticed while Lambda froze the function: wait for one only.
                    self._pool.close(self._request.host)
                if self._fresh or not again or timed_out or not isinstance(error, OSError):
                    raise
                # The service closed the connection while it was idle. That is no failure of the service, so the request
                # is sent again immediately. The loop ends at the latest with a newly opened connection.
                self._write(deadline)
            else:
                if reusable:
                    self._pool.keep(self._request.host, self._http, self._sock)
                else:
                    self._http.close()
                return answer

    def discard(self) -> None:
        """Drain the response so that the connection can be reused; the wait is counted from the write."""
        try:
            if self._error is None:
                self.answer(self._answer_by, again=False)
            elif self._http is not None:
                self._http.close()
        except (OSError, UnreadableAnswerError):
            return

    def _write(self, deadline: float) -> None:
        """Write the request; an OSError is kept for ``answer`` to raise."""
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
        """Return the response, and whether the connection can be reused."""
        if self._error is None:
            return self._receive(http, deadline)
        if isinstance(self._error, BrokenPipeError | ConnectionResetError):
            # A service may refuse a body before its end, respond and close the connection: the response says why.
            try:
                return self._receive(http, deadline)
            except (OSError, UnreadableAnswerError):
                pass
        raise self._error

    def _receive(self, http: HTTPConnection, deadline: float) -> tuple[Answer, bool]:
        read_s = self._waits_s[1]
        try:
            # The wait is counted from the write, so that several calls without a response cost one wait.
            self._sock.limit(read_s, _later(min(self._answer_by, deadline)))
            with http.getresponse() as response:
                self._sock.limit(read_s, _later(deadline))
                return complete(response), not response.will_close
        except (HTTPException, ValueError) as error:  # int() raises ValueError for some damaged chunk lengths
            if isinstance(error, OSError):  # RemoteDisconnected: no byte arrived
                raise
            # Without the error's text, which may quote the response.
            raise UnreadableAnswerError(f"it cannot be read as HTTP ({type(error).__name__})") from None


def complete(response: HTTPResponse) -> Answer:
    """Read a response to its end. Raises UnreadableAnswerError, OSError, and what http.client raises."""
    chunked, length = bool(response.chunked), response.length
    if len(response.headers.get_all("Content-Length", ())) + chunked > 1 or (length is None and not chunked):
        # Two lengths may hide a second response. With no length, a response that is cut off would look complete.
        raise UnreadableAnswerError("its length is not given, or given twice: it must be given once")
    if length is not None and length > LARGEST_ANSWER_BYTES:
        raise UnreadableAnswerError(f"it has {length} bytes, more than the {LARGEST_ANSWER_BYTES} that are allowed")
    headers = {name.lower(): value.strip() for name, value in response.getheaders()}
    # Without a limit, http.client would allocate as many bytes as a chunk claims to have.
    return Answer(response.status, headers, response.read(LARGEST_ANSWER_BYTES) if chunked else response.read())


class Pool:
    """The open connections to one service, by host; any number of threads may use it concurrently.

    Each request has its own connection. Idle connections are kept for the next request of any thread, and there are
    never more of them than there were concurrent requests.
    """

    def __init__(self, scheme: str, certificates: str | None, proxy: str = "") -> None:
        """Open nothing yet. ``certificates`` is a file of trusted issuers, ``proxy`` the URL of a proxy for https."""
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
        """Close all idle connections, or those to one host."""
        for each in (host,) if host else tuple(self._idle):
            while (kept := self._kept(each)) is not None:
                kept[0].close()

    def take(self, host: str, timeout_s: float) -> tuple[HTTPConnection, BoundedSocket, bool]:
        """Return a connection, its socket, and whether it was opened for this call. Raises OSError."""
        while (kept := self._kept(host)) is not None:
            http, sock = kept
            if not sock.is_readable():
                return http, sock, False
            # The other side has closed it, or has sent bytes that belong to no request.
            http.close()
        return *self._opened(host, timeout_s), True

    def keep(self, host: str, http: HTTPConnection, sock: BoundedSocket) -> None:
        """Keep a connection, whose response was read to its end, for the next request."""
        self._idle.setdefault(host, []).append((http, sock))

    def _kept(self, host: str) -> tuple[HTTPConnection, BoundedSocket] | None:
        try:
            return self._idle[host].pop()
        except (KeyError, IndexError):  # no check beforehand would help: another thread may take the last one meanwhile
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
    """The part of a socket that http.client uses, with a limit for each wait and a deadline for all of them.

    A timeout alone begins anew with each byte: a service that sends or takes a byte now and then would keep a request
    waiting for ever.
    """

    __slots__ = ("_deadline", "_sock", "_unsent", "_wait_s")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent: list[bytes] = []

    def limit(self, wait_s: float, deadline: float) -> None:
        """Set the longest single wait, and the deadline of all waits (a time of time.monotonic)."""
        self._wait_s, self._deadline = wait_s, deadline

    def wait(self) -> None:
        """Give the next operation of the socket the time that is left. Raises TimeoutError if none is left."""
        left_s = min(self._wait_s, self._deadline - time.monotonic())
        if left_s <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left_s)

    def is_readable(self) -> bool:
        """Say whether a read would return immediately: bytes have arrived, or the other side has closed."""
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def sendall(self, data: bytes) -> None:
        """Keep the data for :meth:`flush`: http.client passes head and body separately, and one packet is cheaper."""
        self._unsent.append(data)

    def flush(self) -> None:
        """Send what ``sendall`` kept, in parts, each with its own wait; with TLS one ``send`` would take all of it."""
        left, self._unsent = memoryview(b"".join(self._unsent)), []
        while left:
            self.wait()
            left = left[self._sock.send(left[:_PART_BYTES]) :]

    def makefile(self, mode: Literal["rb"]) -> io.BufferedReader:
        """Return a file that reads one response."""
        return io.BufferedReader(_Received(self, self._sock.makefile(mode, buffering=0)))

    def close(self) -> None:
        """Close the socket; it stays open until the files made from it are closed too."""
        self._sock.close()


class _Received(io.RawIOBase):
    """The bytes of one response as they arrive, at most as many as a response may have."""

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
            # http.client takes some truncated responses for complete ones: a head without its last lines, for example.
            raise UnreadableAnswerError("it is cut off")
        self._left -= count or 0
        if self._left < 0:
            raise UnreadableAnswerError(f"it has more than the {LARGEST_ANSWER_BYTES} bytes that are allowed")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _tunnelled(proxy: str, host: str, timeout_s: float, tls: ssl.SSLContext) -> HTTPSConnection:
    """Return a connection to a host through a proxy, which sees only TLS. Raises OSError."""
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
    """Return TLS settings that require a server to prove its name. Raises OSError.

    ``certificates`` is a file of trusted issuers; None means the system's.
    """
    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:  # the error itself names no file
        raise OSError(f"the certificates of {certificates or 'this system'} cannot be read: {error}") from error


def _later(deadline: float) -> float:
    """Return the deadline, or a moment from now if it has passed: what has arrived already is worth reading."""
    return max(deadline, time.monotonic() + _LEAST_WAIT_S)

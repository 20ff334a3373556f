"""Signed, retried HTTP requests over the standard library, with connections that are kept open.

A request is tried again after throttling, server errors and lost connections. That is only safe because every write of
this system is idempotent: an id or key is derived from what is written, so a write that was persisted and never
answered is written over itself. An operation without that property has to look at ``in_doubt`` of its error.
"""

from __future__ import annotations

import hashlib
import select
import time
from urllib.parse import quote

from weaudit import __version__
from weaudit.adapters import aws_errors, endpoints, sockets
from weaudit.adapters.credentials import CredentialSource
from weaudit.adapters.http1 import HttpConnection, UnreadableAnswerError
from weaudit.adapters.signing import Credentials, presign, sign
from weaudit.errors import StoreError, StoreUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable, Mapping
    from typing import Any

# Below this the server's clock and ours are one: the signature was refused for another reason.
_SKEW_S = 60.0


class Answer:
    """An HTTP response, read to its end. Names of headers are in lower case."""

    __slots__ = ("body", "document", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        # What ``explain`` read in the body, where that is JSON.
        self.document: dict[str, Any] = {}


class Connection:
    """Signed, retried requests to one service; any number of threads may use it at once.

    Each request has an HTTP connection for itself while it runs. Idle ones are kept for the next, whichever thread
    makes it: at most as many as there were requests at one time. Attributes in lower case are limits in seconds.
    """

    connect_s = 2.0
    read_s = 5.0
    # No attempt begins later than this after the first, and none waits beyond it, but for a connection that it opens.
    deadline_s = 20.0
    attempts = 5
    # Waits are drawn between nothing and a bound that begins here and doubles.
    first_wait_s = 0.05
    first_throttled_wait_s = 0.25
    longest_wait_s = 2.0

    def __init__(self, service: str, endpoint: endpoints.Endpoint, environment: Mapping[str, str]) -> None:
        self.endpoint = endpoint
        self._service = service
        self._environment = environment
        self._credentials = CredentialSource(environment)
        self._idle: dict[str, list[HttpConnection]] = {}
        self._clock_behind_s = 0.0
        self._certificates = environment.get("AWS_CA_BUNDLE") or None
        sockets.prepare(endpoint.scheme, self._certificates)

    @classmethod
    def from_environment(cls, service: str, environment: Mapping[str, str]) -> Connection:
        """Return a connection to ``dynamodb`` or ``s3``; nothing is opened yet. Raises InvalidInputError.

        Keeps the mapping: Lambda changes its trace id with every invocation.
        """
        return cls(service, endpoints.resolve(service, environment), environment)

    def close(self) -> None:
        """Close the idle HTTP connections."""
        while self._idle:
            for connection in self._idle.popitem()[1]:
                connection.close()

    def __del__(self) -> None:
        self.close()

    def link(self, address: tuple[str, str], seconds: int) -> str:
        """Return a URL by which anybody may GET what is at host and path, from now on for so many seconds.

        No request is made: whether there is something, and whether these credentials may read it, shows in its use.
        """
        host, path = address
        at = time.time() + self._clock_behind_s
        query = presign(
            host,
            path,
            credentials=self._credentials.get(),
            region=self.endpoint.region,
            service=self._service,
            at=at,
            seconds=seconds,
        )
        return f"{self.endpoint.scheme}://{host}{path}?{query}"

    def send(
        self,
        operation: str,
        method: str,
        address: tuple[str, str],
        headers: dict[str, str],
        body: bytes,
        explain: Callable[[Answer], tuple[str, str]],
        body_hash: str = "",
    ) -> Answer:
        """Return the answer to a request once it is a success; ``address`` is host and path, with its query.

        ``explain`` gives an answer's error code and message ("" where it is a success) and raises
        UnreadableAnswerError where it can tell neither. Raises StoreError, ``in_doubt`` where an attempt may have been
        carried out without being answered: what a condition then met may be the request's own doing.
        """
        deadline = time.monotonic() + self.deadline_s
        body_hash = body_hash or hashlib.sha256(body).hexdigest()
        corrected = False
        doubts: list[str] = []
        tried = 0
        while True:
            tried += 1
            failed: StoreError
            cause: Exception | None = None
            credentials = self._credentials.get()
            at = time.time() + self._clock_behind_s
            try:
                signed = sign(
                    method,
                    address[0],
                    address[1],
                    headers,
                    body_hash,
                    credentials=credentials,
                    region=self.endpoint.region,
                    service=self._service,
                    at=at,
                )
                answer = self._attempt(method, address, self._with_unsigned(signed), body, deadline, doubts)
                code, message = explain(answer)
                if 200 <= answer.status < 300:
                    return answer
                if not corrected and self._correct(code, answer, at, credentials):
                    corrected = True
                    continue
                failed = aws_errors.failure(operation, answer.status, code, message, answer.document)
                if answer.status >= 500:
                    doubts.append(code)
            except (OSError, UnreadableAnswerError) as error:
                code, cause = "", error
                failed = StoreUnavailableError(f"{operation}: no answer from {address[0]}: {error or 'lost'}")
                if isinstance(error, UnreadableAnswerError):
                    doubts.append("unreadable")
            failed.in_doubt = bool(doubts)
            wait = self._wait_s(tried, throttled=code in aws_errors.THROTTLED)
            over = tried >= self.attempts or time.monotonic() + wait >= deadline
            if over or not isinstance(failed, StoreUnavailableError):
                raise failed from cause
            time.sleep(wait)

    def _wait_s(self, tried: int, *, throttled: bool) -> float:
        import random  # few calls wait, and nothing else loads it: half a millisecond of a cold start

        first = self.first_throttled_wait_s if throttled else self.first_wait_s
        return random.uniform(0, min(self.longest_wait_s, first * 2 ** (tried - 1)))  # noqa: S311 jitter, no secret

    def _with_unsigned(self, headers: dict[str, str]) -> dict[str, str]:
        headers["User-Agent"] = f"weaudit/{__version__}"
        headers["Accept-Encoding"] = "identity"  # what is read is what is stored
        trace = self._environment.get("_X_AMZN_TRACE_ID")
        if trace and self._environment.get("AWS_LAMBDA_FUNCTION_NAME"):
            # Lambda finds loops by it: a function whose writes call it again is stopped.
            headers["X-Amzn-Trace-Id"] = quote(trace, safe="-=;:+&[]{}\"',")
        return headers

    def _correct(self, code: str, answer: Answer, signed_at: float, credentials: Credentials) -> bool:
        """Mend what the service found wrong with a signature, if it can be: the clock, or expired credentials."""
        if code in aws_errors.EXPIRED:
            self._credentials.forget(credentials)
            return True
        if code not in aws_errors.CLOCK:
            return False
        from email.utils import mktime_tz, parsedate_tz  # a clock is seldom off, and nothing else loads it

        parsed = parsedate_tz(answer.headers.get("date", ""))
        if parsed is None or abs(mktime_tz(parsed) - signed_at) < _SKEW_S:
            return False
        self._clock_behind_s = mktime_tz(parsed) - time.time()
        return True

    def _attempt(
        self,
        method: str,
        address: tuple[str, str],
        headers: dict[str, str],
        body: bytes,
        deadline: float,
        doubts: list[str],
    ) -> Answer:
        host, path = address
        while True:
            connection, fresh = self._take(host, deadline)
            try:
                try:
                    status, told = _exchange(connection, method, path, headers, body)
                except OSError as error:
                    if isinstance(error, TimeoutError) and not fresh:
                        # After a freeze every connection kept may be dead, and none be told: one wait shows it of all.
                        self._let_go(host)
                    if fresh or isinstance(error, TimeoutError):
                        raise
                    # The other side had closed it while it was idle, and nothing came back. Tried at once on the next:
                    # no failure of the service, and safe by the module's promise. Ends when no idle one is left.
                    doubts.append("closed while idle")
                    connection.close()
                    continue
                answer = Answer(status, told, connection.body(method, status, told))
            except BaseException:
                doubts.append("no answer")
                connection.close()
                raise
            if connection.reusable:
                self._idle.setdefault(host, []).append(connection)
            else:
                connection.close()
            return answer

    def _take(self, host: str, deadline: float) -> tuple[HttpConnection, bool]:
        now = time.monotonic()
        left = max(deadline - now, 0.1)
        until = now + left
        idle = self._idle.get(host, [])
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread took the last one
                break
            if not _is_readable(connection.sock.fileno()):
                connection.limit(self.read_s, until)
                return connection, False
            # An idle connection with something to read has been closed by the other side.
            connection.close()
        sock = sockets.opened(self.endpoint.scheme, host, min(self.connect_s, left), self._certificates)
        connection = HttpConnection(sock)
        connection.limit(self.read_s, max(until, time.monotonic() + 0.1))
        return connection, True

    def _let_go(self, host: str) -> None:
        idle = self._idle.get(host, [])
        while idle:
            try:
                idle.pop().close()
            except IndexError:  # another thread took the last one
                break


def _exchange(
    connection: HttpConnection, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str]]:
    try:
        connection.send(method, path, headers, body)
    except (BrokenPipeError, ConnectionResetError) as lost:
        # A server that refuses a body before its end answers and closes: the answer says why.
        try:
            return connection.head()
        except (OSError, UnreadableAnswerError):
            raise lost from None
    return connection.head()


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

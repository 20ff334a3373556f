"""HTTP connections to a service, kept open between requests, and one attempt at a request on one of them."""

from __future__ import annotations

import select
import time

from weaudit.adapters import sockets
from weaudit.adapters.http1 import HttpConnection, UnreadableAnswerError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from typing import Any

_LEAST_WAIT_S = 0.1


class Answer:
    """An HTTP response, read to its end. Names of headers are in lower case."""

    __slots__ = ("body", "document", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        # What the reader of an answer found in the body, where that is JSON.
        self.document: dict[str, Any] = {}


class HttpPool:
    """The open connections of one service, by host; any number of threads may use them at once.

    Each request has a connection for itself while it runs. Idle ones are kept for the next, whichever thread makes it:
    at most as many as there were requests at one time.
    """

    def __init__(self, scheme: str, certificates: str | None) -> None:
        self._scheme = scheme
        self._certificates = certificates
        self._idle: dict[str, list[HttpConnection]] = {}
        sockets.prepare(scheme, certificates)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            for connection in self._idle.popitem()[1]:
                connection.close()

    def take(self, host: str, timeout_s: float) -> tuple[HttpConnection, bool]:
        """Return a connection, and whether it is a new one, which is opened in this time. Raises OSError."""
        idle = self._idle.get(host, [])
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread took the last one
                break
            if not _is_readable(connection.sock.fileno()):
                return connection, False
            # An idle connection with something to read has been closed by the other side.
            connection.close()
        return HttpConnection(sockets.opened(self._scheme, host, timeout_s, self._certificates)), True

    def give_back(self, host: str, connection: HttpConnection) -> None:
        """Keep a connection for the next request, if there may be one."""
        if connection.reusable:
            self._idle.setdefault(host, []).append(connection)
        else:
            connection.close()

    def let_go(self, host: str) -> None:
        """Close the idle connections to a host."""
        idle = self._idle.get(host, [])
        while idle:
            try:
                idle.pop().close()
            except IndexError:  # another thread took the last one
                break


class Exchange:
    """One attempt at a request: written when this is built, answered when somebody asks for it.

    What happens in between may be other exchanges, on other connections: their waits are then one. ``waits_s`` are the
    seconds to open a connection in and to wait for the other side at a time; nothing is waited for beyond a deadline
    (of time.monotonic). ``doubts`` gets a line where the service may have carried the request out, and nobody was told.
    """

    __slots__ = (
        "_answer_by",
        "_connection",
        "_doubts",
        "_fresh",
        "_lost",
        "_pool",
        "_request",
        "_waits_s",
    )

    def __init__(
        self,
        pool: HttpPool,
        request: tuple[str, tuple[str, str], dict[str, str], bytes],
        waits_s: tuple[float, float],
        deadline: float,
        doubts: list[str],
    ) -> None:
        self._pool = pool
        self._request = request  # method, host and path, headers, body
        self._waits_s = waits_s
        self._doubts = doubts
        self._write(deadline)

    @property
    def opened(self) -> bool:
        """Whether there was a connection to write to."""
        return self._connection is not None

    def leave(self) -> None:
        """Read the answer where it comes, and do without it. Raises as ``answer``.

        Nothing is asked again, and nothing waited for beyond the wait that began when the request was written: many
        that are left cost one wait, also where each is given a byte now and then.
        """
        if self._lost is None:
            self.answer(self._answer_by, again=False)
        elif self._connection is not None:
            self._connection.close()

    def answer(self, deadline: float, *, again: bool = True) -> Answer:
        """Wait for the answer, and return it. Raises OSError, UnreadableAnswerError.

        ``again``: where a kept connection turns out to be closed, ask on the next.
        """
        method, (host, _), _, _ = self._request
        while True:
            connection = self._connection
            if connection is None:
                raise self._lost or ConnectionError("never opened")
            try:
                try:
                    status, told = self._head(connection, deadline)
                except OSError as error:
                    if isinstance(error, TimeoutError) and not self._fresh:
                        # After a freeze every connection kept may be dead, and none be told: one wait shows it of all.
                        self._pool.let_go(host)
                    if self._fresh or not again or isinstance(error, TimeoutError):
                        raise
                    # The other side had closed it while it was idle, and nothing came back. Tried at once on the next:
                    # no failure of the service, and safe by connections.py's promise. Ends when no idle one is left.
                    self._doubts.append("closed while idle")
                    connection.close()
                    self._write(deadline)
                    continue
                connection.limit(self._waits_s[1], _later(deadline))
                answer = Answer(status, told, connection.body(method, status, told))
            except BaseException:
                self._doubts.append("no answer")
                connection.close()
                raise
            self._pool.give_back(host, connection)
            return answer

    def _write(self, deadline: float) -> None:
        """Write the request; what goes wrong with that is told by ``answer``."""
        method, (host, path), headers, body = self._request
        self._connection: HttpConnection | None = None
        self._fresh = True
        self._lost: OSError | None = None
        connect_s, read_s = self._waits_s
        try:
            self._connection, self._fresh = self._pool.take(host, min(connect_s, _later(deadline) - time.monotonic()))
            self._connection.limit(read_s, _later(deadline))
            self._connection.send(method, path, headers, body)
            self._answer_by = time.monotonic() + read_s
        except OSError as error:
            self._lost = error
        except BaseException:
            if self._connection is not None:
                self._connection.close()
            raise

    def _head(self, connection: HttpConnection, deadline: float) -> tuple[int, dict[str, str]]:
        if self._lost is None:
            # The wait began when the request was written: a few that nobody answers are waited for at one time.
            connection.limit(_later(self._answer_by) - time.monotonic(), _later(deadline))
            return connection.head()
        if isinstance(self._lost, BrokenPipeError | ConnectionResetError):
            # A server that refuses a body before its end answers and closes: the answer says why.
            try:
                return connection.head()
            except (OSError, UnreadableAnswerError):
                pass
        raise self._lost


def _later(deadline: float) -> float:
    """Return a deadline, or a moment from now where it is over: what is there already is worth reading."""
    return max(deadline, time.monotonic() + _LEAST_WAIT_S)


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

"""Signed, retried HTTP requests over the standard library, one at a time or several under way at once.

A request is tried again after throttling, server errors and lost connections. That is only safe because every write of
this system is idempotent: an id or key is derived from what is written, so a write that was persisted and never
answered is written over itself. An operation without that property has to look at ``in_doubt`` of its error.
"""

from __future__ import annotations

import hashlib
import time
from urllib.parse import quote

from weaudit import __version__
from weaudit.adapters import aws_errors, endpoints
from weaudit.adapters.credentials import CredentialSource
from weaudit.adapters.http1 import UnreadableAnswerError
from weaudit.adapters.http_pool import Exchange, HttpPool
from weaudit.adapters.signing import Credentials, presign, sign
from weaudit.errors import StoreError, StoreUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable, Mapping

    from weaudit.adapters.http_pool import Answer

# Below this the server's clock and ours are one: the signature was refused for another reason.
_SKEW_S = 60.0


class Call:
    """A request, and how it goes: ``address`` is host and path, with its query.

    ``explain`` gives an answer's error code and message ("" where it is a success) and raises UnreadableAnswerError
    where it can tell neither.
    """

    __slots__ = (
        "address",
        "at",
        "body",
        "body_hash",
        "credentials",
        "doubts",
        "exchange",
        "explain",
        "headers",
        "method",
        "operation",
    )

    def __init__(
        self,
        operation: str,
        method: str,
        address: tuple[str, str],
        headers: dict[str, str],
        body: bytes,
        explain: Callable[[Answer], tuple[str, str]],
        body_hash: str = "",
    ) -> None:
        self.operation = operation
        self.method = method
        self.address = address
        self.headers = headers
        self.body = body
        self.explain = explain
        self.body_hash = body_hash or hashlib.sha256(body).hexdigest()
        # Why an attempt may have been carried out although nobody was told.
        self.doubts: list[str] = []
        # The attempt that runs: when it was signed, and with what.
        self.exchange: Exchange | None = None
        self.at = 0.0
        self.credentials: Credentials | None = None


class Connection:
    """Signed, retried requests to one service; any number of threads may use it at once.

    Attributes in lower case are limits in seconds.
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
        self._clock_behind_s = 0.0
        self._begin_at = 0.0  # nothing is written in advance before
        certificates = environment.get("AWS_CA_BUNDLE") or None
        self._pool = HttpPool(endpoint.scheme, certificates)

    @classmethod
    def from_environment(cls, service: str, environment: Mapping[str, str]) -> Connection:
        """Return a connection to ``dynamodb`` or ``s3``; nothing is opened yet. Raises InvalidInputError.

        Keeps the mapping: Lambda changes its trace id with every invocation.
        """
        return cls(service, endpoints.resolve(service, environment), environment)

    def close(self) -> None:
        """Close the idle HTTP connections."""
        self._pool.close()

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

    def send(self, call: Call) -> Answer:
        """Return the answer to a request once it is a success: :meth:`begin` and :meth:`finish` in one."""
        self.begin(call)
        return self.finish(call)

    def begin(self, call: Call) -> None:
        """Write a request and wait for nothing. What goes wrong on the way is for :meth:`finish`.

        Where no connection could be opened a moment ago, it is for ``finish`` to try: else each of many calls would
        wait for one that nobody opens. Raises StoreError where there is nothing to sign with.
        """
        if time.monotonic() >= self._begin_at:
            self._attempt(call, time.monotonic() + self.deadline_s)

    def finish(self, call: Call) -> Answer:
        """Return the answer to a request once it is a success, tried again until it is, or can be none.

        Raises StoreError, ``in_doubt`` where an attempt may have been carried out without being answered: what a
        condition then met may be the request's own doing.
        """
        # From now on: who asks late for the answer of a call that was begun early has the whole time all the same.
        deadline = time.monotonic() + self.deadline_s
        corrected = False
        tried = 0
        while True:
            tried += 1
            failed: StoreError
            cause: Exception | None = None
            exchange = call.exchange or self._attempt(call, deadline)
            call.exchange = None
            try:
                answer = exchange.answer(deadline)
                code, message = call.explain(answer)
                if 200 <= answer.status < 300:
                    return answer
                if not corrected and self._correct(code, answer, call):
                    corrected = True
                    continue
                failed = aws_errors.failure(call.operation, answer.status, code, message, answer.document)
                if answer.status >= 500:
                    call.doubts.append(code)
            except (OSError, UnreadableAnswerError) as error:
                code, cause = "", error
                failed = StoreUnavailableError(f"{call.operation}: no answer from {call.address[0]}: {error or 'lost'}")
                if isinstance(error, UnreadableAnswerError):
                    call.doubts.append("unreadable")
            failed.in_doubt = bool(call.doubts)
            wait = self._wait_s(tried, throttled=code in aws_errors.THROTTLED)
            over = tried >= self.attempts or time.monotonic() + wait >= deadline
            if over or not failed.passes:
                raise failed from cause
            time.sleep(wait)

    def drop(self, call: Call) -> None:
        """Read the answer of a begun request, where it comes, and do without it: its connection can be kept then."""
        exchange, call.exchange = call.exchange, None
        try:
            if exchange is not None:
                exchange.leave()
        except (OSError, UnreadableAnswerError):
            return

    def _attempt(self, call: Call, deadline: float) -> Exchange:
        try:
            call.credentials = self._credentials.get()
        except StoreError as error:  # what an earlier attempt did is not known any better by that
            error.in_doubt = bool(call.doubts)
            raise
        call.at = time.time() + self._clock_behind_s
        signed = sign(
            call.method,
            *call.address,
            call.headers,
            call.body_hash,
            credentials=call.credentials,
            region=self.endpoint.region,
            service=self._service,
            at=call.at,
        )
        request = (call.method, call.address, self._with_unsigned(signed), call.body)
        call.exchange = Exchange(self._pool, request, (self.connect_s, self.read_s), deadline, call.doubts)
        self._begin_at = 0.0 if call.exchange.opened else time.monotonic() + self.connect_s
        return call.exchange

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

    def _correct(self, code: str, answer: Answer, call: Call) -> bool:
        """Mend what the service found wrong with a signature, if it can be: the clock, or expired credentials."""
        if code in aws_errors.EXPIRED and call.credentials is not None:
            self._credentials.forget(call.credentials)
            return True
        if code not in aws_errors.CLOCK:
            return False
        from email.utils import mktime_tz, parsedate_tz  # a clock is seldom off, and nothing else loads it

        parsed = parsedate_tz(answer.headers.get("date", ""))
        if parsed is None or abs(mktime_tz(parsed) - call.at) < _SKEW_S:
            return False
        self._clock_behind_s = mktime_tz(parsed) - time.time()
        return True

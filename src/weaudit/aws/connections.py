"""Signed, retried requests to one AWS service, one after the other or concurrently.

A request is retried after throttling, server errors and lost connections. That is safe only because every write of
this system is idempotent: an id or key is derived from what is written, so if a write was stored but its response was
lost, the retry overwrites it with itself. Any other operation must check ``in_doubt`` of its error.
"""

from __future__ import annotations

import functools
import hashlib
import time
from email.utils import mktime_tz, parsedate_tz
from urllib.parse import quote

from weaudit import __version__
from weaudit.aws import endpoints, errors
from weaudit.aws.credentials import from_environment
from weaudit.aws.sigv4 import presign, sign
from weaudit.aws.transport import Exchange, Pool, Request, UnreadableAnswerError
from weaudit.errors import StoreError, StoreUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weaudit.aws.sigv4 import Credentials
    from weaudit.aws.transport import Answer

# A clock that is wrong by less than this is not the reason for a refused signature.
_SKEW_S = 60.0


class Call:
    """A request and its state while it is carried out; ``address`` is the host, and the path with its query.

    ``explain`` returns the error code and message of a response, "" for a success. It raises UnreadableAnswerError for
    a response that is damaged or incomplete.
    """

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
        # The service may have carried out an attempt whose response never arrived.
        self.in_doubt = False
        self.credentials: Credentials | None = None
        # The current attempt, and when it was signed.
        self.exchange: Exchange | None = None
        self.at = 0.0


class Connection:
    """Signed, retried requests to one service; any number of threads may use it concurrently.

    Attributes in lower case are limits in seconds.
    """

    connect_s = 2.0
    read_s = 5.0
    # No attempt begins later than this after the first one, or waits beyond it except to open its connection.
    deadline_s = 20.0
    attempts = 5
    # Each wait is a random fraction of a limit that begins here and doubles with each retry.
    first_wait_s = 0.05
    first_throttled_wait_s = 0.25
    longest_wait_s = 2.0

    def __init__(
        self,
        service: str,
        endpoint: endpoints.Endpoint,
        environment: Mapping[str, str],
        *,
        given: Callable[[], Credentials] | None = None,
        proxy: str = "",
    ) -> None:
        """Keep the settings for requests; nothing is opened yet.

        ``given`` returns the current credentials; without it they come from the environment. ``proxy`` is the URL of a
        proxy for https.
        """
        self.endpoint = endpoint
        self._service = service.rpartition(".")[2]  # a request to the streams of DynamoDB is signed for DynamoDB
        self._environment = environment
        self._credentials = given or functools.partial(from_environment, environment)
        self._clock_behind_s = 0.0
        self._begin_at = 0.0  # begin() writes nothing earlier than this
        self._pool = Pool(endpoint.scheme, environment.get("AWS_CA_BUNDLE") or None, proxy)

    @classmethod
    def from_environment(cls, service: str, environment: Mapping[str, str]) -> Connection:
        """Return a connection to a service of ``endpoints.resolve``; nothing is opened yet. Raises InvalidInputError.

        It keeps the mapping itself and no copy, because Lambda changes the trace id in it with every invocation.
        """
        return cls(service, endpoints.resolve(service, environment), environment)

    def close(self) -> None:
        """Close the idle HTTP connections."""
        self._pool.close()

    def __del__(self) -> None:
        self.close()

    def link(self, address: tuple[str, str], seconds: int) -> str:
        """Return a URL with which anyone can GET what is at host and path during the next ``seconds``.

        Makes no request: only using the URL shows whether the object exists and these credentials may read it.
        """
        host, path = address
        query = presign(
            host,
            path,
            credentials=self._credentials(),
            region=self.endpoint.region,
            service=self._service,
            at=time.time() + self._clock_behind_s,
            seconds=seconds,
        )
        return f"{self.endpoint.scheme}://{host}{path}?{query}"

    def send(self, call: Call) -> Answer:
        """Return the response to a request once it succeeds: :meth:`begin` and :meth:`finish` in one."""
        self.begin(call)
        return self.finish(call)

    def begin(self, call: Call) -> None:
        """Send a request without waiting for its response; :meth:`finish` raises what goes wrong.

        If opening a connection has just failed, this sends nothing and leaves the attempt to ``finish``; otherwise many
        calls would each wait for a connection in turn. Raises StoreError if there are no credentials.
        """
        if time.monotonic() >= self._begin_at:
            self._attempt(call, time.monotonic() + self.deadline_s)

    def finish(self, call: Call) -> Answer:
        """Return the response to a request once it succeeds, with as many attempts as the limits allow.

        Raises StoreError. The error is ``in_doubt`` if the service may have carried out an attempt whose response never
        arrived: a condition may then have met what this request itself wrote.
        """
        # Counted from now, so that a call that was begun long ago still has all of its time for retries.
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
                if not corrected and code in errors.CLOCK and self._correct_clock(answer, call):
                    corrected = True
                    continue
                failed = errors.failure(call.operation, answer.status, code, message, answer.document)
                # 409: another write of the same object was under way, and S3 does not say which of them was stored.
                call.in_doubt |= answer.status >= 500 or answer.status == 409
            except (OSError, UnreadableAnswerError) as error:
                code, cause = "", error
                failed = StoreUnavailableError(
                    f"{call.operation}: no valid response from {call.address[0]}: {error or 'lost'}"
                )
                call.in_doubt |= isinstance(error, UnreadableAnswerError)
            call.in_doubt |= exchange.in_doubt
            failed.in_doubt = call.in_doubt
            wait = self._wait_s(tried, throttled=code in errors.THROTTLED)
            over = tried >= self.attempts or time.monotonic() + wait >= deadline
            if over or not failed.passes:
                raise failed from cause
            time.sleep(wait)

    def drop(self, call: Call) -> None:
        """Drain and discard the response to a request that was begun, so that its connection can be reused.

        Never sends the request again. The wait is counted from when the request was written, so that many dropped calls
        cost one wait.
        """
        exchange, call.exchange = call.exchange, None
        if exchange is not None:
            exchange.discard()

    def _attempt(self, call: Call, deadline: float) -> Exchange:
        call.credentials = call.credentials or self._credentials()
        call.at = time.time() + self._clock_behind_s
        headers = sign(
            call.method,
            *call.address,
            call.headers,
            call.body_hash,
            credentials=call.credentials,
            region=self.endpoint.region,
            service=self._service,
            at=call.at,
        )
        headers["User-Agent"] = f"weaudit/{__version__}"
        headers["Accept-Encoding"] = "identity"  # no compression: the body is read as it is stored
        trace = self._environment.get("_X_AMZN_TRACE_ID")
        if trace and self._environment.get("AWS_LAMBDA_FUNCTION_NAME"):
            # With this header Lambda detects a function whose own writes invoke it again, and stops it.
            headers["X-Amzn-Trace-Id"] = quote(trace, safe="-=;:+&[]{}\"',")
        request = Request(call.method, *call.address, headers, call.body)
        call.exchange = Exchange(self._pool, request, (self.connect_s, self.read_s), deadline)
        self._begin_at = 0.0 if call.exchange.connected else time.monotonic() + self.connect_s
        return call.exchange

    def _wait_s(self, tried: int, *, throttled: bool) -> float:
        import random  # few calls wait, and from Python 3.13 on nothing else imports it

        first = self.first_throttled_wait_s if throttled else self.first_wait_s
        return random.uniform(0, min(self.longest_wait_s, first * 2 ** (tried - 1)))  # noqa: S311 jitter, no secret

    def _correct_clock(self, answer: Answer, call: Call) -> bool:
        """Adopt the service's time, and say whether it differs enough to explain a refused signature."""
        parsed = parsedate_tz(answer.headers.get("date", ""))
        if parsed is None or abs(mktime_tz(parsed) - call.at) < _SKEW_S:
            return False
        self._clock_behind_s = mktime_tz(parsed) - time.time()
        return True

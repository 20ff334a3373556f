"""The credentials that Lambda gives a function: in variables, or (with SnapStart) from a local HTTP address."""

import json
import threading
import time
from collections.abc import Mapping

from weaudit.adapters import sockets
from weaudit.adapters.endpoints import split_url
from weaudit.adapters.http1 import HttpConnection, UnreadableAnswerError
from weaudit.adapters.signing import Credentials
from weaudit.errors import InvalidInputError, StoreRefusedError, StoreUnavailableError

# As botocore: credentials are never asked of, and the token never sent to, any other host without TLS.
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]")
_RENEW_BEFORE_S = 600.0
_TIMEOUT_S = 2.0
_ATTEMPTS = 3
_PAUSE_S = 0.1


class CredentialSource:
    """Gives the credentials to sign with, renewed before they expire; any number of threads may ask.

    Read at the first use, not when built: a function that starts without them can still be imported.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._current: Credentials | None = None
        self._renew_at = 0.0
        self._expire_at = 0.0

    def get(self) -> Credentials:
        """Return credentials that are valid now. Raises StoreRefusedError (there are none), StoreUnavailableError."""
        current = self._current
        if current is not None and time.time() < self._renew_at:
            return current
        with self._lock:
            if self._current is None or time.time() >= self._renew_at:
                self._current = self._renewed()
            return self._current

    def forget(self, refused: Credentials) -> None:
        """Read them anew at the next ``get``, as the service says that these have expired."""
        with self._lock:
            if self._current is refused:
                self._current = None

    def _renewed(self) -> Credentials:
        variables = self._environment
        access_key, secret_key = variables.get("AWS_ACCESS_KEY_ID"), variables.get("AWS_SECRET_ACCESS_KEY")
        if access_key and secret_key:
            self._renew_at = float("inf")
            return Credentials(access_key, secret_key, variables.get("AWS_SESSION_TOKEN"))
        url = variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if access_key or secret_key or not url:
            raise StoreRefusedError(
                "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or AWS_CONTAINER_CREDENTIALS_FULL_URI"
            )
        try:
            return self._fetched(url)
        except StoreUnavailableError:
            if self._current is None or time.time() >= self._expire_at:
                raise
            # Still good for minutes: work goes on, and the next try is half a minute away.
            self._renew_at = min(time.time() + 30, self._expire_at)
            return self._current

    def _fetched(self, url: str) -> Credentials:
        from datetime import datetime  # only SnapStart comes here

        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_S * 2**attempt)
            try:
                document = _get(url, _authorization(self._environment))
                expire_at = datetime.fromisoformat(document["Expiration"]).timestamp()
                found = Credentials(document["AccessKeyId"], document["SecretAccessKey"], document.get("Token"))
            except (OSError, UnreadableAnswerError, ValueError, KeyError, TypeError):
                # The cause is not chained: its text may quote the document.
                continue
            self._expire_at = expire_at
            # A document that is nearly over is what there is: ask again in a moment, not at every call.
            self._renew_at = max(expire_at - _RENEW_BEFORE_S, min(time.time() + 5, expire_at))
            return found
        raise StoreUnavailableError("AWS_CONTAINER_CREDENTIALS_FULL_URI gave no credentials")


def _get(url: str, authorization: str) -> dict[str, str]:
    base, _, query = url.partition("?")
    scheme, host, path = split_url(base)
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if scheme == "http" and name not in _LOCAL_HOSTS:
        raise InvalidInputError("AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or on this host")
    headers = {"Host": host, "Accept": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    connection = HttpConnection(sockets.opened(scheme, host, _TIMEOUT_S))
    connection.limit(_TIMEOUT_S, time.monotonic() + _TIMEOUT_S)
    try:
        connection.send("GET", f"{path or '/'}{'?' + query if query else ''}", headers, b"")
        status, told = connection.head()
        body = connection.body("GET", status, told)
        if status != 200:
            raise OSError(f"HTTP {status}")
        document: dict[str, str] = json.loads(body)
        return document
    finally:
        connection.close()


def _authorization(environment: Mapping[str, str]) -> str:
    path = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    if path:
        # Read each time: the file is rotated.
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 pathlib costs a cold start milliseconds
            token = file.read().strip()
    else:
        token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if "\r" in token or "\n" in token:
        raise InvalidInputError("the container authorization token holds a line break")
    return token

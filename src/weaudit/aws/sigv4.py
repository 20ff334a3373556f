"""AWS Signature Version 4 for requests and links. Pure: the time is an argument.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import functools
import hashlib
import hmac
import time
from urllib.parse import quote

from weaudit.values import value


@value
class Credentials:
    """An access key, its secret and, if they are temporary, the session token; an empty token counts as none."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        # Never the secret, never the token: a repr ends up in logs.
        return f"Credentials({self.access_key!r})"


def sign(
    method: str,
    host: str,
    path: str,
    headers: dict[str, str],
    body_hash: str,
    *,
    credentials: Credentials,
    region: str,
    service: str,
    at: float,
) -> dict[str, str]:
    """Return the headers to send: the given ones, all of them signed, with Host, X-Amz-Date, Authorization and others.

    ``path`` is percent-encoded as it is sent and includes the query, if any (:func:`query_text`). ``body_hash`` is the
    hex SHA-256 of the body, ``at`` is in seconds since 1970.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    signed = {**headers, "Host": host, "X-Amz-Date": stamp}
    if credentials.session_token:
        signed["X-Amz-Security-Token"] = credentials.session_token
    path, _, query = path.partition("?")
    if service == "s3":
        signed["X-Amz-Content-SHA256"] = body_hash
    else:
        # For the signature, every service except S3 encodes the path once more.
        path = quote(path, safe="/~")
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in signed.items())
    names = ";".join(name for name, _ in lines)
    canonical = "\n".join((method, path, query, *(f"{name}:{value}" for name, value in lines), "", names, body_hash))
    scope, signature = _signature(canonical, stamp, credentials, region, service)
    signed["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def presign(
    host: str, path: str, *, credentials: Credentials, region: str, service: str, at: float, seconds: int
) -> str:
    """Return a query with which anyone can GET the path for ``seconds`` from ``at`` on (S3: at most a week).

    If the credentials are temporary, the link expires with them at the latest.
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    parameters = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key}/{stamp[:8]}/{region}/{service}/aws4_request",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session_token:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    query = query_text(parameters)
    canonical = "\n".join(("GET", path, query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"))
    _, signature = _signature(canonical, stamp, credentials, region, service)
    return f"{query}&X-Amz-Signature={signature}"


def query_text(parameters: dict[str, str]) -> str:
    """Return a query as it is signed and sent: percent-encoded and sorted."""
    pairs = sorted((quote(name, safe="-._~"), quote(value, safe="-._~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _signature(canonical: str, stamp: str, credentials: Credentials, region: str, service: str) -> tuple[str, str]:
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = _signing_key(credentials.secret_key, stamp[:8], region, service)
    return scope, hmac.digest(key, to_sign.encode(), "sha256").hex()


@functools.lru_cache(maxsize=8)  # the same for a whole day
def _signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret_key).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key

"""AWS Signature Version 4 for requests without a query: pure, the time is an argument.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import functools
import hashlib
import hmac
import time
from urllib.parse import quote


class Credentials:
    """An access key, its secret and, for temporary ones, the session token; an empty token counts as absent."""

    __slots__ = ("access_key", "secret_key", "session_token")

    def __init__(self, access_key: str, secret_key: str, session_token: str | None = None) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.session_token = session_token or None

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
    """Return the headers to send: the given ones, all signed, with Host, X-Amz-Date, Authorization and what they need.

    ``path`` is percent-encoded as it is sent, ``body_hash`` the hex SHA-256 of the body, ``at`` in seconds since 1970.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    signed = {**headers, "Host": host, "X-Amz-Date": stamp}
    if credentials.session_token:
        signed["X-Amz-Security-Token"] = credentials.session_token
    if service == "s3":
        signed["X-Amz-Content-SHA256"] = body_hash
    else:
        # Every service but S3 encodes the path once more to sign it.
        path = quote(path, safe="/~")
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in signed.items())
    names = ";".join(name for name, _ in lines)
    canonical = "\n".join((method, path, "", *(f"{name}:{value}" for name, value in lines), "", names, body_hash))
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = _signing_key(credentials.secret_key, stamp[:8], region, service)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    signed["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


@functools.lru_cache(maxsize=8)  # the same for a whole day
def _signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret_key).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key

"""Requests to an installation's API: its URL, and requests signed with a boto3 session."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from weaudit.errors import InvalidInputError, StoreUnavailableError

if TYPE_CHECKING:
    from weaudit.installation.targets import Target

# An HTTP API gives up after 30 seconds.
_WAIT_SECONDS = 35
_UNRESERVED = "-_.~"


def address(path: str, query: list[str] | None = None) -> str:
    """Return path and query, encoded as a signature needs them; what is already encoded stays as it is.

    ``query`` is texts like ``name=value``, not encoded. Raises InvalidInputError.
    """
    if not path.startswith("/"):
        raise InvalidInputError(
            f"{path!r} is not a path of the API\nGive one that begins with a slash, as in: /v1/health"
        )
    bare, _, given = path.partition("?")
    # A stray + or * would be signed as it is, but read by the API as encoded.
    parts = [quote(part, safe=f"%={_UNRESERVED}") for part in given.split("&") if part]
    for pair in query or ():
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise InvalidInputError(f"--query {pair!r} names no value\nGive it as NAME=VALUE, as in: limit=10")
        parts.append(f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}")
    return quote(bare, safe=f"/%{_UNRESERVED}") + (f"?{'&'.join(parts)}" if parts else "")


def base_url(target: "Target", outputs: dict[str, str]) -> str:
    """Return where the API of a stack with these outputs is, without a trailing slash."""
    if target.endpoint is not None:
        # The engine's own name for an API ends in .localhost, which not every machine resolves.
        return f"{target.endpoint}/_aws/execute-api/{outputs['ApiId']}/$default"
    return outputs["ApiUrl"].rstrip("/")


def send(
    method: str, url: str, body: bytes | None, headers: dict[str, str], signer: tuple[Any, str | None] | None
) -> tuple[int, dict[str, str], bytes]:
    """Send a request, signed if ``signer`` gives a boto3 session and a region; return status, headers and body.

    Raises StoreUnavailableError if there is no response.
    """
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import HTTPClientError
    from botocore.httpsession import URLLib3Session

    if not _is_address(url):
        raise InvalidInputError(f"{url!r} is not the URL of an API\nGive one that begins with https://")
    request = AWSRequest(method, url, data=body, headers=headers)
    if signer is not None:
        _sign(request, *signer)
    try:
        answer = URLLib3Session(timeout=_WAIT_SECONDS).send(request.prepare())
    except HTTPClientError as error:
        raise StoreUnavailableError(f"the API does not respond: {error}") from error
    return answer.status_code, dict(answer.headers), answer.content


def _is_address(url: str) -> bool:
    try:
        found = urlsplit(url)
        return found.scheme in ("http", "https") and bool(found.hostname) and found.port != 0
    except ValueError:  # brackets of no IPv6 address, a port out of range
        return False


def _sign(request: Any, session: Any, region: str | None) -> None:
    from botocore.auth import SigV4Auth

    credentials = session.get_credentials()
    if credentials is None:
        raise InvalidInputError(
            "there are no credentials to sign with\nName a profile with --profile, or give --unsigned."
        )
    region = _region(request.url) or region
    if region is None:
        raise InvalidInputError("the API's region is not known\nSet AWS_REGION, or the profile's region.")
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)


def _region(url: str) -> str | None:
    """Return the region in an API Gateway URL: a signature for another region is refused."""
    parts = (urlsplit(url).hostname or "").split(".")
    found = dict(pairwise(parts)).get("execute-api")
    return found if found != "localhost" else None

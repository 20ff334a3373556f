"""`weaudit call`: one signed request to the API, to try a role or to see a response."""

import dataclasses
import json
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlsplit

import typer

from weaudit.cli.printing import output, panels
from weaudit.errors import DeployError, InvalidInputError, StoreRefusedError, StoreUnavailableError
from weaudit.items.plain import parse
from weaudit.items.texts import dumps

if TYPE_CHECKING:
    from weaudit.installation.targets import Target

# An HTTP API gives up after 30 seconds.
_WAIT_SECONDS = 35
_UNRESERVED = "-_.~"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.API)(call)


def call(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET or POST.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="The path, such as /v1/health, with or without a query.")],
    query: Annotated[
        list[str] | None,
        typer.Option("--query", "-q", metavar="NAME=VALUE", help="A query parameter, not encoded: any characters."),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", metavar="JSON", help="The body; @FILE reads a file, - reads stdin.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="NAME:VALUE", help="A header, such as Idempotency-Key."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Sign as this profile of your AWS configuration.")
    ] = None,
    role: Annotated[str | None, typer.Option(metavar="ARN", help="Assume this role first, and sign as it.")] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Do not sign: to send a token in a header, or to see it denied.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar="WEAUDIT_API_URL", help="The API's URL.", show_default="from the stack"),
    ] = None,
) -> None:
    """Send a request to the API, signed with your credentials, and show the response.

    The body goes to stdout; status and headers go to stderr. Exit code 0 if the status is below 400, 2 if the request
    was wrong (400), 3 if there was no response or a retry may succeed (throttled, 5xx), else 1.

    Example: weaudit call GET /v1/tables/Configuration/history --query key=CACHE_TTL_SEC
    """
    where, body, headers = address(path, query), _body(data), _headers(header, data)
    session, target = _signer(profile, needs_stack=url is None)
    base = url if url is not None else _base_url(target)
    if role is not None:
        session = _as_role(session, role, target)
    # boto3 itself does not read AWS_REGION.
    region = os.environ.get("AWS_REGION") or session.region_name or (target.region if target is not None else None)
    request = (method.upper(), base.rstrip("/") + where, body, headers)
    status, found, answer = send(*request, None if unsigned else (session, region))
    output.note(f"HTTP {status}")
    for name, value in found.items():
        output.note(f"{output.safe(name.lower())}: {output.safe(value)}")
    output.note("")
    if answer:
        output.print_text(_shown(answer))
    if status >= 400:
        raise typer.Exit(_exit_code(status, _error_code(found, answer)))


def _exit_code(status: int, code: str) -> int:
    """Return the exit code for an API response that is not a success.

    AWS also answers throttling with status 400: only its error code distinguishes it from a wrong request.
    """
    from weaudit.aws import errors

    if errors.passes(status, code):
        return output.EXIT_UNREACHABLE
    return output.EXIT_USAGE if status == 400 else output.EXIT_FAILED


def _error_code(headers: dict[str, str], answer: bytes) -> str:
    """Return AWS's own error code of a response, "" if it has none; our handlers' responses have none."""
    named = next((value for name, value in headers.items() if name.lower() == "x-amzn-errortype"), "")
    if not named:
        try:
            document = json.loads(answer)
        except (ValueError, RecursionError):
            return ""
        named = str(document.get("__type", "")) if isinstance(document, dict) else ""
    return named.rpartition("#")[2].partition(":")[0]


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


def _body(data: str | None) -> bytes | None:
    if data is None:
        return None
    try:
        if data == "-":
            return sys.stdin.buffer.read()
        return Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
    except OSError as error:
        raise InvalidInputError(f"--data {data}: {error.strerror or error}") from error


def _headers(given: list[str] | None, data: str | None) -> dict[str, str]:
    headers = {} if data is None else {"Content-Type": "application/json"}
    for line in given or ():
        name, colon, value = line.partition(":")
        if not (name.strip() and colon) or not line.isascii() or not line.isprintable():
            raise InvalidInputError(
                f'--header {line!r} is not a header\nGive it as NAME:VALUE, as in: If-None-Match:"x"'
            )
        headers[name.strip()] = value.strip()
    return headers


def _signer(profile: str | None, *, needs_stack: bool) -> "tuple[Any, Target | None]":
    """Return the boto3 session that signs, and the target that has the stack, or None if no stack is needed."""
    import boto3
    import botocore.exceptions

    from weaudit.installation.targets import Target

    try:
        session = boto3.session.Session(profile_name=profile)
    except botocore.exceptions.ProfileNotFound as error:
        raise InvalidInputError(f"{error}\n`aws configure list-profiles` shows which there are.") from error
    if not needs_stack:
        return session, None
    if profile is None:
        target = Target.resolve()
        return boto3.session.Session(
            region_name=target.region, aws_access_key_id=target.access_key, aws_secret_access_key=target.secret_key
        ), target
    # To find the API's URL, ask the engine with its own key, and an account with the profile.
    target = Target.resolve({**os.environ, "AWS_PROFILE": profile})
    if not target.engine:
        target = dataclasses.replace(target, profile=profile)
    return session, target


def _base_url(target: "Target | None") -> str:
    from botocore.exceptions import ClientError

    from weaudit.installation import boto_errors, stacks
    from weaudit.installation.stages import Stage

    assert target is not None  # noqa: S101 a stack is needed because no URL was given
    name = Stage.of().stack
    advice = "Deploy it (`weaudit up` does, for the embedded engine), or give the API's URL with --url."
    try:
        found = stacks.describe(target, name)
    except ClientError as error:
        if boto_errors.passes(error):
            raise
        code = error.response["Error"]["Code"]
        raise StoreRefusedError(f"cannot read the API's URL from the stack {name} ({code})\n{advice}") from error
    if found is None or "ApiUrl" not in found.outputs:
        why = f"there is no stack {name}" if found is None else f"the stack {name} has no API"
        raise DeployError(f"{why} on {target.describe()}\n{advice}")
    return base_url(target, found.outputs)


def base_url(target: "Target", outputs: dict[str, str]) -> str:
    """Return where the API of a stack with these outputs is, without a trailing slash."""
    if target.endpoint is not None:
        # The engine's own name for an API ends in .localhost, which not every machine resolves.
        return f"{target.endpoint}/_aws/execute-api/{outputs['ApiId']}/$default"
    return outputs["ApiUrl"].rstrip("/")


def _as_role(session: Any, role: str, target: "Target | None") -> Any:
    import boto3

    sts = session.client("sts", endpoint_url=target.endpoint if target is not None else None)
    taken = sts.assume_role(RoleArn=role, RoleSessionName="weaudit-call")["Credentials"]
    return boto3.session.Session(
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
        region_name=session.region_name,
    )


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


def _shown(answer: bytes) -> str:
    """Return a body for reading: JSON indented with all its digits, anything else with no control characters."""
    text = answer.decode("utf-8", errors="backslashreplace")
    try:
        return dumps(parse(text))
    except InvalidInputError:
        return "\n".join(output.safe(line) for line in text.splitlines())

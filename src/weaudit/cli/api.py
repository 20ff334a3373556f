"""`weaudit call`: one signed request to the API, to try a role or to see a response."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.printing import output, panels
from weaudit.errors import DeployError, InvalidInputError, StoreRefusedError
from weaudit.installation import calling
from weaudit.items.plain import parse
from weaudit.items.texts import dumps

if TYPE_CHECKING:
    from weaudit.installation.targets import Target


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
    where, body, headers = calling.address(path, query), _body(data), _headers(header, data)
    session, target = _signer(profile, needs_stack=url is None)
    base = url if url is not None else _base_url(target)
    if role is not None:
        session = _as_role(session, role, target)
    # boto3 itself does not read AWS_REGION.
    region = os.environ.get("AWS_REGION") or session.region_name or (target.region if target is not None else None)
    request = (method.upper(), base.rstrip("/") + where, body, headers)
    status, found, answer = calling.send(*request, None if unsigned else (session, region))
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
    return calling.base_url(target, found.outputs)


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


def _shown(answer: bytes) -> str:
    """Return a body for reading: JSON indented with all its digits, anything else with no control characters."""
    text = answer.decode("utf-8", errors="backslashreplace")
    try:
        return dumps(parse(text))
    except InvalidInputError:
        return "\n".join(output.safe(line) for line in text.splitlines())

"""Requests to a function: HTTP requests as API Gateway passes them on, or the bare document of a direct call.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
(payloads 2.0 and 1.0).
"""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, unquote

from weaudit.api.answers import is_request
from weaudit.api.routes import LARGEST_BODY_BYTES
from weaudit.errors import InvalidInputError
from weaudit.items import plain
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@value
class Request:
    """A request, and its caller as far as API Gateway knows.

    ``route`` is like ``GET /v1/records/{id}``, or "" for a direct call. ``path`` and ``query`` hold decoded parameters;
    ``query`` holds every value of each.
    """

    document: Any
    path: dict[str, str]
    query: dict[str, list[str]]
    identity: str = ""  # authenticated by API Gateway: an IAM ARN, or a token's issuer and subject
    owner: str = ""  # whom request ids belong to: see updates.requests.Caller
    user_agent: str = ""
    idempotency_key: str = ""
    reason: str = ""  # as the header X-WeAudit-Reason has it
    route: str = ""


def parse(event: Any) -> Request:
    """Parse an event into a request; the body of an HTTP request is not parsed yet (``document_of``).

    An event that is not an HTTP request (answers.is_request) is the document itself, and its caller is not known.
    """
    if not is_request(event):
        return Request(event, {}, {})
    context = _part(event, "requestContext")
    given = event.get("headers")
    headers = {str(name).lower(): str(value) for name, value in (given if isinstance(given, dict) else {}).items()}
    identity, owner = _caller(context)
    return Request(
        event.get("body"),
        path={name: unquote(str(value)) for name, value in _part(event, "pathParameters").items()},
        query=_query(event),
        identity=identity,
        owner=owner,
        user_agent=str(_part(context, "http").get("userAgent") or headers.get("user-agent") or ""),
        idempotency_key=headers.get("idempotency-key", ""),
        reason=headers.get("x-weaudit-reason", ""),
        route=_route(event),
    )


def document_of(event: Any) -> Any:
    """Return the document of a request. Raises InvalidInputError if its body is too large or not a JSON document.

    Over HTTP numbers keep every digit (they become plain.Number). Lambda itself parses a direct call's document, and
    turns fractions into floats.
    """
    if not is_request(event):
        return event
    body = event.get("body")
    if body is None or body == "":
        return None
    try:
        raw = base64.b64decode(str(body), validate=True) if event.get("isBase64Encoded") else str(body).encode()
        text = raw.decode()
    except ValueError:
        raise InvalidInputError("the body is not a JSON document in UTF-8") from None
    if len(raw) > LARGEST_BODY_BYTES:
        raise InvalidInputError(f"the body is larger than {LARGEST_BODY_BYTES} bytes", {"limit": LARGEST_BODY_BYTES})
    return plain.parse(text)


def _route(event: dict[str, Any]) -> str:
    # Payload 2.0 names the route, 1.0 its two halves.
    if "routeKey" in event:
        return str(event["routeKey"])
    return f"{event.get('httpMethod') or ''} {event.get('resource') or ''}".strip()


def _query(event: dict[str, Any]) -> dict[str, list[str]]:
    """Return every value of each parameter. Payload 2.0 joins them with commas, so its raw query string is parsed."""
    found: dict[str, list[str]] = {}
    if "rawQueryString" in event:
        # Bytes that are not UTF-8 become replacement characters, which name nothing.
        for name, value in parse_qsl(str(event["rawQueryString"] or ""), keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found
    for name, values in _part(event, "multiValueQueryStringParameters").items():
        found[str(name)] = [str(value) for value in values] if isinstance(values, list) else [str(values)]
    for name, value in _part(event, "queryStringParameters").items():
        found.setdefault(str(name), [str(value)])
    return found


def _caller(context: dict[str, Any]) -> tuple[str, str]:
    """Return the caller's identity, and the owner of its request ids."""
    authorizer = _part(context, "authorizer")
    # Payload 2.0 has the signer under authorizer.iam, 1.0 under identity.
    for signer in (_part(authorizer, "iam"), _part(context, "identity")):
        if signer.get("userArn"):
            arn = str(signer["userArn"])
            # The account owns them: by the time a role retries, it has another session, and so another ARN.
            return arn, str(signer.get("accountId") or arn)
    claims = _part(_part(authorizer, "jwt"), "claims") or _part(authorizer, "claims")
    issuer = str(claims.get("iss") or "")
    # The subject owns them, as it stays the same from token to token; subjects of one issuer may be strangers.
    subject = f"{issuer}#{claims['sub']}" if claims.get("sub") else ""
    return subject, subject or issuer


def _part(container: dict[str, Any], name: str) -> dict[str, Any]:
    found = container.get(name)
    return found if isinstance(found, dict) else {}

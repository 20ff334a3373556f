"""Requests to a function: over HTTP as API Gateway hands them on, or the bare document of a direct call.

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
    """What was asked, and by whom as far as API Gateway knows.

    ``route`` is ``GET /v1/records/{id}``, "" of a direct call; ``path`` and ``query`` hold decoded parameters, of the
    query every value of each.
    """

    document: Any
    path: dict[str, str]
    query: dict[str, list[str]]
    identity: str = ""  # ARN of the IAM identity, or issuer and subject of the token, that API Gateway let through
    owner: str = ""  # whose request ids they are: see updates.requests.Caller
    user_agent: str = ""
    idempotency_key: str = ""
    route: str = ""


def parse(event: Any) -> Request:
    """Return the request that an event is; its document is not read yet where it came over HTTP (``document_of``).

    An event that is no request (api_answers.is_request) is the document itself, and nobody vouches for its caller.
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
        route=_route(event),
    )


def document_of(event: Any) -> Any:
    """Return the document that a request carries. Raises InvalidInputError where its body is no JSON document.

    Over HTTP numbers keep every digit (they become plain_values.Number). Lambda itself reads a direct call's document,
    and makes floats of its fractions.
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
    """Return every value of each parameter. Payload 2.0 joins them by commas, so there the query's text is read."""
    found: dict[str, list[str]] = {}
    if "rawQueryString" in event:
        # A text that is no UTF-8 becomes one that names nothing.
        for name, value in parse_qsl(str(event["rawQueryString"] or ""), keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found
    for name, values in _part(event, "multiValueQueryStringParameters").items():
        found[str(name)] = [str(value) for value in values] if isinstance(values, list) else [str(values)]
    for name, value in _part(event, "queryStringParameters").items():
        found.setdefault(str(name), [str(value)])
    return found


def _caller(context: dict[str, Any]) -> tuple[str, str]:
    """Return who asks, and to whom the request's id belongs."""
    authorizer = _part(context, "authorizer")
    # Payload 2.0 has the signer under authorizer.iam, 1.0 under identity.
    for signer in (_part(authorizer, "iam"), _part(context, "identity")):
        if signer.get("userArn"):
            arn = str(signer["userArn"])
            # To the account: a role has another session, and another ARN, by the time it repeats a request.
            return arn, str(signer.get("accountId") or arn)
    claims = _part(_part(authorizer, "jwt"), "claims") or _part(authorizer, "claims")
    issuer = str(claims.get("iss") or "")
    # To the subject, which stays the same from token to token: those of one issuer may be strangers.
    subject = f"{issuer}#{claims['sub']}" if claims.get("sub") else ""
    return subject, subject or issuer


def _part(container: dict[str, Any], name: str) -> dict[str, Any]:
    found = container.get(name)
    return found if isinstance(found, dict) else {}

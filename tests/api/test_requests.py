"""Requests as API Gateway hands them on, in both payload formats, and bare documents."""

import base64
import json
from typing import Any

import pytest

from weaudit.api.requests import document_of, parse
from weaudit.api.routes import LARGEST_BODY_BYTES
from weaudit.errors import InvalidInputError
from weaudit.items.plain import Number

ARN = "arn:aws:sts::111122223333:assumed-role/Editors/ada"


def second(**parts: Any) -> dict[str, Any]:
    """A request in payload 2.0, signed by a role."""
    return {
        "version": "2.0",
        "headers": {"idempotency-key": "k-1", "user-agent": "curl/8", "x-weaudit-reason": "caf%C3%A9"},
        "requestContext": {
            "accountId": "444455556666",
            "authorizer": {"iam": {"accountId": "111122223333", "userArn": ARN}},
            "http": {"userAgent": "curl/8.1"},
        },
        "body": '{"id": "a"}',
        "isBase64Encoded": False,
        **parts,
    }


FIRST: dict[str, Any] = {
    "version": "1.0",
    "httpMethod": "POST",
    "headers": {"Idempotency-Key": "k-1", "User-Agent": "curl/8", "X-WeAudit-Reason": "caf%C3%A9"},
    "requestContext": {"identity": {"accountId": "111122223333", "userArn": ARN, "userAgent": "curl/8"}},
    "body": '{"id": "a"}',
}


@pytest.mark.parametrize(("event", "agent"), [(second(), "curl/8.1"), (FIRST, "curl/8")], ids=["2.0", "1.0"])
def test_both_payloads_tell_who_asks(event: dict[str, Any], agent: str) -> None:
    request = parse(event)
    assert (request.identity, request.owner) == (ARN, "111122223333")
    assert (request.user_agent, request.idempotency_key, request.reason) == (agent, "k-1", "caf%C3%A9")
    assert document_of(event) == {"id": "a"}


@pytest.mark.parametrize("context", [{}, {"requestContext": None}, {"requestContext": "x"}])
def test_a_request_written_by_hand_may_be_without_its_context(context: dict[str, Any]) -> None:
    event = {"httpMethod": "POST", "headers": {"User-Agent": "by hand"}, "body": '{"id": "a"}', **context}
    request = parse(event)
    assert (document_of(event), request.user_agent, request.identity) == ({"id": "a"}, "by hand", "")


def test_the_subject_of_a_token_is_the_caller() -> None:
    claims = {"iss": "https://issuer.example", "sub": "ada", "scope": "update"}
    # Payload 1.0, of a REST API, has the claims without what kind of token they are from.
    for authorizer in ({"jwt": {"claims": claims}}, {"claims": claims}):
        request = parse(second(requestContext={"authorizer": authorizer}))
        assert (request.identity, request.owner) == ("https://issuer.example#ada", "https://issuer.example#ada")


def test_a_token_without_a_subject_names_nobody_and_shares_request_ids_with_its_likes_alone() -> None:
    claims = {"iss": "https://issuer.example", "scope": "update"}
    request = parse(second(requestContext={"authorizer": {"jwt": {"claims": claims}}}))
    assert (request.identity, request.owner) == ("", "https://issuer.example")


def test_the_sessions_of_a_role_own_their_request_ids_together() -> None:
    arns = [f"arn:aws:sts::111122223333:assumed-role/updater/{session}" for session in ("one", "two")]
    signers = [{"accountId": "111122223333", "userArn": arn} for arn in arns]
    found = [parse(second(requestContext={"authorizer": {"iam": signer}})) for signer in signers]
    assert [(request.identity, request.owner) for request in found] == [(arn, "111122223333") for arn in arns]


@pytest.mark.parametrize(
    "context", [{}, {"authorizer": None}, {"authorizer": {"iam": None}}, {"http": "x", "identity": [], "authorizer": 1}]
)
def test_a_request_that_nobody_vouches_for_has_no_caller(context: Any) -> None:
    request = parse(second(requestContext=context, headers=None))
    assert (request.identity, request.owner, request.user_agent, request.idempotency_key) == ("", "", "", "")


def test_a_bare_document_is_taken_as_it_is() -> None:
    document = {"id": "a", "attributes": {"body": "x", "headers": {}}}
    assert document_of(document) is document
    assert parse(document).identity == ""


def test_numbers_keep_every_digit() -> None:
    digits = "0.10000000000000000000000000000000000001"
    assert document_of(second(body=f'{{"n": {digits}}}')) == {"n": Number(digits)}


def test_a_body_may_be_base64() -> None:
    event = second(body=base64.b64encode('{"id": "ü"}'.encode()).decode(), isBase64Encoded=True)
    assert document_of(event) == {"id": "ü"}


@pytest.mark.parametrize("body", [None, ""])
def test_no_body_is_no_document(body: Any) -> None:
    assert document_of(second(body=body)) is None


@pytest.mark.parametrize(
    ("body", "encoded"),
    [("{", False), ('{"a": 1, "a": 2}', False), ("[" * 100_000, False), ("%%%", True), ("gICA", True), (7.5, True)],
)
def test_what_is_no_json_is_refused_in_words(body: Any, encoded: bool) -> None:
    with pytest.raises(InvalidInputError):
        document_of(second(body=body, isBase64Encoded=encoded))


def test_both_payloads_name_route_and_parameters() -> None:
    raw = "key=a%2Fb%3F%20%2B&empty&twice=1&twice=2&%C3%BC=%C3%A9"
    two = parse(second(routeKey="GET /v1/records/{id}", rawQueryString=raw, pathParameters={"id": "a%2Db"}))
    lists = {"key": ["a/b? +"], "empty": [""], "twice": ["1", "2"], "ü": ["é"]}
    one = parse(
        {
            **FIRST,
            "httpMethod": "GET",
            "resource": "/v1/records/{id}",
            "queryStringParameters": {"key": "a/b? +", "twice": "2"},
            "multiValueQueryStringParameters": lists,
            "pathParameters": {"id": "a-b"},
        }
    )
    for request in (one, two):
        assert request.route == "GET /v1/records/{id}"
        assert request.path == {"id": "a-b"}
        assert request.query == lists


@pytest.mark.parametrize("nothing", [None, {}, "", []])
def test_a_request_without_parameters_has_none(nothing: Any) -> None:
    parts = {"rawQueryString": nothing, "pathParameters": nothing}
    for event in (second(**parts), {**FIRST, "queryStringParameters": nothing, "pathParameters": nothing}):
        request = parse(event)
        assert (request.path, request.query) == ({}, {})
    assert (parse({"id": "a"}).route, parse(FIRST).route, parse({"requestContext": {}}).route) == ("", "POST", "")


def test_a_repeated_parameter_shows_in_the_old_payload_too() -> None:
    assert parse({**FIRST, "queryStringParameters": {"limit": "5"}}).query == {"limit": ["5"]}


@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_has_a_limit(encoded: bool) -> None:
    def event(size: int) -> dict[str, Any]:
        text = json.dumps("x" * (size - 2))
        return second(body=base64.b64encode(text.encode()).decode() if encoded else text, isBase64Encoded=encoded)

    assert len(document_of(event(LARGEST_BODY_BYTES))) == LARGEST_BODY_BYTES - 2
    with pytest.raises(InvalidInputError, match="larger than 1048576 bytes") as refused:
        document_of(event(LARGEST_BODY_BYTES + 1000))
    assert refused.value.details == {"limit": LARGEST_BODY_BYTES}

"""Requests to a witness behind a function URL are signed for its region, and a refusal is a response."""

import pytest

from tests.aws.scripted_server import answer, hang_up, serving
from weaudit.errors import InvalidInputError, StoreUnavailableError
from weaudit.witnessing.store_remote import RemoteWitness

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}


def test_a_response_is_returned_whatever_its_status() -> None:
    steps = [answer(200, b"line\n"), answer(409, b"7\n"), answer(422, b"no\n"), answer(403, b"{}"), answer(404, b"")]
    with serving(*steps) as server:
        witness = RemoteWitness(server.url + "/", ENVIRONMENT)
        found = [witness.post(b"old 0\n") for _ in steps]
        assert found == [(200, b"line\n"), (409, b"7\n"), (422, b"no\n"), (403, b"{}"), (404, b"")]
        for request in server.requests:
            assert (request.method, request.path, request.body) == ("POST", "/add-checkpoint", b"old 0\n")
            signed = {name.lower(): value for name, value in request.headers.items()}["authorization"]
            assert "/eu-west-1/lambda/aws4_request" in signed


def test_a_failure_is_tried_again_and_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer(502, b""), hang_up, answer(429, b""), answer(200, b"line\n")) as server:
        assert RemoteWitness(server.url, ENVIRONMENT).post(b"") == (200, b"line\n")
    monkeypatch.setattr("weaudit.aws.connections.Connection.attempts", 2)
    with serving(answer(503, b"")) as server, pytest.raises(StoreUnavailableError):
        RemoteWitness(server.url, ENVIRONMENT).post(b"")


def test_the_region_is_that_of_the_url() -> None:
    witness = RemoteWitness("https://abc.lambda-url.eu-central-1.on.aws/", ENVIRONMENT)
    assert witness._connection.endpoint.region == "eu-central-1"
    assert (witness._connection.endpoint.host, witness._connection.endpoint.path) == (
        "abc.lambda-url.eu-central-1.on.aws",
        "",
    )
    with pytest.raises(InvalidInputError):
        RemoteWitness("abc", ENVIRONMENT)

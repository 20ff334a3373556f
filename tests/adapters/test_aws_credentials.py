"""Credentials from the two sources that Lambda uses."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.scripted_server import ScriptedServer, answer, dynamodb, refusal, serving
from tests.adapters.test_aws import Once, put
from weaudit.adapters.aws import DynamoDB
from weaudit.adapters.credentials import CredentialSource
from weaudit.errors import InvalidInputError, StoreRefusedError, StoreUnavailableError

_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"


def document(access_key: str, lasts_s: float, **more: Any) -> dict[str, Any]:
    until = datetime.fromtimestamp(time.time() + lasts_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"AccessKeyId": access_key, "SecretAccessKey": "wJalr", "Token": "t", "Expiration": until, **more}


def source(server: ScriptedServer, **more: str) -> CredentialSource:
    return CredentialSource({_URI: f"{server.url}/credentials?x=1", **more})


def test_variables_come_first() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", _URI: "nowhere"}
    found = CredentialSource(environment).get()
    assert (found.access_key, found.secret_key, found.session_token) == ("AKID", "s", "t")


@pytest.mark.parametrize("environment", [{}, {"AWS_ACCESS_KEY_ID": "AKID"}, {"AWS_SECRET_ACCESS_KEY": "s", _URI: "x"}])
def test_none_or_half_of_them_is_a_refusal(environment: dict[str, str]) -> None:
    with pytest.raises(StoreRefusedError, match="AWS_ACCESS_KEY_ID"):
        CredentialSource(environment).get()


def test_a_container_is_asked_once_while_they_last_with_its_token() -> None:
    with serving(answer(200, document("ASIA1", 3600))) as server:
        credentials = source(server, AWS_CONTAINER_AUTHORIZATION_TOKEN="secret token")
        assert credentials.get() is credentials.get()
        assert credentials.get().session_token == "t"
    (request,) = server.requests
    assert (request.path, request.headers["authorization"]) == ("/credentials?x=1", "secret token")


def test_the_token_file_is_read_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with serving(answer(200, document("ASIA1", 3600))) as server:
        credentials = source(server, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token))
        for text in ("one\n", "two"):
            token.write_text(text)
            credentials.forget(credentials.get())
    assert [request.headers["authorization"] for request in server.requests] == ["one", "two"]


def test_they_are_renewed_before_they_expire() -> None:
    with serving(answer(200, document("ASIA1", 3600)), answer(200, document("ASIA2", 7200))) as server:
        credentials = source(server)
        assert credentials.get().access_key == "ASIA1"
        credentials._renew_at = time.time()  # as if ten minutes were left
        assert credentials.get().access_key == "ASIA2"


def test_while_they_last_a_failed_renewal_is_borne_and_after_that_it_is_not() -> None:
    with serving(answer(200, document("ASIA1", 3600)), answer(500)) as server:
        credentials = source(server)
        credentials.get()
        credentials._renew_at = time.time()
        assert credentials.get().access_key == "ASIA1"
        assert credentials._renew_at > time.time()
        credentials._renew_at = credentials._expire_at = time.time()
        with pytest.raises(StoreUnavailableError):
            credentials.get()


@pytest.mark.parametrize("first", [answer(500), answer(200, b"no json"), answer(200, {}), answer(200, [])])
def test_a_failing_container_is_asked_again(first: Any) -> None:
    with serving(first, answer(200, document("ASIA1", 3600))) as server:
        assert source(server).get().access_key == "ASIA1"


def test_a_container_that_keeps_failing_shows_nothing_of_its_answer() -> None:
    with serving(answer(200, {"SecretAccessKey": "hunter2"})) as server, pytest.raises(StoreUnavailableError) as raised:
        source(server).get()
    assert len(server.requests) == 3
    assert "hunter2" not in repr((raised.value, raised.value.__cause__))


@pytest.mark.parametrize("uri", ["http://example.com/x", "http://169.254.169.254/x", "http://127.0.0.1.evil.example/"])
def test_another_host_is_never_asked_without_tls(uri: str) -> None:
    with pytest.raises(InvalidInputError):
        CredentialSource({_URI: uri}).get()


def test_a_token_with_a_line_break_is_not_sent() -> None:
    with serving(answer(200)) as server, pytest.raises(InvalidInputError, match="line break"):
        source(server, AWS_CONTAINER_AUTHORIZATION_TOKEN="a\r\nX: y").get()
    assert server.requests == []


def test_expired_ones_are_read_again_once() -> None:
    expired = refusal("ExpiredTokenException")
    with (
        serving(answer(200, document("ASIA1", 3600)), answer(200, document("ASIA2", 3600))) as container,
        serving(expired, dynamodb({}), expired) as server,
    ):
        environment = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": server.url, _URI: container.url}
        client = DynamoDB(Once.from_environment("dynamodb", environment))
        put(client)
        with pytest.raises(StoreRefusedError, match="ExpiredToken"):
            put(client)
    assert ["ASIA2" in request.headers["authorization"] for request in server.requests] == [False, True, True, True]

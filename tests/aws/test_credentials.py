"""Credentials from the variables in which Lambda gives them."""

import pytest

from tests.aws.scripted_server import dynamodb, refusal, serving
from tests.aws.test_client import Once, put
from weaudit.aws import credentials
from weaudit.aws.client import DynamoDB
from weaudit.errors import StoreRefusedError


def test_variables_hold_them() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    found = credentials.from_environment(environment)
    assert (found.access_key, found.secret_key, found.session_token) == ("AKID", "s", "t")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_ACCESS_KEY_ID": "AKID"},
        {"AWS_SECRET_ACCESS_KEY": "s"},
        {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/"},
    ],
)
def test_none_or_half_of_them_is_a_refusal(environment: dict[str, str]) -> None:
    with pytest.raises(StoreRefusedError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        credentials.from_environment(environment)


def test_expired_ones_are_refused_and_those_that_replace_them_are_used() -> None:
    with serving(refusal("ExpiredTokenException"), dynamodb({})) as server:
        environment = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": server.url, "AWS_SECRET_ACCESS_KEY": "s"}
        client = DynamoDB(Once.from_environment("dynamodb", environment))
        environment["AWS_ACCESS_KEY_ID"] = "ASIA1"
        with pytest.raises(StoreRefusedError, match="ExpiredToken"):
            put(client)
        environment["AWS_ACCESS_KEY_ID"] = "ASIA2"
        put(client)
    assert ["ASIA2" in request.headers["authorization"] for request in server.requests] == [False, True]

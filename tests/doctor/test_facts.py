"""What is not there, what may not be read and what is broken are three facts, and none of them ends the examination."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from weaudit.doctor import facts
from weaudit.doctor.gathering import _asked
from weaudit.doctor.template import Expected

RESOURCE = Expected("Table", "AWS::DynamoDB::Table", "Configuration", {})


class Client:
    """A client whose every call fails alike."""

    class exceptions:  # noqa: N801  as boto3 has it
        ClientError = ClientError


def failing(code: str) -> Any:
    def reader(_client: Any, _resource: Expected) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "…"}}, "DescribeTable")

    return reader


@pytest.mark.parametrize(
    "code",
    ["ResourceNotFoundException", "NoSuchBucket", "NoSuchEntity", "AWS.SimpleQueueService.NonExistentQueue", "404",
     "QueueDoesNotExist", "NotFound", "NotFoundException"],
)  # fmt: skip
def test_what_is_not_there_is_none(code: str) -> None:
    assert facts.read(failing(code), Client, RESOURCE) is None


def test_what_may_be_read_a_moment_later_is_no_fact() -> None:
    unread: dict[str, str] = {}
    with pytest.raises(ClientError, match="ThrottlingException"):
        _asked(unread, "Configuration", lambda: facts.read(failing("ThrottlingException"), Client, RESOURCE), "")
    assert unread == {}


@pytest.mark.parametrize("code", ["AccessDeniedException", "InternalFailure"])
def test_what_may_not_be_read_is_noted_and_all_else_goes_on(code: str) -> None:
    unread: dict[str, str] = {}
    found = _asked(unread, "Configuration", lambda: facts.read(failing(code), Client, RESOURCE), "default")
    assert (found, unread) == ("default", {"Configuration": code})


def test_a_service_that_does_not_answer_is_noted_as_well() -> None:
    def silent() -> Any:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    unread: dict[str, str] = {}
    assert _asked(unread, "alarms", silent, {}) == {}
    assert unread == {"alarms": "EndpointConnectionError"}

"""What is tried again is what botocore's standard mode tries again, and what little more is listed here."""

from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.retries import standard

from weaudit.aws import errors
from weaudit.errors import (
    ConditionNotMetError,
    RecordRejectedError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)

BEYOND_BOTOCORE = {
    "TransactionConflictException",
    "ConditionalRequestConflict",
    "OperationAborted",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
}
BEYOND_BOTOCORE_STATUSES = {429, 509}
_SESSION = botocore.session.Session()
_MODELS = {name: _SESSION.get_service_model(name) for name in ("dynamodb", "dynamodbstreams", "kms", "s3")}
CODES = sorted(
    {shape.name for model in _MODELS.values() for shape in model.error_shapes}
    | set(standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES)
    | set(standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
    | {"ValidationException", "AccessDenied", "AccessDeniedException", "SerializationException", "ExpiredToken"}
    | {"InvalidSignatureException", "RequestTimeTooSkewed", "UnrecognizedClientException", "InternalError", ""}
    | BEYOND_BOTOCORE
)


def _botocore_retries(operation: Any, status: int, code: str) -> bool:
    context = standard.RetryContext(
        attempt_number=1,
        operation_model=operation,
        http_response=SimpleNamespace(status_code=status, headers={}, content=b""),
        parsed_response={"Error": {"Code": code}},
    )
    return bool(standard.StandardRetryConditions().is_retryable(context))


@pytest.mark.parametrize(
    ("service", "operation"),
    [("dynamodb", "PutItem"), ("dynamodbstreams", "GetRecords"), ("kms", "Sign"), ("s3", "PutObject")],
)
def test_the_same_verdict_for_every_code_and_status(service: str, operation: str) -> None:
    model = _MODELS[service].operation_model(operation)
    for status in (301, 307, 400, 403, 404, 408, 409, 412, 413, 429, 500, 501, 502, 503, 504, 505, 509):
        for code in CODES:
            theirs = _botocore_retries(model, status, code)
            theirs |= code in BEYOND_BOTOCORE or status in BEYOND_BOTOCORE_STATUSES
            # botocore knows this one by the model, for operations of DynamoDB only.
            theirs |= code == "ReplicatedWriteConflictException"
            ours = isinstance(errors.failure(operation, status, code, ""), StoreUnavailableError)
            assert ours == theirs, (status, code)


def test_waits_longer_for_the_codes_that_botocore_takes_for_throttling() -> None:
    assert set(standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES) == errors.THROTTLED


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (400, "ValidationException", "Item size has exceeded the maximum allowed size", RecordRejectedError),
        (400, "ValidationException", "Supplied AttributeValue is empty", RecordRejectedError),
        (400, "ItemCollectionSizeLimitExceededException", "", RecordRejectedError),
        (400, "SerializationException", "", RecordRejectedError),
        (413, "", "", RecordRejectedError),
        (400, "EntityTooLarge", "", RecordRejectedError),
        (400, "ValidationException", "The provided key element does not match the schema", StoreRefusedError),
        (
            400,
            "ValidationException",
            "One or more parameter values were invalid: Missing the key pk in the item",
            StoreRefusedError,
        ),
        (400, "ResourceNotFoundException", "Requested resource not found", StoreRefusedError),
        (400, "AccessDeniedException", "", StoreRefusedError),
        (404, "NoSuchBucket", "", StoreRefusedError),
        (400, "TrimmedDataAccessException", "", StoreRefusedError),
        (400, "ExpiredIteratorException", "", StoreRefusedError),
        (400, "KMSInvalidStateException", "", StoreRefusedError),
        (301, "PermanentRedirect", "", StoreRefusedError),
        (400, "TransactionConflictException", "", StoreUnavailableError),
        (503, "", "", StoreUnavailableError),
    ],
)
def test_kinds(status: int, code: str, message: str, kind: type[StoreError]) -> None:
    error = errors.failure("BatchWriteItem", status, code, message)
    assert type(error) is kind
    assert (error.status, error.aws_code) == (status, code)
    assert str(error).startswith("BatchWriteItem: ")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidSignatureException", "The Canonical String should have been x-amz-security-token:hunter2"),
        ("SignatureDoesNotMatch", "hunter2"),
        ("ValidationException", "The parameter cannot be converted to a numeric value: hunter2"),
        ("ValidationException", "1 validation error detected: Value 'hunter2' at 'requestItems'"),
        ("ConditionalCheckFailedException", "hunter2"),
        ("", "hunter2"),
    ],
)
def test_texts_hold_no_credentials_and_no_values_of_items(code: str, message: str) -> None:
    assert "hunter2" not in str(errors.failure("PutItem", 400, code, message))


def test_texts_say_what_an_operator_needs() -> None:
    message = "User: arn:aws:sts::1:assumed-role/r is not authorized to perform: dynamodb:BatchWriteItem"
    error = errors.failure("BatchWriteItem", 400, "AccessDeniedException", message)
    assert str(error) == f"BatchWriteItem: AccessDeniedException (HTTP 400): {message}"


def cancelled(*reasons: dict[str, Any]) -> StoreError:
    document = {"CancellationReasons": list(reasons)}
    return errors.failure("TransactWriteItems", 400, "TransactionCanceledException", "", document)


def test_a_condition_that_did_not_hold_tells_what_was_there() -> None:
    item = {"key": {"S": "a"}}
    one = errors.failure("UpdateItem", 400, "ConditionalCheckFailedException", "", {"Item": item})
    none = errors.failure("UpdateItem", 400, "ConditionalCheckFailedException", "", {})
    assert isinstance(one, ConditionNotMetError)
    assert isinstance(none, ConditionNotMetError)
    assert one.reasons == [{"Code": "ConditionalCheckFailed", "Item": item}]
    assert none.reasons == [{"Code": "ConditionalCheckFailed"}]


def test_a_transaction_tells_which_conditions_did_not_hold_whatever_else_failed() -> None:
    item = {"key": {"S": "a"}}
    failed: dict[str, Any] = {"Code": "ConditionalCheckFailed"}
    reasons = [{"Code": "TransactionConflict"}, {**failed, "Item": item}, {"Code": "None"}, failed]
    error = cancelled(*reasons)
    assert isinstance(error, ConditionNotMetError)
    assert error.reasons == reasons
    # What the part that met another transaction would have said is not known yet.
    assert error.passes
    assert not cancelled({"Code": "None"}, failed).passes


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TransactionConflict", StoreUnavailableError),
        ("ThrottlingError", StoreUnavailableError),
        ("ProvisionedThroughputExceeded", StoreUnavailableError),
        ("ValidationError", RecordRejectedError),
        ("ItemCollectionSizeLimitExceeded", RecordRejectedError),
        ("AccessDenied", StoreRefusedError),
    ],
)
def test_a_transaction_cancelled_for_another_reason_is_what_that_reason_means(code: str, kind: type[Any]) -> None:
    error = cancelled({"Code": "None"}, {"Code": code, "Message": "a secret value"})
    assert type(error) is kind
    assert "secret" not in str(error)
    assert "Item size" in str(cancelled({"Code": code, "Message": "Item size to update has exceeded"}))


def test_a_transaction_cancelled_without_reasons_is_refused() -> None:
    assert type(cancelled()) is StoreRefusedError

"""Translates AWS error responses: worth a retry, refused, or a record that can never be stored.

The texts hold error codes, and only those messages that are known to hold neither credentials nor values of items: a
signature error quotes the session token, a validation error may quote an item.
"""

from __future__ import annotations

from weaudit.errors import (
    ConditionNotMetError,
    RecordRejectedError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

THROTTLED = frozenset(
    (
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    )
)
_TRANSIENT = frozenset(
    (
        "RequestTimeout",
        "RequestTimeoutException",
        "ReplicatedWriteConflictException",
        # These go beyond botocore's standard mode: another transaction held an item, another write held an object, or
        # the body was damaged on its way.
        "TransactionConflictException",
        "ConditionalRequestConflict",
        "OperationAborted",
        "BadDigest",
        "XAmzContentSHA256Mismatch",
    )
)
# 429 and 509 are from botocore's legacy mode: throttling by something other than AWS, such as a proxy.
_TRANSIENT_STATUSES = frozenset((429, 500, 502, 503, 504, 509))
CLOCK = frozenset(
    (
        "RequestTimeTooSkewed",
        "RequestExpired",
        "RequestInTheFuture",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    )
)
_REJECTED = frozenset(
    (
        "EntityTooLarge",
        "ItemCollectionSizeLimitExceededException",
        "KeyTooLongError",
        "RequestEntityTooLarge",
        "SerializationException",
    )
)
# A ValidationException about the table and not about the record: every record would cause it.
_ABOUT_THE_TABLE = (
    "does not match the schema",
    "Missing the key",
    "ableName",
    "able name",
    "table/index name",
    "Map keys must satisfy",
)
_SAFE_MESSAGES = (
    "Item size",
    "Item collection",
    "Nesting Levels",
    "Number overflow",
    "Number underflow",
    "Attempting to store more than",
    "The provided key element",
    "Provided list of item keys",
    "One or more parameter values were invalid: Size of",
    "One or more parameter values were invalid: Aggregated size",
    "One or more parameter values were invalid: Missing the key",
    "One or more parameter values were invalid: Type mismatch",
    "One or more parameter values are not valid. The AttributeValue for a key attribute",
)
_SAFE_CODES = THROTTLED | frozenset(
    (
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationHeaderMalformed",
        "NoSuchBucket",
        "PermanentRedirect",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
    )
)
_LONGEST_MESSAGE = 400


def failure(operation: str, status: int, code: str, message: str, document: dict[str, Any] | None = None) -> StoreError:
    """Return the error for a response; StoreUnavailableError means that a retry may succeed.

    ``document`` is the response's JSON, which holds the item that failed a condition, or the reason for each part of a
    cancelled transaction.
    """
    if status == 400 and code == "ConditionalCheckFailedException":
        item = (document or {}).get("Item")
        reasons = [{"Code": _CONDITION, "Item": item} if item else {"Code": _CONDITION}]
        return ConditionNotMetError(f"{operation}: {code}", aws_code=code, status=status, reasons=reasons)
    if status == 400 and code == "TransactionCanceledException":
        return _cancelled(operation, status, code, document or {})
    text = f"{operation}: {code or 'no error code'} (HTTP {status})"
    if code in _SAFE_CODES or message.startswith(_SAFE_MESSAGES):
        text = f"{text}: {message[:_LONGEST_MESSAGE]}"
    return _kind(status, code, message)(text, aws_code=code, status=status)


# A cancelled transaction has a reason for each of its parts; see Errors at
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_CONDITION = "ConditionalCheckFailed"
_REASONS_THAT_PASS = frozenset(("ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"))
_REASONS_OF_THE_ITEM = frozenset(("ItemCollectionSizeLimitExceeded", "ValidationError"))


def _cancelled(operation: str, status: int, code: str, document: dict[str, Any]) -> StoreError:
    """Return the error for a cancelled transaction; a condition that did not hold outweighs all other reasons.

    If another part was throttled or met another transaction, ``passes`` is set: that part's condition was not
    evaluated, and may fail as well.
    """
    reasons = [reason if isinstance(reason, dict) else {} for reason in document.get("CancellationReasons") or ()]
    codes = [str(reason.get("Code", "None")) for reason in reasons]
    text = f"{operation}: {code} ({', '.join(codes) or 'no reasons'})"
    passes = not _REASONS_THAT_PASS.isdisjoint(codes)
    if _CONDITION in codes:
        unmet = ConditionNotMetError(text, aws_code=code, status=status, reasons=reasons)
        unmet.passes = passes
        return unmet
    kind: type[StoreError] = StoreRefusedError
    if passes:
        kind = StoreUnavailableError
    elif not _REASONS_OF_THE_ITEM.isdisjoint(codes):
        kind = RecordRejectedError
    messages = [str(reason.get("Message") or "") for reason in reasons]
    safe = next((message for message in messages if message.startswith(_SAFE_MESSAGES)), "")
    return kind(f"{text}: {safe[:_LONGEST_MESSAGE]}" if safe else text, aws_code=code, status=status)


def passes(status: int, code: str) -> bool:
    """Say whether the same request may succeed later, by the response's HTTP status and error code.

    Commands use this for every service; several have their own code for throttling (``KMSThrottlingException``).
    """
    return status in _TRANSIENT_STATUSES or code in THROTTLED or code in _TRANSIENT or "Throttl" in code


def withheld(code: str) -> bool:
    """Say whether a retry cannot help: access is denied, or the resource does not exist."""
    return "AccessDenied" in code or code == "ResourceNotFoundException"


def _kind(status: int, code: str, message: str) -> type[StoreError]:
    if passes(status, code):
        return StoreUnavailableError
    if status == 413 or code in _REJECTED:
        return RecordRejectedError
    if code == "ValidationException" and not any(part in message for part in _ABOUT_THE_TABLE):
        return RecordRejectedError
    return StoreRefusedError

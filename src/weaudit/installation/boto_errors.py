"""Translates the SDK's errors into ours, and says whether the same request may succeed later."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from weaudit.aws import errors
from weaudit.errors import StoreError, StoreRefusedError, StoreUnavailableError


def passes(error: BaseException) -> bool:
    """Say whether the same request may succeed later: it was throttled, the service failed or did not respond.

    For an error of boto3's transfers, the error that ended the transfer decides.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return errors.passes(int(status), str(error.response.get("Error", {}).get("Code", "")))
    if isinstance(error, Boto3Error):
        cause = error.__cause__ or error.__context__
        return cause is not None and passes(cause)
    return isinstance(error, BotoCoreError) and not isinstance(error, ParamValidationError)


def meaning(error: Exception) -> StoreError | None:
    """Return the error that the lean client would raise for one of the SDK's, or None if the call itself is wrong."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        return (StoreUnavailableError if passes(error) else StoreRefusedError)(str(error), aws_code=code)
    return StoreUnavailableError(str(error)) if isinstance(error, BotoCoreError) and passes(error) else None


@contextmanager
def translated() -> Iterator[None]:
    """Translate the SDK's errors inside the block into the lean client's. Raises StoreError."""
    try:
        yield
    except Exception as error:
        found = meaning(error)
        if found is None:
            raise
        raise found from error


def function_failed(payload: Any, text: str) -> StoreError:
    """Return the error for a function that raised or was stopped; ``payload`` is the response's document.

    It is StoreUnavailableError if the function could not reach its own stores or timed out.
    """
    document = payload if isinstance(payload, dict) else {}
    kind, message = str(document.get("errorType", "")), str(document.get("errorMessage", ""))
    # https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html: "Task timed out after 3.00 seconds".
    outage = kind in (StoreUnavailableError.__name__, "Sandbox.Timedout") or "Task timed out after" in message
    return (StoreUnavailableError if outage else StoreRefusedError)(text)

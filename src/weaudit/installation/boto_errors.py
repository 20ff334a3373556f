"""What an AWS error means to a command: whether the same request may succeed later."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from weaudit.aws import errors
from weaudit.errors import StoreError, StoreRefusedError, StoreUnavailableError


def passes(error: BaseException) -> bool:
    """Say whether the same request may succeed later: throttled, a failing service, or no answer at all.

    An error of boto3's transfers means what the error that ended the transfer means.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return errors.passes(int(status), str(error.response.get("Error", {}).get("Code", "")))
    if isinstance(error, Boto3Error):
        behind = error.__cause__ or error.__context__
        return behind is not None and passes(behind)
    return isinstance(error, BotoCoreError) and not isinstance(error, ParamValidationError)


def meaning(error: Exception) -> StoreError | None:
    """Return what an error of the SDK means as the lean client would raise it; None if it is about the call itself."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        return (StoreUnavailableError if passes(error) else StoreRefusedError)(str(error), aws_code=code)
    if isinstance(error, BotoCoreError) and not isinstance(error, ParamValidationError):
        return StoreUnavailableError(str(error))
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Raise what a service refuses or does not answer as the lean client does. Raises StoreError."""
    try:
        yield
    except Exception as error:
        found = meaning(error)
        if found is None:
            raise
        raise found from error


def function_failed(payload: Any, text: str) -> StoreError:
    """Return the error for a function that raised or was ended; ``payload`` is the document beside FunctionError.

    It is StoreUnavailableError if the function could not reach its own stores, or ran out of time.
    """
    document = payload if isinstance(payload, dict) else {}
    kind, message = str(document.get("errorType", "")), str(document.get("errorMessage", ""))
    # https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html: "Task timed out after 3.00 seconds".
    outage = kind in (StoreUnavailableError.__name__, "Sandbox.Timedout") or "Task timed out after" in message
    return (StoreUnavailableError if outage else StoreRefusedError)(text)

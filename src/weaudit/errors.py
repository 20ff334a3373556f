"""Every error that WeAudit raises, in one tree.

::

    WeauditError
    ├── MalformedEventError       an event without the shape that its service documents: it can never be processed
    ├── RequestError              returned to the caller: code, HTTP status, details (docs/contracts.md, part C)
    │   ├── InvalidInputError         400: the caller's input is wrong; the text says what would be right
    │   ├── ValidationError           400: the data cannot be stored
    │   ├── RecordNotFoundError       404: there is no such record
    │   ├── ConditionalCheckFailedError   412: the caller's condition did not hold
    │   └── DatabaseError             500: anything else
    ├── StoreError                a store did not do what the request asked for
    │   ├── StoreUnavailableError     may succeed later: throttled, 5xx, timed out, connection lost
    │   ├── StoreRefusedError         a retry does not help: access denied, missing table or bucket
    │   ├── ConditionNotMetError      a write's own condition did not hold; nothing was written
    │   └── RecordRejectedError       this record can never be stored: too large, invalid
    ├── PipelineRefusedError      the item IMAGE_PIPELINE is not a valid image pipeline: the text says where
    ├── ImageRejectedError        an object can never be processed as an image: its row has code and reason
    ├── LedgerFaultError          the ledger is not sound, or a proof does not hold
    ├── EngineError               the embedded engine could not be started, reached or stopped
    └── DeployError               a package or a stack could not be built, deployed or removed

The first line of each class's docstring is its entry in docs/errors.md.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class WeauditError(Exception):
    """Any error that WeAudit raises on purpose."""

    code = "WeauditError"


class MalformedEventError(WeauditError):
    """An event, or a record in it, does not have the shape that its AWS service documents."""

    code = "MalformedEvent"


class RequestError(WeauditError):
    """A request cannot be carried out; its caller gets ``code``, ``status`` and ``details``."""

    code = "RequestError"
    status = 500

    def __init__(self, message: str, details: "dict[str, Any] | None" = None) -> None:
        super().__init__(message)
        self.details = details or {}


class InvalidInputError(RequestError):
    """An argument or a document is missing, has the wrong type or is out of range."""

    code = "InvalidInputError"
    status = 400


class ValidationError(RequestError):
    """The data of a request cannot be stored: a name, a value, its nesting or its size exceeds a limit."""

    code = "ValidationError"
    status = 400


class RecordNotFoundError(RequestError):
    """No record has the id that a request names."""

    code = "RecordNotFoundError"
    status = 404


class ConditionalCheckFailedError(RequestError):
    """The condition of a request did not hold, so nothing was changed."""

    code = "ConditionalCheckFailed"
    status = 412


class DatabaseError(RequestError):
    """The database did not do what a request needs; the message to the caller reveals no internals."""

    code = "DatabaseError"
    status = 500


class StoreError(WeauditError):
    """A store (DynamoDB, S3) returned an error, or no response at all."""

    code = "StoreError"
    # Whether the same request may succeed in a moment.
    passes = False

    def __init__(self, message: str, *, aws_code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.aws_code = aws_code
        self.status = status
        # An earlier attempt at the same request got no response and may have been carried out.
        self.in_doubt = False


class StoreUnavailableError(StoreError):
    """A store throttled the request, failed or could not be reached; the same request may succeed later."""

    code = "StoreUnavailable"
    passes = True


class StoreRefusedError(StoreError):
    """A store refused a request, and a retry will not help: access denied, or no such table or bucket."""

    code = "StoreRefused"


class ConditionNotMetError(StoreError):
    """A condition of a write did not hold, so the request wrote nothing.

    ``reasons`` are DynamoDB's, one for each write in order: ``Code`` (``ConditionalCheckFailed``, ``None`` …) and the
    ``Item`` that failed the condition, if it existed and the request asked for it. ``passes`` says that another write
    of the transaction was throttled or met a conflict, so that write's condition was not evaluated.
    """

    code = "ConditionNotMet"

    def __init__(
        self, message: str, *, aws_code: str = "", status: int = 0, reasons: "list[dict[str, Any]] | None" = None
    ) -> None:
        super().__init__(message, aws_code=aws_code, status=status)
        self.reasons = reasons or []


class RecordRejectedError(StoreError):
    """A store can never accept this record: it is invalid, or larger than the store's limit."""

    code = "RecordRejected"


class PipelineRefusedError(WeauditError):
    """The item IMAGE_PIPELINE is not a valid image pipeline; the text says where, and what would be right."""

    code = "PipelineRefused"


class ImageRejectedError(WeauditError):
    """An object can never be processed as an image; its row has ``code`` (docs/images.md) and ``reason``."""

    code = "ImageRejected"

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class LedgerFaultError(WeauditError):
    """The ledger is not what its format says or does not prove what it should, or a receipt does not hold."""

    code = "LedgerFault"


class EngineError(WeauditError):
    """The embedded engine could not be started, reached or stopped."""

    code = "EngineError"


class DeployError(WeauditError):
    """A function could not be packaged, or a stack could not be deployed or removed."""

    code = "DeployError"

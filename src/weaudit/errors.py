"""Every error that WeAudit raises, in one tree.

::

    WeauditError
    ├── MalformedEventError       an event that is not what its service documents: it can never be processed
    ├── InvalidInputError         what the caller gave is wrong: the text says what would be right
    ├── StoreError                a store did not do what was asked
    │   ├── StoreUnavailableError     it may pass later: throttled, 5xx, timed out, connection lost
    │   ├── StoreRefusedError         refused as it stands: permissions, missing table or bucket
    │   ├── ConditionNotMetError      a write's own condition did not hold; nothing was written
    │   └── RecordRejectedError       this very record can never be stored: too large, invalid
    ├── EngineError               the embedded engine does not run, start or stop as asked
    └── DeployError               a package or a stack could not be built, deployed or removed

The first line of each class's docstring is its entry in docs/errors.md.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from typing import Any


class WeauditError(Exception):
    """Any error that WeAudit raises on purpose."""

    code = "WeauditError"


class MalformedEventError(WeauditError):
    """An event, or a record in it, does not have the shape that its AWS service documents."""

    code = "MalformedEvent"


class InvalidInputError(WeauditError):
    """An argument or a document is missing, wrongly typed or out of range."""

    code = "InvalidInputError"


class StoreError(WeauditError):
    """A store (DynamoDB, S3) answered with an error, or not at all."""

    code = "StoreError"

    def __init__(self, message: str, *, aws_code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.aws_code = aws_code
        self.status = status
        # An earlier attempt at the same request got no answer: it may have been carried out.
        self.in_doubt = False


class StoreUnavailableError(StoreError):
    """A store was throttled, failing or out of reach; the same request may succeed later."""

    code = "StoreUnavailable"


class StoreRefusedError(StoreError):
    """A store refused a request as it stands: no permission, or no such table or bucket."""

    code = "StoreRefused"


class ConditionNotMetError(StoreError):
    """A condition of a write did not hold, so nothing of the request was written.

    ``failed`` has the position of each write whose condition did not hold, and the item that was there instead (None
    where there was none, or where the request did not ask for it).
    """

    code = "ConditionNotMet"

    def __init__(
        self, message: str, *, aws_code: str = "", status: int = 0, failed: "dict[int, Any] | None" = None
    ) -> None:
        super().__init__(message, aws_code=aws_code, status=status)
        self.failed = failed or {}


class RecordRejectedError(StoreError):
    """A store can never accept this record: it is invalid, or larger than the store's limit."""

    code = "RecordRejected"


class EngineError(WeauditError):
    """The embedded engine could not be started, reached or stopped."""

    code = "EngineError"


class DeployError(WeauditError):
    """A function could not be packaged, or a stack could not be deployed or removed."""

    code = "DeployError"

"""boto3 as the adapters of functions see DynamoDB: an operation and its DynamoDB JSON in, DynamoDB JSON out."""

from collections.abc import Callable
from typing import Any

from weaudit.adapters import aws_errors
from weaudit.deploy.targets import unwire, wire

Call = Callable[[str, dict[str, Any]], dict[str, Any]]
_CONDITIONS = ("ConditionalCheckFailedException", "TransactionCanceledException")


def calls(dynamodb: Any) -> Call:
    """Return a function that sends operations by a boto3 client of DynamoDB, binary being base64 text.

    A condition that did not hold is ConditionNotMetError, as adapters.aws has it; other errors are boto3's.
    """

    def call(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        from botocore import xform_name
        from botocore.exceptions import ClientError

        try:
            answer: dict[str, Any] = wire(getattr(dynamodb, xform_name(operation))(**unwire(body)))
        except ClientError as error:
            code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code not in _CONDITIONS:
                raise
            raise aws_errors.failure(operation, status, code, "", wire(error.response)) from error
        return answer

    return call

"""boto3 as the stores of functions see DynamoDB and S3.

Of DynamoDB that is an operation and its DynamoDB JSON in, DynamoDB JSON out; of S3, objects with their headers.
"""

from collections.abc import Callable
from typing import Any

from weaudit.aws import errors
from weaudit.aws.transport import Answer
from weaudit.installation.targets import unwire, wire

Call = Callable[[str, dict[str, Any]], dict[str, Any]]
_CONDITIONS = ("ConditionalCheckFailedException", "TransactionCanceledException")


def calls(dynamodb: Any) -> Call:
    """Return a function that sends operations by a boto3 client of DynamoDB, binary being base64 text.

    A condition that did not hold is ConditionNotMetError, as aws.client has it; other errors are boto3's.
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
            raise errors.failure(operation, status, code, "", wire(error.response)) from error
        return answer

    return call


class Objects:
    """Reads objects by a boto3 client of S3, as aws.client.S3 does; raises StoreError as that does."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def read_object(self, bucket: str, key: str, *, etag: str = "", span: str = "") -> Answer:
        """Return the answer to GetObject."""
        asked = {"Bucket": bucket, "Key": key}
        if etag:
            asked["IfMatch"] = f'"{etag}"'
        if span:
            asked["Range"] = f"bytes={span}"
        return self._answer("GetObject", self._s3.get_object, asked)

    def head_object(self, bucket: str, key: str) -> Answer:
        """Return the answer to HeadObject."""
        return self._answer("HeadObject", self._s3.head_object, {"Bucket": bucket, "Key": key})

    def _answer(self, operation: str, call: Callable[..., Any], asked: dict[str, str]) -> Answer:
        from botocore.exceptions import ClientError

        try:
            answer = call(**asked)
            body = answer["Body"].read() if "Body" in answer else b""
        except ClientError as error:
            told, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise errors.failure(operation, status, told["Code"], told.get("Message", "")) from error
        answered = answer["ResponseMetadata"]
        return Answer(answered["HTTPStatusCode"], answered["HTTPHeaders"], body)

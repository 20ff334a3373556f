"""The quarantine: records that could not be audited, the reason, and a second try."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.evidence import QUARANTINE
from weaudit.installation import boto_errors, payloads
from weaudit.installation.readers import archived

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation

# Where Lambda itself leaves an event that it gave up on: the failure destination of the event source mapping.
# https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
UNDELIVERED = "aws/lambda/"
_PREFIXES = (QUARANTINE, UNDELIVERED)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a replayed entry: how many of its records are still quarantined.

    ``too_large`` holds the size, in bytes of JSON, of each of them that is too large for a call.
    """

    entry_id: str
    still: int
    too_large: tuple[int, ...] = ()


class Quarantine:
    """The quarantine in the evidence bucket, and the functions that process its records again."""

    def __init__(self, installation: "Installation") -> None:
        self._s3 = installation.target.client("s3")
        self._lambda = installation.target.client("lambda", payloads.LONGEST_CALL_S)
        self._bucket = installation.evidence_bucket
        self._functions = {
            "audit_producer": installation.audit_producer,
            "s3_processor": installation.outputs["LambdaFunctionAliasArn"],
            "image_processor": installation.outputs["ImageProcessorAliasArn"],
        }

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield id, size and time of each entry, prefix by prefix, in the order of S3's listing."""
        for prefix in _PREFIXES:
            for found in self._listed(prefix):
                yield {"id": found["Key"], "bytes": found["Size"], "kept_at": found["LastModified"].isoformat()}

    def _listed(self, prefix: str) -> Iterator[dict[str, Any]]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            yield from page.get("Contents", [])

    def read(self, entry_id: str) -> dict[str, Any]:
        """Return the document of an entry. Raises InvalidInputError if no entry has this id."""
        if not entry_id.startswith(_PREFIXES):
            raise InvalidInputError(
                f"{entry_id!r} is not the id of a quarantined record\n`weaudit quarantine` lists them."
            )
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=entry_id)["Body"].read()
        except self._s3.exceptions.NoSuchKey as error:
            raise InvalidInputError(
                f"nothing is quarantined under {entry_id!r}\n`weaudit quarantine` lists what is."
            ) from error
        except self._s3.exceptions.InvalidObjectState as error:
            raise archived(self._bucket, entry_id) from error
        return dict(json.loads(body))

    def why(self, entry_id: str) -> dict[str, str]:
        """Return code and reason of an entry. Raises InvalidInputError if no entry has this id."""
        try:
            entry = self.read(entry_id)
        except StoreRefusedError as error:
            if error.aws_code != "InvalidObjectState":
                raise
            return {"code": "Archived", "reason": str(error).partition("\n")[0]}
        if "record" in entry:
            return {"code": str(entry.get("code", "")), "reason": str(entry.get("reason", ""))}
        condition = entry.get("requestContext", {}).get("condition", "")
        return {"code": "Undelivered", "reason": f"Lambda gave up on the event ({condition or 'no reason given'})"}

    def has(self, entry_id: str) -> bool:
        """Return whether there is an entry of that id."""
        return any(found["Key"] == entry_id for found in self._listed(entry_id))

    def replay(self, entry_id: str) -> Replayed:
        """Send an entry's records to their function again, and remove the entry if none of them failed.

        A record that fails again is kept under the same id, so the entry is removed only if none failed. After a crash
        between the two, the records are replayed once more: their ids are derived, so nothing doubles. A record that is
        too large for a call stays in the entry, and the others are replayed.
        """
        entry = self.read(entry_id)
        records = _records(entry)
        # An entry that Lambda itself kept is a batch of a stream.
        function = str(entry.get("function", "audit_producer")) if "record" in entry else "audit_producer"
        calls, too_large = payloads.of_records(records)
        still = sum(self._quarantined_again(function, payload) for payload in calls)
        if not too_large and (not still or entry_id.startswith(UNDELIVERED)):
            self._s3.delete_object(Bucket=self._bucket, Key=entry_id)
        return Replayed(entry_id, still + len(too_large), tuple(too_large))

    def _quarantined_again(self, function: str, payload: bytes) -> int:
        """Send records to their function; return how many it quarantined again."""
        if function not in self._functions:
            raise InvalidInputError(f"this entry was kept by {function!r}, which is not a function that can replay it")
        answer = self._lambda.invoke(FunctionName=self._functions[function], Payload=payload)
        said = json.loads(answer["Payload"].read() or b"{}")
        if answer.get("FunctionError"):
            raise boto_errors.function_failed(
                said,
                f"{function} could not take the records: {said.get('errorMessage', 'no reason given')}\n"
                f"Nothing was removed. `weaudit logs {function}` shows more.",
            )
        return _quarantined(said)


def _quarantined(said: dict[str, Any]) -> int:
    """Return how many records a function quarantined again, from its response."""
    if "images" in said:
        return sum(image["outcome"] == "quarantined" for image in said["images"])
    if "statusCode" in said:
        return len(json.loads(said["body"])["failed"])
    return int(said["quarantined"])


def _records(entry: dict[str, Any]) -> list[Any]:
    if "record" in entry:
        return [entry["record"]]
    payload = entry.get("payload")
    event = json.loads(payload) if isinstance(payload, str) else payload
    if not isinstance(event, dict) or not isinstance(event.get("Records"), list):
        raise InvalidInputError("this entry holds no records: Lambda kept no payload with it")
    return list(event["Records"])

"""Events that failed for good or were never delivered: where they wait, what they are for, and a second try."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.installation import payloads
from weaudit.installation.repairs.quarantine import UNDELIVERED, Quarantine, Replayed
from weaudit.items.times import iso_time

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation

# The receiver of a GuardDuty finding.
_TOPIC = "the topic of alarms"
# The visibility timeout of a message while it is shown or handled: longer than any function runs.
_HIDDEN_S = 180
_A_CALL = 10
# The attribute of a message that SQS itself moved here from another queue.
_MOVED_FROM = "DeadLetterQueueSourceArn"


@dataclass(frozen=True, slots=True)
class Retried:
    """The outcome of a retry: why the event was not handled, or ""; and the quarantined entry that it replayed."""

    why: str = ""
    replayed: Replayed | None = None


class FailedEvents:
    """The dead-letter queues of failed and undelivered events, and the receivers of each event."""

    def __init__(self, installation: "Installation") -> None:
        self._installation = installation
        self._sqs = installation.target.client("sqs")
        self._sns = installation.target.client("sns")
        self._lambda = installation.target.client("lambda", payloads.LONGEST_CALL_S)
        outputs = installation.outputs
        # A stack of an earlier version has only the first.
        self._queues = [outputs[name] for name in ("FailedEventsQueueUrl", "UndeliveredQueueUrl") if name in outputs]
        self._topic = outputs["AlarmsTopicArn"]
        self._aliases = {
            "s3_processor": outputs["LambdaFunctionAliasArn"],
            "image_processor": outputs["ImageProcessorAliasArn"],
        }

    def take(self, limit: int) -> Iterator[dict[str, Any]]:
        """Yield up to ``limit`` events, hidden from other readers for three minutes: retry each or give it back."""
        for queue in self._queues:
            for event in self._of(queue, limit):
                yield event
                limit -= 1

    def _of(self, queue: str, limit: int) -> Iterator[dict[str, Any]]:
        for number in range(limit):
            if number % _A_CALL == 0:
                found = self._sqs.receive_message(
                    QueueUrl=queue,
                    MaxNumberOfMessages=min(_A_CALL, limit - number),
                    VisibilityTimeout=_HIDDEN_S,
                    WaitTimeSeconds=1,
                    MessageSystemAttributeNames=["SentTimestamp", _MOVED_FROM],
                    MessageAttributeNames=["ERROR_MESSAGE"],
                ).get("Messages", [])
            if number % _A_CALL >= len(found):
                return
            yield {**event_of(found[number % _A_CALL], self._installation.evidence_bucket), "queue": queue}

    def give_back(self, event: dict[str, Any]) -> None:
        """Make the event visible to other readers at once."""
        self._sqs.change_message_visibility(
            QueueUrl=event["queue"], ReceiptHandle=event["receipt"], VisibilityTimeout=0
        )

    def retry(self, event: dict[str, Any]) -> Retried:
        """Send the event to its receiver; remove it if it was handled, else give it back.

        After a crash between the two it is sent once more: functions write under derived ids, so nothing doubles. (A
        finding may be announced twice.)
        """
        payload = event["payload"]
        if event["function"] == _TOPIC:
            retried = self._announce(payload)
        elif event["function"] == "audit_producer":
            retried = self._replay(payload["detail"]["object"]["key"])
        elif event["function"] in self._aliases:
            retried = self._invoke(event["function"], payload)
        else:
            retried = Retried("none of our functions handles this event")
        if retried.why:
            self.give_back(event)
        else:
            self._sqs.delete_message(QueueUrl=event["queue"], ReceiptHandle=event["receipt"])
        return retried

    def _invoke(self, function: str, payload: Any) -> Retried:
        answer = self._lambda.invoke(FunctionName=self._aliases[function], Payload=payloads.payload(payload))
        if not answer.get("FunctionError"):
            return Retried()
        return Retried(str(json.loads(answer["Payload"].read() or b"{}").get("errorMessage") or "it failed"))

    def _replay(self, entry_id: str) -> Retried:
        quarantine = Quarantine(self._installation)
        if not quarantine.has(entry_id):  # it has been replayed before
            return Retried()
        try:
            replayed = quarantine.replay(entry_id)
        except (InvalidInputError, StoreRefusedError) as error:
            return Retried(str(error).partition("\n")[0])
        return Retried("it holds a record that is too large for a call" if replayed.too_large else "", replayed)

    def _announce(self, payload: Any) -> Retried:
        found = payload["detail"]
        text = f"GuardDuty has a finding of severity {found.get('severity')}, reported late: {found.get('type')}."
        text += f" What to do: read finding {found.get('id')} in GuardDuty's console."
        self._sns.publish(TopicArn=self._topic, Message=text)
        return Retried()


def event_of(message: dict[str, Any], evidence_bucket: str) -> dict[str, Any]:
    """Return the event of a message, the function it is for, and the last error if the message holds it.

    Lambda's failure destination wraps the event together with the last try's response. A message from the image queue
    or from EventBridge is EventBridge's own event; if EventBridge could not deliver it, an attribute holds the error.
    Sources: lambda/latest/dg/invocation-async-retain-records.html and eventbridge/latest/userguide/eb-rule-dlq.html.

    A message is sent when its event is given up. Only one that SQS moved here after the last try keeps the time of its
    first sending, and nothing says when it was moved
    (AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html).
    """
    try:
        body = json.loads(message["Body"])
    except (ValueError, RecursionError):  # no JSON, or nested deeper than Python reads
        body = None
    function, payload, error = "?", body, ""
    attributes = message["Attributes"]
    if isinstance(body, dict) and "requestPayload" in body:
        function, payload = "s3_processor", body["requestPayload"]
        answered = body.get("responsePayload")
        error = str(answered.get("errorMessage", "")) if isinstance(answered, dict) else ""
    elif isinstance(body, dict) and isinstance(body.get("detail"), dict):
        function, (bucket, key) = "image_processor", _object(body["detail"])
        error = message.get("MessageAttributes", {}).get("ERROR_MESSAGE", {}).get("StringValue", "")
        if body.get("source") == "aws.guardduty":
            function = _TOPIC
        elif bucket == evidence_bucket and key.startswith(UNDELIVERED):
            function, error = "audit_producer", f"Lambda gave up on the records in {key}"
    return {
        "id": message["MessageId"],
        "receipt": message["ReceiptHandle"],
        "function": function,
        "payload": payload,
        "error": error or "unknown: see the function's log",
        "happened_at": _time(payload),
        "given_up_at": None if _MOVED_FROM in attributes else iso_time(int(attributes["SentTimestamp"])),
    }


def _object(detail: dict[str, Any]) -> tuple[str, str]:
    """Return bucket and key of an event about an object; each is "" if it names none."""
    bucket, found = detail.get("bucket"), detail.get("object")
    return (
        str(bucket.get("name", "")) if isinstance(bucket, dict) else "",
        str(found.get("key", "")) if isinstance(found, dict) else "",
    )


def _time(event: Any) -> str | None:
    """Return the time that an S3 event states, from EventBridge or from a notification."""
    if not isinstance(event, dict):
        return None
    records = event.get("Records")
    first = records[0] if isinstance(records, list) and records and isinstance(records[0], dict) else {}
    found = event.get("time") or first.get("eventTime")
    return found if isinstance(found, str) else None

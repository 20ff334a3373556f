"""`weaudit failed-events`: events that failed for good or were never delivered, and how to retry them."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import output, panels
from weaudit.cli.quarantine import say_too_large
from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.installation import payloads
from weaudit.installation.repairs.quarantine import UNDELIVERED, Quarantine

# The receiver of a GuardDuty finding.
_TOPIC = "the topic of alarms"
# The visibility timeout of a message while it is shown or handled: longer than any function runs.
_HIDDEN_S = 180
_A_CALL = 10
# The attribute of a message that SQS itself moved here from another queue.
_MOVED_FROM = "DeadLetterQueueSourceArn"
_SHOWN = ("id", "function", "error", "happened_at", "given_up_at")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("failed-events", rich_help_panel=panels.OPERATIONS)(failed_events)


class FailedEvents:
    """The dead-letter queues of failed and undelivered events, and the receivers of each event."""

    def __init__(self) -> None:
        from weaudit.installation.outputs import Installation

        installation = Installation.find()
        self._quarantine = Quarantine(installation)
        self._sqs = installation.target.client("sqs")
        self._sns = installation.target.client("sns")
        self._lambda = installation.target.client("lambda", payloads.LONGEST_CALL_S)
        outputs = installation.outputs
        # A stack of an earlier version has only the first.
        self._queues = [outputs[name] for name in ("FailedEventsQueueUrl", "UndeliveredQueueUrl") if name in outputs]
        self._topic = outputs["AlarmsTopicArn"]
        self._evidence = installation.evidence_bucket
        self._aliases = {
            "s3_processor": installation.outputs["LambdaFunctionAliasArn"],
            "image_processor": installation.outputs["ImageProcessorAliasArn"],
        }

    def take(self, limit: int) -> Iterator[dict[str, Any]]:
        """Yield up to ``limit`` events, hidden from other readers for three minutes: handle each or give it back."""
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
            yield {**_read(found[number % _A_CALL], self._evidence), "queue": queue}

    def give_back(self, event: dict[str, Any]) -> None:
        """Make the event visible to other readers at once."""
        self._sqs.change_message_visibility(
            QueueUrl=event["queue"], ReceiptHandle=event["receipt"], VisibilityTimeout=0
        )

    def retry(self, event: dict[str, Any]) -> str:
        """Send the event to its receiver and remove it once it was handled; return why it was not, or "".

        After a crash between the two it is sent once more: functions write under derived ids, so nothing doubles. (A
        finding may be announced twice.)
        """
        payload = event["payload"]
        if event["function"] == _TOPIC:
            why = self._announce(payload)
        elif event["function"] == "audit_producer":
            why = self._replay(payload["detail"]["object"]["key"])
        elif event["function"] in self._aliases:
            why = self._invoke(event["function"], payload)
        else:
            why = "none of our functions handles this event"
        if not why:
            self._sqs.delete_message(QueueUrl=event["queue"], ReceiptHandle=event["receipt"])
        return why

    def _invoke(self, function: str, payload: Any) -> str:
        answer = self._lambda.invoke(FunctionName=self._aliases[function], Payload=payloads.payload(payload))
        if not answer.get("FunctionError"):
            return ""
        return str(json.loads(answer["Payload"].read() or b"{}").get("errorMessage") or "it failed")

    def _replay(self, key: str) -> str:
        if not self._quarantine.has(key):  # `weaudit quarantine replay` has replayed it
            return ""
        try:
            replayed = self._quarantine.replay(key)
        except (InvalidInputError, StoreRefusedError) as error:
            return str(error).partition("\n")[0]
        say_too_large(key, replayed)
        return "it holds a record that is too large for a call" if replayed.too_large else ""

    def _announce(self, payload: Any) -> str:
        found = payload["detail"]
        text = f"GuardDuty has a finding of severity {found.get('severity')}, reported late: {found.get('type')}."
        text += f" What to do: read finding {found.get('id')} in GuardDuty's console."
        self._sns.publish(TopicArn=self._topic, Message=text)
        return ""


def failed_events(
    retry: Annotated[bool, typer.Option("--retry", help="Send each event to its function again.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Take at most this many events.")] = 100,
    as_json: JsonDocumentOption = False,
) -> None:
    """List events that failed for good or were not delivered, or retry them. Exit code 1 if any remain.

    Example: weaudit failed-events --retry
    """
    events = FailedEvents()
    shown, left = [], 0
    taken = list(events.take(limit))
    for number, event in enumerate(taken, 1):
        why = events.retry(event) if retry else ""
        left += bool(why) or not retry
        if why or not retry:
            events.give_back(event)
        if retry:
            said = output.safe(f"failed again: {why}") if why else "is handled"
            output.note(f"{number} of {len(taken)}: {event['id']} {said}")
        row = {key: event[key] for key in _SHOWN}
        shown.append({**row, "why": why} if why else row)
    if as_json:
        output.print_json({"events": shown, "left": left})
    elif not shown:
        output.print_text("There are no failed events: every delivered event was handled.")
    elif retry:
        output.print_text(f"{len(shown) - left} handled, {left} left in the queue.")
    else:
        rows = ([str(row[name] or "unknown") for name in _SHOWN] for row in shown)
        output.print_table(output.table(("id", "function", "error", "happened at", "given up at"), rows))
        output.note("Once the cause is fixed, `weaudit failed-events --retry` tries them again.")
    raise typer.Exit(output.EXIT_FAILED if left else output.EXIT_FINE)


def _read(message: dict[str, Any], evidence: str) -> dict[str, Any]:
    """Return the event of a message, the function it is for, and the last error if the message holds it.

    Lambda's failure destination wraps the event together with the last try's response. A message from the image queue
    or from EventBridge is EventBridge's own event; if EventBridge could not deliver it, an attribute holds the error.
    Sources: lambda/latest/dg/invocation-async-retain-records.html and eventbridge/latest/userguide/eb-rule-dlq.html.

    A message is sent when its event is given up. Only one that SQS moved here after the last try keeps the time of its
    first sending, and nothing says when it was moved
    (AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html).
    """
    from weaudit.items.times import iso_time

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
        elif bucket == evidence and key.startswith(UNDELIVERED):
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

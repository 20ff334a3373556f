"""`weaudit failed-events`: events that were tried as often as they ever will be, and a second try after the fix."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from weaudit.cli import output, panels
from weaudit.cli.options import JsonDocumentOption

# Nobody else sees a message for so long while one is looked at, or handled: longer than any of the functions takes.
_HIDDEN_S = 180
_A_CALL = 10
# What a message has that SQS itself moved here from another queue.
_MOVED_FROM = "DeadLetterQueueSourceArn"
_SHOWN = ("id", "function", "error", "happened_at", "given_up_at")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("failed-events", rich_help_panel=panels.OPERATIONS)(failed_events)


class FailedEvents:
    """The queue of failed events, and the functions that take them again."""

    def __init__(self) -> None:
        from weaudit.deploy.installation import Installation

        installation = Installation.find()
        self._sqs = installation.target.client("sqs")
        self._lambda = installation.target.client("lambda")
        self._queue = installation.outputs["FailedEventsQueueUrl"]
        self._aliases = {
            "s3_processor": installation.outputs["LambdaFunctionAliasArn"],
            "image_processor": installation.outputs["ImageProcessorAliasArn"],
        }

    def take(self, limit: int) -> Iterator[dict[str, Any]]:
        """Yield up to ``limit`` events, which nobody else sees for three minutes: handle or give back each."""
        for number in range(limit):
            if number % _A_CALL == 0:
                found = self._sqs.receive_message(
                    QueueUrl=self._queue,
                    MaxNumberOfMessages=min(_A_CALL, limit - number),
                    VisibilityTimeout=_HIDDEN_S,
                    WaitTimeSeconds=1,
                    MessageSystemAttributeNames=["SentTimestamp", _MOVED_FROM],
                ).get("Messages", [])
            if number % _A_CALL >= len(found):
                return
            yield _read(found[number % _A_CALL])

    def give_back(self, event: dict[str, Any]) -> None:
        """Let others see it again at once."""
        self._sqs.change_message_visibility(QueueUrl=self._queue, ReceiptHandle=event["receipt"], VisibilityTimeout=0)

    def retry(self, event: dict[str, Any]) -> str:
        """Hand the event to its function and remove it once it was taken; return why it was not, or "".

        Stopped between the two, it is handed over once more: what functions write is derived, nothing doubles.
        """
        if event["function"] not in self._aliases:
            return "it is no event of a function of ours"
        payload = json.dumps(event["payload"]).encode()
        answer = self._lambda.invoke(FunctionName=self._aliases[event["function"]], Payload=payload)
        if answer.get("FunctionError"):
            return str(json.loads(answer["Payload"].read() or b"{}").get("errorMessage") or "it failed")
        self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=event["receipt"])
        return ""


def failed_events(
    retry: Annotated[bool, typer.Option("--retry", help="Hand each to its function again.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: JsonDocumentOption = False,
) -> None:
    """List events that were tried and given up, or try them again. Exit code 1 where there are any, or any is left.

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
        output.print_text("There are no failed events: whatever was delivered was handled.")
    elif retry:
        output.print_text(f"{len(shown) - left} handled, {left} left in the queue.")
    else:
        rows = ([str(row[name] or "not told") for name in _SHOWN] for row in shown)
        output.stdout().print(output.table(("id", "function", "error", "happened at", "given up at"), rows))
        output.note("`weaudit failed-events --retry` tries them again, after what stopped them was mended.")
    raise typer.Exit(output.EXIT_FAILED if left else output.EXIT_FINE)


def _read(message: dict[str, Any]) -> dict[str, Any]:
    """Return whose event a message holds, and the last error where Lambda tells it.

    Lambda's failure destination wraps the event, with the answer of the last try; what came by the queue of images is
    the event of EventBridge itself. Source: lambda/latest/dg/invocation-async-retain-records.html.

    A message was sent when its event was given up, but for one that SQS moved here after the last try: that keeps the
    time of its first sending, and nothing says when it was moved
    (AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html).
    """
    from weaudit.domain.times import iso_time

    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = None
    function, payload, error = "?", body, ""
    told = message["Attributes"]
    if isinstance(body, dict) and "requestPayload" in body:
        function, payload = "s3_processor", body["requestPayload"]
        answered = body.get("responsePayload")
        error = str(answered.get("errorMessage", "")) if isinstance(answered, dict) else ""
    elif isinstance(body, dict) and "detail" in body:
        function = "image_processor"
    return {
        "id": message["MessageId"],
        "receipt": message["ReceiptHandle"],
        "function": function,
        "payload": payload,
        "error": error or "not told: see the function's log",
        "happened_at": _time(payload),
        "given_up_at": None if _MOVED_FROM in told else iso_time(int(told["SentTimestamp"])),
    }


def _time(event: Any) -> str | None:
    """Return when an event of S3 happened, as it says itself, by EventBridge or by a notification."""
    if not isinstance(event, dict):
        return None
    records = event.get("Records")
    first = records[0] if isinstance(records, list) and records and isinstance(records[0], dict) else {}
    found = event.get("time") or first.get("eventTime")
    return found if isinstance(found, str) else None

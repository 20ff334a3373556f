"""The alarms of the template: one table, from which `make docs` writes them into infra/template.yaml.

Every function has four; the others are in ``_OTHERS``. docs/operating.md has a section for each kind.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from weaudit.functions import FUNCTIONS

TEMPLATE = Path(__file__).with_name("template.yaml")
BEGIN, END = "  # ---- Alarms: audit_producer\n", "  # ---- What the quarantine's alarm counts\n"

_API = (("ApiId", "!Ref Api"), ("Stage", "$default"))


@dataclasses.dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: ``what`` has happened, what ``to_do``, and the section of docs/operating.md with ``more``.

    ``dimensions`` and ``threshold`` are YAML. ``calls`` makes it the rate of ``metric`` to this metric, in percent,
    which ``label`` describes. ``points`` of ``periods`` in a row have to compare so with the threshold.
    """

    logical: str
    name: str
    what: str
    to_do: str
    more: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    threshold: str = "0"
    period_s: int = 60
    periods: int = 5
    points: int = 3
    missing: str = "notBreaching"
    comparison: str = "GreaterThanThreshold"
    calls: str = ""
    label: str = ""
    condition: str = ""
    comment: str = ""

    def text(self) -> str:
        """Return the resource as YAML."""
        lines = [
            *([self.comment] if self.comment else []),
            f"  {self.logical}:",
            "    Type: AWS::CloudWatch::Alarm",
            *([f"    Condition: {self.condition}"] if self.condition else []),
            "    Properties:",
            f"      AlarmName: !Sub ${{Prefix}}weaudit-${{EnvironmentSuffix}}-{self.name}",
            "      AlarmDescription: !Sub >-",
            f"        {self.what}",
            f"        What to do: {self.to_do}",
            f"        More: ${{OperatingPage}}#{self.more}",
            *(self._rate() if self.calls else self._metric()),
            f"      ComparisonOperator: {self.comparison}",
            f"      Threshold: {self.threshold}",
            f"      EvaluationPeriods: {self.periods}",
            f"      DatapointsToAlarm: {self.points}",
            f"      TreatMissingData: {self.missing}",
            "      AlarmActions: [!Ref AlarmsTopic]",
            "      OKActions: [!Ref AlarmsTopic]",
        ]
        return "\n".join(lines) + "\n"

    def _dimensions(self, indent: str) -> list[str]:
        return [f"{indent}- {{Name: {name}, Value: {value}}}" for name, value in self.dimensions]

    def _metric(self) -> list[str]:
        return [
            f"      Namespace: {self.namespace}",
            f"      MetricName: {self.metric}",
            *(["      Dimensions:", *self._dimensions(" " * 8)] if self.dimensions else []),
            f"      Statistic: {self.statistic}",
            f"      Period: {self.period_s}",
        ]

    def _rate(self) -> list[str]:
        lines = [
            "      Metrics:",
            "        - Id: rate",
            f"          Label: {self.label}",
            "          Expression: IF(calls > 0, 100 * failed / calls, 0)",
            "          ReturnData: true",
        ]
        for name, metric in (("failed", self.metric), ("calls", self.calls)):
            lines += [
                f"        - Id: {name}",
                "          ReturnData: false",
                "          MetricStat:",
                f"            Period: {self.period_s}",
                f"            Stat: {self.statistic}",
                "            Metric:",
                f"              Namespace: {self.namespace}",
                f"              MetricName: {metric}",
                "              Dimensions:",
                *self._dimensions(" " * 16),
            ]
        return lines


# What it means that a function fails.
_FAILING = {
    "audit_producer": "Changes are not becoming records. Nothing is lost yet - the batch comes again, and the stream "
    "keeps it for 24 hours.",
    "table_update": "Updates crash or time out. Their callers get an error, and may have to ask whether the update was "
    "made.",
    "s3_processor": "Objects that land are not logged. Lambda tries each event three times, then it waits in the queue "
    "of failed events.",
    "image_processor": "Images are not processed. They wait in the queue and are tried ten times, then they are in the "
    "queue of failed events.",
    "ledger_sealer": "The ledger is not sealed. Nothing is lost yet - the next minute tries again, and the streams "
    "keep it for 24 hours.",
    "list_objects": "GET /v1/objects crashes or times out.",
    "read_trail": "Reading the trail over the API crashes or times out. The trail itself goes on being written.",
    "read_images": "GET /v1/images crashes or times out.",
    "health": "GET /v1/health crashes or times out.",
}
# Above so many milliseconds a call is slow: what people read, and the threshold.
_SLOW = {
    "image_processor": ("${ImageDurationAlarmMs} ms", "!Ref ImageDurationAlarmMs"),
    "ledger_sealer": ("half a minute", "30000"),
}
_A_SECOND = ("a second", "1000")


def _logical(name: str) -> str:
    """Return the logical id of a function in the template: ``AuditProducer`` for ``audit_producer``."""
    return "".join(part.capitalize() for part in name.split("_"))


def of_function(name: str) -> Iterator[Alarm]:
    """Yield the four alarms that every function has."""
    logical = _logical(name)
    called, dimensions = f"${{{logical}}}", (("FunctionName", f"!Ref {logical}"),)
    slow, slow_ms = _SLOW.get(name, _A_SECOND)
    yield Alarm(
        f"{logical}ErrorsAlarm",
        f"{name}-errors",
        f"More than 1 % of the calls of {called} have failed, in three of the last five minutes. {_FAILING[name]}",
        f"read what it logged (weaudit logs {name}), and roll back if it began with a release (weaudit rollback).",
        "errors",
        "AWS/Lambda",
        "Errors",
        dimensions,
        "Sum",
        "1",
        calls="Invocations",
        label="failed calls, percent",
    )
    yield Alarm(
        f"{logical}DurationAlarm",
        f"{name}-duration",
        f"{called} took longer than {slow} on average, in three of the last five minutes. What waits for it waits "
        "longer.",
        "see in the dashboard whether there are more calls or each is slower, and in X-Ray which service is slow.",
        "duration",
        "AWS/Lambda",
        "Duration",
        dimensions,
        "Average",
        slow_ms,
    )
    yield Alarm(
        f"{logical}ThrottlesAlarm",
        f"{name}-throttles",
        f"Lambda refused calls of {called} for want of concurrency, in three of the last five minutes. Streams and "
        "queues try again; callers of the API get errors.",
        "see which function uses the account's concurrency, then limit that one or have the account's quota raised.",
        "throttles",
        "AWS/Lambda",
        "Throttles",
        dimensions,
        "Sum",
    )
    yield Alarm(
        f"{logical}ConcurrencyAlarm",
        f"{name}-concurrency",
        f"More than 100 calls of {called} ran at one time, in three of the last five minutes. It may take the "
        "concurrency of all else in the account.",
        "see what sends so much, and whether calls have become slow; then limit what sends, or have the account's "
        "quota raised.",
        "concurrency",
        "AWS/Lambda",
        "ConcurrentExecutions",
        dimensions,
        "Maximum",
        "100",
    )


def _queue(logical: str, name: str, queue: str, what: str, more: str, comment: str) -> Alarm:
    """Return the alarm of a queue that holds what was given up: it rings until the queue is empty."""
    return Alarm(
        logical,
        name,
        what,
        "see which and why (weaudit failed-events), mend the cause, and send them again with --retry.",
        more,
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        (("QueueName", f"!GetAtt {queue}.QueueName"),),
        "Maximum",
        periods=1,
        points=1,
        missing="ignore",
        comment=comment,
    )


def _first(
    logical: str, name: str, what: str, to_do: str, more: str,
    namespace: str, metric: str, dimensions: tuple[tuple[str, str], ...], condition: str = "", comment: str = "",
) -> Alarm:  # fmt: skip
    """Return an alarm that rings at the first event, and goes on for an hour, so that it is seen."""
    return Alarm(
        logical,
        name,
        what,
        to_do,
        more,
        namespace,
        metric,
        dimensions,
        "Sum",
        period_s=300,
        periods=12,
        points=1,
        condition=condition,
        comment=comment,
    )


def _lost(name: str, what: str, to_do: str) -> Alarm:
    logical = _logical(name)
    metric = ("AWS/Lambda", "DestinationDeliveryFailures", (("FunctionName", f"!Ref {logical}"),))
    return _first(f"{logical}LostAlarm", f"{name}-lost", what, to_do, "lost-events", *metric)


def _rule(rule: str, name: str, what: str, to_do: str, condition: str = "") -> Alarm:
    metric = ("AWS/Events", "FailedInvocations", (("RuleName", f"!Ref {rule}"),))
    return _first(f"{rule}Alarm", name, what, to_do, "undelivered-events", *metric, condition=condition)


_OTHERS: dict[str, tuple[Alarm, ...]] = {
    "the API": (
        Alarm(
            "ApiErrorsAlarm",
            "api-errors",
            "More than 1 % of the API's answers were 5xx, in three of the last five minutes. Callers see failures.",
            'find the failing route in the access log (the saved query "API errors"), then read that function\'s log '
            "(weaudit logs).",
            "api-errors",
            "AWS/ApiGateway",
            "5xx",
            _API,
            "Sum",
            "1",
            calls="Count",
            label="answers that are 5xx, percent",
        ),
        Alarm(
            "ApiLatencyAlarm",
            "api-latency",
            "The API took longer than a second on average, in three of the last five minutes.",
            'find the slow route in the access log (the saved query "API latency"), and look at it in X-Ray.',
            "api-latency",
            "AWS/ApiGateway",
            "Latency",
            _API,
            "Average",
            "1000",
        ),
    ),
    "what waits, and what was given up": (
        Alarm(
            "StreamAgeAlarm",
            "stream-age",
            "Changes wait for longer than five minutes before ${AuditProducer} reads them, in three of the last five "
            "minutes. The trail is behind. Whole batches are given up after 23 hours, and the stream forgets after 24.",
            "if its errors ring as well, begin there; if not, more is written than is read - see the lag in the "
            "dashboard.",
            "stream-age",
            "AWS/Lambda",
            "IteratorAge",
            (("FunctionName", "!Ref AuditProducer"),),
            "Maximum",
            "300000",
        ),
        _queue(
            "FailedEventsAlarm",
            "failed-events",
            "FailedEventsQueue",
            "There are events in ${FailedEventsQueue.QueueName} that were tried and given up. They are whole, and are "
            "kept for 14 days.",
            "failed-events",
            "  # Messages stay until somebody takes them: one minute is no blip. SQS stops telling after six hours of "
            "quiet, and then\n  # the state stays as it was.",
        ),
        _queue(
            "UndeliveredAlarm",
            "undelivered",
            "UndeliveredQueue",
            "There are events in ${UndeliveredQueue.QueueName} - records of a stream that Lambda gave up on, or what "
            "EventBridge could not deliver. They are whole; the queue keeps its messages for 14 days.",
            "undelivered-events",
            "  # As FailedEventsAlarm: it rings until the queue is empty.",
        ),
        Alarm(
            "ImagesWaitAlarm",
            "images-waiting",
            "An image has waited for longer than 15 minutes in ${ImagesQueue.QueueName}, in three of the last five "
            "minutes.",
            "if the errors of ${ImageProcessor} ring as well, begin there; if not, more lands than is processed - "
            "raise ImageConcurrency.",
            "images-waiting",
            "AWS/SQS",
            "ApproximateAgeOfOldestMessage",
            (("QueueName", "!GetAtt ImagesQueue.QueueName"),),
            "Maximum",
            "900",
        ),
        _first(
            "QuarantineAlarm",
            "quarantine",
            "Records were put into quarantine within the last hour - they cannot be processed as they are, and the "
            "trail lacks them. They are kept whole in ${EvidenceBucket}.",
            "see what and why (weaudit quarantine), mend the cause, and try them again (weaudit quarantine replay).",
            "quarantine",
            "WeAudit",
            "!Sub ${Prefix}quarantinedRecords-${EnvironmentSuffix}",
            (),
            comment="  # From the logs. It rings at the first record, and goes on for an hour, so that it is seen.",
        ),
    ),
    "the ledger": (
        Alarm(
            "LedgerFindingsAlarm",
            "ledger-findings",
            "The ledger has a finding of the last hour - a row of the trail was changed, deleted or written by "
            "something else than WeAudit, or what happened cannot be known.",
            "see which and what (weaudit logs ledger_sealer), and who did it (CloudTrail); keep what the evidence "
            "bucket and the tables' recovery have of it.",
            "ledger-findings",
            "WeAudit",
            "findings",
            (("function", "!Ref LedgerSealer"),),
            "Sum",
            periods=60,
            points=1,
            comment="  # It rings within the minute, and goes on for an hour, so that it is seen.",
        ),
        Alarm(
            "LedgerSilentAlarm",
            "ledger-silent",
            "${LedgerSealer} has not finished for ten minutes. What happens to the trail is not signed, and after 24 "
            "hours the streams forget it.",
            "see whether it runs and why it fails (weaudit logs ledger_sealer), and whether its rule, its key and its "
            "concurrency are as they should be (weaudit doctor).",
            "ledger-silent",
            "WeAudit",
            "sealed",
            (("function", "!Ref LedgerSealer"),),
            "SampleCount",
            "1",
            periods=10,
            points=10,
            missing="breaching",
            comparison="LessThanThreshold",
        ),
    ),
    "what is gone. They ring at the first event, and go on for an hour, so that it is seen.": (
        _lost(
            "audit_producer",
            "Lambda gave up on changes that ${AuditProducer} could not process, within the last hour, and could not "
            "keep them in ${EvidenceBucket} either - they are gone, and the trail lacks them.",
            "see what refuses them - the role, the bucket's policy, the key (weaudit doctor) - and then which items "
            "lack a change (weaudit verify).",
        ),
        _lost(
            "s3_processor",
            "Lambda gave up on events of ${S3Processor}, within the last hour, and could not put them into "
            "${FailedEventsQueue.QueueName} either - they are gone, and the invocation log lacks their objects.",
            "see what refuses them - the role, the queue's policy, the key (weaudit doctor) - and then which objects "
            "the log lacks.",
        ),
        _rule(
            "ImagesRule",
            "images-rule",
            "EventBridge failed to deliver events of the rule ${ImagesRule}, within the last hour. Their images are "
            "not processed; what could be kept is in ${UndeliveredQueue.QueueName}.",
            "see what refuses them - the policy of a queue (weaudit doctor) - and what was kept (weaudit "
            "failed-events).",
        ),
        _rule(
            "GivenUpRule",
            "given-up-rule",
            "EventBridge failed to put word of records that Lambda gave up on into ${UndeliveredQueue.QueueName}, "
            "within the last hour. The records themselves are in ${EvidenceBucket}.",
            "see what refuses it - the policy of the queue (weaudit doctor) - and which records there are (weaudit "
            "quarantine).",
        ),
        _rule(
            "LedgerSealerRule",
            "seal-rule",
            "EventBridge failed to call ${LedgerSealer} by the rule ${LedgerSealerRule}, within the last hour. Nothing "
            "is lost while a later minute calls it.",
            "see what refuses it - the permission of the function's alias, or its concurrency (weaudit doctor).",
        ),
        _rule(
            "FindingsRule",
            "findings-rule",
            "EventBridge failed to send findings of GuardDuty to the topic of alarms, within the last hour. What could "
            "be kept is in ${UndeliveredQueue.QueueName}.",
            "read the findings in GuardDuty's console, and see what refuses them - the policy of the topic or of its "
            "key (weaudit doctor).",
            "HearsFindings",
        ),
    ),
}


def alarms() -> dict[str, tuple[Alarm, ...]]:
    """Return every alarm, by the heading that it stands under."""
    return {**{function.name: tuple(of_function(function.name)) for function in FUNCTIONS}, **_OTHERS}


def template() -> str:
    """Return the template with its alarms written anew. Raises ValueError where their place is not found."""
    text = TEMPLATE.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{TEMPLATE.name} has no place for alarms, from {BEGIN.strip()!r} to {END.strip()!r}")
    parts = [
        f"  # ---- Alarms: {heading}\n" + "\n".join(one.text() for one in found) for heading, found in alarms().items()
    ]
    return head + "\n".join(parts) + "\n" + end + tail

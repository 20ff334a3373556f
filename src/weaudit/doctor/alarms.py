"""Whether alarms are as the template says and reach somebody: expected and found in, findings out. Pure."""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from weaudit.doctor.findings import Finding, spelled
from weaudit.doctor.template import UNKNOWN, Expected, same

if TYPE_CHECKING:
    from weaudit.doctor.gathering import Facts


def alarm(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    """Say where an alarm rings for nobody, by another definition than the template's, or at this moment."""
    name = wanted.physical
    missing = [
        arn for arn in wanted.properties.get("AlarmActions", ()) if not any(same(arn, one) for one in found["actions"])
    ]
    document = spelled({**_numbered(wanted.properties), "AlarmName": name})
    whole = f"aws cloudwatch put-metric-alarm --cli-input-json {document}"
    if str(wanted.properties.get("ActionsEnabled", True)).lower() == "true" and not found["enabled"]:
        what = f"the alarm {name} tells nobody: its actions are switched off"
        yield Finding("alarm-off", name, what, f"aws cloudwatch enable-alarm-actions --alarm-names {shlex.quote(name)}")
    elif missing:
        what = f"the alarm {name} does not tell {', '.join(missing).replace(UNKNOWN, '*')} any more"
        yield Finding("alarm-off", name, what, whole)
    said = {part: wanted.properties[part] for part in found["definition"] if part in wanted.properties}
    if others := [part for part, value in said.items() if not _same_setting(value, found["definition"][part])]:
        shown = ", ".join(f"{part} {found['definition'][part]} and not {said[part]}" for part in others)
        yield Finding("alarm-changed", name, f"the alarm {name} has {shown}", whole)
    if found["state"] == "ALARM":
        first = found["description"].partition("\n")[0]
        what = f"the alarm {name} is ringing" + (f": {first}" if first else "")
        yield Finding("alarm-ringing", name, what, "see docs/operating.md")


def _same_setting(wanted: Any, found: Any) -> bool:
    try:
        return float(wanted) == float(found)
    except ValueError:
        return same(wanted, found)


def _numbered(properties: dict[str, Any]) -> dict[str, Any]:
    # A parameter is text, and the API takes numbers here.
    numbers = ("Threshold", "EvaluationPeriods", "DatapointsToAlarm", "Period")
    return {
        name: (float(value) if name == "Threshold" else int(value)) if name in numbers else value
        for name, value in properties.items()
    }


def metric_filter(wanted: Expected, found: dict[str, Any], _facts: "Facts") -> Iterator[Finding]:
    """Say where a filter of the log, by which an alarm counts, looks for something else."""
    name, said = wanted.physical, wanted.properties
    if not same(said["FilterPattern"], found["pattern"]):
        turned = [
            {part[0].lower() + part[1:]: value for part, value in row.items()} for row in said["MetricTransformations"]
        ]
        words = {"logGroupName": said["LogGroupName"], "filterName": name, "filterPattern": said["FilterPattern"]}
        document = spelled({**words, "metricTransformations": turned})
        do = f"aws logs put-metric-filter --cli-input-json {document}"
        yield Finding("alarm-changed", name, f"the filter {name} looks for something else in the log", do)


def topic(wanted: Expected, found: dict[str, Any], facts: "Facts") -> Iterator[Finding]:
    """Say where nobody hears what goes to a topic, or has not confirmed that he wants to."""
    name = wanted.physical.rpartition(":")[2]
    aws = f"aws sns subscribe --topic-arn {wanted.physical} --protocol email --notification-endpoint ADDRESS"
    if found["waiting"]:
        protocols = ", ".join(found["waiting"])
        what = f"{len(found['waiting'])} subscription(s) to {name} ({protocols}) have not been confirmed"
        yield Finding("subscription-waiting", name, what, "open the message with the link that SNS sent, or: " + aws)
    chats = any(row.kind.startswith("AWS::Chatbot::") for row in facts.expected.values())
    # On one's own machine nobody is on call.
    if not (found["confirmed"] or found["waiting"] or chats or facts.on_engine):
        yield Finding("alarm-unheard", name, f"nobody has subscribed to {name}", aws)

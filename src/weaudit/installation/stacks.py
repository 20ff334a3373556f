"""What CloudFormation tells while it works on a stack: followed until it is quiet, a line a resource."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from weaudit.errors import DeployError
from weaudit.installation.targets import Target

DIGEST_TAG = "weaudit:digest"
WAIT_SECONDS = 3600.0
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StackState:
    """A stack as it is now. ``parameters`` are all of them, those that show asterisks (NoEcho) apart."""

    name: str
    status: str
    reason: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    changed: bool = True
    parameters: dict[str, str] = field(default_factory=dict)
    masked: frozenset[str] = frozenset()
    protected: bool = False


def describe(target: Target, name: str) -> StackState | None:
    """Return the stack, or None where there is none of that name."""
    return described(target.client("cloudformation"), name)


def described(client: Any, name: str) -> StackState | None:
    """As ``describe``, by a boto3 client of CloudFormation."""
    try:
        [found] = client.describe_stacks(StackName=name)["Stacks"]
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if found["StackStatus"] == "DELETE_COMPLETE":
        return None
    parameters = {row["ParameterKey"]: row.get("ParameterValue", "") for row in found.get("Parameters", [])}
    return StackState(
        name=found["StackName"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        outputs={output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])},
        digest=next((tag["Value"] for tag in found.get("Tags", []) if tag["Key"] == DIGEST_TAG), ""),
        parameters={key: value for key, value in parameters.items() if value != "****"},
        masked=frozenset(key for key, value in parameters.items() if value == "****"),
        protected=bool(found.get("EnableTerminationProtection")),
    )


def resources(target: Target, name: str) -> Iterator[Any]:
    """Yield what CloudFormation tells of each resource that a stack has now, as ListStackResources has it."""
    for page in target.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name):
        yield from (row for row in page["StackResourceSummaries"] if row["ResourceStatus"] != "DELETE_COMPLETE")


def when_quiet(client: Any, name: str, progress: Progress) -> StackState | None:
    """Return the stack once what goes on in it is over, or None where there is none of that name.

    A stack whose creation was planned and never begun, REVIEW_IN_PROGRESS, has nothing going on in it.
    """
    found = described(client, name)
    if found is None or not found.status.endswith("_IN_PROGRESS") or found.status == "REVIEW_IN_PROGRESS":
        return found
    progress(f"stack {name} is {found.status}: waiting for that first")
    return until_quiet(client, name, latest_event(client, name), progress, [])


def until_quiet(client: Any, name: str, seen: str, progress: Progress, failures: list[str]) -> StackState | None:
    """Wait while the stack is in progress; return it as it is then, None where it is gone.

    Tells ``progress`` a line for each event after ``seen``, an event's id, and adds what failed to ``failures``.
    """
    deadline, pause = time.monotonic() + WAIT_SECONDS, 0.03
    while True:
        found = described(client, name)  # before the events: what happens in between is reported all the same
        if found is not None:
            seen = _report(client, name, seen, progress, failures)
        # A cleanup is still going on in UPDATE_COMPLETE_CLEANUP_IN_PROGRESS: the next update would be refused.
        if found is None or not found.status.endswith("_IN_PROGRESS"):
            return found
        if time.monotonic() > deadline:
            raise DeployError(f"stack {name} is still {found.status} after {WAIT_SECONDS / 60:.0f} minutes")
        time.sleep(pause)
        pause = min(pause * 1.5, 3.0)


def latest_event(client: Any, name: str) -> str:
    """Return the id of the stack's newest event, "" where there is none: what came before is not told again."""
    try:
        events = client.describe_stack_events(StackName=name)["StackEvents"]
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise
    return str(events[0]["EventId"]) if events else ""


def _report(client: Any, name: str, seen: str, progress: Progress, failures: list[str]) -> str:
    fresh: list[Any] = []
    for page in client.get_paginator("describe_stack_events").paginate(StackName=name):
        for event in page["StackEvents"]:  # newest first
            if event["EventId"] == seen:
                break
            fresh.append(event)
        else:
            continue
        break
    for event in reversed(fresh):
        resource, status = event["LogicalResourceId"], event["ResourceStatus"]
        reason = event.get("ResourceStatusReason", "")
        progress(f"{event['ResourceType']} {resource} {status}")
        # What CloudFormation cancels because of another failure is no cause.
        if status.endswith("_FAILED") and "cancelled" not in reason.lower():
            failures.append(f"{resource} ({event['ResourceType']}): {reason}")
    return str(fresh[0]["EventId"]) if fresh else seen

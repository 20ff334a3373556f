"""Follows CloudFormation's work on a stack until it ends, and reports one line for each event."""

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
    """A stack as it is now; ``masked`` names the parameters with a hidden value (NoEcho), ``parameters`` the others."""

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
    """Return the stack, or None if there is no stack of that name."""
    return described(target.client("cloudformation"), name)


def described(client: Any, name: str) -> StackState | None:
    """Return the stack as ``describe`` does, with a boto3 client of CloudFormation."""
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
    """Yield the summary in ListStackResources of each resource that a stack has now."""
    for page in target.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name):
        yield from (row for row in page["StackResourceSummaries"] if row["ResourceStatus"] != "DELETE_COMPLETE")


def when_quiet(client: Any, name: str, progress: Progress) -> StackState | None:
    """Return the stack once the work under way on it has ended, or None if there is no stack of that name.

    No work is under way in a stack whose creation was planned and never begun (REVIEW_IN_PROGRESS).
    """
    found = described(client, name)
    if found is None or not found.status.endswith("_IN_PROGRESS") or found.status == "REVIEW_IN_PROGRESS":
        return found
    progress(f"stack {name} is {found.status}: waiting for that first")
    return until_quiet(client, name, latest_event(client, name), progress, [])


def until_quiet(client: Any, name: str, seen: str, progress: Progress, failures: list[str]) -> StackState | None:
    """Wait while work on the stack is in progress; return its state then, or None if it is gone.

    Calls ``progress`` with a line for each event after ``seen``, an event's id, and adds failures to ``failures``.
    Raises DeployError after an hour.
    """
    deadline, pause = time.monotonic() + WAIT_SECONDS, 0.03
    while True:
        found = described(client, name)  # before the events, so that an event in between is still reported
        if found is not None:
            seen = _report(client, name, seen, progress, failures)
        # In UPDATE_COMPLETE_CLEANUP_IN_PROGRESS the cleanup is still under way: the next update would be refused.
        if found is None or not found.status.endswith("_IN_PROGRESS"):
            return found
        if time.monotonic() > deadline:
            raise DeployError(f"stack {name} is still {found.status} after {WAIT_SECONDS / 60:.0f} minutes")
        time.sleep(pause)
        pause = min(pause * 1.5, 3.0)


def latest_event(client: Any, name: str) -> str:
    """Return the id of the stack's newest event, or "" if there is none: earlier events are not reported again."""
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
        # A resource that CloudFormation cancelled because of another failure is not the cause.
        if status.endswith("_FAILED") and "cancelled" not in reason.lower():
            failures.append(f"{resource} ({event['ResourceType']}): {reason}")
    return str(fresh[0]["EventId"]) if fresh else seen

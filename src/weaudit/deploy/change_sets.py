"""Change sets: what CloudFormation would do to a stack, before it does it."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaudit.errors import DeployError
from weaudit.installation import boto_errors

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
WAIT_SECONDS = 900.0
# CloudFormation's words, where the template and the parameters are as they were.
_NOTHING = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True, slots=True)
class Change:
    """One resource's change. ``action`` is Add, Modify, Remove, Import or Dynamic.

    ``replacement`` is True, False or Conditional, CloudFormation's words, "" where nothing is there yet or stays.
    """

    action: str
    resource: str
    kind: str
    replacement: str = ""
    physical: str = ""
    scope: tuple[str, ...] = ()
    kept: bool = False  # removed from the stack, and left where it is


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that may be executed; ``creates`` where the stack comes to be by it."""

    id: str
    stack: str
    changes: tuple[Change, ...]
    creates: bool


def create(
    client: Any,
    stack: str,
    *,
    creates: bool,
    template: Mapping[str, str | bool],
    parameters: Sequence[Mapping[str, Any]],
    tags: Mapping[str, str],
) -> ChangeSet | None:
    """Return the change set for a template (TemplateURL or TemplateBody); None where it would change nothing.

    Nothing is changed by it, but a stack that is to be created stands there in REVIEW_IN_PROGRESS until the change set
    is executed or discarded. Raises DeployError with CloudFormation's reason, and boto3's error where it may pass.
    """
    name = f"weaudit-{uuid.uuid4().hex}"
    try:
        identifier = client.create_change_set(
            StackName=stack, ChangeSetName=name, ClientToken=name,
            ChangeSetType="CREATE" if creates else "UPDATE", Capabilities=CAPABILITIES, Parameters=list(parameters),
            Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())], **template,
        )["Id"]  # fmt: skip
    except client.exceptions.AlreadyExistsException:
        # The name is nobody else's: the SDK asked again, because the answer to its first request was lost.
        identifier = client.describe_change_set(StackName=stack, ChangeSetName=name)["ChangeSetId"]
    except client.exceptions.ClientError as error:
        if boto_errors.passes(error):
            raise
        raise DeployError(f"CloudFormation refused stack {stack}: {error.response['Error']['Message']}") from error
    found = ChangeSet(identifier, stack, (), creates)
    try:
        described = _described(client, found)
    except BaseException:
        discard(client, found)
        raise
    if described["Status"] == "CREATE_COMPLETE":
        return ChangeSet(identifier, stack, tuple(_changes(client, found)), creates)
    discard(client, found)
    reason = described.get("StatusReason", "")
    if any(words in reason for words in _NOTHING):
        return None
    raise DeployError(f"CloudFormation refused stack {stack}: {reason or described['Status']}")


def _described(client: Any, change_set: ChangeSet) -> Any:
    deadline, pause = time.monotonic() + WAIT_SECONDS, 0.02
    while True:
        found = client.describe_change_set(StackName=change_set.stack, ChangeSetName=change_set.id)
        if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return found
        if time.monotonic() > deadline:
            raise DeployError(f"the change set of {change_set.stack} is still {found['Status']}")
        time.sleep(pause)
        pause = min(pause * 1.5, 3.0)


def _changes(client: Any, change_set: ChangeSet) -> list[Change]:
    pages = client.get_paginator("describe_change_set").paginate(
        StackName=change_set.stack, ChangeSetName=change_set.id
    )
    rows = [row["ResourceChange"] for page in pages for row in page["Changes"] if row["Type"] == "Resource"]
    return [
        Change(
            row["Action"], row["LogicalResourceId"], row["ResourceType"], row.get("Replacement", ""),
            row.get("PhysicalResourceId", ""), tuple(row.get("Scope", ())),
            kept=row.get("PolicyAction") in ("Retain", "ReplaceAndRetain"),
        )
        for row in rows
    ]  # fmt: skip


def execute(client: Any, change_set: ChangeSet) -> None:
    """Let CloudFormation begin.

    Raises DeployError where the stack was changed since the change set was made, and boto3's error where it may pass.
    """
    token = change_set.id.rpartition("/")[2]
    try:
        client.execute_change_set(StackName=change_set.stack, ChangeSetName=change_set.id, ClientRequestToken=token)
    except client.exceptions.ClientError as error:
        if boto_errors.passes(error):
            raise
        if isinstance(error, client.exceptions.InvalidChangeSetStatusException) and _is_begun(client, change_set):
            # The SDK asked again, because the answer to its first request was lost.
            return
        raise DeployError(
            f"CloudFormation refused stack {change_set.stack}: {error.response['Error']['Message']}\n"
            "Somebody else may have deployed meanwhile: look (`weaudit versions`), and try again."
        ) from error


def _is_begun(client: Any, change_set: ChangeSet) -> bool:
    found = client.describe_change_set(StackName=change_set.stack, ChangeSetName=change_set.id)
    return str(found["ExecutionStatus"]).startswith("EXECUTE_")


def discard(client: Any, change_set: ChangeSet) -> None:
    """Remove a change set that is not to be executed, with the empty stack that waited for it."""
    try:
        client.delete_change_set(StackName=change_set.stack, ChangeSetName=change_set.id)
    except client.exceptions.ClientError as error:
        # Another one was executed meanwhile, which removes the others.
        if error.response["Error"]["Code"] not in ("ChangeSetNotFound", "ChangeSetNotFoundException"):
            raise
    if change_set.creates:
        # A stack in REVIEW_IN_PROGRESS has no resources: nothing is lost.
        try:
            [found] = client.describe_stacks(StackName=change_set.stack)["Stacks"]
        except client.exceptions.ClientError as error:
            if boto_errors.passes(error):
                raise
            return
        if found["StackStatus"] == "REVIEW_IN_PROGRESS":
            client.delete_stack(StackName=found["StackId"])

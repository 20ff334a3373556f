"""The CloudFormation stack: artefacts uploaded by content, the template pointed at them, the stack brought to it.

Locally and on AWS alike. A stack carries the digest of what was deployed as a tag: the same digest again is no work.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaudit.deploy import packaging
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.packaging import Artifact
from weaudit.deploy.targets import Target
from weaudit.errors import DeployError
from weaudit.functions import FUNCTIONS

DIGEST_TAG = "weaudit:digest"
WAIT_SECONDS = 3600.0
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
LOCAL_PARAMETERS = {"Retain": "false"}
_BODY_BYTES = 51_200
_CODE = re.compile(
    r"""^([ \t]*Description:[ \t]*[^\s"'#][^\n"#]*\n)?"""
    r"""([ \t]*CodeUri:[ \t]*)(["']?)\.\./dist/([\w-]+)\.zip\3[ \t]*(\#.*)?$""",
    re.MULTILINE,
)
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StackState:
    """A stack as it is now."""

    name: str
    status: str
    reason: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    changed: bool = True


def stack_name(prefix: str = "", suffix: str = "dev") -> str:
    """Return the stack's name for the template parameters Prefix and EnvironmentSuffix."""
    return f"{prefix}weaudit-{suffix}"


def template_path() -> Path:
    """Return the template: the installed copy, or the repository's own. DeployError where there is neither."""
    here = Path(__file__).resolve()
    for candidate in (here.with_name("template.yaml"), here.parents[3] / "infra" / "template.yaml"):
        if candidate.is_file():
            return candidate
    raise DeployError("the template is not there: neither weaudit/deploy/template.yaml nor infra/template.yaml")


def describe(target: Target, name: str) -> StackState | None:
    """Return the stack, or None where there is none of that name."""
    client = target.client("cloudformation")
    try:
        [found] = client.describe_stacks(StackName=name)["Stacks"]
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if found["StackStatus"] == "DELETE_COMPLETE":
        return None
    return StackState(
        name=name,
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        outputs={output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])},
        digest=next((tag["Value"] for tag in found.get("Tags", []) if tag["Key"] == DIGEST_TAG), ""),
    )


def deploy_locally(target: Target, packages: Path, template: Path | None, progress: Progress) -> StackState:
    """Build every function into ``packages`` and bring the engine's stack to the template."""
    artifacts = [packaging.build(function, packages) for function in FUNCTIONS]
    return deploy(
        target, name=stack_name(), template=template or template_path(), artifacts=artifacts,
        parameters=LOCAL_PARAMETERS, progress=progress,
    )  # fmt: skip


def deploy(
    target: Target,
    *,
    name: str,
    template: Path,
    artifacts: Sequence[Artifact],
    parameters: Mapping[str, str],
    progress: Progress,
) -> StackState:
    """Bring the stack ``name`` to ``template`` with these packages, and return it when it is there.

    Tells ``progress`` a line a resource. Raises DeployError with the first real cause where CloudFormation fails.
    """
    client = target.client("cloudformation")
    bucket = ArtifactBucket.of(target)
    text = point_at(template.read_text(encoding="utf-8"), bucket.name, artifacts, parameters)
    digest = digest_of(text, parameters)
    before = _settled(target, client, name, progress)
    if before is not None and before.digest == digest and before.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        progress(f"stack {name} is up to date")
        return StackState(name, before.status, "", before.outputs, digest, changed=False)
    bucket.ensure()
    for artifact in artifacts:
        bucket.put(_key(artifact), artifact.path.read_bytes())
    seen = _latest_event(client, name) if before else ""
    request: dict[str, Any] = {
        "StackName": name,
        "Capabilities": CAPABILITIES,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())],
        "Tags": [{"Key": DIGEST_TAG, "Value": digest}, {"Key": "weaudit:stack", "Value": name}],
        "TemplateURL": bucket.put_template(text.encode()),
    }
    if target.engine and len(text.encode()) <= _BODY_BYTES:
        # With permissions enforced the engine reads the template as itself; sent along, nothing has to be read.
        request["TemplateBody"] = text
        del request["TemplateURL"]
    try:
        (client.update_stack if before else client.create_stack)(**request)
    except client.exceptions.ClientError as error:
        if before and "No updates are to be performed" in str(error):
            return StackState(name, before.status, "", before.outputs, digest, changed=False)
        raise DeployError(f"CloudFormation refused stack {name}: {error.response['Error']['Message']}") from error
    return _wait(target, client, name, seen, progress)


def digest_of(template: str, parameters: Mapping[str, str]) -> str:
    """Return the digest by which a stack is known to be as it should: of the template's text and its parameters."""
    return hashlib.sha256(repr((template, sorted(parameters.items()))).encode()).hexdigest()


def remove(target: Target, name: str, progress: Progress) -> None:
    """Delete the stack and wait until it is gone; fine where there is none. Raises DeployError with the first cause."""
    client = target.client("cloudformation")
    if describe(target, name) is None:
        return
    # By its id: a stack that is gone is still told of by its id, and no longer by its name.
    identifier = client.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    seen, failures = _latest_event(client, identifier), list[str]()
    client.delete_stack(StackName=identifier)
    found = _until_quiet(target, client, identifier, seen, progress, failures)
    if found is not None:
        raise DeployError(f"stack {name} is {found.status}: {failures[0] if failures else found.reason}")


def point_at(template: str, bucket: str, artifacts: Sequence[Artifact], parameters: Mapping[str, str]) -> str:
    """Return the template's text with each ``CodeUri: ../dist/NAME.zip`` turned into where that very zip is on S3.

    A function's Description, the line before, gets a digest of the parameters: SAM publishes a version where the text
    of a function differs, and Lambda where its configuration does. So a parameter's new value reaches the alias.
    """
    settings = hashlib.sha256(repr(sorted(parameters.items())).encode()).hexdigest()[:8]
    keys = {artifact.function: _key(artifact) for artifact in artifacts}

    def uploaded(match: re.Match[str]) -> str:
        function = match[4]
        if function not in keys:
            raise DeployError(f"the template wants {function}.zip, which was not packaged")
        description = f"{match[1].rstrip()} (settings {settings})\n" if match[1] else ""
        return f"{description}{match[2]}s3://{bucket}/{keys[function]}"

    text = _CODE.sub(uploaded, template)
    if "../dist/" in re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE):
        raise DeployError(
            "the template names a local file in a way that deploying does not know: use CodeUri: ../dist/NAME.zip"
        )
    return text


def _key(artifact: Artifact) -> str:
    return f"functions/{artifact.function}/{artifact.sha256}.zip"


def _settled(target: Target, client: Any, name: str, progress: Progress) -> StackState | None:
    # What an earlier deployment left: finish it, clear it away, or say what a person has to do.
    found = describe(target, name)
    if found is not None and found.status.endswith("_IN_PROGRESS") and found.status != "REVIEW_IN_PROGRESS":
        progress(f"stack {name} is {found.status}: waiting for that first")
        found = _until_quiet(target, client, name, _latest_event(client, name), progress, [])
    if found is None:
        return None
    if found.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS"):
        progress(f"removing stack {name}, which never came to be ({found.status})")
        client.delete_stack(StackName=name)
        found = _until_quiet(target, client, name, _latest_event(client, name), progress, [])
    if found is not None and found.status.endswith("_FAILED"):
        raise DeployError(
            f"stack {name} is {found.status}: {found.reason}\n"
            f"Repair it first: `aws cloudformation continue-update-rollback --stack-name {name}`, or delete the stack."
        )
    return found


def _wait(target: Target, client: Any, name: str, seen: str, progress: Progress) -> StackState:
    failures: list[str] = []
    found = _until_quiet(target, client, name, seen, progress, failures)
    if found is None or found.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        status, reason = (found.status, found.reason) if found else ("gone", "")
        raise DeployError(f"stack {name} is {status}: {failures[0] if failures else reason or 'no reason given'}")
    return found


def _until_quiet(
    target: Target, client: Any, name: str, seen: str, progress: Progress, failures: list[str]
) -> StackState | None:
    deadline, pause = time.monotonic() + WAIT_SECONDS, 0.03
    while True:
        found = describe(target, name)  # before the events: what happens in between is reported all the same
        if found is not None:
            seen = _report(client, name, seen, progress, failures)
        # A cleanup is still going on in UPDATE_COMPLETE_CLEANUP_IN_PROGRESS: the next update would be refused.
        if found is None or not found.status.endswith("_IN_PROGRESS"):
            return found
        if time.monotonic() > deadline:
            raise DeployError(f"stack {name} is still {found.status} after {WAIT_SECONDS / 60:.0f} minutes")
        time.sleep(pause)
        pause = min(pause * 1.5, 3.0)


def _latest_event(client: Any, name: str) -> str:
    try:
        events = client.describe_stack_events(StackName=name)["StackEvents"]
    except client.exceptions.ClientError:
        return ""
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

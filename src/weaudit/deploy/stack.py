"""The CloudFormation stack: artefacts uploaded by content, the template pointed at them, the stack brought to it.

Locally and on AWS alike, and always by a change set, whether or not anybody is asked about it.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from weaudit.deploy import change_sets
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.change_sets import ChangeSet
from weaudit.deploy.packaging import Artifact
from weaudit.errors import DeployError
from weaudit.installation.stacks import (
    DIGEST_TAG,
    Progress,
    StackState,
    describe,
    latest_event,
    until_quiet,
    when_quiet,
)
from weaudit.installation.targets import Target

STACK_TAG = "weaudit:stack"
_BODY_BYTES = 51_200
_CODE = re.compile(
    r"""^([ \t]*Description:[ \t]+[^\s"'#|>][^\n#]*\n)?"""
    r"""([ \t]*CodeUri:[ \t]*)(["']?)\.\./dist/([\w-]+)\.zip\3[ \t]*(\#.*)?$""",
    re.MULTILINE,
)
_NEXT_RESOURCE = re.compile(r"^ {0,2}[\w\"']", re.MULTILINE)


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

    The stack carries the digest of what was deployed as a tag: the same digest again is no work. Tells ``progress`` a
    line a resource. Raises DeployError with the first real cause where CloudFormation fails.
    """
    client = target.client("cloudformation")
    bucket = ArtifactBucket.of(target)
    text = point_at(template.read_text(encoding="utf-8"), bucket.name, artifacts, parameters)
    digest = digest_of(text, parameters)
    before = settled(target, name, progress)
    if before is not None and before.digest == digest and before.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        progress(f"stack {name} is up to date")
        return dataclasses.replace(before, changed=False)
    bucket.ensure()
    upload(bucket, artifacts)
    change_set = change_sets.create(
        client, name, creates=before is None, template=source(target, bucket, text),
        parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())],
        tags={DIGEST_TAG: digest, STACK_TAG: name},
    )  # fmt: skip
    if change_set is None:
        if before is None:
            raise DeployError(f"CloudFormation finds nothing to create in the template of stack {name}")
        return dataclasses.replace(before, changed=False)
    return carry_out(target, change_set, progress)


def upload(bucket: ArtifactBucket, artifacts: Sequence[Artifact]) -> None:
    """Store the packages where ``point_at`` points, those that are not there yet."""
    for artifact in artifacts:
        bucket.put(key_of(artifact), artifact.path.read_bytes())


def source(target: Target, bucket: ArtifactBucket, text: str) -> dict[str, str | bool]:
    """Store the template, and return how a request to CloudFormation names it."""
    content = text.encode()
    url = bucket.put_template(content)
    if target.engine and len(content) <= _BODY_BYTES:
        # With permissions enforced the engine reads the template as itself; sent along, nothing has to be read.
        return {"TemplateBody": text}
    return {"TemplateURL": url}


def carry_out(target: Target, change_set: ChangeSet, progress: Progress) -> StackState:
    """Execute a change set, and return the stack when it is there; DeployError with the first real cause."""
    client = target.client("cloudformation")
    seen, failures = latest_event(client, change_set.stack), list[str]()
    change_sets.execute(client, change_set)
    found = until_quiet(client, change_set.stack, seen, progress, failures)
    if found is None or found.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        status, reason = (found.status, found.reason) if found else ("gone", "")
        raise DeployError(
            f"stack {change_set.stack} is {status}: {failures[0] if failures else reason or 'no reason given'}"
        )
    return found


def parameters_of(template: str) -> dict[str, bool]:
    """Return the parameters that a template of our own layout declares, and whether each is NoEcho."""
    block = re.search(r"^Parameters:[ \t]*(?:#.*)?\n((?:[ \t#].*\n|\n)*)", template + "\n", re.MULTILINE)
    found: dict[str, bool] = {}
    for name, body in re.findall(r"^  (\w+):(.*\n(?:   .*\n|\n|  #.*\n)*)", block[1] if block else "", re.MULTILINE):
        found[name] = bool(re.search(r"\bNoEcho: *[\"']?true", body))
    return found


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
    seen, failures = latest_event(client, identifier), list[str]()
    client.delete_stack(StackName=identifier)
    found = until_quiet(client, identifier, seen, progress, failures)
    if found is not None:
        raise DeployError(f"stack {name} is {found.status}: {failures[0] if failures else found.reason}")


def point_at(template: str, bucket: str, artifacts: Sequence[Artifact], parameters: Mapping[str, str]) -> str:
    """Return the template's text with each ``CodeUri: ../dist/NAME.zip`` turned into where that very zip is on S3.

    A function's Description, the line before, gets a digest of the parameters: SAM publishes a version where the text
    of a function differs, and Lambda where its configuration does. So a parameter's new value reaches the alias. The
    parameter Release is new with every deployment: it counts only where a function refers to it.
    """
    settings = {named: _settings(parameters, named) for named in (False, True)}
    keys = {artifact.function: key_of(artifact) for artifact in artifacts}

    def uploaded(match: re.Match[str]) -> str:
        function = match[4]
        if function not in keys:
            raise DeployError(f"the template wants {function}.zip, which was not packaged")
        body = _NEXT_RESOURCE.split(template[match.end() :], maxsplit=1)[0]
        description = f"{match[1].rstrip()} (settings {settings['!Ref Release' in body]})\n" if match[1] else ""
        return f"{description}{match[2]}s3://{bucket}/{keys[function]}"

    text = _CODE.sub(uploaded, template)
    if "../dist/" in re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE):
        raise DeployError(
            "the template names a local file in a way that deploying does not know: use CodeUri: ../dist/NAME.zip"
        )
    return text


def _settings(parameters: Mapping[str, str], with_release: bool) -> str:
    counted = sorted((key, value) for key, value in parameters.items() if with_release or key != "Release")
    return hashlib.sha256(repr(counted).encode()).hexdigest()[:8]


def key_of(artifact: Artifact) -> str:
    """Return the key of a package in the bucket of artefacts."""
    return f"functions/{artifact.function}/{artifact.sha256}.zip"


def settled(target: Target, name: str, progress: Progress) -> StackState | None:
    """Return the stack when nothing goes on in it; None where it is not there, or never came to be and is removed.

    Raises DeployError, saying what a person has to do, where an earlier deployment left it unusable.
    """
    client = target.client("cloudformation")
    found = when_quiet(client, name, progress)
    if found is None:
        return None
    if found.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS"):
        progress(f"removing stack {name}, which never came to be ({found.status})")
        client.delete_stack(StackName=name)
        found = until_quiet(client, name, latest_event(client, name), progress, [])
    if found is not None and found.status.endswith("_FAILED"):
        advice = f"Repair it first: `aws cloudformation continue-update-rollback --stack-name {name}`, and try again."
        if found.status == "DELETE_FAILED":
            advice = "Its removal was begun: finish it by `weaudit destroy`, and deploy again."
        raise DeployError(f"stack {name} is {found.status}: {found.reason}\n{advice}")
    return found


def published(
    target: Target,
    bucket_name: str | None,
    artifacts: Sequence[Artifact],
    template: Path,
    parameters: Mapping[str, str],
) -> tuple[str, str]:
    """Upload zips and the template that names them; return the template's text and its URL.

    ``bucket_name`` None means the account's own bucket of artefacts, which is made if it does not exist. ``parameters``
    are those that the stack will be deployed with: see :func:`point_at`.
    """
    bucket = ArtifactBucket.of(target)
    if bucket_name is None:
        bucket.ensure()
    else:
        bucket = dataclasses.replace(bucket, name=bucket_name)
    upload(bucket, artifacts)
    text = point_at(template.read_text(encoding="utf-8"), bucket.name, artifacts, parameters)
    return text, bucket.put_template(text.encode())

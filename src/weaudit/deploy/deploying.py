"""Deploying a stage, and rolling it back: planned first, as a change set that can be looked at, and done afterwards.

The one path by which the main stack comes about, on AWS and on the embedded engine (`weaudit up`).
"""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weaudit.deploy import change_sets, engine_gaps, packaging, releases, stack, templates
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.change_sets import ChangeSet
from weaudit.deploy.releases import DEPLOYED, DEPLOYING, FAILED, INTERRUPTED, Release, ReleaseLog
from weaudit.errors import DeployError, InvalidInputError
from weaudit.functions import FUNCTIONS
from weaudit.installation import stacks
from weaudit.installation.stacks import Progress, StackState
from weaudit.installation.stages import Stage
from weaudit.installation.targets import ENGINE_ACCOUNT, Target

_SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do. ``before`` is the release that is there now, as far as one is known."""

    release: Release
    change_set: ChangeSet
    before: Release | None
    log: ReleaseLog


@dataclass(frozen=True, slots=True)
class Deploying:
    """Deploys one stage: plans a release, carries it out, or discards it; rolls back to an earlier one."""

    target: Target
    stage: Stage
    progress: Progress

    @property
    def bucket(self) -> ArtifactBucket:
        """The bucket of artefacts, which need not be there yet."""
        return ArtifactBucket.of(self.target)

    def plan(
        self,
        packages: Path,
        *,
        template: Path | None = None,
        given: Mapping[str, str] | None = None,
        architecture: str | None = None,
    ) -> Plan | None:
        """Build and upload what the sources are now, and return what deploying it would do; None for nothing.

        Zips are built into ``packages``. ``given`` are parameters: others stay as in the last release, or have the
        template's defaults. ``architecture`` is that of the parameter Architecture unless said otherwise. Raises
        InvalidInputError for a parameter that is not the template's, and DeployError.
        """
        text = (template or templates.path("template.yaml")).read_text(encoding="utf-8")
        declared = stack.parameters_of(text)
        self._refuse_unknown(given or {}, declared)
        bucket = self.bucket
        found, log = stack.settled(self.target, self.stage.stack, self.progress), ReleaseLog(bucket, self.stage.stack)
        if found is None:
            self._refuse_taken_names(text)
        before = self._settle(log, found)
        on_engine = bucket.account == ENGINE_ACCOUNT
        parameters = _kept(found, before, on_engine=on_engine) | dict(given or {}) | self._own()
        parameters = {name: value for name, value in sorted(parameters.items()) if name in declared}
        secret = {name: value for name, value in parameters.items() if declared[name]}
        parameters = {name: value for name, value in parameters.items() if name not in secret}
        if architecture is None:
            architecture = packaging.LOCAL if on_engine else parameters.get("Architecture", "x86_64")
        artifacts = [packaging.build(function, packages, architecture) for function in FUNCTIONS]
        digest = stack.digest_of(stack.point_at(text, bucket.name, artifacts, parameters), {**parameters, **secret})
        if _up_to_date(self.target, bucket, found, before, digest):
            self.progress(f"stack {self.stage.stack} is up to date")
            return None
        bucket.ensure()
        stack.upload(bucket, artifacts)
        revision, modified = releases.revision()
        number = max(log.numbers(), default=0) + 1
        label = releases.label(number, revision, modified=modified)
        text = stack.point_at(text, bucket.name, artifacts, {**parameters, "Release": label})
        release = Release(
            number, self.stage.stack, releases.now(), DEPLOYING, revision, modified, self._caller(),
            bucket.template_key(text.encode()), digest, parameters,
            {artifact.function: {"key": stack.key_of(artifact), "sha256": artifact.sha256} for artifact in artifacts},
        )  # fmt: skip
        return self._planned(log, release, text, declared, secret, found, before)

    def plan_rollback(self, to: int | None = None) -> Plan | None:
        """Return what going back to an earlier release would do: to ``to``, or to the last good one before this.

        Its template and its zips are taken from the bucket; nothing is built. None where they are what is there now.
        """
        bucket = self.bucket
        found, log = stack.settled(self.target, self.stage.stack, self.progress), ReleaseLog(bucket, self.stage.stack)
        if found is None:
            raise DeployError(f"there is no stack {self.stage.stack} to roll back\n`weaudit deploy` creates it.")
        before = self._settle(log, found)
        wanted = _rollback_to(log, before, to)
        if _up_to_date(self.target, bucket, found, before, wanted.digest):
            self.progress(f"stack {self.stage.stack} is release {wanted.number} already")
            return None
        text = self._kept_template(bucket, wanted)
        release = dataclasses.replace(
            wanted, number=max(log.numbers()) + 1, at=releases.now(), outcome=DEPLOYING, by=self._caller(),
            functions={}, reason="", reapplies=wanted.content, rolled_back_from=before.number if before else None,
        )  # fmt: skip
        return self._planned(log, release, text, stack.parameters_of(text), {}, found, before)

    def _planned(
        self,
        log: ReleaseLog,
        release: Release,
        text: str,
        declared: Mapping[str, bool],
        secret: Mapping[str, str],
        found: StackState | None,
        before: Release | None,
    ) -> Plan | None:
        values = {**release.parameters, **secret}
        if "Release" in declared:
            values["Release"] = release.label
        rows: list[dict[str, Any]] = [{"ParameterKey": key, "ParameterValue": values[key]} for key in sorted(values)]
        if found is not None:
            # A secret that is not given again stays; nobody but CloudFormation knows it.
            kept = {name for name, no_echo in declared.items() if no_echo} - values.keys()
            rows += [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept & found.masked)]
        change_set = change_sets.create(
            self.target.client("cloudformation"), self.stage.stack, creates=found is None,
            template=stack.source(self.target, log.bucket, text), parameters=rows,
            tags={stack.STACK_TAG: self.stage.stack},
        )  # fmt: skip
        if change_set is None:
            self.progress(f"stack {self.stage.stack} is as it should be")
            return None
        return Plan(release, change_set, before, log)

    def apply(self, plan: Plan) -> Release:
        """Do what was planned, and return the release as it went; the record of it is kept whatever happens.

        Raises DeployError with the first real cause where CloudFormation fails: then the stack is as it was before.
        """
        log = plan.log
        try:
            log.create(plan.release)
        except DeployError:
            self.discard(plan)
            raise
        # Ended from here on, the record says `deploying`; the next deployment looks how it went.
        try:
            found = stack.carry_out(self.target, plan.change_set, self.progress)
        except DeployError as error:
            reason = str(error).partition("\n")[0]
            log.replace(dataclasses.replace(plan.release, outcome=FAILED, reason=reason))
            raise
        if log.bucket.account == ENGINE_ACCOUNT:
            engine_gaps.complete(self.target, self.stage.stack)
        self._protect(found)
        release = dataclasses.replace(plan.release, outcome=DEPLOYED, functions=self._functions())
        log.replace(release)
        return release

    def discard(self, plan: Plan) -> None:
        """Leave all as it is."""
        change_sets.discard(self.target.client("cloudformation"), plan.change_set)

    def _protect(self, found: StackState) -> None:
        retained = found.parameters.get("Retain") == "true"
        if retained != found.protected:
            self.target.client("cloudformation").update_termination_protection(
                StackName=self.stage.stack, EnableTerminationProtection=retained
            )

    def _functions(self) -> dict[str, dict[str, str]]:
        client, found = self.target.client("lambda"), {}
        for row in stacks.resources(self.target, self.stage.stack):
            if row["ResourceType"] == "AWS::Lambda::Alias" and row.get("PhysicalResourceId"):
                function, alias = row["PhysicalResourceId"].split(":")[6:8]
                version = client.get_alias(FunctionName=function, Name=alias)["FunctionVersion"]
                found[function] = {"alias": alias, "version": version}
        return dict(sorted(found.items()))

    def _settle(self, log: ReleaseLog, found: StackState | None) -> Release | None:
        """Return the release that the stack is, after writing down how an interrupted one went."""
        numbers = log.numbers()
        current = releases.current_number(found)
        newest = log.get(numbers[-1]) if numbers else None
        if newest is not None and newest.outcome == DEPLOYING:
            if newest.number == current:
                newest = dataclasses.replace(newest, outcome=DEPLOYED, functions=self._functions())
            else:
                newest = dataclasses.replace(newest, outcome=INTERRUPTED)
            log.replace(newest)
        if newest is not None and newest.number == current:
            return newest
        return log.get(current) if current is not None else None

    def _kept_template(self, bucket: ArtifactBucket, wanted: Release) -> str:
        keys = [wanted.template, *(artifact["key"] for artifact in wanted.artifacts.values())]
        if missing := [key for key in keys if not bucket.has(key)]:
            raise DeployError(
                f"release {wanted.number} cannot be deployed again: {', '.join(missing)} is not in {bucket.name} any "
                "more\nChoose another (`weaudit versions`), or deploy its git revision again."
            )
        return bucket.get(wanted.template).decode("utf-8")

    def _own(self) -> dict[str, str]:
        return {"Prefix": self.stage.prefix, "EnvironmentSuffix": self.stage.name}

    def _caller(self) -> str:
        return str(self.target.client("sts").get_caller_identity()["Arn"])

    def _refuse_unknown(self, given: Mapping[str, str], declared: Mapping[str, bool]) -> None:
        for name in given:
            if name in ("Prefix", "EnvironmentSuffix", "Release"):
                option = {"Prefix": "--prefix", "EnvironmentSuffix": "--stage"}.get(name)
                raise InvalidInputError(
                    f"the parameter {name} is set by the deployment itself" + (f"\nUse {option}." if option else "")
                )
            if name not in declared:
                near = difflib.get_close_matches(name, declared, 1)
                advice = f"Did you mean {near[0]}?" if near else f"It has {', '.join(declared)}."
                raise InvalidInputError(f"the template has no parameter {name}\n{advice}")

    def _refuse_taken_names(self, text: str) -> None:
        """Raise InvalidInputError where the names of a new stack are in use: CloudFormation would say so much later."""
        if "${Prefix}Configuration" not in text:
            return
        client, name = self.target.client("dynamodb"), f"{self.stage.prefix}Configuration"
        try:
            arn = client.describe_table(TableName=name)["Table"]["TableArn"]
        except client.exceptions.ResourceNotFoundException:
            return
        tags = {row["Key"]: row["Value"] for row in client.list_tags_of_resource(ResourceArn=arn).get("Tags", ())}
        owner = tags.get("aws:cloudformation:stack-name")
        prefix = f"{self.stage.name}-" if self.stage.name[0].isalpha() else "other-"
        raise InvalidInputError(
            f"the table {name} is there already, " + (f"of the stack {owner}" if owner else "and of no stack")
            + "\nTwo stacks in one account and region need names apart: "
            f"`weaudit deploy --stage {self.stage.name} --prefix {prefix}`, and WEAUDIT_PREFIX={prefix} for what comes "
            "after."
        )  # fmt: skip


def _kept(found: StackState | None, before: Release | None, *, on_engine: bool) -> dict[str, str]:
    if before is not None:
        return before.parameters
    if found is not None:
        # Deployed by other means: what it has stays.
        return {name: value for name, value in found.parameters.items() if name != "Release"}
    return {"Retain": "false"} if on_engine else {}


def _up_to_date(
    target: Target, bucket: ArtifactBucket, found: StackState | None, before: Release | None, digest: str
) -> bool:
    if found is None or before is None or before.digest != digest or found.status not in _SETTLED:
        return False
    # Somebody may have updated the stack by other means, and kept its parameter Release.
    if any(found.parameters.get(name, value) != value for name, value in before.parameters.items()):
        return False
    body = target.client("cloudformation").get_template(StackName=found.name, TemplateStage="Original")["TemplateBody"]
    return bool(isinstance(body, str) and bucket.template_key(body.encode()) == before.template)


def _rollback_to(log: ReleaseLog, before: Release | None, to: int | None) -> Release:
    if to is not None:
        wanted = log.get(to)
        if wanted is None:
            raise InvalidInputError(f"there is no release {to} of {log.stack}\n`weaudit versions` lists them.")
        if wanted.outcome != DEPLOYED:
            raise InvalidInputError(
                f"release {to} was never there: it {wanted.outcome}\n`weaudit versions` lists those that were."
            )
        return wanted
    if before is None:
        raise InvalidInputError("the stack does not say which release it is\nName one of `weaudit versions` by --to.")
    # A rollback brought back an older release: further back begins before that one.
    for release in log.newest_first():
        if release.number < before.content and release.outcome == DEPLOYED and release.digest != before.digest:
            return release
    raise InvalidInputError(f"there is no release of {log.stack} to go back to\n`weaudit versions` lists them.")


def deploy_now(deploying: Deploying, packages: Path, template: Path | None = None) -> None:
    """Deploy without asking anybody; what the embedded engine does at every start."""
    plan = deploying.plan(packages, template=template)
    if plan is not None:
        deploying.apply(plan)

"""Removing a stage: its stack, and what is in its tables and buckets, where that was said.

Every step can be done again: whoever was interrupted runs the same command once more.
"""

from dataclasses import dataclass
from typing import Any

from weaudit.deploy import change_sets, stack
from weaudit.errors import DeployError, InvalidInputError, StoreUnavailableError
from weaudit.installation import boto_errors, stacks
from weaudit.installation.stacks import Progress, StackState, when_quiet
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target

# What is still written while a bucket is emptied keeps it from being deleted; then it is emptied again.
_ATTEMPTS = 3
_BATCH = 1000  # the most that DeleteObjects takes
# An error of one object among them has a code, and no status of its own.
_OF_S3_ITSELF = ("InternalError", "ServiceUnavailable", "SlowDown")
_LEDGER = "weaudit-ledger-"


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a stage takes with it. ``retained`` where its data is protected now."""

    stack: str
    status: str
    tables: tuple[str, ...]
    buckets: tuple[str, ...]
    retained: bool


@dataclass(frozen=True, slots=True)
class Destroying:
    """Removes one stage. The bucket of artefacts stays, with every release in it."""

    target: Target
    stage: Stage
    progress: Progress

    def plan(self, *, delete_data: bool) -> Removal | None:
        """Return what would be removed; None where there is no stack.

        Raises DeployError where tables are watched by stacks of their own, and where Retain protects the data and
        ``delete_data`` does not say that it may go.
        """
        found = stacks.describe(self.target, self.stage.stack)
        if found is None:
            return None
        if watched := self._watched(found):
            commands = ", ".join(f"`weaudit unwatch {table}`" for table in watched)
            raise DeployError(
                f"{len(watched)} table(s) are watched through {found.name}, each by a stack of its own\n"
                f"Stop that first: {commands}."
            )
        retained = found.parameters.get("Retain") == "true" and found.status != "DELETE_FAILED"
        if retained and not delete_data:
            raise DeployError(
                f"{found.name} retains its data: every table is protected from deletion\n"
                "`weaudit destroy --delete-data` deletes the tables and buckets with all that is in them. There is no "
                "way back: copy what you need before."
            )
        rows = list(stacks.resources(self.target, self.stage.stack))
        return Removal(
            found.name,
            found.status,
            _physical(rows, "AWS::DynamoDB::Table"),
            _physical(rows, "AWS::S3::Bucket"),
            retained,
        )

    def apply(self, removal: Removal) -> None:
        """Remove it all; DeployError, with the first cause, where CloudFormation does not. Then try again."""
        client = self.target.client("cloudformation")
        found = when_quiet(client, removal.stack, self.progress)
        if found is None:
            return
        if removal.retained:
            self._unprotect()
        if found.protected:
            client.update_termination_protection(StackName=found.name, EnableTerminationProtection=False)
        for attempt in range(1, _ATTEMPTS + 1):
            # The ledger first: where it is locked, nothing else is lost either.
            for bucket in sorted(removal.buckets, key=lambda name: _LEDGER not in name):
                self._empty(bucket)
            try:
                stack.remove(self.target, removal.stack, self.progress)
                return
            except DeployError:
                again = any(self._holds_something(bucket) for bucket in removal.buckets)
                if attempt == _ATTEMPTS or not again:
                    raise
                self.progress("something was written meanwhile: emptying the buckets again")

    def _unprotect(self) -> None:
        """Turn the tables' protection off, by an update that changes nothing else."""
        found = stack.settled(self.target, self.stage.stack, self.progress)
        if found is None or found.parameters.get("Retain") != "true":
            return
        self.progress("turning deletion protection off")
        names = found.parameters.keys() | found.masked
        rows: list[dict[str, Any]] = [
            {"ParameterKey": name, "UsePreviousValue": True} for name in sorted(names - {"Retain"})
        ]
        change_set = change_sets.create(
            self.target.client("cloudformation"), self.stage.stack, creates=False,
            template={"UsePreviousTemplate": True},
            parameters=[*rows, {"ParameterKey": "Retain", "ParameterValue": "false"}],
            tags={stack.STACK_TAG: self.stage.stack},
        )  # fmt: skip
        if change_set is not None:
            stack.carry_out(self.target, change_set, self.progress)

    def _watched(self, found: StackState) -> list[str]:
        """Return the tables that stacks of infra/watch.yaml bring to this stack's audit_producer."""
        alias = found.outputs.get("AuditProducerAliasArn")
        tables = []
        for page in self.target.client("cloudformation").get_paginator("describe_stacks").paginate():
            for row in page["Stacks"]:
                values = {one["ParameterKey"]: one.get("ParameterValue", "") for one in row.get("Parameters", ())}
                if alias and values.get("FunctionAliasArn") == alias and row["StackStatus"] != "DELETE_COMPLETE":
                    tables.append(values.get("TableName", row["StackName"]))
        return sorted(tables)

    def _empty(self, bucket: str) -> None:
        """Delete every version of every object, and every marker of a deleted one."""
        client, count = self.target.client("s3"), 0
        try:
            for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
                rows = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                for start in range(0, len(rows), _BATCH):
                    batch = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows[start : start + _BATCH]]
                    answer = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
                    if errors := answer.get("Errors"):
                        kind = StoreUnavailableError if errors[0]["Code"] in _OF_S3_ITSELF else DeployError
                        locked = _LEDGER in bucket and errors[0]["Code"] == "AccessDenied"
                        raise kind(
                            f"{bucket} could not be emptied: {errors[0]['Key']!r}: {errors[0]['Message']}"
                            + ("\nObject Lock keeps it: try again when its locks have ended." if locked else "")
                        )
                    count += len(batch)
        except client.exceptions.NoSuchBucket:
            return
        if count:
            self.progress(f"emptied {bucket}: {count} version(s)")

    def _holds_something(self, bucket: str) -> bool:
        client = self.target.client("s3")
        try:
            page = client.list_object_versions(Bucket=bucket, MaxKeys=1)
        except client.exceptions.ClientError as error:
            if boto_errors.passes(error):
                raise
            return False
        return bool(page.get("Versions") or page.get("DeleteMarkers"))


def _physical(rows: list[Any], kind: str) -> tuple[str, ...]:
    return tuple(
        sorted(
            row["PhysicalResourceId"] for row in rows if row["ResourceType"] == kind and row.get("PhysicalResourceId")
        )
    )


def confirmed(answer: str, removal: Removal) -> None:
    """Raise InvalidInputError unless ``answer`` is the stack's name."""
    if answer.strip() != removal.stack:
        raise InvalidInputError(f"{answer!r} is not {removal.stack}\nNothing was removed.")

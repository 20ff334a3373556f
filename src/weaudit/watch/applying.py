"""Watched tables: one small stack each (infra/watch.yaml) brings a table's changes to audit_producer.

Watching is planned first and done afterwards, so that a command can say what it will do.
"""

import dataclasses
import hashlib
import re
import time
from dataclasses import dataclass
from typing import Any

from weaudit.capture.configuration import ALWAYS, in_force_from, watch_item
from weaudit.deploy import stack, templates
from weaudit.errors import DeployError, InvalidInputError
from weaudit.installation import draining, stacks
from weaudit.installation.outputs import Installation
from weaudit.installation.stacks import Progress
from weaudit.values import replaced
from weaudit.watch import plan as watch_plans
from weaudit.watch import ruling
from weaudit.watch.plan import VIEW, Plan
from weaudit.watch.watched import Watch, describe_table, key_of, own, producer_settings, watches
from weaudit.watch.wishes import Wish

STREAM_SECONDS = 600.0
DRAIN_SECONDS = 60.0
_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_PLAIN = re.compile(r"(?!.*-[0-9a-f]{10}$)[a-zA-Z0-9-]+")
_LONGEST_STACK_NAME = 128
_STREAM_AGE_MS = 25 * 3600 * 1000
# Rules may be written this much later than they were planned: far less than the minute that is allowed for clocks.
_LATE_MS = 10_000


def stack_name(table: str, prefix: str = "") -> str:
    """Return the name of the stack that watches ``table``; two tables never have the same.

    ``weaudit-watch-<table>`` where the table's name may be a stack's; else what a stack's name cannot hold becomes a
    hyphen and a hash of the table's name follows. Source: a stack's name is letters, digits and hyphens, 128 at most.
    """
    head = f"{prefix}weaudit-watch-"
    if _PLAIN.fullmatch(table) and len(head) + len(table) <= _LONGEST_STACK_NAME:
        return head + table
    digest = hashlib.sha256(table.encode()).hexdigest()[:10]
    return head + re.sub(r"[^a-zA-Z0-9-]", "-", table)[: _LONGEST_STACK_NAME - len(head) - 11] + "-" + digest


@dataclass(frozen=True, slots=True)
class Watching:
    """Watches tables for one installation: plans what it takes, does it, undoes it."""

    installation: Installation

    @property
    def _prefix(self) -> str:
        return self.installation.outputs["AuditProducerFunctionName"].removesuffix("audit_producer")

    def plan(self, table: str, wish: Wish | None = None) -> Plan:
        """Return what it takes to watch ``table`` with the rules that are wished for; None: as they are.

        Of the stack's own tables, only the rules can be set. Changes nothing. Raises InvalidInputError, with the
        reason, for a table that cannot or must not be watched, and for rules that are not valid.
        """
        wish = wish or Wish()
        if table in self.installation.own_streams:
            return self._plan_of_own(table, wish)
        description = self._watchable(table)
        enabled, view = _view(description)
        if enabled and view != VIEW:
            raise InvalidInputError(watch_plans.other_view(table, view))
        name = stack_name(table, self._prefix)
        watch = self._existing(name, table)
        self._refuse_doubling(description, watch)
        turned_on = not enabled or (watch is not None and watch.turned_stream_on and watch.table_stream == watch.stream)
        stream = description["LatestStreamArn"] if enabled else ""
        parameters = self._parameters(description, stream, turned_on=turned_on)
        text = templates.path("watch.yaml").read_text(encoding="utf-8")
        deploy = not stream or watch is None or watch.digest != stack.digest_of(text, parameters)
        resume = watch.mapping if watch is not None and not deploy and watch.state == "Disabled" else ""
        if watch is not None and not deploy and watch.state == "mapping gone":
            raise DeployError(
                f"the mapping of {table} was deleted by hand, outside its stack {name}\n"
                f"Run `weaudit unwatch {table} --force`, then `weaudit watch {table}`."
            )
        rules = self._ruled(table, wish, description, recorded=watch is not None and watch.mapping != "")
        new = watch is None
        others = len(self._mappings(stream)) if new and stream else 0
        return dataclasses.replace(
            rules,
            stack=name,
            steps=watch_plans.steps(
                table, name, rules.steps, turn_on=not enabled, deploy=deploy, new=new, resume=resume
            ),
            notes=(*(watch_plans.notes(description, stream, others, new=new) if deploy else ()), *rules.notes),
            turn_on=not enabled,
            deploy=deploy,
            resume=resume,
            parameters=parameters,
        )

    def _plan_of_own(self, table: str, wish: Wish) -> Plan:
        if not wish.given:
            raise InvalidInputError(
                f"{table} is watched already, by WeAudit's own stack\n"
                f"`weaudit watch {table} --ignore ATTR`, or another option, sets its rules."
            )
        description = describe_table(self.installation.target, table)
        if description is None:
            raise InvalidInputError(f"there is no table {table} on {self.installation.target.describe()}")
        return self._ruled(table, wish, description, recorded=True)

    def _ruled(self, table: str, wish: Wish, description: Any, *, recorded: bool) -> Plan:
        """Return the part of a plan that concerns the table's rules."""
        key = key_of(description)
        settings = producer_settings(self.installation)
        found = ruling.read(self.installation, table, key, settings.get("ACTOR_ATTRIBUTE", ""))
        later = in_force_from(found.now_ms, _cache_s(settings))
        versions = watch_plans.versions(found, wish, later, key, recorded=recorded)
        watch_plans.check_size(table, versions)
        configuration = self.installation.configuration_table
        return Plan(
            table=table,
            stack=self.installation.stage.stack,
            steps=watch_plans.rules_steps(table, found, versions, configuration),
            notes=watch_plans.rules_notes(table, found, versions, description, holds_rules=table == configuration),
            versions=versions,
            wish=wish,
            item=found.item,
            key=key,
            recorded=recorded,
        )

    def _watchable(self, table: str) -> Any:
        if not _TABLE.fullmatch(table):
            raise InvalidInputError(
                f"{table!r} is no table's name: 3 to 255 letters, digits, underscores, dots, hyphens"
            )
        description = describe_table(self.installation.target, table)
        if description is None:
            raise InvalidInputError(
                f"there is no table {table} on {self.installation.target.describe()}\n"
                "Is the name spelled exactly so, and is it a table of this account and region?"
            )
        attributes = {definition["AttributeName"] for definition in description["AttributeDefinitions"]}
        if {"historyKey", "changesKey"} <= attributes:
            raise InvalidInputError(
                f"{table} is a table of WeAudit's own: each record in it would make further records, without end"
            )
        if table in self._own_tables():
            raise InvalidInputError(
                f"{table} is a table of WeAudit's own: what its functions write is no change of your data"
            )
        if description["TableStatus"] not in ("ACTIVE", "UPDATING", "CREATING"):
            raise InvalidInputError(f"{table} is {description['TableStatus']}")
        return description

    def _refuse_doubling(self, description: Any, watch: Watch | None) -> None:
        if watch is not None or not description.get("LatestStreamArn"):
            return
        for mapping in self._mappings(description["LatestStreamArn"]):
            if mapping["FunctionArn"] == self.installation.audit_producer:
                raise InvalidInputError(
                    f"a mapping made by hand brings {description['TableName']}'s changes to audit_producer already\n"
                    f"Delete it first: `aws lambda delete-event-source-mapping --uuid {mapping['UUID']}`."
                )

    def _own_tables(self) -> set[str]:
        rows = stacks.resources(self.installation.target, self.installation.stage.stack)
        return {row["PhysicalResourceId"] for row in rows if row["ResourceType"] == "AWS::DynamoDB::Table"}

    def _existing(self, name: str, table: str) -> Watch | None:
        found = stacks.describe(self.installation.target, name)
        # A watch that was broken off while it was planned leaves an empty stack, which the next deployment removes.
        if found is None or found.status == "REVIEW_IN_PROGRESS":
            return None
        for watch in watches(self.installation, [name]):
            if watch.table == table:
                return watch
        raise InvalidInputError(f"the stack {name} is there already and does not watch {table}: remove or rename it")

    def _parameters(self, description: Any, stream: str, *, turned_on: bool) -> dict[str, str]:
        outputs = self.installation.outputs
        partition = outputs["AuditProducerAliasArn"].split(":")[1]
        key = description.get("SSEDescription", {})
        return {
            "TableName": description["TableName"],
            "StreamArn": stream,
            "FunctionAliasArn": outputs["AuditProducerAliasArn"],
            "RoleName": outputs["AuditProducerRoleName"],
            "EvidenceBucketArn": f"arn:{partition}:s3:::{outputs['EvidenceBucketName']}",
            "TableKeyArn": key.get("KMSMasterKeyArn", "") if key.get("Status") in ("ENABLED", "UPDATING") else "",
            "StreamTurnedOn": "true" if turned_on else "false",
        }

    def _mappings(self, stream: str) -> list[Any]:
        pages = self.installation.target.client("lambda").get_paginator("list_event_source_mappings")
        return [
            mapping
            for page in pages.paginate(EventSourceArn=stream)
            for mapping in page["EventSourceMappings"]
            if mapping["EventSourceArn"] == stream
        ]

    def apply(self, plan: Plan, progress: Progress) -> None:
        """Do what was planned. Where the stack fails, a stream that was turned on for it is turned off again."""
        target = self.installation.target
        parameters = dict(plan.parameters)
        if plan.turn_on:
            parameters["StreamArn"] = self._turn_on(plan.table, progress)
        if plan.versions:
            self._write_rules(plan, progress)  # before the mapping: the first change must find them
        try:
            if plan.deploy:
                stack.deploy(
                    target, name=plan.stack, template=templates.path("watch.yaml"), artifacts=[], parameters=parameters,
                    progress=progress,
                )  # fmt: skip
        except DeployError:
            if plan.turn_on:
                progress(f"turning the stream of {plan.table} off again")
                self.turn_off(plan.table)
            raise
        if plan.resume:
            target.client("lambda").update_event_source_mapping(UUID=plan.resume, Enabled=True)

    def _write_rules(self, plan: Plan, progress: Progress) -> None:
        """Write the planned versions, unless the rules were changed since they were planned.

        Somebody may have thought about the plan for long: a version must not be in force before every function has read
        it, so it is moved if it would be. Raises DeployError if the rules are other ones by now.
        """
        settings = producer_settings(self.installation)
        found = ruling.read(self.installation, plan.table, plan.key, settings.get("ACTOR_ATTRIBUTE", ""))
        changed = DeployError(
            f"the rules of {plan.table} were changed by somebody else in the meantime, and nothing was written\n"
            "Run it again, and look at what it says."
        )
        if found.item != plan.item:
            raise changed
        versions = plan.versions
        since, later = versions[-1].since, in_force_from(found.now_ms - _LATE_MS, _cache_s(settings))
        if since not in (ALWAYS, *(rules.since for rules in found.versions)) and since < later:
            later = in_force_from(found.now_ms, _cache_s(settings))
            versions = (*versions[:-1], replaced(versions[-1], since=later))
            progress(f"the rules are in force from {later} on, since the answer took its time")
        client = self.installation.target.client("dynamodb")
        try:
            client.put_item(
                TableName=self.installation.configuration_table,
                Item=watch_item(plan.table, versions),
                **_unless_changed(found.item),
            )
        except client.exceptions.ConditionalCheckFailedException:
            raise changed from None

    def _turn_on(self, table: str, progress: Progress) -> str:
        client = self.installation.target.client("dynamodb")
        self._wait_active(client, table)
        progress(f"turning the stream of {table} on")
        client.update_table(TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": VIEW})
        return str(self._wait_active(client, table)["LatestStreamArn"])

    def _wait_active(self, client: Any, table: str) -> Any:
        deadline = time.monotonic() + STREAM_SECONDS
        while (found := client.describe_table(TableName=table)["Table"])["TableStatus"] != "ACTIVE":
            if time.monotonic() > deadline:
                raise DeployError(f"{table} is still {found['TableStatus']} after {STREAM_SECONDS / 60:.0f} minutes")
            time.sleep(1)
        return found

    def turn_off(self, table: str) -> None:
        """Turn the table's stream off; what it holds is not read any more."""
        client = self.installation.target.client("dynamodb")
        self._wait_active(client, table)
        client.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})

    def watch_of(self, table: str) -> Watch:
        """Return the watch of a table, which may be WeAudit's own. Raises InvalidInputError if it is not watched."""
        if table in self.installation.own_streams:
            return next(watch for watch in own(self.installation) if watch.table == table)
        return self.find(table)

    def find(self, table: str) -> Watch:
        """Return the watch of a table. InvalidInputError where it is not watched, or is WeAudit's own."""
        if table in self.installation.own_streams:
            raise InvalidInputError(f"{table} is watched by WeAudit's own stack, for as long as that is there")
        watch = self._existing(stack_name(table, self._prefix), table)
        if watch is None:
            raise InvalidInputError(f"{table} is not watched\n`weaudit watched` lists the tables that are.")
        return watch

    def other_readers(self, watch: Watch) -> int:
        """Return how many other mappings read the stream: they would get nothing more if it were turned off."""
        return len([mapping for mapping in self._mappings(watch.stream) if mapping["UUID"] != watch.mapping])

    def remove(self, watch: Watch, progress: Progress, *, force: bool = False) -> None:
        """Stop watching: every change made until now is audited first; records stay as they are.

        Raises DeployError, and leaves all as it is, where that takes longer than DRAIN_SECONDS and not ``force``.
        """
        target = self.installation.target
        if not force:
            progress("waiting for the last change to be audited")
            alias = self.installation.audit_producer
            mapping = {"FunctionArn": alias, "EventSourceArn": watch.stream}
            since_ms = int(time.time() * 1000) - _STREAM_AGE_MS
            if draining.behind(target, [mapping], since_ms, DRAIN_SECONDS if watch.state == "Enabled" else 0):
                raise DeployError(
                    f"changes of {watch.table} are still waiting to be audited, as far as audit_producer's log says\n"
                    "Try again when writers are quiet; `weaudit logs audit_producer` shows what it does. "
                    f"`weaudit unwatch {watch.table} --force` gives those changes up."
                )
        # The table's rules stay: a change that is replayed later is recorded by them, and a later watch begins there.
        stack.remove(target, watch.stack, progress)


def _cache_s(settings: dict[str, str]) -> float:
    return float(settings.get("CACHE_TTL_SEC") or 60)


def _unless_changed(item: dict[str, Any] | None) -> dict[str, Any]:
    """Return the condition that the item WATCH/… is what it was when it was read."""
    if item is None:
        return {"ConditionExpression": "attribute_not_exists(#key)", "ExpressionAttributeNames": {"#key": "key"}}
    if "versions" not in item:
        return {"ConditionExpression": "attribute_not_exists(versions)"}
    return {
        "ConditionExpression": "versions = :versions",
        "ExpressionAttributeValues": {":versions": item["versions"]},
    }


def _view(description: Any) -> tuple[bool, str]:
    stream = description.get("StreamSpecification") or {}
    return bool(stream.get("StreamEnabled")), stream.get("StreamViewType", "")

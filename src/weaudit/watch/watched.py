"""The tables that are watched, as they are now: the stack's own, and one for each stack of infra/watch.yaml."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from weaudit.capture.rules import Rules
from weaudit.installation.outputs import Installation
from weaudit.installation.stacks import DIGEST_TAG
from weaudit.installation.targets import Target
from weaudit.items.times import iso_moment
from weaudit.watch import ruling

_NONE = Rules()


@dataclass(frozen=True, slots=True)
class Watch:
    """One watched table.

    ``state`` is Lambda's word for the mapping (``Enabled``, ``Disabled``, ``Creating``…), or what is wrong: ``table
    gone``, ``stream off``, ``stream replaced``, ``mapping gone``, or the stack's state while that is not complete.
    ``actor`` is that of the latest rules; ``rules`` are those in force now, and ``faults`` say what is wrong with the
    others. ``key`` are the table's key attributes, () if it is gone. ``since`` is when its stack was made, ISO 8601,
    UTC. ``table_stream`` is the stream that the table has now, ``failures`` the ARN of where the mapping puts what it
    gives up on.
    """

    table: str
    stream: str
    state: str
    actor: str
    since: str
    stack: str
    mapping: str = ""
    last_result: str = ""
    turned_stream_on: bool = False
    table_stream: str = ""
    digest: str = ""
    failures: str = ""
    rules: Rules = _NONE
    faults: tuple[str, ...] = ()
    key: tuple[str, ...] = ()

    @property
    def stream_on(self) -> bool:
        """Whether the table exists and has a stream."""
        return bool(self.table_stream) and self.state not in ("table gone", "stream off")


def watches(installation: Installation, names: Sequence[str] = ()) -> Iterator[Watch]:
    """Yield every watched table but the stack's own, or those of the stacks with these names, sorted by stack."""
    client = installation.target.client("cloudformation")
    pages = client.get_paginator("describe_stacks")
    requests: list[dict[str, str]] = [{"StackName": name} for name in names] or [{}]
    stacks = [found for request in requests for page in pages.paginate(**request) for found in page["Stacks"]]
    mappings = _mappings(installation)
    actor = _default_actor(installation)
    for found in sorted(stacks, key=lambda row: str(row["StackName"])):
        parameters = {row["ParameterKey"]: row.get("ParameterValue", "") for row in found.get("Parameters", [])}
        ours = parameters.get("FunctionAliasArn") == installation.audit_producer
        if ours and "StreamTurnedOn" in parameters and found["StackStatus"] != "DELETE_COMPLETE":
            yield _watch(installation, found, parameters, mappings, actor)


def own(installation: Installation) -> Iterator[Watch]:
    """Yield the watches that the main stack holds: of Configuration, and of Images."""
    name = installation.stage.stack
    [found] = installation.target.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    mappings = {row["EventSourceArn"]: row for row in _mappings(installation)}
    actor = _default_actor(installation)
    for table, stream in installation.own_streams.items():
        mapping = mappings.get(stream, {})
        key = key_of(describe_table(installation.target, table))
        rules = ruling.read(installation, table, key, actor)
        yield Watch(
            table=table,
            stream=stream,
            state=mapping.get("State", "mapping gone"),
            actor=rules.latest.actor,
            since=iso_moment(found["CreationTime"]),
            stack=name,
            mapping=mapping.get("UUID", ""),
            last_result=mapping.get("LastProcessingResult", ""),
            table_stream=stream,
            rules=rules.in_force,
            faults=rules.faults,
            key=key,
        )


def _watch(
    installation: Installation, found: Any, parameters: dict[str, str], mappings: list[Any], actor: str
) -> Watch:
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    table, stream = parameters["TableName"], parameters["StreamArn"]
    description = describe_table(installation.target, table)
    mapping = next((row for row in mappings if row["UUID"] == outputs.get("MappingId")), None)
    key = key_of(description)
    rules = ruling.read(installation, table, key, actor)
    return Watch(
        table=table,
        stream=stream,
        state=_state(found["StackStatus"], description, stream, mapping),
        actor=rules.latest.actor,
        since=iso_moment(found["CreationTime"]),
        stack=found["StackName"],
        mapping=outputs.get("MappingId", ""),
        last_result=(mapping or {}).get("LastProcessingResult", ""),
        turned_stream_on=parameters["StreamTurnedOn"] == "true",
        table_stream=(description or {}).get("LatestStreamArn", ""),
        digest=_digest(found),
        failures=((mapping or {}).get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination", ""),
        rules=rules.in_force,
        faults=rules.faults,
        key=key,
    )


def _digest(found: Any) -> str:
    # A stack that failed carries the digest of what it should have become: it is not there yet.
    if found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return ""
    return next((str(tag["Value"]) for tag in found.get("Tags", []) if tag["Key"] == DIGEST_TAG), "")


def _state(stack_status: str, description: Any, stream: str, mapping: Any) -> str:
    if stack_status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
        return stack_status
    if description is None:
        return "table gone"
    if not (description.get("StreamSpecification") or {}).get("StreamEnabled"):
        return "stream off"
    if description["LatestStreamArn"] != stream:
        return "stream replaced"
    return str(mapping["State"]) if mapping is not None else "mapping gone"


def _mappings(installation: Installation) -> list[Any]:
    pages = installation.target.client("lambda").get_paginator("list_event_source_mappings").paginate()
    found = [mapping for page in pages for mapping in page["EventSourceMappings"]]
    return [mapping for mapping in found if mapping["FunctionArn"] == installation.audit_producer]


def _default_actor(installation: Installation) -> str:
    return producer_settings(installation).get("ACTOR_ATTRIBUTE", "")


def producer_settings(installation: Installation) -> dict[str, str]:
    """Return the environment variables of audit_producer."""
    client = installation.target.client("lambda")
    found = client.get_function_configuration(FunctionName=installation.audit_producer)
    return dict(found.get("Environment", {}).get("Variables", {}))


def key_of(description: Any) -> tuple[str, ...]:
    """Return the key attributes of DescribeTable's answer, () of None."""
    return tuple(part["AttributeName"] for part in (description or {}).get("KeySchema", ()))


def describe_table(target: Target, table: str) -> Any:
    """Return DescribeTable's answer, or None where there is no such table."""
    client = target.client("dynamodb")
    try:
        return client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        return None

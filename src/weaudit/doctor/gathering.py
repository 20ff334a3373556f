"""What is there of an installation, read and not judged: `weaudit doctor` gathers here, and decides in examining.py.

Every read is a Describe, Get or List; one function of ours is called, that of GET /v1/health. What may not be read
becomes a fact of its own.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import weaudit
from weaudit.capture.configuration import watch_key
from weaudit.deploy import releases
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.releases import ReleaseLog
from weaudit.doctor import facts
from weaudit.doctor.template import Expected, Place, Template
from weaudit.errors import LedgerFaultError, WeauditError
from weaudit.evidence import QUARANTINE
from weaudit.images.configuration import TTL_KEY
from weaudit.images.pipeline import KEY as PIPELINE_KEY
from weaudit.installation import boto_errors
from weaudit.installation.outputs import Installation
from weaudit.installation.pool import ReadingPool
from weaudit.installation.reading.ledger import LedgerBucket, faults, head, last_entries, verifier_key
from weaudit.installation.stacks import resources
from weaudit.installation.targets import ENGINE_ACCOUNT, wire
from weaudit.items.times import iso_moment
from weaudit.ledger import checkpoints, policies
from weaudit.ledger.entries import FINDINGS
from weaudit.watch.applying import Watching
from weaudit.watch.watched import Watch, describe_table, key_of, watches

GIVEN_UP = "aws/lambda/"
"""Where the evidence bucket keeps what functions put aside, and what Lambda itself gave up on."""
ITEMS = (PIPELINE_KEY, TTL_KEY)
"""Items of Configuration that functions go by, besides the rules of tables."""
_AT_ONCE = 8
_AGE_MINUTES = 15
_FINDINGS_DAYS = 7
_HEALTH = {
    "version": "2.0",
    "routeKey": "GET /v1/health",
    "rawPath": "/v1/health",
    "requestContext": {"http": {"method": "GET", "path": "/v1/health"}},
}


@dataclass(frozen=True, slots=True)
class Facts:
    """One installation as it was found.

    ``expected`` is what the template says, resource by resource; ``found`` what resource_facts read of those that it
    knows, by the same logical ids, None for one that is not there. ``unread`` names what could not be read, and the
    error's code. ``ages_ms`` is how old the oldest record is that a function's streams hold unread, in milliseconds.
    """

    place: Place
    on_engine: bool
    options: str
    status: str
    status_reason: str
    parameters: dict[str, str]
    protected: bool
    outputs: dict[str, str]
    expected: dict[str, Expected]
    found: dict[str, dict[str, Any] | None]
    unread: dict[str, str] = field(default_factory=dict)
    ages_ms: dict[str, float] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)  # prefix: a key that is there
    ledger: dict[str, Any] = field(default_factory=dict)  # the findings of a week, the last seal's age in seconds
    items: dict[str, dict[str, Any] | None] = field(default_factory=dict)  # of Configuration, in DynamoDB JSON
    watches: tuple[Watch, ...] = ()
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)  # table whose changes are audited: its key's names
    outdated: dict[str, tuple[str, ...]] = field(default_factory=dict)  # watched table: what `weaudit watch` would do
    health: dict[str, Any] = field(default_factory=dict)  # the document of GET /v1/health, or {"failed": why}
    last_release: dict[str, str] = field(default_factory=dict)
    skew_s: float = 0.0
    version: str = weaudit.__version__


def gather(installation: Installation, progress: Callable[[str], None] = lambda _: None) -> Facts:
    """Return the facts of an installation. Raises boto3's errors only where the stack itself cannot be read."""
    target, stage = installation.target, installation.stage
    client = target.client("cloudformation")
    progress("the stack")
    [stack] = client.describe_stacks(StackName=stage.stack)["Stacks"]
    body = client.get_template(StackName=stage.stack, TemplateStage="Processed")["TemplateBody"]
    template = body if not isinstance(body, str) else json.loads(body)
    rows = resources(target, stage.stack)
    physical = {row["LogicalResourceId"]: row.get("PhysicalResourceId", "") for row in rows}
    parameters = {row["ParameterKey"]: row.get("ParameterValue", "") for row in stack.get("Parameters", ())}
    place, skew_s = _place(installation)
    expected = Template(template, parameters, physical, place).resources()
    unread: dict[str, str] = {}
    progress(f"{len(expected)} resources")
    found = _resources(installation, expected, unread)
    progress("streams, releases and settings")

    def ask(what: str, question: Callable[[], Any], default: Any) -> Any:
        return _asked(unread, what, question, default)

    watched = ask("watched tables", lambda: tuple(watches(installation)), ())
    keys = ask("keys of tables", lambda: _keys(installation, watched), {})
    return Facts(
        place=place,
        on_engine=place.account == ENGINE_ACCOUNT,
        options=stage.options,
        status=stack["StackStatus"],
        status_reason=stack.get("StackStatusReason", ""),
        parameters=parameters,
        protected=bool(stack.get("EnableTerminationProtection")),
        outputs=dict(installation.outputs),
        expected=expected,
        found=found,
        unread=unread,
        ages_ms=ask("IteratorAge", lambda: _ages(installation, expected), {}),
        evidence=ask(installation.evidence_bucket, lambda: _evidence(installation), {}),
        ledger=ask("the ledger", lambda: _ledger(installation), {}),
        items=ask(installation.configuration_table, lambda: _items(installation, keys), {}),
        watches=watched,
        keys=keys,
        outdated=ask("plans of watched tables", lambda: _outdated(installation, watched), {}),
        health=ask("GET /v1/health", lambda: _health(installation), {}),
        last_release=ask("releases", lambda: _last_release(installation), {}),
        skew_s=skew_s,
    )


def _asked(unread: dict[str, str], what: str, question: Callable[[], Any], default: Any) -> Any:
    """Return the answer; ``default`` where we may not ask, which is noted. Raises boto3's error where it may pass."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return question()
    except ClientError as error:
        if boto_errors.passes(error):
            raise
        unread[what] = str(error.response["Error"]["Code"])
    except (BotoCoreError, WeauditError) as error:
        unread[what] = type(error).__name__
    return default


def _place(installation: Installation) -> tuple[Place, float]:
    began = time.time()
    answer = installation.target.client("sts").get_caller_identity()
    now = (began + time.time()) / 2
    stated = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    skew_s = now - parsedate_to_datetime(stated).timestamp() if stated else 0.0
    client = installation.target.client("lambda")
    arn = installation.audit_producer.split(":")
    return Place(answer["Account"], client.meta.region_name, arn[1], installation.stage.stack), skew_s


def _resources(
    installation: Installation, expected: dict[str, Expected], unread: dict[str, str]
) -> dict[str, dict[str, Any] | None]:
    wanted = [resource for resource in expected.values() if resource.kind in facts.READERS]
    # boto3's clients may be shared by threads; making them may not.
    services = {facts.READERS[resource.kind][0] for resource in wanted} | {"cloudwatch"}
    clients = {service: installation.target.client(service) for service in sorted(services)}
    gone: object = object()

    def read(resource: Expected) -> Any:
        service, reader = facts.READERS[resource.kind]
        label = f"{resource.logical} ({resource.name})"
        return _asked(unread, label, lambda: facts.read(reader, clients[service], resource), gone)

    with ReadingPool(_AT_ONCE, "weaudit-doctor") as pool:
        answers = list(pool.map(read, wanted))
    found = {resource.logical: answer for resource, answer in zip(wanted, answers, strict=True) if answer is not gone}
    alarms = [resource for resource in expected.values() if resource.kind == facts.ALARM]
    asked = _asked(unread, "alarms", lambda: facts.alarms(clients["cloudwatch"], alarms), {})
    return {**found, **asked}


def _ages(installation: Installation, expected: dict[str, Expected]) -> dict[str, float]:
    names = {
        row.properties["FunctionName"].split(":")[6]
        for row in expected.values()
        if row.kind == "AWS::Lambda::EventSourceMapping" and "StartingPosition" in row.properties
    }
    client, now = installation.target.client("cloudwatch"), datetime.now(UTC)
    found = {}
    for name in sorted(names):
        points = client.get_metric_statistics(
            Namespace="AWS/Lambda", MetricName="IteratorAge", Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=now - timedelta(minutes=_AGE_MINUTES), EndTime=now, Period=60, Statistics=["Maximum"],
        )["Datapoints"]  # fmt: skip
        if points:
            found[name] = float(max(points, key=lambda point: point["Timestamp"])["Maximum"])
    return found


def _evidence(installation: Installation) -> dict[str, str]:
    client, found = installation.target.client("s3"), {}
    for prefix in (QUARANTINE, GIVEN_UP):
        page = client.list_objects_v2(Bucket=installation.evidence_bucket, Prefix=prefix, MaxKeys=1)
        for row in page.get("Contents", ()):
            found[prefix] = row["Key"]
    return found


def _ledger(installation: Installation) -> dict[str, Any]:
    """Return what the end of the ledger says; {} if it has not begun."""
    bucket = LedgerBucket.of(installation)
    if bucket.fetch(checkpoints.CHECKPOINT) is None:
        return {}
    try:
        with faults(""):
            newest = head(bucket)
            checkpoints.opened(newest.note, policies.of_log(verifier_key(installation)))
            last = last_entries(bucket, newest)
    except LedgerFaultError as error:
        return {"unsound": str(error)}
    now = datetime.now(UTC)
    since = iso_moment(now - timedelta(days=_FINDINGS_DAYS))
    sealed_at = [entry.time for _, entry in last if entry.kind == "seal"]
    age = now - datetime.fromisoformat(sealed_at[-1]) if sealed_at else timedelta(days=_FINDINGS_DAYS)
    found = [entry for _, entry in last if entry.kind in FINDINGS and entry.time >= since]
    return {"age_s": age.total_seconds(), "findings": [(entry.kind, entry.id or "", entry.time) for entry in found]}


def _keys(installation: Installation, watched: tuple[Watch, ...]) -> dict[str, tuple[str, ...]]:
    own = {table: key_of(describe_table(installation.target, table)) for table in installation.own_streams}
    return own | {watch.table: watch.key for watch in watched}


def _items(installation: Installation, tables: Iterable[str]) -> dict[str, dict[str, Any] | None]:
    client = installation.target.client("dynamodb")
    keys = [{"key": {"S": name}} for name in ITEMS] + [watch_key(table) for table in tables]
    return {
        key["key"]["S"]: wire(client.get_item(TableName=installation.configuration_table, Key=key).get("Item"))
        for key in keys
    }


def _outdated(installation: Installation, watched: tuple[Watch, ...]) -> dict[str, tuple[str, ...]]:
    found, watching = {}, Watching(installation)
    for watch in watched:
        if watch.state == "Enabled" and (steps := watching.plan(watch.table, None).steps):
            found[watch.table] = steps
    return found


def _health(installation: Installation) -> dict[str, Any]:
    answer = installation.target.client("lambda").invoke(
        FunctionName=installation.outputs["HealthAliasArn"], Payload=json.dumps(_HEALTH).encode()
    )
    said = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError") or not isinstance(said, dict):
        return {"failed": str((said or {}).get("errorType", "no reason given"))}
    document: dict[str, Any] = json.loads(said["body"])
    return document


def _last_release(installation: Installation) -> dict[str, str]:
    log = ReleaseLog(ArtifactBucket.of(installation.target), installation.stage.stack)
    numbers = log.numbers()
    release = log.get(numbers[-1]) if numbers else None
    if release is None:
        return {}
    return {"label": release.label, "outcome": release.outcome, "reason": release.reason, "deployed": releases.DEPLOYED}

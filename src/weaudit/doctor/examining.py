"""Whether an installation is well: the facts of it in, findings out. Pure: no clock, no AWS."""

from collections.abc import Callable, Iterator

from weaudit.capture.configuration import watch_key
from weaudit.doctor.findings import ERROR, Finding, spelled
from weaudit.doctor.gathering import GIVEN_UP, Facts
from weaudit.doctor.resources import CHECKS
from weaudit.errors import PipelineRefusedError
from weaudit.evidence import QUARANTINE
from weaudit.images.configuration import TTL_KEY, pipeline_of, stated_ttl_s
from weaudit.images.pipeline import KEY as PIPELINE_KEY
from weaudit.watch import ruling

_BACKLOG_MS = 60_000
_SKEW_S = 60
_SILENT_S = 2 * 3_600
_SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")


def examine(facts: Facts) -> list[Finding]:
    """Return what is not as it should be, errors before warnings; nothing where all is well."""
    found = [finding for check in _CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: finding.severity != ERROR)


def _stack(facts: Facts) -> Iterator[Finding]:
    name = facts.place.stack
    if facts.status not in _SETTLED:
        what = f"the stack is {facts.status}" + (f": {facts.status_reason}" if facts.status_reason else "")
        do = f"weaudit deploy {facts.options}"
        if facts.status == "UPDATE_ROLLBACK_FAILED":
            do = f"aws cloudformation continue-update-rollback --stack-name {name}"
        yield Finding("stack-failed", name, what, do)
    if facts.parameters.get("Retain") == "true" and not facts.protected:
        do = f"aws cloudformation update-termination-protection --stack-name {name} --enable-termination-protection"
        yield Finding("stack-unprotected", name, f"the stack {name} may be deleted, although Retain is true", do)


def _release(facts: Facts) -> Iterator[Finding]:
    name, release = facts.place.stack, facts.parameters.get("Release", "")
    last = facts.last_release
    if last and last["outcome"] != last["deployed"]:
        reason = f": {last['reason']}" if last["reason"] else ""
        what = f"release {last['label']} is marked {last['outcome']}{reason}; what runs is {release or 'not named'}"
        yield Finding("last-release", name, what, f"weaudit deploy {facts.options}")
    health = facts.health
    if "failed" in health:
        what = f"the function behind GET /v1/health failed ({health['failed']})"
        yield Finding("health", name, what, "weaudit logs health")
        return
    if not health:
        return  # among what could not be read
    if health.get("state") != "ok":
        what = f"GET /v1/health says {health.get('state')}: {'; '.join(map(str, health.get('problems', ())))}"
        yield Finding("health", name, what, "weaudit call GET /v1/health")
    if health.get("release") != release:
        what = f"release {health.get('release') or 'without a name'} answers, and the stack is {release}"
        yield Finding("release-differs", name, what, f"weaudit deploy {facts.options}")
    if health.get("version") != facts.version:
        what = f"version {health.get('version')} is deployed, and this command is of version {facts.version}"
        yield Finding("version-differs", name, what, f"weaudit deploy {facts.options}")


def _resources(facts: Facts) -> Iterator[Finding]:
    for logical, found in facts.found.items():
        wanted = facts.expected[logical]
        if found is None:
            what = f"{wanted.logical} ({wanted.name or wanted.kind}) is not there any more"
            do = f"aws cloudformation detect-stack-drift --stack-name {facts.place.stack}"
            yield Finding("resource-gone", wanted.name or logical, what, do)
        else:
            yield from CHECKS[wanted.kind](wanted, found, facts)


def _unread(facts: Facts) -> Iterator[Finding]:
    for what, code in facts.unread.items():
        do = "ask for permission to read it, and run this again: weaudit doctor"
        yield Finding("not-checked", what, f"{what} could not be read ({code})", do)


def _evidence(facts: Facts) -> Iterator[Finding]:
    bucket = facts.outputs.get("EvidenceBucketName", "the evidence bucket")
    if QUARANTINE in facts.evidence:
        what = f"records that could not be processed wait in the evidence bucket ({QUARANTINE})"
        yield Finding("quarantine", bucket, what, "weaudit quarantine")
    if GIVEN_UP in facts.evidence:
        what = f"records that Lambda gave up on wait in the evidence bucket ({GIVEN_UP}) until their cause is mended"
        yield Finding("given-up", bucket, what, "weaudit quarantine replay")


def _ledger(facts: Facts) -> Iterator[Finding]:
    bucket, ledger = facts.outputs.get("LedgerBucketName", "the ledger"), facts.ledger
    if "unsound" in ledger:
        yield Finding(
            "ledger-unsound", bucket, f"the ledger is not sound: {ledger['unsound']}", "weaudit verify --ledger"
        )
    if ledger.get("age_s", 0) > _SILENT_S:
        what = f"the ledger was sealed {ledger['age_s'] / 3600:,.0f} hours ago"
        yield Finding("ledger-silent", bucket, what, "weaudit logs ledger_sealer")
    if findings := ledger.get("findings", []):
        kind, row_id, at = findings[-1]
        count = f"{len(findings):,} findings" if len(findings) > 1 else "a finding"
        what = f"the ledger has {count} of the last week; the last one: {kind} {row_id} at {at}"
        yield Finding("ledger-findings", bucket, what, "weaudit verify --ledger")


def _backlog(facts: Facts) -> Iterator[Finding]:
    for function, age_ms in sorted(facts.ages_ms.items()):
        if age_ms > _BACKLOG_MS:
            what = f"{function} is behind: the oldest record that it took was {age_ms / 1000:,.0f} s old"
            yield Finding("backlog", function, what, f"aws logs tail /aws/lambda/{function} --since 15m")


def _watches(facts: Facts) -> Iterator[Finding]:
    role, bucket = facts.outputs.get("AuditProducerRoleName", ""), facts.outputs.get("EvidenceBucketName", "")
    own = next((facts.found.get(row.logical) for row in facts.expected.values() if row.physical == role), None)
    for watch in facts.watches:
        do = f"weaudit watch {watch.table}"
        if watch.state in ("Creating", "Enabling", "Updating"):
            continue
        if watch.state != "Enabled":
            do = f"weaudit unwatch {watch.table}" if watch.state == "table gone" else do
            yield Finding("watch-broken", watch.table, f"{watch.table} is not audited: {watch.state}", do)
        elif own is not None and watch.stack not in own["policies"]:
            what = f"{watch.table} is not audited: {role} lost the policy {watch.stack}"
            stack = f"aws cloudformation detect-stack-drift --stack-name {watch.stack}"
            yield Finding("watch-broken", watch.table, what, stack)
        elif watch.last_result.startswith(("PROBLEM", "FAILED")):
            what = f"the last batch of {watch.table} failed: {watch.last_result}"
            yield Finding("mapping-failing", watch.table, what, "weaudit logs audit_producer")
        if watch.state == "Enabled" and watch.failures.rpartition(":")[2] != bucket:
            what = f"what audit_producer, of {watch.table}, cannot process goes {watch.failures or 'nowhere'}"
            to = spelled({"OnFailure": {"Destination": f"arn:{facts.place.partition}:s3:::{bucket}"}})
            aws = f"aws lambda update-event-source-mapping --uuid {watch.mapping} --destination-config {to}"
            yield Finding("nothing-kept", watch.table, what, aws)
        if steps := facts.outdated.get(watch.table):
            what = f"the watch of {watch.table} is out of date; `weaudit watch` would {'; '.join(steps)}"
            yield Finding("watch-outdated", watch.table, what, do)


def _items(facts: Facts) -> Iterator[Finding]:
    table = facts.outputs.get("ConfigurationTableName", "Configuration")
    pipeline = facts.items.get(PIPELINE_KEY)
    if pipeline is not None:
        try:
            pipeline_of(pipeline, facts.parameters.get("ActorAttribute", ""))
        except PipelineRefusedError as error:
            what = f"{PIPELINE_KEY} is refused, an earlier pipeline stays in force: {error}"
            yield Finding("configuration-item", f"{table}/{PIPELINE_KEY}", what, f"weaudit history {PIPELINE_KEY}")
    ttl = facts.items.get(TTL_KEY)
    if ttl is not None and stated_ttl_s(ttl) is None:
        seconds = facts.parameters.get("CacheTtlSeconds", "60")
        what = f"the value of {TTL_KEY} is no number from 0 to 86400: {seconds} seconds are taken instead"
        yield Finding("configuration-item", f"{table}/{TTL_KEY}", what, f"weaudit update {TTL_KEY} value={seconds}")
    for name, names in facts.keys.items():
        key = watch_key(name)["key"]["S"]
        found = ruling.of_item(facts.items.get(key), names, "", 0)
        others = "those before them stay in force" if found.versions else f"no other is: the changes of {name} wait"
        for fault in found.faults:
            what = f"{key} has rules that are not valid, and {others}: {fault}"
            yield Finding("configuration-item", f"{table}/{key}", what, f"weaudit rules {name}")


def _clock(facts: Facts) -> Iterator[Finding]:
    if abs(facts.skew_s) > _SKEW_S:
        direction = "ahead of" if facts.skew_s > 0 else "behind"
        what = f"this machine's clock is {abs(facts.skew_s):,.0f} s {direction} that of {facts.place.region}"
        yield Finding("clock", "this machine", what, "timedatectl set-ntp true")


_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _stack, _release, _resources, _evidence, _ledger, _backlog, _watches, _items, _clock, _unread,
)  # fmt: skip

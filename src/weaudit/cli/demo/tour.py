"""The stops of `weaudit demo` after the first: an update, a photograph, the log, the API, the past, a verification.

Each stop prints what there is to see and the command that does the same by hand, and returns what is wrong with it.
"""

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from weaudit.cli.demo import oracle, picture
from weaudit.cli.printing import output
from weaudit.installation import clients
from weaudit.installation.readers import with_callers
from weaudit.items.texts import dumps
from weaudit.items.values import Item
from weaudit.trail.changes import AuditedChange
from weaudit.trail.documents import document

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.trail.reader import Trail

STOPS = 7
WAIT_SECONDS = 20.0
SEATS, PHOTOGRAPH = "DEMO_SEATS", "demo/sunset.jpg"
_POLL_SECONDS = 0.03
_BEFORE: Item = {"key": {"S": SEATS}, "left": {"N": "10"}}
_UPDATE = {"id": SEATS, "attributes": {"left": 9}, "condition_expression": "left > 0", "enable_logging": True}

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Tour:
    """What every stop works with; ``weaudit`` is how this command is called, for lines to copy."""

    installation: "Installation"
    dynamodb: Any
    trail: "Trail"
    directory: Path
    weaudit: str
    utc: bool

    def heading(self, number: int, text: str) -> None:
        """Say what comes next, and which function does it."""
        output.note(f"\n{number} of {STOPS}: {text}")

    def by_hand(self, *commands: str) -> None:
        """Show the commands that do the same."""
        output.note("  $ " + " && ".join(f"{self.weaudit} {command}" for command in commands))

    def with_callers(self, changes: Iterable[AuditedChange]) -> list[AuditedChange]:
        """Return changes with the callers that the log of updates names."""
        logs = self.installation.outputs["AuditLogsTableName"]
        return list(with_callers(changes, self.trail, clients.dynamodb(self.installation.target), logs, output.note))

    def show(self, changes: Iterable[AuditedChange]) -> None:
        """Print changes as `weaudit history` does."""
        from weaudit.cli.printing.rendering import Rendering

        Rendering(output.stdout(), utc=self.utc, with_items=False).print(changes)
        sys.stdout.flush()  # what follows goes to stderr, and both may go to one file

    def ask(self, method: str, path: str, body: Any = None, *, signed: bool = True) -> tuple[int, Any]:
        """Send a request to the API and return the response's status and document, None if it is not JSON."""
        import boto3

        from weaudit.installation import calling

        target = self.installation.target
        session = boto3.session.Session(
            region_name=target.region, aws_access_key_id=target.access_key, aws_secret_access_key=target.secret_key
        )
        url = calling.base_url(target, self.installation.outputs) + calling.address(path)
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        status, _, answer = calling.send(method, url, data, headers, (session, target.region) if signed else None)
        try:
            return status, json.loads(answer)
        except ValueError:
            return status, None


def awaited(look: Callable[[], Found], right: Callable[[Found], bool]) -> Found:
    """Call ``look`` until its result is right and return that; after WAIT_SECONDS, return the last result."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not right(found := look()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return found


def photographed(tour: Tour) -> picture.Upload:
    """Upload a new picture to the bucket, and keep a copy on disk to look at."""
    body = picture.made()
    path = tour.directory / "demo" / "sunset.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    bucket = tour.installation.trigger_bucket
    put = tour.installation.target.client("s3").put_object(
        Bucket=bucket, Key=PHOTOGRAPH, Body=body, ContentType="image/jpeg"
    )
    return picture.Upload(bucket, PHOTOGRAPH, body, put["ETag"].strip('"'), path)


def update(tour: Tour) -> list[str]:
    """Change a record on a condition, logged, and see its caller in the trail."""
    tour.heading(2, "a conditional update over the API: table_update logs the caller")
    table, logs = tour.installation.configuration_table, tour.installation.outputs["AuditLogsTableName"]
    seen = {change.order for change in tour.trail.item(table, SEATS)}
    tour.dynamodb.put_item(TableName=table, Item=_BEFORE)
    status, answer = tour.ask("POST", "/v1/updates", _UPDATE)
    faults = oracle.answer_faults(status, answer, SEATS, ["left"])
    if not faults:
        found = awaited(
            lambda: [change for change in tour.trail.item(table, SEATS) if change.order not in seen],
            lambda new: bool(new) and new[-1].change_id is not None,
        )[-1:]
        attributed = tour.with_callers(found)
        tour.show(attributed)
        caller = tour.installation.target.client("sts").get_caller_identity()["Arn"]
        key = {"log_id": {"S": (found[0].change_id if found else None) or "none"}}
        entry = tour.dynamodb.get_item(TableName=logs, Key=key, ConsistentRead=True).get("Item")
        expected = {"table_name": {"S": table}, "record_id": {"S": SEATS}, "caller": {"S": caller}}
        faults = oracle.logged_faults(
            attributed, entry, {**expected, "updated_attributes": {"M": {"left": {"N": "9"}}}}
        )
    tour.by_hand(f"call POST /v1/updates --data {shlex.quote(json.dumps(_UPDATE))}")
    return faults


def photograph(tour: Tour, upload: picture.Upload) -> list[str]:
    """See what became of the picture: its row, and renditions that are what the row says."""
    from weaudit.cli.reprocess import current_version
    from weaudit.errors import WeauditError

    tour.heading(3, "a photograph: image_processor measures it and makes renditions")
    key = {"imageKey": {"S": upload.key}}
    row: Item = awaited(
        lambda: tour.dynamodb.get_item(TableName=tour.installation.images_table, Key=key, ConsistentRead=True).get(
            "Item", {}
        ),
        lambda row: row.get("eTag") == {"S": upload.etag},
    )
    try:
        version = current_version(tour.installation)
    except WeauditError:
        version = ""  # the configured pipeline is refused, and the last good one is in force
    s3 = tour.installation.target.client("s3")
    bucket = tour.installation.outputs["RenditionsBucketName"]
    renditions = [rendition["M"] for rendition in row.get("renditions", {}).get("L", [])]
    bodies = [s3.get_object(Bucket=bucket, Key=one["key"]["S"])["Body"].read() for one in renditions]
    output.print_text(f"{upload.key}: {_size(row)}, {len(upload.body):,} bytes")
    for one, body in zip(renditions, bodies, strict=True):
        output.print_text(f"  {one['name']['S']}: {one['format']['S']}, {_size(one)}, {len(body):,} bytes")
    copy = shlex.quote(str(upload.path))
    tour.by_hand(f"put {copy} --prefix demo/", f"images {upload.key}")
    return oracle.image_faults(row, upload, version, bodies)


def _size(fields: Item) -> str:
    return f"{fields.get('width', {}).get('N', '?')} x {fields.get('height', {}).get('N', '?')}"


def log(tour: Tour, upload: picture.Upload) -> list[str]:
    """See the one row that the picture's arrival made."""
    tour.heading(4, "its arrival: s3_processor logged it")
    function = next(row.deployed_as() for row in _functions() if row.name == "s3_processor")
    rows = awaited(
        lambda: [
            row
            for page in tour.dynamodb.get_paginator("scan").paginate(
                TableName=tour.installation.invocation_log,
                FilterExpression="objectKey = :key AND eTag = :etag",
                ExpressionAttributeValues={":key": {"S": upload.key}, ":etag": {"S": upload.etag}},
                ConsistentRead=True,
            )
            for row in page["Items"]
        ],
        bool,
    )
    for row in rows:
        output.print_text(f"{row['timestamp']['S']}  {row['eventName']['S']}  {row['objectKey']['S']}")
    tour.by_hand(f"objects {upload.key}")
    return oracle.arrival_faults(rows, upload, function)


def _functions() -> Any:
    from weaudit.functions import FUNCTIONS

    return FUNCTIONS


def request(tour: Tour) -> list[str]:
    """Ask the API for the update's change with a signed request, and see an unsigned one refused."""
    tour.heading(5, "a signed request to the API: read_trail answers it, and an unsigned one is refused")
    table = tour.installation.configuration_table
    path = f"/v1/tables/{table}/history?key={SEATS}&order=desc&limit=1"
    status, answer = tour.ask("GET", path)
    refused, _ = tour.ask("GET", path, signed=False)
    found = answer.get("changes", []) if status == 200 and isinstance(answer, dict) else []
    output.print_text(f"signed: {status}, unsigned: {refused}")
    for change in found:
        output.print_text(
            f"{change['modificationTime']}  {change['eventName']} by {change.get('actor', {}).get('name')}"
        )
    tour.by_hand(f"call GET {shlex.quote(path)}")
    newest = islice(tour.trail.item(table, SEATS, newest_first=True), 1)
    expected = [json.loads(dumps(document(change))) for change in tour.with_callers(newest)]
    faults = [] if status == 200 else [f"the signed request was answered with {status}"]
    faults += [] if refused == 403 else [f"the unsigned request was answered with {refused} instead of 403"]
    if not faults and not (found and found == expected):
        faults.append("the API's response is not what the trail holds")
    return faults


def past(tour: Tour, key: str, sequence: str, expected: dict[str, Any]) -> list[str]:
    """Ask what the deleted item was after one of its changes."""
    tour.heading(
        6, "the deleted item as it was after its third change: read_trail rebuilds it, and proves it by its hash"
    )
    table = tour.installation.configuration_table
    status, answer = tour.ask("GET", f"/v1/tables/{table}/item?key={key}&sequence={sequence}")
    found = answer if status == 200 and isinstance(answer, dict) else {}
    output.print_text(json.dumps(found.get("item"), ensure_ascii=False, sort_keys=True))
    tour.by_hand(f"as-of {key} --sequence {sequence}")
    asked = {"tableName": table, "itemKey": key, "exists": True, "complete": True, "problems": [], "unknown": []}
    return [
        f"{name} is {found.get(name, 'absent')} instead of {value}"
        for name, value in {**asked, "item": expected}.items()
        if found.get(name) != value
    ] + ([] if status == 200 else [f"the question was answered with {status}"])


def verification(tour: Tour, items: dict[str, tuple[str, ...]]) -> list[str]:
    """Verify the trails of these items, by table: each change follows the one before, the last matches the item."""
    from weaudit.installation.checking import AuditedTable, Checker

    tour.heading(7, "a verification: does every change follow from the one before, and the last one match the item?")
    reading = clients.dynamodb(tour.installation.target)
    audit_arn = tour.dynamodb.describe_table(TableName=tour.installation.audit_table)["Table"]["TableArn"]
    faults: list[str] = []
    for table, keys in items.items():
        described = AuditedTable.describe(reading, table, audit_arn)
        # An apparent fault may be a change that has not arrived yet: read again soon, and often.
        checker = Checker(reading, tour.trail, described, sleep=lambda _seconds: time.sleep(_POLL_SECONDS))
        for key in keys:
            verdict = awaited(lambda: checker.verdict(key), lambda verdict: not verdict.findings)  # noqa: B023 at once
            whole = "whole" if not verdict.findings else "not whole"
            output.print_text(f"{table} {key}: {whole}")
            faults += [f"{table} {key}: {finding.kind}: {finding.text}" for finding in verdict.findings]
    tour.by_hand("verify")
    return faults

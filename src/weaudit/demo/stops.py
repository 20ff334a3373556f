"""The stops of `weaudit demo`: five changes, an update, a picture, its arrival, the API, the past, a check, the ledger.

Each stop prints what there is to see and the command that does the same by hand, and returns what it failed to show.
"""

import dataclasses
import json
import shlex
import time

from weaudit.demo import picture, sealing
from weaudit.demo.steps import KEY, NOTE, STEPS, TABLE
from weaudit.demo.tour import POLL_SECONDS, Tour, awaited
from weaudit.installation.checking import checkers
from weaudit.items.values import Item
from weaudit.trail.changes import Actor, AuditedChange

SEATS, PHOTOGRAPH = "DEMO_SEATS", "demo/sunset.jpg"
_BEFORE: Item = {"key": {"S": SEATS}, "left": {"N": "10"}}
_UPDATE = {"id": SEATS, "attributes": {"left": 9}, "condition_expression": "left > 0", "enable_logging": True}


def all_of(tour: Tour) -> list[str]:
    """Make all stops, and return what they failed to show."""
    # Upload the picture first, so that it is processed while the changes are shown.
    upload = photographed(tour)
    faults, made = changes(tour)
    faults += update(tour)
    faults += photograph(tour, upload)
    faults += arrival(tour, upload)
    faults += request(tour)
    if len(made) == len(STEPS):
        faults += past(tour, made[2].sequence)
    faults += verification(tour)
    # Last: what it does by hand to a record stays in the ledger for ever.
    return faults + (sealing.ledger(tour, made[1]) if len(made) == len(STEPS) else [])


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


def changes(tour: Tour) -> tuple[list[str], list[AuditedChange]]:
    """Make the five changes of one item; also return them as the trail holds them."""
    tour.heading(1, "five changes of an item: audit_producer records each, field by field")
    found = _changed(tour)
    tour.printing.changes(found)
    tour.by_hand(f"history {KEY}")
    shown = [(change.event_name, change.attributes) for change in found]
    expected = [(step.event_name, step.attributes) for step in STEPS]
    return [] if shown == expected else [f"the trail of {KEY} has {shown} instead of {expected}"], found


def _changed(tour: Tour) -> list[AuditedChange]:
    """Make the steps' changes and return them as the trail shows them, in order.

    An item that existed before is put aside and restored; that is audited too, but not counted as the demo's changes.
    """
    client, key = tour.dynamodb, {"key": {"S": KEY}}
    kept = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    seen = {change.order for change in tour.trail.item(TABLE, KEY)}
    if kept is not None:
        tour.printing.note(f"{KEY} is in {TABLE} already: it is put aside, and restored at the end")
        client.delete_item(TableName=TABLE, Key=key)
        seen |= {change.order for change in _recorded(tour, seen, ("REMOVE",))}
    try:
        for step in STEPS:
            tour.printing.note(f"  {step.words}")
            if step.after is None:
                client.delete_item(TableName=TABLE, Key=key)
            else:
                client.put_item(TableName=TABLE, Item=step.after)
        return _recorded(tour, seen, tuple(step.event_name for step in STEPS))
    finally:
        if kept is not None:
            client.put_item(TableName=TABLE, Item=kept)


def _recorded(tour: Tour, seen: set[str], events: tuple[str, ...]) -> list[AuditedChange]:
    """Return the item's last changes once they are these events; after a timeout, all new changes.

    A change made just before the demo may still arrive, so only the last ones count.
    """
    new = awaited(
        lambda: [change for change in tour.trail.item(TABLE, KEY) if change.order not in seen],
        lambda new: tuple(change.event_name for change in new[-len(events) :]) == events,
    )
    last = new[-len(events) :]
    return last if tuple(change.event_name for change in last) == events else new


def update(tour: Tour) -> list[str]:
    """Change a record on a condition, logged, and see its caller in the trail."""
    tour.heading(2, "a conditional update over the API: table_update logs the caller")
    seen = {change.order for change in tour.trail.item(TABLE, SEATS)}
    tour.dynamodb.put_item(TableName=TABLE, Item=_BEFORE)
    status, answer = tour.ask("POST", "/v1/updates", _UPDATE)
    faults = [] if status == 200 else [f"the update was answered with {status} {answer}"]
    if not faults:
        found = awaited(
            lambda: [change for change in tour.trail.item(TABLE, SEATS) if change.order not in seen],
            lambda new: bool(new) and new[-1].change_id is not None,
        )[-1:]
        attributed = tour.with_callers(found)
        tour.printing.changes(attributed)
        caller = tour.installation.target.client("sts").get_caller_identity()["Arn"]
        if [change.actor for change in attributed] != [Actor("logged", caller)]:
            faults = [f"the update's change does not name its caller, {caller}"]
    tour.by_hand(f"call POST /v1/updates --data {shlex.quote(json.dumps(_UPDATE))}")
    return faults


def photograph(tour: Tour, upload: picture.Upload) -> list[str]:
    """See what became of the picture: its row, and the renditions that the row names."""
    tour.heading(3, "a photograph: image_processor measures it and makes renditions")
    key = {"imageKey": {"S": upload.key}}
    row: Item = awaited(
        lambda: tour.dynamodb.get_item(TableName=tour.installation.images_table, Key=key, ConsistentRead=True).get(
            "Item", {}
        ),
        lambda row: row.get("eTag") == {"S": upload.etag},
    )
    s3 = tour.installation.target.client("s3")
    bucket = tour.installation.outputs["RenditionsBucketName"]
    tour.printing.text(f"{upload.key}: {_size(row)}, {len(upload.body):,} bytes")
    for one in (rendition["M"] for rendition in row.get("renditions", {}).get("L", [])):
        body = s3.get_object(Bucket=bucket, Key=one["key"]["S"])["Body"].read()
        tour.printing.text(f"  {one['name']['S']}: {one['format']['S']}, {_size(one)}, {len(body):,} bytes")
    copy = shlex.quote(str(upload.path))
    tour.by_hand(f"put {copy} --prefix demo/", f"images {upload.key}")
    if row.get("eTag") != {"S": upload.etag}:
        return [f"there is no row of the picture {upload.key} with the ETag {upload.etag}"]
    status = row["status"]["S"]
    return [] if status == "processed" else [f"the picture {upload.key} is {status}"]


def _size(fields: Item) -> str:
    return f"{fields.get('width', {}).get('N', '?')} x {fields.get('height', {}).get('N', '?')}"


def arrival(tour: Tour, upload: picture.Upload) -> list[str]:
    """See the one row that the picture's arrival made."""
    tour.heading(4, "its arrival: s3_processor logged it")
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
        tour.printing.text(f"{row['timestamp']['S']}  {row['eventName']['S']}  {row['objectKey']['S']}")
    tour.by_hand(f"objects {upload.key}")
    return [] if len(rows) == 1 else [f"the picture's arrival has {len(rows)} rows instead of one"]


def request(tour: Tour) -> list[str]:
    """Ask the API for the update's change with a signed request, and see an unsigned one refused."""
    tour.heading(5, "a signed request to the API: read_trail answers it, and an unsigned one is refused")
    path = f"/v1/tables/{TABLE}/history?key={SEATS}&order=desc&limit=1"
    status, answer = tour.ask("GET", path)
    refused, _ = tour.ask("GET", path, signed=False)
    found = answer.get("changes", []) if status == 200 and isinstance(answer, dict) else []
    tour.printing.text(f"signed: {status}, unsigned: {refused}")
    for change in found:
        tour.printing.text(
            f"{change['modificationTime']}  {change['eventName']} by {change.get('actor', {}).get('name')}"
        )
    tour.by_hand(f"call GET {shlex.quote(path)}")
    faults = [] if found else [f"the signed request was answered with {status} and no change"]
    return faults + ([] if refused == 403 else [f"the unsigned request was answered with {refused} instead of 403"])


def past(tour: Tour, sequence: str) -> list[str]:
    """Ask what the deleted item was after its third change, which has this sequence number."""
    tour.heading(
        6, "the deleted item as it was after its third change: read_trail rebuilds it, and proves it by its hash"
    )
    status, answer = tour.ask("GET", f"/v1/tables/{TABLE}/item?key={KEY}&sequence={sequence}")
    found = answer if status == 200 and isinstance(answer, dict) else {}
    tour.printing.text(json.dumps(found.get("item"), ensure_ascii=False, sort_keys=True))
    tour.by_hand(f"as-of {KEY} --sequence {sequence}")
    right = found.get("complete") is True and found.get("item") == {"key": KEY, "value": 1800, "note": NOTE}
    return [] if right else [f"{KEY} after its third change was answered with {status} {answer}"]


def verification(tour: Tour) -> list[str]:
    """Verify the trails of the items: each change follows the one before, and the last one matches the item."""
    tour.heading(7, "a verification: does every change follow from the one before, and the last one match the item?")
    items = {TABLE: (KEY, SEATS), tour.installation.images_table: (PHOTOGRAPH,)}
    faults: list[str] = []
    for found in checkers(tour.installation, list(items), None):
        table = found.table.name
        # An apparent fault may be a change that has not arrived yet: read again soon, and often.
        checker = dataclasses.replace(found, sleep=lambda _seconds: time.sleep(POLL_SECONDS))
        for key in items[table]:
            verdict = awaited(lambda: checker.verdict(key), lambda verdict: not verdict.findings)  # noqa: B023 at once
            whole = "whole" if not verdict.findings else "not whole"
            tour.printing.text(f"{table} {key}: {whole}")
            faults += [f"{table} {key}: {finding.kind}: {finding.text}" for finding in verdict.findings]
    tour.by_hand("verify")
    return faults

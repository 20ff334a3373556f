"""`make smoke-aws`: the whole of WeAudit once in a real account, under a prefix of its own, and nothing left behind.

    python scripts/smoke_aws.py [--yes] [--on-the-engine] [--keep]

Goes where AWS_PROFILE (or the keys of the environment) and AWS_REGION point. Deploys, changes an item and checks its
trail field by field, lands an object and an image, calls the API, deploys again, rolls back, verifies, and removes it
all, also after a failure. Refuses the embedded engine unless --on-the-engine. Exit code 0 where everything held.
"""

import argparse
import os
import secrets
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from weaudit.demo.steps import KEY, STEPS
from weaudit.errors import WeauditError
from weaudit.installation.outputs import Installation
from weaudit.installation.readers import open_trail
from weaudit.installation.targets import Target, wire

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests, and so the oracle, are no part of the package

from tests import oracle

STAGE = "smoke"
# Alarms and images take their time on AWS; so does a mapping that was just made.
WAIT_SECONDS = 300


def main() -> int:
    """Run it all; return the exit code."""
    options = _options()
    target = Target.resolve()
    if target.endpoint and not options.on_the_engine:
        print(f"{target.describe()} is no AWS account: unset AWS_ENDPOINT_URL, stop the engine, set AWS_PROFILE")
        return 2
    prefix = f"smoke-{secrets.token_hex(3)}-"
    os.environ.update(WEAUDIT_STAGE=STAGE, WEAUDIT_PREFIX=prefix)
    who = target.client("sts").get_caller_identity()
    print(f"{who['Arn']}, {target.describe()}: the stack {prefix}weaudit-{STAGE} comes and goes", flush=True)
    if not options.yes and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        return 2
    began, failed = time.monotonic(), False
    try:
        _weaudit("deploy", "--no-retain", "--yes")
        _use(target)
        _weaudit("deploy", "--parameters", "LogLevel=DEBUG", "--yes")
        _weaudit("rollback", "--yes")
        _weaudit("call", "GET", "/v1/health")
        _weaudit("verify")
        _weaudit("versions")
    except (subprocess.CalledProcessError, WeauditError, AssertionError) as error:
        failed = True
        print(f"FAILED: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        failed = True
        print("stopped: cleaning up", file=sys.stderr)
    finally:
        if options.keep:
            print(f"kept: WEAUDIT_STAGE={STAGE} WEAUDIT_PREFIX={prefix} weaudit destroy --delete-data")
        else:
            _weaudit("destroy", "--delete-data", "--yes")
    print(f"{'it did not hold' if failed else 'all of it held'}, {time.monotonic() - began:.0f} s")
    print("The bucket of artefacts stays, with a few small objects of this stack in it.")
    return int(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--on-the-engine", action="store_true", help="take an embedded engine, to try this itself")
    parser.add_argument("--keep", action="store_true", help="do not clean up")
    return parser.parse_args()


def _weaudit(*words: str) -> None:
    print(f"\n$ weaudit {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "weaudit.cli.main", *words], check=True)  # noqa: S603  (words of this file)


def _use(target: Target) -> None:
    installation = Installation.find()
    dynamodb, s3, names = target.client("dynamodb"), target.client("s3"), installation.outputs
    _trail(target, dynamodb, installation)
    s3.put_object(Bucket=names["BucketName"], Key="smoke/a note.txt", Body=b"smoke")
    s3.put_object(Bucket=names["BucketName"], Key="smoke/picture.png", Body=_picture())
    rows = _awaited("rows of the invocation log", lambda: _scanned(dynamodb, names["DynamoDBTableName"], 2))
    assert {row["objectKey"]["S"] for row in rows} == {"smoke/a note.txt", "smoke/picture.png"}
    [image] = _awaited("the image", lambda: _scanned(dynamodb, names["ImagesTableName"], 1))
    assert image["status"]["S"] == "processed", image["status"]
    table = installation.configuration_table
    _weaudit("call", "POST", "/v1/updates", "--data", '{"id": "SMOKE", "attributes": {"n": 2}, "enable_logging": true}')
    _weaudit("call", "GET", f"/v1/tables/{table}/history", "--query", f"key={KEY}")
    _weaudit("call", "GET", "/v1/objects", "--query", "prefix=smoke/")
    _weaudit("call", "GET", "/v1/images", "--query", "key=smoke/picture.png")


def _trail(target: Target, dynamodb: Any, installation: Installation) -> None:
    table, trail = installation.configuration_table, open_trail(target, installation.audit_table)
    dynamodb.put_item(TableName=table, Item={"key": {"S": "SMOKE"}, "n": {"N": "1"}})
    began = int(time.time() * 1000)
    for step in STEPS:
        if step.after is None:
            dynamodb.delete_item(TableName=table, Key={"key": {"S": KEY}})
        else:
            dynamodb.put_item(TableName=table, Item=step.after)
    found = _awaited(
        "the trail", lambda: changes if len(changes := list(trail.item(table, KEY))) == len(STEPS) else None
    )
    records = {
        name: wire(dynamodb.get_item(TableName=installation.audit_table, Key={"id": {"S": name}}).get("Item"))
        for change in found
        for name in change.record_ids
    }
    faults = list(oracle.faults(table, KEY, STEPS, records, began, int(time.time() * 1000)))
    assert not faults, faults
    print(f"the trail is right: {len(records)} records, every field checked", flush=True)


def _scanned(dynamodb: Any, table: str, count: int) -> list[Any] | None:
    rows: list[Any] = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
    return rows if len(rows) >= count else None


def _awaited(what: str, question: Callable[[], Any]) -> Any:
    print(f"waiting for {what}", flush=True)
    deadline = time.monotonic() + WAIT_SECONDS
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what} did not come within {WAIT_SECONDS} s"
        time.sleep(0.5)
    return answer


def _picture() -> bytes:
    """Return a PNG of 64 by 48 pixels, a gradient."""
    rows = b"".join(b"\0" + bytes(value for x in range(64) for value in (4 * x, 5 * y, 128)) for y in range(48))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""),
    )  # fmt: skip
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


if __name__ == "__main__":
    sys.exit(main())

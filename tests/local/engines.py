"""Engines with nothing on them, started by the module that a test names: MiniStack as it comes, or ours."""

import contextlib
import dataclasses
import http.client
import itertools
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.waiting import eventually
from weaudit.installation import engine_state as state
from weaudit.installation.engine_state import EngineState
from weaudit.local import ministack_corrected, process

BARE, OURS = "ministack", ministack_corrected.__name__
HOME, AWAY = "us-east-1", "eu-west-1"
# The engine looks for expired items once a minute. Here it waits a fifth of a second instead; all else is as it is.
_START = """
import runpy, threading, time
sleep = time.sleep
time.sleep = lambda seconds: sleep(0.2 if threading.current_thread().name == "dynamodb-ttl-reaper" else seconds)
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
_numbers = itertools.count()


@dataclasses.dataclass(frozen=True)
class Engine:
    """An engine that runs, or AWS's DynamoDB Local, and what a test asks of either."""

    endpoint: str
    state: EngineState | None = None

    def client(self, service: str, region: str = HOME, keys: tuple[str, str] = ("test", "test")) -> Any:
        """Return a client that tries once."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def table(self) -> str:
        """Make a table with a stream, and return its name."""
        name = f"table-{next(_numbers)}"
        self.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        return name

    def records(self, table: str, region: str = HOME) -> list[dict[str, Any]]:
        """Return all that the table's stream holds."""
        streams = self.client("dynamodbstreams", region)
        arn = self.client("dynamodb", region).describe_table(TableName=table)["Table"]["LatestStreamArn"]
        [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        return list(streams.get_records(ShardIterator=iterator)["Records"])

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Send a request that nothing signs; return the answer's status and body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.endpoint).netloc, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.read()


@contextlib.contextmanager
def start(module: str, directory: Path, *, auth: bool = False) -> Iterator[Engine]:
    """Run the engine by this module, with what the directory holds of an earlier run."""
    engine = EngineState(directory, process.free_port(), auth)
    for name in ("data", "objects", "tmp"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    with engine.log.open("a") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _START.format(module=module)],
            env=process.environment(engine),
            cwd=directory,
            stdout=log,
            stderr=log,
        )
    try:
        engine = dataclasses.replace(engine, pid=child.pid, identity=state.identity(child.pid), ready=True)
        # Commands find it by this, and so does the end of an interrupted run.
        state.save(engine)
        started = Engine(engine.endpoint, engine)

        def ready() -> bool:
            assert child.poll() is None, engine.log.read_text()
            with contextlib.suppress(OSError):
                return started.send("GET", "/_ministack/ready")[0] == 200
            return False

        eventually(ready)
        yield started
    finally:
        child.terminate()
        child.wait(60)

"""Commands whose every call goes through a network that fails: they say the same, or that they could not."""

import dataclasses
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from botocore.retries import standard
from typer.testing import CliRunner

from tests.e2e.commands import client
from tests.faults.reports import Count, Line
from tests.faults.work import Round, compared, is_whole, scanned
from tests.faults.world import World, try_again
from weaudit.cli.main import app
from weaudit.cli.printing import output
from weaudit.installation import engine_state
from weaudit.installation.outputs import Installation

# Any service: DynamoDB, S3, Lambda, CloudFormation, SQS, CloudWatch, the API itself.
_RULES: list[dict[str, Any]] = [
    {"probability": 0.08, "error": {"code": "ThrottlingException", "status": 400}},
    {"probability": 0.05, "error": {"code": "ServiceUnavailable", "status": 503}},
    {"probability": 0.05, "reset": True},
    {"probability": 0.05, "response": {"abort_bytes": 0}},
    {"probability": 0.1, "latency": {"dist": "uniform", "min_ms": 50, "max_ms": 300}},
]
_MOST_TRIES = 12
# The SDK tries five times, and hides those faults from the commands: of a call that meets these one in three fails.
_OUTAGE: list[dict[str, Any]] = [
    {"probability": 0.4, "error": {"code": "ServiceUnavailable", "status": 503}},
    {"probability": 0.67, "reset": True},
]
_TRIES_IN_OUTAGE = 10
_UPDATED, _TABLE = "through-updated", "Through"


class Commands:
    """Runs commands behind the faults, each until it succeeds; what it may never say is in ``problems``."""

    def __init__(self, through: Path) -> None:
        self.problems: list[str] = []
        self.tries = 0
        self._through = through

    def once(self, *words: str) -> tuple[int, str]:
        """Return exit code and stdout of one try behind the faults."""
        self.tries += 1
        result = CliRunner().invoke(app, list(words), env={"WEAUDIT_STATE_DIR": str(self._through)})
        said = f"weaudit {' '.join(words[:2])}: exit code {result.exit_code}"
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            self.problems.append(f"{said}: {type(result.exception).__name__}: {result.exception}"[:300])
        elif result.exit_code and not (result.stderr.strip() or result.stdout.strip()):
            self.problems.append(f"{said}, and not a word")
        elif result.exit_code == 2:
            self.problems.append(f"{said}, as if the user were wrong: {result.stderr.strip()}"[:300])
        return result.exit_code, result.stdout

    def until(self, good: Callable[[int, str], bool], *words: str, lies: Callable[[int, str], bool]) -> bool:
        """Run the command until what it says is good; a try that could not reach what it needs is tried again.

        A try that ``lies`` is a problem, though a later one tells the truth: whoever asks does not ask twice.
        """
        for _ in range(_MOST_TRIES):
            code, text = self.once(*words)
            if good(code, text):
                return True
            if lies(code, text):
                self.problems.append(
                    f"weaudit {' '.join(words[:2])}: exit code {code}, and not so: {text.strip()}"[:300]
                )
            if code == 2:
                break
        self.problems.append(f"weaudit {' '.join(words[:2])}: not once right")
        return False

    def done(self, *words: str) -> bool:
        """Run the command until it ends with exit code 0; what it refused meanwhile, it must not have refused."""
        return self.until(lambda code, _: code == 0, *words, lies=_refuses)

    def told(self, said: tuple[int, str], *words: str) -> bool:
        """Run the command until it says what it says without faults; until then it has to say that it could not."""
        return self.until(lambda *found: found == said, *words, lies=lambda code, _: code != output.EXIT_UNREACHABLE)

    def tells_nothing_else(self, said: tuple[int, str], *words: str) -> int:
        """Run the command in an outage: it says the same, or that it could not. Return how often it could not."""
        unable = 0
        for _ in range(_TRIES_IN_OUTAGE):
            found = self.once(*words)
            unable += found != said
            if found != said and found[0] != output.EXIT_UNREACHABLE:
                self.problems.append(
                    f"weaudit {' '.join(words[:2])}: exit code {found[0]}, and not so: {found[1].strip()}"[:300]
                )
        return unable


def run(world: World, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Let every command that talks to a store or a service do so through faults, and check what it said and did."""
    assert world.proxy is not None
    began = time.monotonic()
    one = Round("commanded", pictures, count=count)
    rounds.append(one)
    one.work()
    found = one.settled(helping=try_again)
    with tempfile.TemporaryDirectory() as folder:
        # Commands find the engine by its state: this one says that it is where the proxy is.
        through = Path(folder) / "through"
        through.mkdir()
        port = int(world.proxy.endpoint.rpartition(":")[2])
        engine_state.save(dataclasses.replace(world.state, directory=through, port=port))
        commands = Commands(through)
        readings = _readings(one)
        with world.failing(_RULES) as fired:
            found += _writes(commands, count)
            found += _uploads(commands, Path(folder), pictures)
            found += _watching(commands)
            found += _shipping(commands)
        wanted = {words: _said(*words) for words in readings}
        with world.failing(_RULES) as more_fired:
            for words, said in wanted.items():
                commands.told(said, *words)
                found += Count(1)
        # Without the SDK's waits between its tries, which is all that takes long here.
        at_once = mock.patch.object(standard.ExponentialBackoff, "delay_amount", return_value=0)
        with at_once, world.failing(_OUTAGE) as most_fired:
            unable = sum(commands.tells_nothing_else(said, *words) for words, said in wanted.items())
        found += Count(unable)
    world.point_at(world.proxy.endpoint)
    injected = sum(fired.values()) + sum(more_fired.values()) + sum(most_fired.values())
    problems = (*commands.problems, *one.problems)
    return Line("commands behind faults", injected, found, is_whole(), time.monotonic() - began, problems)


def _refuses(_code: int, text: str) -> bool:
    """Say whether an answer of table_update says of a sound request that it is not to be carried out."""
    return '"success": false' in text and '"DatabaseError"' not in text


def _said(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout


def _readings(one: Round) -> list[tuple[str, ...]]:
    key, picture = f"{one.name}-item-0", f"{one.name}-picture+0.png"
    return [
        ("history", key, "--json"),
        ("changes", "--since", "1h", "--json", "--limit", "20"),
        ("as-of", key, "2100-01-01", "--json"),
        ("diff", key, "2024-01-01", "2100-01-01", "--json"),
        ("verify", "--table", "Configuration", "--item", key, "--json"),
        ("audit-log", f"{one.name}-updated", "--json"),
        ("objects", f"{one.name}-note ", "--json"),
        ("images", picture, "--json"),
        ("watched", "--json"),
        ("quarantine", "--json"),
        ("failed-events", "--json"),
        ("versions", "--json"),
        ("outputs", "--json"),
        ("call", "GET", f"/v1/tables/Configuration/history?key={key}&limit=3"),
    ]


def _writes(commands: Commands, count: int) -> Count:
    client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": _UPDATED}, "n": {"N": "0"}})
    numbers = range(1, count // 4 + 1)
    for number in numbers:
        words = ("update", _UPDATED, f"n={number}", "--if", f"n < {number}", "--log")
        commands.done(*words, "--request-id", f"through-{number}")
    rows = [row for row in scanned("audit_logs", "record_id", "through") if row["record_id"] == {"S": _UPDATED}]
    logged = Counter(int(row["updated_attributes"]["M"]["n"]["N"]) for row in rows if row["status"]["S"] == "success")
    return compared({"log": Counter(numbers)}, {"log": logged})


def _uploads(commands: Commands, folder: Path, pictures: list[bytes]) -> Count:
    files = folder / "files"
    files.mkdir()
    for number in range(8):
        (files / f"note {number}.txt").write_bytes(b"x" * number)
    (files / "picture.png").write_bytes(pictures[0])
    commands.done("put", str(files), "--prefix", "through-put/")
    sizes = Counter(f"through-put/files/{path.name} {path.stat().st_size}" for path in files.iterdir())
    listed = client("s3").list_objects_v2(Bucket=Installation.find().trigger_bucket, Prefix="through-put/")
    stored = Counter(f"{found['Key']} {found['Size']}" for found in listed.get("Contents", ()))
    wanted = Counter(f"through-put/files/{path.name}" for path in files.iterdir())
    pipeline = {
        "key": {"S": "IMAGE_PIPELINE"},
        "renditions": {"L": [{"M": {"name": {"S": "c"}, "width": {"N": "16"}}}]},
    }
    rows = _eventually(lambda: scanned("Images", "imageKey", "through"), lambda rows: bool(rows))
    client("dynamodb").put_item(TableName="Configuration", Item=pipeline)
    commands.done("reprocess")
    client("dynamodb").delete_item(TableName="Configuration", Key={"key": {"S": "IMAGE_PIPELINE"}})
    images = Counter(row["imageKey"]["S"] for row in rows)
    made = Counter(
        row["imageKey"]["S"]
        for row in scanned("Images", "imageKey", "through")
        if [part["M"]["name"]["S"] for part in row["renditions"]["L"]] == ["c"]
    )
    table = Installation.find().invocation_log
    # An object whose upload was not answered is uploaded again: a new event, and a row of its own.
    logged = _eventually(
        lambda: Counter({row["objectKey"]["S"]: 1 for row in scanned(table, "objectKey", "through")}),
        lambda logged: logged == wanted,
    )
    return compared({"put": wanted, "made": images, "stored": sizes}, {"put": logged, "made": made, "stored": stored})


def _watching(commands: Commands) -> Count:
    client("dynamodb").create_table(
        TableName=_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
    )
    numbers = range(12)
    if commands.done("watch", _TABLE, "--yes"):
        for number in numbers:
            client("dynamodb").put_item(TableName=_TABLE, Item={"name": {"S": f"through-{number}"}})
    found = _eventually(
        lambda: Counter(row["itemKey"]["S"] for row in scanned("Audit", "itemKey", "through")
                        if row["tableName"]["S"] == _TABLE),
        lambda found: found.total() >= len(numbers),
    )  # fmt: skip
    commands.done("unwatch", _TABLE, "--yes")
    mappings = client("lambda").get_paginator("list_event_source_mappings").paginate()
    found_there = (one for page in mappings for one in page["EventSourceMappings"])
    left = Counter(one["State"] for one in found_there if f"/{_TABLE}/" in one.get("EventSourceArn", ""))
    wanted = Counter(f"through-{number}" for number in numbers)
    return compared({"Audit": wanted, "mappings": Counter()}, {"Audit": found, "mappings": left})


def _shipping(commands: Commands) -> Count:
    """Deploy another value of a parameter, and go back to the release before."""
    before, release = _log_level(), json.loads(_said("versions", "--json")[1])[0]["number"]
    commands.done("deploy", "--yes", "-p", "LogLevel=ERROR")
    deployed = _log_level()
    commands.done("rollback", "--yes", "--to", str(release))
    return compared({"level": Counter(["ERROR", before])}, {"level": Counter([deployed, _log_level()])})


def _log_level() -> str:
    alias = client("lambda").get_function_configuration(FunctionName="audit_producer", Qualifier="learn")
    return str(alias["Environment"]["Variables"].get("LOG_LEVEL"))


def _eventually(look: Callable[[], Any], good: Callable[[Any], bool], seconds: float = 45) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if good(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


KINDS: dict[str, Callable[..., Line]] = {"commands behind faults": run}

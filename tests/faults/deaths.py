"""Processes that are killed in the middle, a clock that is off, and a disk that is full."""

import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

from tests.aws.scripted_server import dynamodb, refusal, serving
from tests.e2e.commands import client, eventually, records_of
from tests.faults.reports import Count, Line
from tests.faults.work import Round, compared, is_whole, scanned
from tests.faults.world import World, try_again
from weaudit.aws.client import DynamoDB
from weaudit.aws.connections import Connection
from weaudit.errors import EngineError
from weaudit.installation import draining
from weaudit.installation.outputs import Installation
from weaudit.local import engine

_COMMAND = [sys.executable, "-c", "from weaudit.cli.main import main; main()"]


def workers(world: World, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Kill the processes of functions while they work."""
    began = time.monotonic()
    one = Round("killed_workers", pictures, count=count)
    rounds.append(one)
    killed: list[int] = []
    chance = world.chance("kill -9 of workers")
    killer = threading.Thread(target=lambda: killed.append(world.kill_workers(time.monotonic() + 8, 0.35, chance)))
    killer.start()
    one.work()
    killer.join()
    found = one.settled(helping=try_again)
    return Line("kill -9 of workers", sum(killed), found, is_whole(), time.monotonic() - began, tuple(one.problems))


class Killed:
    """Commands that are killed after some of their time, and then run to their end."""

    def __init__(self, chance: random.Random) -> None:
        self.kills = 0
        self.problems: list[str] = []
        self._chance = chance

    def run(self, *words: str, after: tuple[float, ...] = (0.45, 0.8, 1.2)) -> None:
        """Start the command and kill it, once after each of these seconds; then let it finish."""
        for seconds in after:
            started = subprocess.Popen([*_COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                started.wait(seconds * self._chance.uniform(0.8, 1.2))
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
                self.kills += 1
        done = subprocess.run([*_COMMAND, *words], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            self.problems.append(f"weaudit {words[0]}: exit code {done.returncode}: {done.stderr.strip()[-300:]}")


def commands(world: World, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Kill update, put, reprocess and deploy half way, while other work goes on; run again, each does what is left."""
    began = time.monotonic()
    one = Round("killed_commands", pictures, count=count)
    rounds.append(one)
    killed = Killed(world.chance("kill -9 of commands"))
    working = threading.Thread(target=one.work)
    working.start()
    found = _updates(killed) + _uploads(killed)
    working.join()
    one.settled(helping=try_again)
    found += _reprocessed(killed, one)
    # A deployment gives every function a new version, in the middle of more work.
    more = Round("killed_deploy", pictures, count=count)
    rounds.append(more)
    working = threading.Thread(target=more.work)
    working.start()
    killed.run("deploy", "--yes", "-p", "LogLevel=DEBUG", after=(0.9, 1.3, 1.7, 2.2))
    working.join()
    found += more.settled(helping=try_again) + one.count()
    if world.proxy is not None:
        world.point_at(world.proxy.endpoint)
    problems = (*killed.problems, *one.problems, *more.problems)
    return Line("kill -9 of commands", killed.kills, found, is_whole(), time.monotonic() - began, problems)


def _updates(killed: Killed) -> Count:
    key = "killed-update"
    client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": key}, "n": {"N": "0"}})
    for number in (1, 2):
        words = ("update", key, f"n={number}", "--if", f"n < {number}", "--log", "--request-id", f"killed-{number}")
        killed.run(*words, after=(0.5, 0.9))
    rows = [row for row in scanned("audit_logs", "record_id", "killed") if row.get("status") == {"S": "success"}]
    logged = Counter(int(row["updated_attributes"]["M"]["n"]["N"]) for row in rows)
    return compared({"log": Counter([1, 2])}, {"log": logged})


def _uploads(killed: Killed) -> Count:
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{number}.bin" for number in range(40)]
        for name in names:
            (Path(folder) / name).write_bytes(name.encode() * 50)
        killed.run("put", folder, "--prefix", "killed-put/", after=(0.6, 0.8))
        name_of = Path(folder).name
    wanted = Counter(f"killed-put/{name_of}/{name}" for name in names)
    table = Installation.find().invocation_log
    deadline = time.monotonic() + 40
    while True:
        rows = scanned(table, "objectKey", "killed")
        # An object that was uploaded again is a new event; each event is one row.
        logged = Counter({row["objectKey"]["S"]: 1 for row in rows})
        if logged == wanted or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    events = Counter((row["objectKey"]["S"], row["sequencer"]["S"]) for row in rows)
    return compared({"put": wanted}, {"put": logged}) + compared({"row": Counter(set(events))}, {"row": events})


def _reprocessed(killed: Killed, one: Round) -> Count:
    pipeline = {
        "key": {"S": "IMAGE_PIPELINE"},
        "renditions": {"L": [{"M": {"name": {"S": "k"}, "width": {"N": "16"}}}]},
    }
    client("dynamodb").put_item(TableName="Configuration", Item=pipeline)
    killed.run("reprocess", after=(0.7, 0.9))
    rows = scanned("Images", "imageKey", one.name)
    wanted = Counter(row["imageKey"]["S"] for row in rows)
    made = Counter(
        row["imageKey"]["S"] for row in rows if [part["M"]["name"]["S"] for part in row["renditions"]["L"]] == ["k"]
    )
    client("dynamodb").delete_item(TableName="Configuration", Key={"key": {"S": "IMAGE_PIPELINE"}})
    return compared({"made": wanted}, {"made": made})


def clock(world: World, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Refuse signatures of a clock that is off by up to a day, as AWS does; the engine looks at no time."""
    began = time.monotonic()
    lost = refused = 0
    for ahead_s in (-86_400, -3_600, -600, 600, 3_600, 86_400):
        for code in ("RequestTimeTooSkewed", "InvalidSignatureException"):
            date = formatdate(time.time() + ahead_s, usegmt=True)
            with serving(refusal(code, headers={"Date": date}), dynamodb({"UnprocessedItems": {}})) as server:
                keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s"}
                where = {**keys, "AWS_ENDPOINT_URL": server.url}
                DynamoDB(Connection.from_environment("dynamodb", where)).call("BatchWriteItem", {"RequestItems": {}})
            refused += 1
            lost += len(server.requests) != 2
    return Line("clock off (the client alone)", refused, Count(refused, lost), True, time.monotonic() - began)


def disk(world: World, pictures: list[bytes], rounds: list[Round], count: int) -> Line:
    """Let no file of the engine grow beyond 64 KB: then it cannot save, which `down` has to say.

    Each object of the ledger is smaller, and the sealer's process runs already, so that it is not what stops `down`.

    By the limit of a process on the size of its files, which fails a write half way, as a full disk does.
    """
    began = time.monotonic()
    one = Round("full_disk", pictures, count=count)
    one.work()
    one.settled(helping=try_again)
    problems = [*one.problems]
    engine.down(state_dir=world.folder)  # what has been done so far is on disk
    world.up()
    client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": "unsaved"}, "n": {"N": "1"}})
    eventually(lambda: bool(records_of("unsaved")))
    draining.sealed(Installation.find().target, Installation.find().ledger_sealer, 10)
    resource.prlimit(world.state.pid, resource.RLIMIT_FSIZE, (65_536, 65_536))
    try:
        engine.down(state_dir=world.folder)
        problems.append("`weaudit down` said nothing of a state that it could not save")
    except EngineError as error:
        if "save" not in str(error):
            problems.append(f"`weaudit down` said: {error}")
    words = [*_COMMAND, "up"]
    limited = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16)),
    )  # fmt: skip
    if limited.returncode == 0 or "Traceback" in limited.stderr:
        problems.append(f"`weaudit up` on a full disk: exit code {limited.returncode}: {limited.stderr[-300:]}")
    world.up()
    if world.proxy is not None:
        world.point_at(world.proxy.endpoint)
    rounds.append(one)
    found = one.settled(helping=try_again)
    return Line("full disk of the state", 2, found, is_whole(), time.monotonic() - began, tuple(problems))


KINDS: dict[str, Callable[..., Line]] = {
    "kill -9 of workers": workers,
    "kill -9 of commands": commands,
    "clock off (the client alone)": clock,
    "full disk of the state": disk,
}

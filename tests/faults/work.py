"""Mixed work through every function, and an oracle that knows what has to be kept of it.

Nothing of the product's reading side is used to judge: tables are scanned as they are.
"""

import itertools
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.api_events import second
from tests.canaries import planted
from tests.e2e.commands import client, run
from tests.faults.reports import Count
from weaudit.installation.outputs import Installation

Expected = dict[str, Counter[Any]]
_UPDATES, _TRAIL, _OBJECTS, _IMAGES, _HEALTH = (
    "table-update-function:live",
    "weaudit-api-trail:live",
    "weaudit-api-objects:live",
    "weaudit-api-images:live",
    "weaudit-api-health:live",
)
_PATIENCE_S = 45.0


class Round:
    """Work under one name, which begins every key that it uses: ``count`` pieces of each kind, or ``seconds`` of it."""

    def __init__(self, name: str, pictures: Iterable[bytes], *, count: int = 24, seconds: float = 0.0) -> None:
        self.name = name
        self._pictures = list(pictures)
        self._count = count
        self._seconds = seconds
        self.writes: dict[str, list[int]] = defaultdict(list)
        self.updates: list[int] = []
        self.uploads: Counter[str] = Counter()
        self.answers = 0
        self.problems: list[str] = []

    def work(self) -> None:
        """Do all of it, by several threads; what goes wrong beside the faults is in ``problems``."""
        jobs: tuple[Callable[[], None], ...] = (self._put, self._update, self._upload, self._read)

        def guarded(job: Callable[[], None]) -> None:
            try:
                job()
            except Exception as error:  # noqa: BLE001  (it is told, and fails the round)
                self.problems.append(f"{job.__name__.strip('_')}: {type(error).__name__}: {error}"[:300])

        threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _numbers(self, times: int = 1) -> Iterator[int]:
        deadline = time.monotonic() + self._seconds
        for number in itertools.count():
            if (time.monotonic() > deadline) if self._seconds else (number >= self._count * times):
                return
            yield number

    def _put(self) -> None:
        dynamodb = client("dynamodb")
        for number in self._numbers(4):
            key = f"{self.name}-item-{number % 12}"
            value = len(self.writes[key]) + 1
            item = {"key": {"S": key}, "n": {"N": str(value)}, "same": {"S": planted("unchanged")}}
            dynamodb.put_item(TableName="Configuration", Item=item)
            self.writes[key].append(value)

    def _update(self) -> None:
        key = f"{self.name}-updated"
        client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": key}, "n": {"N": "-1"}})
        for number in self._numbers():
            document = {
                "id": key,
                "attributes": {"n": number},
                "condition_expression": f"n < {number}",
                "enable_logging": True,
                "request_id": f"{self.name}-{number}",
            }
            answer = self._until(_UPDATES, document, lambda found: bool(found.get("error") != "DatabaseError"))
            if not answer.get("success"):
                self.problems.append(f"update {number} was answered {answer.get('error')}")
                return
            self.updates.append(number)

    def _upload(self) -> None:
        s3, bucket = client("s3"), Installation.find().trigger_bucket
        for number in self._numbers():
            s3.put_object(Bucket=bucket, Key=f"{self.name}-note {number}.txt", Body=b"x")
            self.uploads[f"{self.name}-note {number}.txt"] += 1
            if number % 4 == 0 and number // 4 < len(self._pictures):
                key = f"{self.name}-picture+{number}.png"
                s3.put_object(Bucket=bucket, Key=key, Body=self._pictures[number // 4], ContentType="image/png")
                self.uploads[key] += 1
            if self._seconds:
                time.sleep(0.1)  # the engine starts a process for each event that finds none at rest

    def _read(self) -> None:
        table = {"table": "Configuration"}
        listed = second("GET /v1/objects", prefix=f"{self.name}-note ")
        asked = [
            (_TRAIL, second("GET /v1/tables/{table}/history", table, key=f"{self.name}-item-0")),
            (_OBJECTS, listed),
            (_IMAGES, second("GET /v1/images", key=f"{self.name}-picture+0.png")),
            (_HEALTH, second("GET /v1/health")),
        ]
        for number in self._numbers():
            function, event = asked[number % len(asked)]
            # 404: an image that is not processed yet. Health says 503 while a table does not answer.
            self._until(function, event, lambda found: found.get("statusCode") in (200, 404))
            self.answers += 1

    def _until(self, function: str, event: Any, good: Callable[[Any], bool]) -> Any:
        """Ask until the answer is good, as a caller does; each answer in between has to be of the documented shape."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
            found = json.loads(answer["Payload"].read())
            if "FunctionError" not in answer:
                if good(found):
                    return found
                document = json.loads(found["body"]) if "statusCode" in found else found
                if found.get("statusCode", 500) not in (500, 503) or not document.keys() & {"timestamp", "status"}:
                    self.problems.append(f"{function} answered {str(found)[:200]}")
                    return found
            elif "killed" not in self.name and "Runtime" not in str(found.get("errorType")):
                self.problems.append(f"{function} raised {str(found)[:200]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{function} never answered")
            time.sleep(0.05)

    def expected(self) -> Expected:
        """Return what has to be kept of what was done: how often each event has to be there, by store."""
        writes = [(key, value) for key, values in self.writes.items() for value in values]
        made = [(f"{self.name}-updated", number) for number in (-1, *self.updates)] if self.updates else []
        pictures = [key for key in self.uploads if "-picture+" in key]
        return {
            "Audit": Counter([*writes, *made]),
            "audit_logs": Counter(self.updates),
            "invocation log": Counter(self.uploads),
            "Images": Counter(pictures),
            "Audit of Images": Counter(pictures),
        }

    def found(self) -> Expected:
        """Return what is kept, by plain scans."""
        changes, pictures = [], []
        for record in scanned("Audit", "itemKey", self.name):
            key, new = record["itemKey"]["S"], record.get("newValue", {})
            if record["tableName"]["S"] == "Images":
                # A later pipeline changes the row; it is made once.
                pictures += [] if "updatedAttribute" in record else [key]
            elif "M" in new or record.get("updatedAttribute") == {"S": "n"}:
                changes.append((key, int((new["M"]["n"] if "M" in new else new)["N"])))
        logged = [row for row in scanned("audit_logs", "record_id", self.name) if row.get("status") == {"S": "success"}]
        objects = scanned(Installation.find().invocation_log, "objectKey", self.name)
        rows = scanned("Images", "imageKey", self.name)
        return {
            "Audit": Counter(changes),
            "audit_logs": Counter(int(row["updated_attributes"]["M"]["n"]["N"]) for row in logged),
            "invocation log": Counter(row["objectKey"]["S"] for row in objects),
            "Images": Counter(row["imageKey"]["S"] for row in rows if row.get("status") == {"S": "processed"}),
            "Audit of Images": Counter(pictures),
        }

    def count(self) -> Count:
        """Compare now."""
        return compared(self.expected(), self.found()) + Count(self.answers)

    def waited(self, seconds: float, helping: Callable[[], None] = lambda: None) -> Count:
        """Wait until nothing is missing, at most so long; return the comparison. ``helping`` is called in between."""
        deadline = time.monotonic() + seconds
        for number in itertools.count(1):
            found = self.count()
            if not found.lost or time.monotonic() > deadline:
                return found
            time.sleep(0.5)
            if number % 8 == 0:
                helping()
        raise AssertionError("not reached")

    def settled(self, *, helping: Callable[[], None] = lambda: None) -> Count:
        """Wait as long as anything may take and return the comparison; what is missing then is in ``problems``."""
        found = self.waited(_PATIENCE_S, helping)
        if found.lost:
            self.problems += differences(self.expected(), self.found())
        return found


def compared(expected: Expected, found: Expected) -> Count:
    """Return how many events are missing, and how many are there too often or were never made."""
    names = expected.keys() | found.keys()
    pairs = [(expected.get(name, Counter()), found.get(name, Counter())) for name in names]
    checked = sum(one.total() for one, _ in pairs)
    return Count(
        checked, sum((one - two).total() for one, two in pairs), sum((two - one).total() for one, two in pairs)
    )


def differences(expected: Expected, found: Expected) -> Iterator[str]:
    """Yield by store what is missing and what is too much, some of it."""
    for name in sorted(expected.keys() | found.keys()):
        one, two = expected.get(name, Counter()), found.get(name, Counter())
        for what, which in (("lost", one - two), ("doubled", two - one)):
            if which:
                yield f"{what} in {name}: {which.total()}, as {str(next(iter(which)))[:160]}"


def scanned(table: str, attribute: str, beginning: str) -> list[Any]:
    """Return the items of a table whose attribute begins so."""
    pages = (
        client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=table,
            ConsistentRead=True,
            FilterExpression="begins_with(#name, :beginning)",
            ExpressionAttributeNames={"#name": attribute},
            ExpressionAttributeValues={":beginning": {"S": f"{beginning}-"}},
        )
    )
    return [item for page in pages for item in page["Items"]]


def is_whole() -> bool:
    """Say what `weaudit verify` says."""
    return run("verify", "--json")[0] == 0

"""What does logging an object's arrival cost, cold and warm, beside boto3 functions that log the same?

Cold: from process start to the first answer under awslambdaric, as in cold_start. Warm: CPU an event, of one record, as
S3 sends them, and of a hundred, as a replay may.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from bench.cold_start import EMPTY, ONE_REQUEST, POWERTOOLS, Store, environment, ratios, started, stores
from bench.reports import Ratio, Report, load, spread
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS

_HANDLERS = Path(__file__).with_name("handlers")
_LOOP = "boto3 put loop"
_REFERENCES = {
    EMPTY: "empty",
    ONE_REQUEST: "one_request",
    "boto3.client": "boto3_objects",
    POWERTOOLS: "boto3_objects_powertools",
    _LOOP: "boto3_objects_table",
}
# A process of its own for each variant, so that none pays for another's modules.
_WORKER = """
import sys, time, json, os
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
out = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
import index
context = SimpleNamespace(function_name="s3-processor-dev", aws_request_id="r-1", memory_limit_in_mb="128",
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:s3-processor-dev:live",
    get_remaining_time_in_millis=lambda: 30_000)
text, calls, found = sys.stdin.read(), int(sys.argv[2]), []
for _ in range(calls + 1):
    event = json.loads(text)
    cpu = time.process_time()
    answer = index.lambda_handler(event, context)
    found.append(1000 * (time.process_time() - cpu))
    assert answer["statusCode"] == 200, answer
out.write(json.dumps(found[1:]))
out.flush()
"""


def run(quick: bool = False) -> Report:
    """Start every variant in turn, many times over; then call each that logs warm, in turns."""
    rounds, turns, calls = (2, 2, 5) if quick else (25, 7, 40)
    before = load()
    with tempfile.TemporaryDirectory() as folder, stores(Path(folder)) as both:
        roots, store = _task_roots(Path(folder)), both[""]
        results = started(roots, both, notification(1), rounds, "coldMs")
        before_warm = store.count()
        warm = {size: _warm(roots, store, size, turns, calls) for size in (1, 100)}
        # Who writes less than the others has not done the work that is compared.
        written = store.count() - before_warm
        assert written == 101 * len(warm[1]) * turns * (calls + 1), f"{written} rows were written"
    for size, costs in warm.items():
        for name, found in costs.items():
            results[name][f"cpuMs{size}Records"] = spread(found)[0]
    settings = {"rounds": rounds, "turns": turns, "callsATurn": calls}
    question = "an object's arrival logged, cold and warm"
    return Report("invocation_cost", question, settings, results, _ratios(results), before)


def _ratios(results: dict[str, dict[str, float]]) -> list[Ratio]:
    ours, loop = results["ours"], results[_LOOP]
    return [
        *ratios(results, "coldMs"),
        Ratio("less CPU than the put loop, 1 record", loop["cpuMs1Records"] / ours["cpuMs1Records"], 1),
        Ratio("less CPU than the put loop, 100 records", loop["cpuMs100Records"] / ours["cpuMs100Records"], 35),
    ]


def notification(records: int) -> dict[str, Any]:
    """Return an event of so many objects that landed, as S3 spells it."""
    return {"Records": [_record(number) for number in range(records)]}


def _record(number: int) -> dict[str, Any]:
    bucket = "lambda-trigger-bucket-dev-123456789012"
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2024-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8IgAtTv8xRjskZQpc"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "objects",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "A3NL1"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {
                "key": f"photos/2024/holiday+number+{number}.jpg",
                "size": 4_194_304 + number,
                "eTag": f"{number:032x}",
                "sequencer": f"{number:018X}",
            },
        },
    }


def _task_roots(folder: Path) -> dict[str, Path]:
    [function] = [function for function in FUNCTIONS if function.name == "s3_processor"]
    roots = {"ours": folder / "ours"}
    with zipfile.ZipFile(packaging.build(function, folder / "dist").path) as archive:
        archive.extractall(roots["ours"])
    for name, source in _REFERENCES.items():
        roots[name] = folder / source
        roots[name].mkdir()
        shutil.copy(_HANDLERS / source / "index.py", roots[name])
    return roots


def _warm(roots: dict[str, Path], store: Store, size: int, turns: int, calls: int) -> dict[str, list[float]]:
    """Return each variant's median CPU milliseconds an event, a figure a turn."""
    names = [name for name in roots if name not in (EMPTY, ONE_REQUEST)]
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(turns):
        for name in names:
            command = [sys.executable, "-B", "-c", _WORKER, str(roots[name]), str(calls)]
            done = subprocess.run(
                command, env=environment(roots[name], store, ""), input=json.dumps(notification(size)),
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]
            found[name].append(statistics.median(json.loads(done.stdout)))
    return found

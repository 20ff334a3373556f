"""What does a logged update cost, cold and warm, beside a bare boto3 function that does the same?

Cold: from the start of a process until its first answer, the store's answers included. It starts the function's own
entry in a plain interpreter; the runtime client's time, the same for all, is left out. Warm: CPU a call.
Both write the update and its log entry in one transaction. Ours reads the table's key once, and checks the values.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import update_store
from bench.cold_start import Store
from bench.reports import Ratio, Report, load, spread
from bench.tls import Certificate
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS

EVENT: dict[str, Any] = {
    "id": "CACHE_TTL_SEC",
    "attributes": {"value": 900, "status": "live", "limits": {"max": [1, 2, 3], "name": "x"}, "email": "a@example.org"},
    "enable_logging": True,
}
_WORKER = """
import sys, time, json, os
sys.path.insert(0, sys.argv[1])
out = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
import index
event, calls = json.loads(sys.argv[2]), int(sys.argv[3])
text = json.dumps(event)
assert index.lambda_handler(json.loads(text), None)["success"]
out.write("answered\\n"); out.flush()
found = []
for _ in range(calls):
    event = json.loads(text)
    cpu = time.process_time()
    assert index.lambda_handler(event, None)["success"]
    found.append(1000 * (time.process_time() - cpu))
out.write(json.dumps(found) + "\\n"); out.flush()
"""


def run(quick: bool = False) -> Report:
    """Start both in turn, many times over, over HTTP and with TLS; then call each warm, in turns."""
    rounds, calls, turns = (2, 10, 2) if quick else (25, 400, 5)
    before = load()
    with tempfile.TemporaryDirectory() as folder, _stores(Path(folder)) as both:
        roots = _roots(Path(folder))
        cold: dict[str, dict[str, list[float]]] = {end: {name: [] for name in roots} for end in both}
        warm: dict[str, list[float]] = {name: [] for name in roots}
        for number in range(rounds + 1):
            for name, root in roots.items():
                for end, store in both.items():
                    took, _ = _measured(root, store, 0)
                    if number:  # the first start reads the files from disk
                        cold[end][name].append(took)
        for _ in range(turns):
            for name, root in roots.items():
                warm[name].append(statistics.median(_measured(root, both[""], calls)[1]))
        # Who writes less than the other has not done the work that is compared.
        for end, store in both.items():
            done = store.count()
            assert done == len(roots) * (1 + rounds + (0 if end else turns * (calls + 1))), f"{done} transactions"
    results: dict[str, dict[str, float]] = {name: {} for name in roots}
    for name in roots:
        for end in both:
            names = (f"coldMs{end}", f"lowerQuartileMs{end}", f"upperQuartileMs{end}")
            results[name] |= dict(zip(names, spread(cold[end][name]), strict=True))
        results[name]["warmCpuMs"] = spread(warm[name])[0]
    ours, bare = results["ours"], results["bare boto3"]
    ratios = [
        Ratio("faster to the first answer than bare boto3", bare["coldMs"] / ours["coldMs"], 2),
        Ratio("with TLS: faster to the first answer than bare boto3", bare["coldMsTls"] / ours["coldMsTls"], 2),
        Ratio("less CPU a warm call than bare boto3", bare["warmCpuMs"] / ours["warmCpuMs"], 1),
    ]
    settings = {"rounds": rounds, "callsARound": calls, "attributes": len(EVENT["attributes"])}
    return Report("update_cost", "a logged update, cold and warm", settings, results, ratios, before)


@contextlib.contextmanager
def _stores(folder: Path) -> Iterator[dict[str, Store]]:
    certificate = Certificate(folder)
    with update_store.started() as plain, update_store.started(certificate.server) as encrypted:
        yield {"": Store(plain), "Tls": Store(encrypted, certificate.trusted)}


def _roots(folder: Path) -> dict[str, Path]:
    [function] = [function for function in FUNCTIONS if function.name == "table_update"]
    roots = {"ours": folder / "ours", "bare boto3": folder / "boto3"}
    with zipfile.ZipFile(packaging.build(function, folder / "dist").path) as archive:
        archive.extractall(roots["ours"])
    roots["bare boto3"].mkdir()
    shutil.copy(Path(__file__).with_name("handlers") / "boto3_update" / "index.py", roots["bare boto3"])
    return roots


def _measured(root: Path, store: Store, calls: int) -> tuple[float, list[float]]:
    """Return milliseconds from process start to the first answer, and the CPU milliseconds of each further call."""
    # -S would hide boto3 from the reference. Nothing is written into the folder, as on Lambda.
    command = [sys.executable, "-B", "-c", _WORKER, str(root), json.dumps(EVENT), str(calls)]
    began = time.perf_counter()
    with subprocess.Popen(command, env=_environment(store), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "answered\n", "it did not answer"
        took = 1000 * (time.perf_counter() - began)
        return took, json.loads(process.stdout.readline())


def _environment(store: Store) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "en_US.UTF-8",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        **store.variables,
        "TABLE_NAME": "Configuration",
        "AUDIT_LOG_TABLE": "audit_logs",
    }

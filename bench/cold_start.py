"""How long from the start of a function's process until its first answer, under Lambda's own runtime client?

Each start is a new process of `python -m awslambdaric`, with the environment that Lambda gives and no other. The
function's folder is never written to, as on Lambda: what holds no byte code is compiled at every start. Ours comes with
its zip; the packages of the references lie compiled in site-packages, and their own few lines are compiled.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from bench import stub_store
from bench.reports import Ratio, Report, load, spread
from bench.runtime_api import RuntimeApi
from bench.stream_events import modify_event
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS

_EVENT = modify_event(1, 1)
_HANDLERS = Path(__file__).with_name("handlers")
_REFERENCES = {
    "empty handler": "empty",
    "boto3.client": "boto3_client",
    "boto3 + Powertools": "boto3_powertools",
}


def run(quick: bool = False) -> Report:
    """Start every variant in turn, many times over."""
    rounds = 2 if quick else 25
    before = load()
    with tempfile.TemporaryDirectory() as folder, stub_store.started() as store:
        roots = _task_roots(Path(folder))
        starts: dict[str, list[tuple[float, float]]] = {name: [] for name in roots}
        for name, root in roots.items():
            files = sorted(root.rglob("*"))
            start(root, store, _EVENT)  # reads the files from disk once
            assert sorted(root.rglob("*")) == files, f"{name} wrote into its folder"
        for _ in range(rounds):
            for name, root in roots.items():
                starts[name].append(start(root, store, _EVENT))
    results = {}
    for name, found in starts.items():
        median, low, high = spread(ms for ms, _ in found)
        memory, _, _ = spread(mb for _, mb in found)
        results[name] = {"ms": median, "lowerQuartileMs": low, "upperQuartileMs": high, "peakMb": memory}
    ours = results["ours"]["ms"]
    ratios = [
        Ratio("faster than boto3 + Powertools", results["boto3 + Powertools"]["ms"] / ours, 3.5, gate=True),
        Ratio("of the empty handler's time", ours / results["empty handler"]["ms"], 2, at_least=False),
    ]
    question = "from process start to the first answer, under awslambdaric"
    return Report("cold_start", question, {"rounds": rounds, "eventRecords": 1}, results, ratios, before)


def _task_roots(folder: Path) -> dict[str, Path]:
    [function] = [function for function in FUNCTIONS if function.name == "audit_producer"]
    artifact = packaging.build(function, folder / "dist")
    roots = {"ours": folder / "ours"}
    with zipfile.ZipFile(artifact.path) as archive:
        archive.extractall(roots["ours"])
    for name, source in _REFERENCES.items():
        roots[name] = folder / source
        roots[name].mkdir()
        shutil.copy(_HANDLERS / source / "index.py", roots[name])
    return roots


def start(root: Path, store: str, event: Any) -> tuple[float, float]:
    """Return milliseconds until the first answer, and the process's peak memory in MB (0 where /proc is missing)."""
    api = RuntimeApi(event)
    command = [sys.executable, "-m", "awslambdaric", "index.lambda_handler"]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=root, env=environment(root, store, api.address), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        took = 1000 * (api.wait() - began)
        return took, _peak_mb(process.pid)
    except AssertionError as error:
        process.kill()
        raise AssertionError(f"{error}\n{process.communicate()[1].decode(errors='replace')[-2000:]}") from error
    finally:
        process.kill()
        process.communicate()
        api.close()


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    [peak] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(peak) / 1024


def environment(root: Path, store: str, api: str) -> dict[str, str]:
    """Return the variables that Lambda gives a function, whichever of ours it is."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_FUNCTION_NAME": "audit_producer",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/audit_producer",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2024/01/01/[1]0123456789abcdef",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": str(root),
        "_HANDLER": "index.lambda_handler",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_SESSION_TOKEN": "bench",
        "AWS_ENDPOINT_URL": store,
        "TARGET_TABLE": "Audit",
        "DYNAMODB_TABLE_NAME": "lambda-invocation-logs-dev",
        "CONFIGURATION_TABLE": "Configuration",
        "EVIDENCE_BUCKET": "evidence",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "bench",
    }

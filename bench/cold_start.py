"""How long from the start of a function's process until its first answer, under Lambda's own runtime client?

Each start is a new process of `python -m awslambdaric`, with the environment that Lambda gives and no other. The
function's folder is never written to, as on Lambda: what holds no byte code is compiled at every start. Ours comes with
its zip; the packages of the references lie compiled in site-packages, and their own few lines are compiled.
"""

import contextlib
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import stub_store
from bench.reports import Ratio, Report, load, spread
from bench.runtime_api import RuntimeApi
from bench.stream_events import modify_event
from bench.tls import Certificate
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS

_EVENT = modify_event(1, 1)
_HANDLERS = Path(__file__).with_name("handlers")
EMPTY, ONE_REQUEST, POWERTOOLS = "empty handler", "one request of http.client", "boto3 + Powertools"
_REFERENCES = {
    EMPTY: "empty",
    ONE_REQUEST: "one_request",
    "boto3.client": "boto3_client",
    POWERTOOLS: "boto3_powertools",
}
# Milliseconds and MB of each start of a variant.
Starts = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Store:
    """Where a stub store is, and a file of issuers by which to trust it where it has TLS."""

    url: str
    trusted: Path | None = None

    @property
    def variables(self) -> dict[str, str]:
        """What a function's environment says of it; boto3 and our client both go by these."""
        trusted = {} if self.trusted is None else {"AWS_CA_BUNDLE": str(self.trusted)}
        return {"AWS_ENDPOINT_URL": self.url, **trusted}

    def count(self) -> int:
        """Return how many writes it was given."""
        context = None if self.trusted is None else ssl.create_default_context(cafile=str(self.trusted))
        with urllib.request.urlopen(f"{self.url}/items", context=context) as answer:  # noqa: S310 our own stub
            return int(answer.read())


@contextlib.contextmanager
def stores(folder: Path) -> Iterator[dict[str, Store]]:
    """Run a store over HTTP and one with TLS, by how the names of their columns end."""
    certificate = Certificate(folder)
    with stub_store.started() as plain, stub_store.started(certificate=certificate.server) as encrypted:
        yield {"": Store(plain), "Tls": Store(encrypted, certificate.trusted)}


def run(quick: bool = False) -> Report:
    """Start every variant in turn, many times over, over HTTP and with TLS."""
    rounds = 2 if quick else 25
    before = load()
    with tempfile.TemporaryDirectory() as folder, stores(Path(folder)) as both:
        results = started(_task_roots(Path(folder)), both, _EVENT, rounds, "ms")
    question = "from process start to the first answer, under awslambdaric"
    settings = {"rounds": rounds, "eventRecords": 1}
    return Report("cold_start", question, settings, results, ratios(results, "ms"), before)


def started(
    roots: dict[str, Path], both: Mapping[str, Store], event: Any, rounds: int, column: str
) -> dict[str, dict[str, float]]:
    """Start every variant with every store in turn, so often, and once before; return what each took.

    Raises AssertionError where one wrote into its folder, or did not write its one item a start.
    """
    found: dict[str, Starts] = {end: {name: [] for name in roots} for end in both}
    files = {name: sorted(root.rglob("*")) for name, root in roots.items()}
    for number in range(rounds + 1):
        for name, root in roots.items():
            for end, store in both.items():
                took = start(root, store, event)
                if number:  # the first start reads the files from disk
                    found[end][name].append(took)
    for name, root in roots.items():
        assert sorted(root.rglob("*")) == files[name], f"{name} wrote into its folder"
    for store in both.values():
        written = store.count()
        assert written == (rounds + 1) * (len(roots) - 1), f"{written} items were written by cold starts"
    results: dict[str, dict[str, float]] = {name: {} for name in roots}
    for end, starts in found.items():
        for name, each in starts.items():
            names = (f"{column}{end}", f"lowerQuartileMs{end}", f"upperQuartileMs{end}")
            results[name] |= dict(zip(names, spread(ms for ms, _ in each), strict=True))
            results[name][f"peakMb{end}"] = spread(mb for _, mb in each)[0]
    return results


def ratios(results: Mapping[str, Mapping[str, float]], column: str) -> list[Ratio]:
    """Return what is claimed of cold starts, over HTTP and with TLS."""
    claims = []
    for end, said in (("", ""), ("Tls", "with TLS: ")):
        took = {name: row[f"{column}{end}"] for name, row in results.items()}
        claims += [
            Ratio(f"{said}faster than boto3 + Powertools", took[POWERTOOLS] / took["ours"], 3.5, gate=not end),
            Ratio(f"{said}of the empty handler's time", took["ours"] / took[EMPTY], 2, at_least=False),
        ]
    return claims


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


def start(root: Path, store: Store, event: Any) -> tuple[float, float]:
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


def environment(root: Path, store: Store, api: str) -> dict[str, str]:
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
        **store.variables,
        "TARGET_TABLE": "Audit",
        "KEYS_TABLE": "keys",
        "DYNAMODB_TABLE_NAME": "lambda-invocation-logs-dev",
        "CONFIGURATION_TABLE": "Configuration",
        "EVIDENCE_BUCKET": "evidence",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "bench",
    }

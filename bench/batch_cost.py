"""How much CPU and wall time does a stream event of 100 updates cost, in a warm function?

Variants take turns, five events a turn (one, with --quick): the first event after a pause costs more than the next, for
every variant. The event is the same each time, so that its items' salts are known from the second on, as those of busy
items are.
Updates of one attribute of ten are what most ratios are taken from: two items are hashed for each single record.
Updates of three attributes are measured beside them, because an event of more records suits batches better. The floor
is what any function of the kind must do: the same records encoded, signed and sent, nothing decided.
"""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request

from bench import stub_store
from bench.batch_handlers import HANDLERS
from bench.reports import Ratio, Report, load, spread

LATENCIES_MS = (0, 5)
_REFERENCE = "boto3 put loop"
# What is compared, and its words.
_CPU = {"cpuMs@0ms": "one attribute", "cpuMs3Changed@0ms": "three attributes"}
_TURN, _QUICK_TURN = 5, 1
# A machine that others use as well is fast and slow in turns of minutes: the worst of so many runs is what we claim.
_RUNS = 3


def run(quick: bool = False, *, records: int = 100, changed: int = 1) -> Report:
    """Measure three times over, and return the run in which we were the worst against the put loop."""
    runs = [_run(quick, records, changed) for _ in range(1 if quick else _RUNS)]
    worst = min(runs, key=lambda report: report.ratios[0].value)
    worst.settings["lessCpuThanPutLoopInEachRun"] = [round(report.ratios[0].value, 2) for report in runs]
    return worst


def _run(quick: bool, records: int, changed: int) -> Report:
    """Measure every variant against a store that answers at once and one that takes 5 ms; rounds are interleaved."""
    rounds, warm_up, turn = (2, 1, _QUICK_TURN) if quick else (9, 1, _TURN)
    before = load()
    results: dict[str, dict[str, float]] = {name: {} for name in HANDLERS}
    for latency in LATENCIES_MS:
        for name, costs in _measured(latency, rounds, warm_up, turn, records, changed).items():
            for figure in ("cpuMs", "wallMs"):
                results[name][f"{figure}@{latency}ms"], _, _ = spread(cost[figure] for cost in costs)
                results[name][f"{figure}@{latency}msLeast"] = min(cost[figure] for cost in costs)
    for name, costs in _measured(0, rounds, warm_up, turn, records, 3).items():
        results[name]["cpuMs3Changed@0ms"], _, _ = spread(cost["cpuMs"] for cost in costs)
        results[name]["cpuMs3Changed@0msLeast"] = min(cost["cpuMs"] for cost in costs)
    ours, naive, batch, floor = (results[name] for name in ("ours", _REFERENCE, "boto3 batch_writer", "floor"))
    ratios = [
        Ratio(f"less CPU than the put loop, {said}", naive[cpu] / ours[cpu], 15)
        for cpu, said in (*_CPU.items(), ("cpuMs@5ms", "one attribute, store at 5 ms"))
    ]
    ratios += [Ratio(f"less CPU than batch_writer, {said}", batch[cpu] / ours[cpu], 2) for cpu, said in _CPU.items()]
    ratios += [
        Ratio(f"of the CPU of the floor, {said}", ours[cpu] / floor[cpu], 1.6, at_least=False)
        for cpu, said in _CPU.items()
    ]
    ratios.append(
        Ratio("less wall time than the put loop, store at 5 ms", naive["wallMs@5ms"] / ours["wallMs@5ms"], 35)
    )
    settings = {
        "records": records,
        "attributesChanged": changed,
        "attributes": 10,
        "rounds": rounds,
        "eventsARound": turn,
    }
    return Report("batch_cost", f"cost of an event of {records} updates, warm", settings, results, ratios, before)


def _measured(
    latency: int, rounds: int, warm_up: int, turn: int, records: int, changed: int
) -> dict[str, list[dict[str, float]]]:
    costs: dict[str, list[dict[str, float]]] = {name: [] for name in HANDLERS}
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(stub_store.started(latency))
        workers = {name: stack.enter_context(_worker(name, url, records, changed)) for name in HANDLERS}
        for _ in range(warm_up):
            for worker in workers.values():
                _turn(worker, turn)
        for _ in range(rounds):
            for name, worker in workers.items():
                costs[name] += _turn(worker, turn)
        with urllib.request.urlopen(f"{url}/items") as answer:  # noqa: S310 our own stub
            written = int(answer.read())
        # Who writes less than the others has not done the work that is compared.
        assert written == len(HANDLERS) * (warm_up + rounds) * turn * records * changed, f"{written} items were written"
        for worker in workers.values():
            assert worker.stdin is not None
            worker.stdin.close()
    return costs


def _worker(name: str, url: str, records: int, changed: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "TARGET_TABLE": "Audit",
        "CONFIGURATION_TABLE": "Configuration",
        "KEYS_TABLE": "keys",
        "EVIDENCE_BUCKET": "evidence",
        "LOG_LEVEL": "INFO",
    }
    command = [sys.executable, "-m", "bench.batch_worker", name, str(records), str(changed)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _turn(worker: "subprocess.Popen[str]", events: int) -> list[dict[str, float]]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("\n" * events)
    worker.stdin.flush()
    return [json.loads(worker.stdout.readline()) for _ in range(events)]

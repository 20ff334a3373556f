"""`python -m bench`: run the benchmarks one after another, print what they found, keep it as JSON, and sum up.

The exit code is 1 where a gate is missed in a full run; aims are only reported.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    api_cost,
    batch_cost,
    cold_start,
    command_start,
    cost_model,
    engine_rate,
    figures,
    image_cost,
    invocation_cost,
    ledger_cost,
    package_size,
    sealing_cost,
    update_cost,
    verify_cost,
)
from bench.reports import Report

BENCHMARKS: dict[str, Callable[[bool], Report]] = {
    "api_cost": api_cost.run,
    "batch_cost": batch_cost.run,
    "cold_start": cold_start.run,
    "command_start": command_start.run,
    "cost_model": cost_model.run,
    "engine_rate": engine_rate.run,
    "invocation_cost": invocation_cost.run,
    "image_cost": image_cost.run,
    "ledger_cost": ledger_cost.run,
    "package_size": package_size.run,
    "sealing_cost": sealing_cost.run,
    "update_cost": update_cost.run,
    "verify_cost": verify_cost.run,
}


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure WeAudit beside its references.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that it runs, judges nothing")
    parser.add_argument("--out", type=Path, help="folder of the JSON results (default: bench/results; --quick: none)")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    out = options.out or (None if options.quick else figures.RESULTS)
    missed, made = False, {}
    for name in options.names or BENCHMARKS:
        report = BENCHMARKS[name](options.quick)
        print(report.table(), flush=True)
        made[name] = json.loads(report.json())
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{name}.json").write_text(report.json())
        missed |= any(ratio.gate and not ratio.met for ratio in report.ratios)
    # What did not run now is told as it was kept: the table is always of everything.
    before = figures.kept(out) if out is not None else {}
    print(figures.text(figures.lines(before | made)))
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench`: run the benchmarks one after another, print what they found, and keep it as JSON.

The exit code is 1 where a gate is missed in a full run; aims are only reported.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench import api_cost, batch_cost, cold_start, cost_model, engine_rate, image_cost, invocation_cost, update_cost
from bench.reports import Report

BENCHMARKS: dict[str, Callable[[bool], Report]] = {
    "api_cost": api_cost.run,
    "batch_cost": batch_cost.run,
    "cold_start": cold_start.run,
    "cost_model": cost_model.run,
    "engine_rate": engine_rate.run,
    "invocation_cost": invocation_cost.run,
    "image_cost": image_cost.run,
    "update_cost": update_cost.run,
}
RESULTS = Path(__file__).with_name("results")


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure WeAudit beside its references.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that it runs, judges nothing")
    parser.add_argument("--out", type=Path, help="folder of the JSON results (default: bench/results; --quick: none)")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    out = options.out or (None if options.quick else RESULTS)
    missed = False
    for name in options.names or BENCHMARKS:
        report = BENCHMARKS[name](options.quick)
        print(report.table(), flush=True)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{name}.json").write_text(report.json())
        missed |= any(ratio.gate and not ratio.met for ratio in report.ratios)
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())

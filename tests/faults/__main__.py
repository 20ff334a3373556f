"""`python -m tests.faults`: try one kind of fault after another, and print what was lost or doubled by each.

Exit code 1 where anything was lost or doubled, where `weaudit verify` is not content, or where a fault never happened.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.pictures import drawn
from tests.faults import commanded, deaths, deliveries, reports, store_faults
from tests.faults.work import Round, differences, is_whole
from tests.faults.world import World

KINDS: dict[str, Callable[..., reports.Line]] = {
    **store_faults.kinds(),
    **deliveries.KINDS,
    **commanded.KINDS,
    **deaths.KINDS,
}
_PICTURES = 3


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Try WeAudit under faults.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{'; '.join(KINDS)} (default: all)")
    parser.add_argument("--count", type=int, default=24, help="pieces of work of each kind in a round (default: 24)")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args(arguments)
    if unknown := set(options.kinds) - KINDS.keys():
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    lines = tried(options.kinds or list(KINDS), options.count)
    print(reports.document(lines) if options.json else reports.table(lines))
    return 0 if all(line.good for line in lines) else 1


def tried(kinds: list[str], count: int) -> list[reports.Line]:
    """Return a line for each kind, all on one engine, and one for a last look at everything that was done."""
    pictures = drawn(["png"] * _PICTURES)
    rounds: list[Round] = []
    lines = []
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world:
        for kind in kinds:
            print(f"{kind} …", file=sys.stderr, flush=True)
            lines.append(KINDS[kind](world, pictures, rounds, count))
            print(reports.table(lines[-1:]).splitlines()[2], file=sys.stderr, flush=True)
        began = time.monotonic()
        found = sum((one.count() for one in rounds), reports.Count())
        problems = tuple(told for one in rounds for told in differences(one.expected(), one.found()))
        # What comes late, twice, or is taken away by a later fault, shows here.
        seconds = time.monotonic() - began
        lines.append(reports.Line("all of it again, at the end", 0, found, is_whole(), seconds, problems, again=True))
    return lines


if __name__ == "__main__":
    sys.exit(main())

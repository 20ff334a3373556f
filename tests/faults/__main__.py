"""`python -m tests.faults`: try one kind of fault after another, and print what was lost or doubled by each.

Exit code 1 where anything was lost or doubled, where `weaudit verify` is not content, or where a fault never happened.

What is left to chance follows from a seed, which is printed: of each operation of each service, whether the n-th
request is failed; the order in which events come again; which function's process is killed, and after how long; when a
command is killed. With the same seed these are the same, for a kind alone as among all. Not the same are which of
several requests at one time is the n-th, how far a process had come when it was killed, ids and times, and the waits
of our client and of the SDK between two tries.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e import ledgers
from tests.e2e.pictures import drawn
from tests.faults import commanded, deaths, deliveries, reports, sealing, store_faults
from tests.faults.work import Round, differences, is_whole
from tests.faults.world import World
from weaudit.installation import draining
from weaudit.installation.outputs import Installation

KINDS: dict[str, Callable[..., reports.Line]] = {
    **store_faults.kinds(),
    **sealing.KINDS,  # before the poison, which takes records away: the ledger says so for ever
    **deliveries.KINDS,
    **commanded.KINDS,
    **deaths.KINDS,
}
_COUNT = 24
_PICTURES = 3


def parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Try WeAudit under faults.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{'; '.join(KINDS)} (default: all)")
    parser.add_argument("--count", type=int, default=_COUNT, help=f"pieces of work of each kind (default: {_COUNT})")
    parser.add_argument("--seed", type=int, help="have the choices of an earlier run again (default: new ones)")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names and return the exit code."""
    options = parser().parse_args(arguments)
    if unknown := set(options.kinds) - KINDS.keys():
        parser().error(f"there is no fault {', '.join(sorted(unknown))}")
    seed = random.randrange(1_000_000) if options.seed is None else options.seed  # noqa: S311 no secret
    again = command(seed, options.count, options.kinds)
    print(f"seed {seed}", file=sys.stderr, flush=True)
    try:
        lines = tried(options.kinds or list(KINDS), options.count, seed)
    except BaseException:
        print(f"broken off; the same again: {again}", file=sys.stderr)
        raise
    print(reports.document(lines, seed) if options.json else f"{reports.table(lines)}\nseed {seed}")
    if all(line.good for line in lines):
        return 0
    print(f"the same again: {again}", file=sys.stderr)
    for line in lines:
        if not (line.good or line.again):
            print(f"{line.kind} alone: {command(seed, options.count, [line.kind])}", file=sys.stderr)
    return 1


def command(seed: int, count: int, kinds: list[str]) -> str:
    """Return the command that makes the same choices again."""
    words = [f"--seed {seed}", *([f"--count {count}"] if count != _COUNT else []), *(f"'{kind}'" for kind in kinds)]
    return f'make faults ARGS="{" ".join(words)}"'


def tried(kinds: list[str], count: int, seed: int) -> list[reports.Line]:
    """Return a line for each kind, all on one engine, and one for a last look at everything that was done."""
    pictures = drawn(["png"] * _PICTURES)
    rounds: list[Round] = []
    lines = []
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), seed=seed) as world:
        for kind in kinds:
            print(f"{kind} …", file=sys.stderr, flush=True)
            lines.append(KINDS[kind](world, pictures, rounds, count))
            print(reports.table(lines[-1:]).splitlines()[2], file=sys.stderr, flush=True)
        began = time.monotonic()
        found = sum((one.count() for one in rounds), reports.Count())
        problems = tuple(told for one in rounds for told in differences(one.expected(), one.found()))
        # What comes late, twice, or is taken away by a later fault, shows here.
        place = Installation.find()
        draining.sealed(place.target, place.ledger_sealer, 60)
        problems += tuple(ledgers.faults(place.ledger_bucket))
        seconds = time.monotonic() - began
        lines.append(reports.Line("all of it again, at the end", 0, found, is_whole(), seconds, problems, again=True))
    return lines


if __name__ == "__main__":
    sys.exit(main())

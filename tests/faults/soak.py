"""`python -m tests.faults.soak`: mixed work through every door, with restarts of the engine in between.

Exit code 1 where anything was lost or doubled, where `weaudit verify` is not content, or where the memory of a
function's process grows while it works. Nothing is left to chance here, so there is no seed: what differs from run to
run is how much is done in the time, and what is on its way when the engine is stopped.
"""

import argparse
import dataclasses
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.e2e.pictures import drawn
from tests.faults import reports
from tests.faults.work import Round, differences, is_whole
from tests.faults.world import World, try_again
from weaudit.local import engine

_EVERY_S = 0.5
# A process is judged by its second and its last quarter: in the first it imports and fills its caches. Where it lived
# more shortly than this, or did not grow by a megabyte, there is nothing to judge.
_SHORTEST_LIFE_MINUTES = 0.25
_LEAST_MB = 1.0
_MOST_MB_A_MINUTE = 4.0


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """What the processes of one function had resident: MB, the most of any, and how it grew, the median of them."""

    function: str
    processes: int
    most_mb: float
    growth_mb_a_minute: float | None  # None where none lived long enough to tell


class Sampler:
    """Looks at the memory of functions' processes twice a second, until it is stopped."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._over = threading.Event()
        self._samples: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            for pid, name in self._world.workers().items():
                resident_mb = _resident_mb(pid)
                if resident_mb:
                    self._samples[name, pid].append((time.monotonic() / 60, resident_mb))

    def memory(self) -> list[Memory]:
        """Return what was seen, a line a function."""
        found: dict[str, list[list[tuple[float, float]]]] = defaultdict(list)
        for (name, _), samples in self._samples.items():
            found[name].append(samples)
        return [
            Memory(name, len(lives), max(mb for samples in lives for _, mb in samples), growth(lives))
            for name, lives in sorted(found.items())
        ]


def growth(lives: Iterable[list[tuple[float, float]]]) -> float | None:
    """Return the median growth of processes' memory, MB a minute: the lesser of 2nd to 3rd and 3rd to last quarter."""
    found = []
    for samples in lives:
        quarter = len(samples) // 4
        if not quarter or samples[-1][0] - samples[0][0] < _SHORTEST_LIFE_MINUTES:
            continue
        parts = [samples[place * quarter : (place + 1) * quarter] for place in (1, 2, 3)]
        at, mb = ([statistics.median(sample[which] for sample in part) for part in parts] for which in (0, 1))
        # A leak grows all the time; what is imported for the first picture is one step.
        slopes = [(mb[place + 1] - mb[place]) / (at[place + 1] - at[place]) for place in (0, 1)]
        found.append(min(slopes) if abs(mb[2] - mb[0]) >= _LEAST_MB else 0.0)
    return statistics.median(found) if found else None


def _resident_mb(pid: int) -> float:
    try:
        [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024
    except (OSError, ValueError):
        return 0.0


def main(arguments: list[str] | None = None) -> int:
    """Work as long as the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description="Work for a while, with restarts.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--restarts", type=int, default=2, help="how often the engine stops and starts (default: 2)")
    options = parser.parse_args(arguments)
    lines, memory = soaked(options.minutes * 60, options.restarts)
    print(reports.table(lines))
    print("\nmemory of functions' processes     processes   most MB   growth, MB a minute")
    steep = False
    for one in memory:
        grown = "lived too shortly" if one.growth_mb_a_minute is None else f"{one.growth_mb_a_minute:+.2f}"
        print(f"{one.function:<34} {one.processes:>9} {one.most_mb:>9.1f}   {grown}")
        steep |= (one.growth_mb_a_minute or 0.0) > _MOST_MB_A_MINUTE
    if steep:
        print(f"memory grows: more than {_MOST_MB_A_MINUTE} MB a minute")
    return 0 if all(line.good for line in lines) and not steep else 1


def soaked(seconds: float, restarts: int) -> tuple[list[reports.Line], list[Memory]]:
    """Return a line for each stretch between two restarts, one for all of them at the end, and the memory."""
    pictures = drawn(["png"] * 8)
    rounds: list[Round] = []
    lines = []
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), proxied=False) as world:
        with Sampler(world) as sampler:
            for number in range(restarts + 1):
                began = time.monotonic()
                one = Round(f"stretch_{number}", pictures, seconds=seconds / (restarts + 1))
                rounds.append(one)
                one.work()
                if number < restarts:
                    # What is still on its way when the engine is told to stop has to be there afterwards.
                    engine.down(state_dir=world.folder)
                    world.up()
                found = one.settled(helping=try_again)
                told = (*one.problems, *differences(one.expected(), one.found()))
                name = f"stretch {number + 1}, then a restart" if number < restarts else f"stretch {number + 1}"
                lines.append(reports.Line(name, 1, found, is_whole(), time.monotonic() - began, told))
                print(f"{name}: {found}", file=sys.stderr, flush=True)
        began = time.monotonic()
        found = sum((one.count() for one in rounds), reports.Count())
        told = tuple(text for one in rounds for text in differences(one.expected(), one.found()))
        whole, seconds = is_whole(), time.monotonic() - began
        lines.append(reports.Line("all of it again, at the end", 0, found, whole, seconds, told, again=True))
    return lines, sampler.memory()


if __name__ == "__main__":
    sys.exit(main())

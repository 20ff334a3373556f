"""What does it cost to make two renditions of a 12 MP image, beside sharp and beside plain Pillow?

Each variant runs in a process of its own, reads the same file and gives renditions of 1,600 and 320 pixels, upright and
without metadata. Ours is the whole of ``working.work``: a child is forked, limited, and its answer carried back.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.reports import Ratio, Report, load, spread

SHARP = "0.35.5"
_HERE = Path(__file__).parent
# Input and output, by name. The first is what the claims are about.
TASKS = {"jpeg to jpeg": ("jpeg", "jpeg"), "jpeg to webp": ("jpeg", "webp"), "png to jpeg": ("png", "jpeg")}


def run(quick: bool = False) -> Report:
    """Run every variant on every task in turn, several times over."""
    rounds, calls = (1, 2) if quick else (3, 8)
    size = (1200, 900) if quick else (4000, 3000)
    before = load()
    sharp = _sharp_folder()
    results: dict[str, dict[str, float]] = {}
    ratios: list[Ratio] = []
    with tempfile.TemporaryDirectory() as folder:
        files = _inputs(Path(folder), size)
        for task, (source, target) in TASKS.items():
            variants = _variants(files[source], target, calls, sharp)
            found: dict[str, list[dict[str, Any]]] = {name: [] for name in variants}
            for _ in range(rounds):
                for name, command in variants.items():
                    found[name].append(_measured(command))
            _same_work(found)
            for name, runs in found.items():
                results[f"{task}: {name}"] = _figures(runs)
            ratios += _ratios(task, results)
    if sharp is None:
        print("image_cost: NOT MEASURED beside sharp, for there is no node with npm here", file=sys.stderr)
    settings = {"rounds": rounds, "callsARound": calls, "pixels": size[0] * size[1], "sharp": SHARP if sharp else ""}
    return Report("image_cost", "two renditions of a 12 MP image", settings, results, ratios, before)


def _ratios(task: str, results: dict[str, dict[str, float]]) -> list[Ratio]:
    ours, pillow = results[f"{task}: ours"], results[f"{task}: plain Pillow"]
    ratios = [Ratio(f"{task}: faster than plain Pillow", pillow["wallMs"] / ours["wallMs"], 4.5)] * (
        task == "jpeg to jpeg"
    )
    if sharp := results.get(f"{task}: sharp"):
        ratios.append(Ratio(f"{task}: time of sharp's", ours["wallMs"] / sharp["wallMs"], 1.15, at_least=False))
        ratios.append(Ratio(f"{task}: memory of sharp's", ours["peakMb"] / sharp["peakMb"], 1, at_least=False))
    return ratios


def _figures(runs: list[dict[str, Any]]) -> dict[str, float]:
    median, low, high = spread([time for one in runs for time in one["times"]])
    return {
        "wallMs": median,
        "lowerQuartileMs": low,
        "upperQuartileMs": high,
        "cpuMs": statistics.median(one["cpuMs"] for one in runs),
        "peakMb": statistics.median(one["peakMb"] for one in runs),
        "outputKb": runs[0]["bytes"] / 1000,
    }


def _same_work(found: dict[str, list[dict[str, Any]]]) -> None:
    sizes = {name: runs[0]["sizes"] for name, runs in found.items()}
    assert len({json.dumps(size) for size in sizes.values()}) == 1, f"renditions of other sizes: {sizes}"
    largest = [runs[0]["bytes"] for runs in found.values()]
    assert max(largest) < 1.6 * min(largest), f"renditions of another quality: {largest}"


def _variants(source: Path, target: str, calls: int, sharp: Path | None) -> dict[str, list[str]]:
    arguments = [str(source), target, str(calls)]
    worker = [sys.executable, str(_HERE / "image_worker.py")]
    variants = {"ours": [*worker, "ours", *arguments], "plain Pillow": [*worker, "pillow", *arguments]}
    variants["Pillow, thumbnail()"] = [*worker, "thumbnail", *arguments]
    if sharp is not None:
        variants["sharp"] = ["node", str(_HERE / "image_sharp.js"), str(sharp / "node_modules" / "sharp"), *arguments]
    return variants


def _measured(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _inputs(folder: Path, size: tuple[int, int]) -> dict[str, Path]:
    # In a process of its own: whoever measures must not use libvips himself.
    subprocess.run([sys.executable, str(_HERE / "image_worker.py"), "inputs", str(folder), *map(str, size)], check=True)
    return {kind: folder / f"input.{kind}" for kind in ("jpeg", "png")}


def _sharp_folder() -> Path | None:
    """Return a folder with sharp in it, installed once and kept outside of the repository; None without node."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "weaudit-bench" / f"sharp-{SHARP}"
    if not (folder / "node_modules" / "sharp" / "package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), f"sharp@{SHARP}"]
        if subprocess.run(install, check=False, stdout=sys.stderr).returncode:
            return None
    return folder

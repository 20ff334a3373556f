"""Works on every file of a folder, in a process that holds nothing else, and says what became of each, as JSON.

Run as ``python -m tests.images.worker FOLDER MEMORY_BYTES``. ``peakBytes`` is that of its largest child.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from weaudit.errors import ImageRejectedError
from weaudit.images.pipeline import Pipeline, RenditionPlan, Step, built_in
from weaudit.images.pixels import working


def main(folder: Path, memory_bytes: int) -> None:
    """Print one JSON document."""
    plans = tuple(RenditionPlan(kind, 100, 100, format=kind) for kind in ("jpeg", "png", "webp", "avif"))
    hashes = (Step("dhash", {}), Step("phash", {"size": 8}))
    chosen = {"formats": Pipeline("formats", plans, (), False), "hashes": Pipeline("hashes", (), hashes, False)}
    pipeline = chosen.get(os.environ.get("PIPELINE", ""), built_in())
    limits = working.Limits(pixels=100_000_000, memory_bytes=memory_bytes, wall_seconds=60, cpu_seconds=60)
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        try:
            worked = working.work(path.read_bytes(), pipeline, limits)
        except ImageRejectedError as error:
            found[path.name] = {"code": error.code, "reason": error.reason}
        else:
            renditions = {each.name: each.content.hex() for each in worked.renditions}
            found[path.name] = {"code": "processed", "renditions": renditions, "algorithms": worked.algorithms}
            found[path.name]["warnings"] = worked.warnings
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    json.dump({"files": found, "peakBytes": peak}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

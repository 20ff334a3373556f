"""Hostile and broken files: each is rejected or harmless, in bounded memory, and never an unforeseen error."""

import json
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images import hostile
from tests.images.corpus import every_kind
from tests.sizes import sized
from weaudit.errors import ImageRejectedError
from weaudit.images.pipeline import Pipeline, RenditionPlan
from weaudit.images.pixels import working

ROOT = Path(__file__).parents[2]
MEMORY_BYTES = 640 * 1024 * 1024
PIPELINE = Pipeline("test", (RenditionPlan("small", 32, 32, format="png"),), (), False)
SOUND = every_kind()


def test_every_hostile_file_is_rejected_or_harmless_in_bounded_memory(tmp_path: Path) -> None:
    allowed = {}
    for number, (name, content, outcomes) in enumerate(hostile.files()):
        (tmp_path / f"{number:03}").write_bytes(content)
        allowed[f"{number:03}"] = (name, outcomes)
    command = [sys.executable, "-m", "tests.images.worker", str(tmp_path), str(MEMORY_BYTES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["files"].keys() == allowed.keys()
    wrong = {
        allowed[number][0]: (one["code"], one.get("reason"))
        for number, one in found["files"].items()
        if one["code"] not in allowed[number][1]
    }
    assert not wrong
    # The child's private memory is bounded; what it shares (libraries, the file) comes on top.
    assert found["peakBytes"] < MEMORY_BYTES + 128 * 1024 * 1024
    assert {one["code"] for one in found["files"].values()} >= {
        *("TooManyPixels", "TooManyPages", "Corrupt", "UnsupportedFormat", "NotAnImage", "OutOfMemory", "processed")
    }
    assert all(one["reason"].isprintable() for one in found["files"].values() if "reason" in one)


@settings(max_examples=sized(60))
@given(st.sampled_from(sorted(SOUND)), st.data())
def test_flipped_bits_are_rejected_or_harmless(kind: str, data: st.DataObject) -> None:
    content = bytearray(SOUND[kind])
    for place, bit in data.draw(
        st.lists(st.tuples(st.integers(0, min(len(content), 600) - 1), st.integers(0, 7)), min_size=1, max_size=4)
    ):
        content[place] ^= 1 << bit
    became = _became(bytes(content))
    assert became.isprintable()
    assert became


def _became(content: bytes) -> str:
    """Return the rendition's name or the reason; whatever else is raised, is raised."""
    try:
        worked = working.work(content, PIPELINE, working.Limits(pixels=4_000_000, wall_seconds=20))
    except ImageRejectedError as error:
        return error.reason if error.code else ""
    return " ".join(each.name for each in worked.renditions)

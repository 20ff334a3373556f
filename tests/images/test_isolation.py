"""Whatever becomes of a child, the parent goes on, knows why, and nothing is left behind."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.images.corpus import every_kind
from weaudit.images.pipeline import Pipeline, RenditionPlan, Step
from weaudit.images.pixels import algorithms, isolation, working

MB = 1024 * 1024


def children() -> set[str]:
    """Return the numbers of this process's children, ended ones that nobody reaped among them."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            found |= {process.name} if int(parent) == os.getpid() else set()
    return found


def run(task: Callable[[Any], None], **limits: Any) -> isolation.Outcome:
    before = children()
    outcome = isolation.run(task, **{"memory_bytes": 2048 * MB, "cpu_seconds": 20, "wall_seconds": 20, **limits})
    assert children() == before
    return outcome


def test_frames_come_whole_and_in_order() -> None:
    def task(send: Any) -> None:
        for number in range(5):
            send({"number": number, "text": "é\n"}, bytes([number]) * 300_000 * number)

    outcome = run(task)
    assert outcome.ended == ""
    assert [head["number"] for head, _ in outcome.frames] == [0, 1, 2, 3, 4]
    assert [len(content) for _, content in outcome.frames] == [300_000 * number for number in range(5)]


def _crash(send: Any) -> None:
    send({"before": True})
    ctypes.string_at(0)


def _abort(send: Any) -> None:
    os.abort()


def _raise(send: Any) -> None:
    raise KeyError("what only the child knows")


def _exit(send: Any) -> None:
    sys.exit(0)


def _fill(send: Any) -> None:
    kept = []
    while True:
        kept.append(bytes(10 * MB))


def _spin(send: Any) -> None:
    while True:
        pass


def _sleep(send: Any) -> None:
    time.sleep(60)


def _close_and_sleep(send: Any) -> None:
    os.closerange(3, 200)
    time.sleep(60)


def _ignore(send: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


def _killed(send: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("task", "limits", "ended"),
    [
        (_crash, {}, "DecoderCrashed"),
        (_abort, {}, "DecoderCrashed"),
        (_raise, {}, "DecoderCrashed"),
        (_exit, {}, "DecoderCrashed"),
        (_fill, {"memory_bytes": 900 * MB}, "OutOfMemory"),
        (_killed, {}, "OutOfMemory"),
        (_spin, {"cpu_seconds": 1}, "OutOfTime"),
        (_sleep, {"wall_seconds": 0.2}, "OutOfTime"),
        (_close_and_sleep, {"wall_seconds": 0.3}, "OutOfTime"),
        (_ignore, {"wall_seconds": 0.2}, "OutOfTime"),
    ],
)
def test_the_end_of_a_child_is_told(task: Callable[[Any], None], limits: dict[str, Any], ended: str) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    outcome = run(task, **limits)
    assert outcome.ended == ended
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    if task is _crash:
        assert outcome.frames == [({"before": True}, b"")]


def test_a_child_takes_its_own_children_along(tmp_path: Path) -> None:
    told = tmp_path / "pid"

    def task(send: Any) -> None:
        with subprocess.Popen(["sleep", "60"]) as process:
            told.write_text(str(process.pid))

    run(task, wall_seconds=0.5)
    # It is gone, or a zombie whose new parent has not looked yet.
    status = Path("/proc") / told.read_text() / "stat"
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] in "ZX"


def _hash(image: Any, **parameters: Any) -> Any:
    return {"size": [image.width, image.height], "bands": image.bands, **parameters}


def _never(send: Any) -> Any:
    while True:
        pass


def _work(monkeypatch: pytest.MonkeyPatch, plugins: dict[str, Any], **limits: Any) -> working.Worked:
    monkeypatch.setattr(algorithms, "_found", plugins)
    steps = tuple(Step(name, {"side": 3} if name == "hash" else {}) for name in plugins)
    pipeline = Pipeline("test", (RenditionPlan("one", 20, 20),), (*steps, Step("absent", {})), False)
    return working.work(every_kind()["png"], pipeline, working.Limits(**limits))


def test_algorithms_give_values_and_their_errors_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins: dict[str, Any] = {
        "hash": _hash,
        "fails": lambda _: 1 / 0,
        "nan": lambda _: float("nan"),
        "object": lambda image: image,
        "fill": _fill,
        "long": lambda _: "x" * 100_000,
        "later": lambda image: image.avg() > 0,
    }
    worked = _work(monkeypatch, plugins, memory_bytes=900 * MB)
    assert worked.algorithms == {"hash": {"size": [120, 80], "bands": 3, "side": 3}, "later": True}
    assert [warning.split(":")[0] for warning in worked.warnings] == [
        f"algorithm {name}" for name in ("absent", "fails", "nan", "object", "fill", "long")
    ]
    assert "ZeroDivisionError" in worked.warnings[1]
    assert [each.name for each in worked.renditions] == ["one"]


@pytest.mark.parametrize(
    ("plugin", "ended"), [(_never, "OutOfTime"), (_crash, "DecoderCrashed"), (_killed, "OutOfMemory")]
)
def test_an_algorithm_that_ends_the_child_costs_no_rendition(
    monkeypatch: pytest.MonkeyPatch, plugin: Any, ended: str
) -> None:
    plugins = {"hash": _hash, "bad": lambda _: plugin(lambda _: None), "after": _hash}
    worked = _work(monkeypatch, plugins, cpu_seconds=1, memory_bytes=900 * MB)
    assert [each.name for each in worked.renditions] == ["one"]
    assert worked.algorithms.keys() == {"hash"}
    assert worked.warnings[-1] == f"algorithm bad: {ended}; what comes after it was not run"

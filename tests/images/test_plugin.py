"""The example package of an algorithm, installed as a user would, and found by its entry point."""

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageOps

from tests.images.corpus import encoded, scene

ROOT = Path(__file__).parents[2]


def _distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_the_example_algorithm_is_installed_found_and_run(tmp_path: Path) -> None:
    installed, images = tmp_path / "installed", tmp_path / "images"
    images.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*install, "--disable-pip-version-check", "--target", installed, ROOT / "examples" / "image-plugin"], check=True
    )
    picture = scene(600, 400)
    for name, content in {
        "original": encoded(picture, "PNG"),
        "smaller": encoded(picture.resize((150, 100)), "JPEG", quality=60),
        "other": encoded(ImageOps.mirror(picture), "PNG"),
        "clear": encoded(Image.new("RGBA", (10, 10)), "PNG"),
    }.items():
        (images / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "tests.images.worker", str(images), str(1 << 30)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(installed), str(ROOT / "src"))), "PIPELINE": "hashes"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = {name: each["algorithms"] for name, each in json.loads(done.stdout)["files"].items()}
    assert found.keys() == {"original", "smaller", "other", "clear"}
    assert all(len(each["dhash"]) == len(each["phash"]) == 16 for each in found.values())
    for kind in ("dhash", "phash"):
        assert _distance(found["original"][kind], found["smaller"][kind]) <= 6
        assert _distance(found["original"][kind], found["other"][kind]) >= 16
    assert found["clear"]["dhash"] == "0" * 16

"""The wheel that people install: it can deploy without the repository beside it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "infra").glob("*.yaml")))
def test_it_holds_the_templates_as_they_are(wheel: zipfile.ZipFile, name: str) -> None:
    assert wheel.read(f"weaudit/deploy/{name}") == (ROOT / "infra" / name).read_bytes()


def test_it_holds_every_module_and_nothing_of_the_tests(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if name.startswith("weaudit/") and name.endswith(".py")}
    assert names == {path.relative_to(ROOT / "src").as_posix() for path in ROOT.glob("src/weaudit/**/*.py")}
    assert not [name for name in wheel.namelist() if name.startswith(("tests/", "docs/", "bench/"))]

"""The functions' zips: their bytes, their content, and that they work alone."""

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from weaudit.deploy import packaging
from weaudit.errors import DeployError
from weaudit.functions import FUNCTIONS, Function

every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)


@every_function
def test_the_same_sources_give_the_same_bytes(function: Function, tmp_path: Path) -> None:
    first = packaging.build(function, tmp_path / "one")
    second = packaging.build(function, tmp_path / "two", "arm64" if not function.requirements else "local")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert (first.sha256, first.bytes) == (second.sha256, second.bytes)
    assert first.bytes <= 1_000_000
    # Building over an older zip replaces it whole.
    assert packaging.build(function, tmp_path / "one").sha256 == first.sha256
    assert [path.name for path in (tmp_path / "one").iterdir()] == [f"{function.name}.zip"]


@every_function
def test_a_zip_holds_its_import_closure_and_nothing_else(function: Function, tmp_path: Path) -> None:
    with zipfile.ZipFile(packaging.build(function, tmp_path).path) as archive:
        names = archive.namelist()
        times = {member.date_time for member in archive.infolist()}
    assert names == sorted(names)
    assert times == {(1980, 1, 1, 0, 0, 0)}
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(tmp_path / f"{function.name}.zip").extractall(unpacked)
    # What a fresh interpreter without site-packages really loads, each function's own imports inside functions aside.
    loaded = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-B", "-c"),
            f"import sys; sys.path.insert(0, {str(unpacked)!r}); import index\n"
            "print(*sorted(m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)), sep='\\n')",
        ],
        env={"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ours = {str(Path(path).relative_to(unpacked)) for path in loaded if path.startswith(str(unpacked))}
    assert ours == set(names)


@every_function
def test_a_zip_imports_by_itself(function: Function, tmp_path: Path) -> None:
    path = packaging.build(function, tmp_path).path
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(path)!r}); import index; print(index.lambda_handler)",
        ],
        env={"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "lambda_handler" in done.stdout


def test_a_missing_module_is_named() -> None:
    missing = dataclasses.replace(FUNCTIONS[0], name="not_there")
    with pytest.raises(DeployError, match=r"not_there"):
        packaging.modules(missing)


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="architecture"):
        packaging.build(FUNCTIONS[0], tmp_path, "sparc")


def _wheel(folder: Path, name: str, tag: str) -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"tag = {tag!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", "x86_64"), ("arm64", "aarch64")])
def test_wheels_are_those_of_the_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, machine: str
) -> None:
    _wheel(tmp_path, "purething", "py3-none-any")
    for made in ("x86_64", "aarch64"):
        _wheel(tmp_path, "nativething", f"cp313-cp313-manylinux_2_28_{made}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    function = dataclasses.replace(FUNCTIONS[0], requirements=("purething==1.0", "nativething==1.0"))
    built = packaging.build(function, tmp_path / "out", architecture)
    with zipfile.ZipFile(built.path) as archive:
        assert archive.read("purething/__init__.py") == b"tag = 'py3-none-any'\n"
        assert archive.read("nativething/__init__.py") == f"tag = 'cp313-cp313-manylinux_2_28_{machine}'\n".encode()
        assert "index.py" in archive.namelist()
    assert packaging.build(function, tmp_path / "again", architecture).sha256 == built.sha256
    with zipfile.ZipFile(packaging.build(function, tmp_path / "local").path) as archive:
        assert not [name for name in archive.namelist() if "thing" in name]


def test_a_wheel_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    function = dataclasses.replace(FUNCTIONS[0], requirements=("nosuchthing==1.0",))
    with pytest.raises(DeployError, match="nosuchthing"):
        packaging.build(function, tmp_path, "x86_64")

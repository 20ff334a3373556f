"""The functions' zips: their bytes, their content, and that they work alone."""

import dataclasses
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from weaudit.deploy import packaging
from weaudit.errors import DeployError, InvalidInputError
from weaudit.functions import BESIDE, FUNCTIONS, Function

# What a function imports only when it is asked for: its zip has it, and a cold start does not load it.
LATER = {"read_trail": "weaudit.trail.receipts"}

every_function = pytest.mark.parametrize("function", [*FUNCTIONS, *BESIDE], ids=lambda function: function.name)


@every_function
def test_the_same_sources_give_the_same_bytes(function: Function, tmp_path: Path) -> None:
    first = packaging.build(function, tmp_path / "one")
    second = packaging.build(function, tmp_path / "two", "arm64" if not function.requirements else "local")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert (first.sha256, first.bytes) == (second.sha256, second.bytes)
    assert first.bytes <= (1_250_000 if function.name in LATER else 1_000_000)
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
    at_start = _loaded(unpacked, "import index")
    assert sum((unpacked / name).stat().st_size for name in at_start) <= 1_000_000
    if function.name in LATER:
        later = _loaded(unpacked, f"import index, {LATER[function.name]}")
        assert later > at_start
        assert later == set(names)
    else:
        assert at_start == set(names)


def _loaded(unpacked: Path, statement: str) -> set[str]:
    """Return the files of a zip that a fresh interpreter without site-packages loads by a statement, and their code."""
    loaded = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-B", "-c"),
            f"import sys; sys.path.insert(0, {str(unpacked)!r}); {statement}\n"
            "print(*sorted(m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)), sep='\\n')",
        ],
        env={"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ours = {str(Path(path).relative_to(unpacked)) for path in loaded if path.startswith(str(unpacked))}
    return ours | {str(Path(importlib.util.cache_from_source(name, optimization=""))) for name in ours}


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
    with pytest.raises(InvalidInputError, match="architecture"):
        packaging.build(FUNCTIONS[0], tmp_path, "sparc")


def _wheel(folder: Path, name: str, tag: str, version: str = "1.0") -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"tag = {tag!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
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
        assert f"purething/__pycache__/__init__.{sys.implementation.cache_tag}.pyc" in archive.namelist()
        assert archive.read("nativething/__init__.py") == f"tag = 'cp313-cp313-manylinux_2_28_{machine}'\n".encode()
        assert "index.py" in archive.namelist()
    assert packaging.build(function, tmp_path / "again", architecture).sha256 == built.sha256
    with zipfile.ZipFile(packaging.build(function, tmp_path / "local").path) as archive:
        assert not [name for name in archive.namelist() if "thing" in name]


def _sdist(folder: Path, name: str, setup: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-1.0.zip", "w") as archive:
        archive.writestr(f"{name}-1.0/PKG-INFO", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{name}-1.0/setup.py", setup)
        archive.writestr(f"{name}-1.0/{name}/__init__.py", "tag = 'source'\n")


def test_what_has_no_wheel_is_built_from_source_not_replaced_by_an_older_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sdist(
        tmp_path,
        "onlysource",
        "from setuptools import setup; setup(name='onlysource', version='1.0', packages=['onlysource'])",
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(packaging, "FROM_SOURCE", ("onlysource",))
    function = dataclasses.replace(FUNCTIONS[0], requirements=("onlysource==1.0",))
    # An older release that has a wheel must not stand in for it.
    _wheel(tmp_path, "onlysource", "py3-none-any", version="0.9")
    built = packaging.build(function, tmp_path / "out", "arm64")
    with zipfile.ZipFile(built.path) as archive:
        assert archive.read("onlysource/__init__.py") == b"tag = 'source'\n"


def test_a_source_that_compiles_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = (
        "from setuptools import Distribution, setup\n"
        "class Native(Distribution):\n    def has_ext_modules(self): return True\n"
        "setup(name='native', version='1.0', packages=['native'], distclass=Native)\n"
    )
    _sdist(tmp_path, "native", setup)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(packaging, "FROM_SOURCE", ("native",))
    function = dataclasses.replace(FUNCTIONS[0], requirements=("native==1.0",))
    with pytest.raises(DeployError, match="this machine alone"):
        packaging.build(function, tmp_path / "out", "x86_64")


def test_libvips_is_in_the_zip_for_another_architecture(tmp_path: Path) -> None:
    pins = ("pyvips==3.2.0", "pyvips-binary==8.18.7", "cffi==2.1.1")
    try:
        built = packaging.build(dataclasses.replace(FUNCTIONS[0], requirements=pins), tmp_path, "arm64")
    except DeployError as error:
        if "connection" not in str(error).lower() and "no matching distribution" not in str(error).lower():
            raise
        pytest.skip(f"NOT TESTED: the wheels of libvips, for no package index is in reach: {error}"[:200])
    with zipfile.ZipFile(built.path) as archive:
        names = set(archive.namelist())
        assert {"pyvips/__init__.py", "cffi/__init__.py"} <= names
        assert b'"3.2.0"' in archive.read("pyvips/version.py")
        [library] = [name for name in names if Path(name).name == "_libvips.abi3.so"]
        # ELF: the machine that a library is for; 183 is AArch64.
        # https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
        assert int.from_bytes(archive.read(library)[18:20], "little") == 183
    assert built.bytes < 50_000_000  # Lambda's limit of a direct upload


def test_a_wheel_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    function = dataclasses.replace(FUNCTIONS[0], requirements=("nosuchthing==1.0",))
    with pytest.raises(DeployError, match="nosuchthing"):
        packaging.build(function, tmp_path, "x86_64")

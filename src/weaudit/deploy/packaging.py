"""One zip a function: its entry, the modules it imports, its wheels, the byte code of all of them, and nothing else.

The same sources and the same Python give the same bytes, on every machine: names are sorted, times and modes fixed, and
our own files stored, not compressed (zlib's output differs between versions). A zip's digest is therefore its version.
"""

import ast
import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weaudit.deploy import byte_code
from weaudit.errors import DeployError, InvalidInputError
from weaudit.functions import Function

PYTHON = "3.13"
"""The Lambda runtime's Python, for which wheels are chosen."""
ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
LOCAL = "local"
"""No wheels: on the embedded engine functions see this Python's own packages."""
FROM_SOURCE = ("pyvips",)
"""Packages that are published as source only and are pure Python when built so."""
_BUILDERS = ("setuptools", "pkgconfig", "cffi")
LIMIT_BYTES = 250 * 1024 * 1024
_SOURCES = Path(__file__).resolve().parents[1]
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A function's zip. ``sha256`` is hex; ``bytes`` is the size of the file."""

    function: str
    path: Path
    sha256: str
    bytes: int


def build(function: Function, out_dir: Path, architecture: str = LOCAL) -> Artifact:
    """Write ``out_dir/NAME.zip`` and return it; the same sources and the same Python give the same bytes.

    ``architecture`` is x86_64, arm64 or local. Raises InvalidInputError for another one,
    DeployError where a module or a wheel is missing.
    """
    if architecture not in (LOCAL, *ARCHITECTURES):
        raise InvalidInputError(f"{architecture!r} is no architecture: use {', '.join((*ARCHITECTURES, LOCAL))}")
    files = {f"weaudit/{path.relative_to(_SOURCES).as_posix()}": path.read_bytes() for path in modules(function)}
    files["index.py"] = entry(function).encode()
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wheels: dict[str, bytes] = {}
        if function.requirements and architecture != LOCAL:
            wheels = _wheels(function.requirements, Path(folder), ARCHITECTURES[architecture])
        for part in (files, wheels):
            part.update(byte_code.beside(part))
        if (size := sum(map(len, (*files.values(), *wheels.values())))) > LIMIT_BYTES:
            raise DeployError(f"{function.name} unpacks to {size:,} bytes; Lambda takes {LIMIT_BYTES:,}")
        path = out_dir / f"{function.name}.zip"
        _write(path, files, wheels)
    content = path.read_bytes()
    return Artifact(function.name, path, hashlib.sha256(content).hexdigest(), len(content))


def entry(function: Function) -> str:
    """Return the zip's index.py, whose ``lambda_handler`` is what Lambda calls."""
    return (
        f"from weaudit.handlers import {function.name}\n"
        f"from weaudit.runtime import {function.trigger}\n\n"
        f"lambda_handler = {function.trigger}.entry_point({function.name})\n"
    )


def modules(function: Function) -> list[Path]:
    """Return the source files that the function's entry imports, directly or not, sorted by path.

    Found by reading the sources, never by importing them; what stands under ``if TYPE_CHECKING`` is left out.
    """
    waiting: list[tuple[str, ...]] = [("weaudit", "handlers", function.name), ("weaudit", "runtime", function.trigger)]
    found: dict[tuple[str, ...], Path] = {}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _file_of(name)
        if path is None:
            raise DeployError(f"{function.name} imports {'.'.join(name)}, which is not there")
        found[name] = path
        package = name if path.name == "__init__.py" else name[:-1]
        waiting += [name[:length] for length in range(1, len(name))]
        waiting += _imported(path.read_bytes(), package)
    return sorted(found.values())


@functools.cache  # functions share most of their files
def _imported(source: bytes, package: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(_names(ast.parse(source), package))


def _names(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = above + tuple(node.module.split(".") if node.module else ())
            # `from a.b import c`: c may be a module, or a name inside of a.b
            inner = [(*module, alias.name) for alias in node.names]
            names = [module, *(name for name in inner if name[0] == "weaudit" and _file_of(name))]
        else:
            continue
        yield from (name for name in names if name[0] == "weaudit")


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (
            getattr(node.test, "id", ""),
            getattr(node.test, "attr", ""),
        ):
            continue
        yield node
        yield from _nodes(node)


def _file_of(name: tuple[str, ...]) -> Path | None:
    path = _SOURCES.joinpath(*name[1:])
    for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if candidate.is_file():
            return candidate
    return None


def _wheels(requirements: tuple[str, ...], folder: Path, machine: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as built:
        _pure_wheels(requirements, Path(built))
        return _installed(requirements, folder, machine, built)


def _pure_wheels(requirements: tuple[str, ...], folder: Path) -> None:
    """Build the wheels of what is published as source only; pip would take an older release that has a wheel."""
    sources = [requirement for requirement in requirements if requirement.split("==")[0] in FROM_SOURCE]
    if not sources:
        return
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if all(importlib.util.find_spec(name) for name in _BUILDERS):
        command.append("--no-build-isolation")  # what builds it is here, hash-checked: requirements/build.txt
    # Without libvips' own headers in sight, or it would be compiled against them, for this machine.
    environment = {**os.environ, "PKG_CONFIG_PATH": "", "PKG_CONFIG_LIBDIR": os.devnull}
    done = subprocess.run(  # noqa: S603  (requirements come from functions.py)
        [*command, f"--wheel-dir={folder}", *sources], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DeployError(f"{', '.join(sources)} could not be built from source\n{done.stderr.strip()}")
    if native := [path.name for path in folder.iterdir() if not path.name.endswith("-none-any.whl")]:
        raise DeployError(f"{', '.join(native)}: built for this machine alone, where pure Python was wanted")


def _installed(requirements: tuple[str, ...], folder: Path, machine: str, built: str) -> dict[str, bytes]:
    # Both tags: pip takes a wheel only if its very tag is named, and wheels for old systems run on new ones.
    platforms = [f"--platform=manylinux_2_28_{machine}", f"--platform=manylinux2014_{machine}", "--platform=any"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}", f"--target={folder}"]
    command.append(f"--find-links={built}")
    done = subprocess.run(  # noqa: S603  (requirements come from functions.py)
        [*command, *platforms, *requirements], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DeployError(f"wheels for {', '.join(requirements)} ({machine}) could not be had\n{done.stderr.strip()}")
    # bin/ holds scripts with this machine's path in them, RECORD their digests: neither is used, nor reproducible.
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and path.relative_to(folder).parts[0] != "bin"
        and path.name not in ("RECORD", "direct_url.json")
    }


def _write(path: Path, files: dict[str, bytes], wheels: dict[str, bytes]) -> None:
    temporary = path.with_suffix(".zip.part")
    with zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sorted({**wheels, **files}.items()):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = 3  # Unix, wherever this runs
            member.external_attr = (0o100755 if ".so" in Path(name).suffixes else 0o100644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED if name in wheels else zipfile.ZIP_STORED
            archive.writestr(member, content)
    temporary.replace(path)

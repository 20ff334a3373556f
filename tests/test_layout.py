"""Imports run one way, and a function's zip needs nothing but the standard library (docs/architecture.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import weaudit
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS, Function

SOURCES = Path(weaudit.__file__).parent
FILES = sorted(SOURCES.rglob("*.py"))

# What each part may import of ours, besides itself. Parts that are not here (local, cli, console, deploy) see all.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "functions": set(),
    "ledger": {"errors"},
    "domain": {"ledger", "errors"},
    "events": {"domain", "errors"},
    "imaging": {"domain", "errors"},
    "adapters": {"domain", "ledger", "errors"},
    "runtime": {"domain", "errors"},
    "handlers": {"events", "domain", "imaging", "ledger", "adapters", "runtime", "errors"},
}
OUTER = {"cli", "console", "deploy", "local"}


def part_of(path: Path) -> str:
    return path.relative_to(SOURCES).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Every module that a file imports, anywhere in it; names are absolute."""
    package = ("weaudit", *path.relative_to(SOURCES).parent.parts)
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = (*base, *(node.module or "").split(".")) if node.module else base
            if module == ("weaudit",):
                yield from ((*module, alias.name) for alias in node.names)
            else:
                yield module


def ours(path: Path) -> set[str]:
    return {name[1] for name in imports(path) if name[0] == "weaudit" and len(name) > 1} - {"__version__"}


def test_every_part_is_known() -> None:
    assert {part_of(path) for path in FILES} <= MAY_IMPORT.keys() | OUTER


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_imports_run_one_way(path: Path) -> None:
    part = part_of(path)
    if part in OUTER:
        return
    assert ours(path) - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_function_imports_the_standard_library_only(function: Function) -> None:
    allowed = (
        sys.stdlib_module_names | {"weaudit"} | {requirement.split("==")[0] for requirement in function.requirements}
    )
    closure = packaging.modules(function)
    assert SOURCES / "handlers" / f"{function.name}.py" in closure
    foreign = {name[0] for path in closure for name in imports(path)} - allowed
    assert not foreign
    assert SOURCES / "functions.py" not in closure


def test_one_file_speaks_to_aws() -> None:
    network = {"http", "urllib", "socket", "ssl", "boto3", "botocore"}
    speakers = {
        path.relative_to(SOURCES).as_posix()
        for path in FILES
        if part_of(path) in MAY_IMPORT
        and any(name[0] in network and name[:2] != ("urllib", "parse") for name in imports(path))
    }
    assert speakers
    assert all(name.startswith("adapters/") for name in speakers)


@pytest.mark.parametrize("path", sorted((SOURCES / "handlers").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_every_handler_has_a_row_in_the_map(path: Path) -> None:
    assert path.stem in {function.name for function in FUNCTIONS}

"""The house has rooms by subject, and imports run one way between them (docs/architecture.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

import weaudit
from tests.import_closures import loaded_by
from weaudit.deploy import packaging
from weaudit.functions import BESIDE, FUNCTIONS, Function

SOURCES = Path(weaudit.__file__).parent
FILES = sorted(SOURCES.rglob("*.py"))

# What each room may import of ours, besides itself, the errors and the maker of value classes; the first of the list is
# furthest below.
BELOW_SUBJECTS = ["items", "aws", "api", "evidence", "capture"]
MAY_IMPORT: dict[str, list[str]] = {
    "__init__": [],
    "errors": [],
    "functions": [],
    "values": [],
    "ledger": [],
    "items": [],
    "aws": ["items"],
    "api": ["items"],
    "evidence": ["items", "aws"],
    "capture": ["items", "aws", "evidence"],
    "trail": [*BELOW_SUBJECTS, "ledger"],
    "updates": BELOW_SUBJECTS,
    "objects": BELOW_SUBJECTS,
    "images": BELOW_SUBJECTS,
    "witnessing": ["aws", "ledger"],
    "runtime": ["items", "api"],
    "sealing": [*BELOW_SUBJECTS, "ledger", "trail"],
    "handlers": [
        *BELOW_SUBJECTS,
        "ledger",
        "trail",
        "updates",
        "objects",
        "images",
        "runtime",
        "sealing",
        "witnessing",
    ],
}
# What runs on the machine of its user: it may import every room of the functions, but neither how Lambda calls them nor
# the command line, which calls all of these.
OUTSIDE = {"installation", "deploy", "watch", "doctor", "local", "demo", "cli"}
# These alone speak to a store, so that everything else in a subject is pure: values in, values out.
SPEAK_TO_STORES = ("store*.py", "reader.py", "configuration.py", "evidence.py")
# Two rooms may have a file of the same name where it is the same part of each.
ROLES = {
    "__init__",
    "answers",
    "changes",
    "conditions",
    "configuration",
    "documents",
    "entries",  # of an index, and of the ledger
    "errors",
    "hashes",
    "plan",
    "requests",
    "rows",  # of pictures, and of what is sealed
    "store",
    "stream",
    "values",  # how value classes are made, and what DynamoDB's values are
}
MOST_FILES = 20
Node = TypeVar("Node")
HEAVY = {"boto3", "botocore", "typer", "rich", "ministack", "starlette", "uvicorn", "duckdb"}


def room_of(path: Path) -> str:
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
            yield from ((*module, alias.name) for alias in node.names)


def ours(path: Path) -> set[Path]:
    """Return the files of ours that a file imports."""
    found = set()
    for name in imports(path):
        if name[0] != "weaudit":
            continue
        for parts in (name[1:], name[1:-1]):
            for file in (SOURCES.joinpath(*parts).with_suffix(".py"), SOURCES.joinpath(*parts, "__init__.py")):
                if parts and file.is_file():
                    found.add(file)
                    break
            else:
                continue
            break
    return found - {path}


def test_every_room_is_known() -> None:
    assert {room_of(path) for path in FILES} == MAY_IMPORT.keys() | OUTSIDE


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_imports_run_one_way(path: Path) -> None:
    room, imported = room_of(path), {room_of(file) for file in ours(path)}
    if room in OUTSIDE:
        assert not (imported - {room}) & {"runtime", "cli"}
    else:
        assert imported - {room, "errors", "values"} <= set(MAY_IMPORT[room])


def test_no_room_imports_itself_by_way_of_others() -> None:
    rooms: dict[str, set[str]] = {}
    for path in FILES:
        rooms.setdefault(room_of(path), set()).update(room_of(file) for file in ours(path))
    assert circle({room: imported - {room} for room, imported in rooms.items()}) == []


def test_no_file_imports_itself_by_way_of_others() -> None:
    # What only the type checker reads counts as well: a reader follows it all the same.
    assert circle({path: ours(path) for path in FILES}) == []


def circle(arrows: dict[Node, set[Node]]) -> list[Node]:
    """Return nodes of which each has an arrow to the next, and the last to the first; [] where there are none."""
    done: set[Node] = set()

    def walk(node: Node, way: list[Node]) -> list[Node]:
        if node in way:
            return way[way.index(node) :]
        if node not in done:
            for to in sorted(arrows.get(node, set()), key=str):
                if found := walk(to, [*way, node]):
                    return found
            done.add(node)
        return []

    return next((found for node in arrows if (found := walk(node, []))), [])


@pytest.mark.parametrize("room", ["api", "capture", "trail", "updates", "objects", "images"])
def test_only_stores_readers_and_configurations_speak_to_aws(room: str) -> None:
    speakers = {path for path in FILES if room_of(path) == room and "aws" in {room_of(file) for file in ours(path)}}
    assert [path.name for path in speakers if not any(map(path.match, SPEAK_TO_STORES))] == []


def test_heavy_libraries_stay_outside_of_the_functions() -> None:
    heavy = {path for path in FILES if {name[0] for name in imports(path)} & HEAVY}
    assert heavy
    assert {room_of(path) for path in heavy} <= OUTSIDE


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in FILES}), ids=lambda folder: str(folder.relative_to(SOURCES.parent))
)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    names = sorted(path.stem for path in folder.glob("*.py"))
    assert len(names) <= MOST_FILES
    room = folder.name.removesuffix("s")
    assert [name for name in names if name.startswith(f"{room}_")] == [], "the folder says so already"


def test_a_name_says_one_thing() -> None:
    seen: dict[str, Path] = {}
    for path in FILES:
        if room_of(path) in {"cli", "handlers"}:  # doors, named as what they open
            continue
        other = seen.setdefault(path.stem, path)
        assert path.stem in ROLES or other == path, f"{path} and {other}"


@pytest.mark.parametrize("function", [*FUNCTIONS, *BESIDE], ids=lambda function: function.name)
def test_a_function_imports_the_standard_library_only(function: Function) -> None:
    allowed = (
        sys.stdlib_module_names | {"weaudit"} | {requirement.split("==")[0] for requirement in function.requirements}
    )
    closure = packaging.modules(function)
    assert SOURCES / "handlers" / f"{function.name}.py" in closure
    foreign = {name[0] for path in closure for name in imports(path)} - allowed
    assert not foreign
    assert SOURCES / "functions.py" not in closure


def test_the_ledger_needs_nothing_but_the_standard_library() -> None:
    # A stranger takes the folder as it is; and functions import it, so each of its imports costs a cold start.
    names = [path.stem for path in FILES if room_of(path) == "ledger"]
    assert {
        file for path in FILES if room_of(path) == "ledger" for file in ours(path) if room_of(file) != "ledger"
    } == set()
    assert "weaudit.ledger.ed25519" in loaded_by(f"from weaudit.ledger import {', '.join(names)}")


def test_one_room_speaks_to_the_network() -> None:
    network = {"http", "urllib", "socket", "ssl"}
    speakers = {
        room_of(path)
        for path in FILES
        if room_of(path) not in OUTSIDE
        and any(name[0] in network and name[:2] != ("urllib", "parse") for name in imports(path))
    }
    assert speakers == {"aws"}


@pytest.mark.parametrize("path", sorted((SOURCES / "handlers").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_every_handler_has_a_row_in_the_map(path: Path) -> None:
    assert path.stem in {function.name for function in (*FUNCTIONS, *BESIDE)}

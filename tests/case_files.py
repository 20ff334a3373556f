"""The files of tests/cases: prose, and then parts, each behind a line ``--- name``; most are JSON.

With WEAUDIT_WRITE_CASES=1 set, outcomes are written anew from what the code does; read the difference before
committing it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parent / "cases"
_WIDTH = 120
_WRITE = "WEAUDIT_WRITE_CASES" in os.environ


def every_case_of(*functions: str) -> pytest.MarkDecorator:
    """Return the mark by which a test gets, as ``path``, every file of these functions, which have some."""
    found = {function: sorted((CASES / function).glob("*.txt")) for function in functions}
    assert all(found.values()), f"a function has no cases: {found}"
    paths = [path for some in found.values() for path in some]
    return pytest.mark.parametrize("path", paths, ids=[f"{path.parent.name}-{path.stem}" for path in paths])


class CaseFile:
    """One case as it stands in its file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        prose, *parts = path.read_text().split("\n--- ")
        self._prose = prose.strip()
        self._parts = {name: text.strip() for name, text in (part.split("\n", 1) for part in parts)}

    def text(self, name: str) -> str:
        """Return a part as it is written."""
        return self._parts[name]

    def read(self, name: str) -> Any:
        """Return a part that is JSON; a part that is not there is an empty object."""
        return json.loads(self._parts.get(name, "{}"))

    def came_to(self, decision: Any, records: Any) -> None:
        """Take note of an outcome: where cases are to be written, it becomes what this one says."""
        if not _WRITE:
            return
        for name, found in (("decision", decision), ("records out", records)):
            self._parts[name] = found if isinstance(found, str) else lines(found)
        parts = (f"{name}\n{text}" for name, text in self._parts.items())
        self._path.write_text("\n\n--- ".join([self._prose, *parts]) + "\n")


def lines(found: Any, indent: str = "") -> str:
    """Return JSON to be read aloud: whatever fits is on one line, and what does not has a member a line."""
    text = json.dumps(found, ensure_ascii=False)
    if len(indent) + len(text) <= _WIDTH or not (found and isinstance(found, dict | list)):
        return text
    deeper = indent + " "
    if isinstance(found, dict):
        members = [f"{json.dumps(name, ensure_ascii=False)}: {lines(member, deeper)}" for name, member in found.items()]
    else:
        members = [lines(member, deeper) for member in found]
    begin, end = "{}" if isinstance(found, dict) else "[]"
    return f"{begin}\n" + ",\n".join(deeper + member for member in members) + f"\n{indent}{end}"

"""Every command line that a page shows is one that the program understands: command, options, arguments."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from weaudit.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md"), *ROOT.glob("infra/**/*.md"))
)
_BLOCK = re.compile(r"^```(?:sh|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"(?:^|\$ |\()(?:\.venv/bin/)?weaudit ([^\n]+)", re.MULTILINE)


def shown() -> list[tuple[str, list[str]]]:
    """Return page and words of every command line, up to what the shell takes for itself."""
    found = []
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in _LINE.findall(block.replace("\\\n", " ")):
                # An exported environment is the only one that stands inside other quotes.
                text = re.sub(r'\)" &&.*|\)"$', "", line) if line.startswith("env") else line
                words = shlex.split(text, comments=True)
                end = next((at for at, word in enumerate(words) if word in ("&&", "||", "|", ">")), len(words))
                if "[OPTIONS]" not in words:
                    found.append((page.name, words[:end]))
    return found


SHOWN = shown()
PROGRAM = typer.main.get_command(main.app)


def test_there_are_many() -> None:
    assert len(SHOWN) > 70


@pytest.mark.parametrize(
    ("page", "words"), SHOWN, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_a_shown_command_line_is_understood(page: str, words: list[str]) -> None:
    group: Any = PROGRAM
    rest = list(words)
    while rest and rest[0] in getattr(group, "commands", {}):
        group = group.commands[rest.pop(0)]
    assert rest != words, f"{page}: there is no command {words[0]}"
    # Reads options and arguments as a call would, and runs nothing.
    with group.make_context(words[0], rest):
        pass

"""Paths to places of an item: an attribute, or a part of a map in it."""

from __future__ import annotations

Path = tuple[str, ...]


def path_text(path: Path) -> str:
    r"""Return the text of a path: its names joined by dots, with ``\`` before each dot or backslash within a name."""
    return ".".join(name.replace("\\", "\\\\").replace(".", "\\.") for name in path)


def path_of(text: str) -> Path:
    """Return the path that :func:`path_text` spells so."""
    names, name, escaped = [], "", False
    for character in text:
        if escaped or character not in "\\.":
            name, escaped = name + character, False
        elif character == "\\":
            escaped = True
        else:
            names.append(name)
            name = ""
    return (*names, name)

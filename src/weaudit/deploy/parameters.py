"""Template parameters as people give them: K=V, or a file in one of the forms that AWS tools write."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weaudit.errors import InvalidInputError


def parsed(pairs: Iterable[str]) -> dict[str, str]:
    """Return the parameters of ``K=V`` words, a later one winning; InvalidInputError for a word that is none."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isalnum():
            raise InvalidInputError(f"{pair!r} is no parameter\nGive it as NAME=VALUE, as in: LogLevel=DEBUG")
        found[name] = value
    return found


def read(path: Path) -> dict[str, str]:
    """Return the parameters of a file: a JSON object, CloudFormation's list, or CodePipeline's ``{"Parameters": …}``.

    A list's elements are ``{"ParameterKey": …, "ParameterValue": …}``. Raises InvalidInputError, with the reason.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"--parameter-file {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InvalidInputError(f"--parameter-file {path} is no JSON: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("Parameters"), dict):
        document = document["Parameters"]
    if isinstance(document, list) and all(isinstance(row, dict) and "ParameterKey" in row for row in document):
        document = {row["ParameterKey"]: row.get("ParameterValue") for row in document}
    if not isinstance(document, dict):
        raise InvalidInputError(
            f'--parameter-file {path} holds no parameters\nAn object will do: {{"LogLevel": "DEBUG"}}'
        )
    return {name: _text(path, name, value) for name, value in document.items()}


def _text(path: Path, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    if isinstance(value, str | int | float):
        return str(value)
    raise InvalidInputError(f"--parameter-file {path}: the value of {name} is no text or number")

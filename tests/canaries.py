"""Values that must never come out again: planted in what tests store, looked for in all that functions and engines say.

A test plants one wherever it needs a value that is somebody's data. When the run is over, tests/conftest.py looks
through the logs, the metrics and the output of every engine that it started, and through what commands wrote to stderr.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_MARK = "kanarienvogel"
_FOUND = re.compile(rf"{_MARK}-[a-z0-9-]+")
# What AWS calls these: docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html, and SigV4's own words.
_SECRETS = {
    "an access key": re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    "a secret key": re.compile(r"(?i)aws_?secret_?access_?key[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+]{8}"),
    "a signature": re.compile(r"X-Amz-Signature=|AWS4-HMAC-SHA256 Credential="),
    "a session token": re.compile(r"(?i)X-Amz-Security-Token[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+]{8}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}


def planted(name: str) -> str:
    """Return a value to store; the name (lower case, digits, hyphens) tells whose it was where it comes out."""
    value = f"{_MARK}-{name}"
    assert _FOUND.fullmatch(value), name
    return value


def leaks(text: str, secrets: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield what a text holds that it must not: planted values, and credentials (``secrets`` word by word)."""
    yield from sorted(set(_FOUND.findall(text)))
    for kind, pattern in _SECRETS.items():
        if pattern.search(text):
            yield kind
    yield from ("the engine's own secret key" for secret in secrets if secret in text)


@dataclass
class Scan:
    """What was looked through, and what was found: a line a leak, with where it was."""

    files: int = 0
    lines: int = 0
    found: list[str] = field(default_factory=list)

    def text(self, where: str, text: str, secrets: frozenset[str] = frozenset()) -> None:
        """Look through a text."""
        self.lines += 1
        # Never the text itself: this is printed, where credentials must not be.
        self.found += [f"{where}: {leak}" for leak in leaks(text, secrets)]

    def engines(self, root: Path) -> None:
        """Look through what the engines whose state is below ``root`` saved when they ended."""
        for path in sorted(root.rglob("engine.json")):
            self._engine(path.parent, _secrets_of(path))

    def _engine(self, directory: Path, secrets: frozenset[str]) -> None:
        logs = directory / "data" / "cloudwatch_logs.json"
        if logs.exists():
            self.files += 1
            for group, message in _events(json.loads(logs.read_text(encoding="utf-8"))):
                self.text(f"{directory.name}: {group}", message, secrets)
        for path in (directory / "data" / "cloudwatch.json", *sorted(directory.glob("*.log*"))):
            if path.exists():
                self.files += 1
                for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                    self.text(f"{directory.name}/{path.name}", line, secrets)


def _secrets_of(path: Path) -> frozenset[str]:
    """Return the engine's own secret key. (Without --auth the keys are the word that every manual uses.)"""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        kept = None  # a test broke it on purpose: what its engine printed is looked through all the same
    secret = str(kept.get("secret_key") or kept.get("secretKey") or "test") if isinstance(kept, dict) else "test"
    return frozenset({secret} - {"test"})


def _events(state: object) -> Iterator[tuple[str, str]]:
    """Yield log group and message of every event in the engine's saved state."""
    groups = state["payload"]["log_groups"]["data"] if isinstance(state, dict) else {}
    for name, group in groups.items():
        for stream in group["streams"].values():
            for event in stream["events"]:
                yield str(name).rpartition("\0")[2].strip("'"), str(event["message"])

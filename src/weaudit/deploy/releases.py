"""Releases: what was deployed to a stack, when, by whom and how it went, a numbered document each in the bucket.

The format of a document: docs/formats/release-json.md.
"""

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import weaudit
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.errors import DeployError
from weaudit.installation.stacks import StackState
from weaudit.items.times import iso_moment

FORMAT = "weaudit-release-1"
DEPLOYING, DEPLOYED, FAILED, INTERRUPTED = "deploying", "deployed", "failed", "interrupted"
_DIGITS = 6
_ROOT = Path(__file__).resolve().parents[3]
# What a deployment is made of; a changed page of documentation makes no other release.
_DEPLOYED = ("src/weaudit", "infra")


@dataclass(frozen=True, slots=True)
class Release:
    """One deployment of a stack.

    ``at`` is when it began, ISO 8601, UTC. ``template`` is a key in the bucket. ``parameters`` are those that were
    given, without secrets (NoEcho). ``artifacts`` maps a function to the key and sha256 of its zip, ``functions`` a
    deployed function to its alias and the version that this points to. ``reapplies`` is the release that a rollback
    brought back, and ``rolled_back_from`` the one that it put aside.
    """

    number: int
    stack: str
    at: str
    outcome: str
    revision: str
    modified: bool
    by: str
    template: str
    digest: str
    parameters: dict[str, str]
    artifacts: dict[str, dict[str, str]]
    functions: dict[str, dict[str, str]] = field(default_factory=dict)
    reason: str = ""
    reapplies: int | None = None
    rolled_back_from: int | None = None

    @property
    def label(self) -> str:
        """The template's parameter Release, which GET /v1/health answers: the number, then the revision."""
        return label(self.number, self.revision, modified=self.modified)

    @property
    def content(self) -> int:
        """The number of the release whose template and packages these are."""
        return self.number if self.reapplies is None else self.reapplies

    def document(self) -> dict[str, Any]:
        """Return the release as JSON is written and shown."""
        names = {"rolled_back_from": "rolledBackFrom"}
        found = {names.get(name, name): value for name, value in dataclasses.asdict(self).items()}
        return {"format": FORMAT, "release": self.label, **{k: v for k, v in found.items() if v not in (None, "")}}

    @classmethod
    def parse(cls, document: dict[str, Any]) -> "Release":
        """Return the release that ``document`` tells; DeployError for another format."""
        if document.get("format") != FORMAT:
            raise DeployError(
                f"a release is kept as {document.get('format')!r}, and this version reads {FORMAT}\n"
                "Use the version of weaudit that deployed last, or a newer one."
            )
        names = {"rolledBackFrom": "rolled_back_from"}
        known = {row.name for row in dataclasses.fields(cls)}
        values = {names.get(name, name): value for name, value in document.items()}
        return cls(**{name: value for name, value in values.items() if name in known})


def label(number: int, revision: str, *, modified: bool) -> str:
    """Return how a release is called: number, ``+``, the revision's beginning, ``.modified`` where it was changed."""
    return f"{number}+{revision[:12]}" + (".modified" if modified else "")


def number_of(text: str) -> int | None:
    """Return the number in a release's label, the stack's parameter; None where it is no label of ours."""
    number, plus, _ = text.partition("+")
    return int(number) if plus and number.isdecimal() else None


def current_number(stack: StackState | None) -> int | None:
    """Return the number of the release that a stack runs, or None if it runs no release."""
    return number_of(stack.parameters.get("Release", "")) if stack is not None else None


def settled(release: Release, stack: StackState | None) -> Release:
    """Return a release; if its command was interrupted, with the outcome that the stack shows."""
    if release.outcome != DEPLOYING or (stack is not None and stack.status.endswith("_IN_PROGRESS")):
        return release
    outcome = DEPLOYED if release.number == current_number(stack) else INTERRUPTED
    return dataclasses.replace(release, outcome=outcome)


def now() -> str:
    """Return the time, ISO 8601, UTC, in milliseconds."""
    return iso_moment(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class ReleaseLog:
    """The releases of one stack. A number is taken by one deployment alone, whoever deploys at the same time."""

    bucket: ArtifactBucket
    stack: str

    def _key(self, number: int) -> str:
        return f"releases/{self.stack}/{number:0{_DIGITS}}.json"

    def numbers(self) -> list[int]:
        """Return every number taken, ascending; none where the bucket is not there yet."""
        client, prefix = self.bucket.client, f"releases/{self.stack}/"
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.name, Prefix=prefix)
        try:
            names = [row["Key"].removeprefix(prefix) for page in pages for row in page.get("Contents", ())]
        except client.exceptions.NoSuchBucket:
            return []
        return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal())

    def get(self, number: int) -> Release | None:
        """Return a release, or None where there is none of that number."""
        client = self.bucket.client
        try:
            body = client.get_object(Bucket=self.bucket.name, Key=self._key(number))["Body"].read()
        except (client.exceptions.NoSuchKey, client.exceptions.NoSuchBucket):
            return None
        return Release.parse(json.loads(body))

    def newest_first(self) -> Iterator[Release]:
        """Yield every release, the newest first, each read when it is asked for."""
        for number in reversed(self.numbers()):
            found = self.get(number)
            if found is not None:
                yield found

    def create(self, release: Release) -> None:
        """Write a new release; DeployError, and nothing is written, where somebody else took its number."""
        client = self.bucket.client
        try:
            self._put(release, IfNoneMatch="*")
        except client.exceptions.ClientError as error:
            # 409: another such request of the same moment; 412: it is there.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (409, 412):
                raise
            raise DeployError(
                f"somebody else is deploying {self.stack}, as release {release.number}\n"
                "Nothing was changed here. See `weaudit versions`, and try again when that is done."
            ) from error

    def replace(self, release: Release) -> None:
        """Write how a release of ours goes; the bucket keeps what was there as an older version."""
        self._put(release)

    def _put(self, release: Release, **condition: str) -> None:
        content = json.dumps(release.document(), indent=2, ensure_ascii=False).encode() + b"\n"
        self.bucket.client.put_object(
            Bucket=self.bucket.name, Key=self._key(release.number), Body=content, ContentType="application/json",
            ExpectedBucketOwner=self.bucket.account, **condition,
        )  # fmt: skip


def revision(root: Path = _ROOT) -> tuple[str, bool]:
    """Return git's revision of the sources and whether they differ from it; ``v`` and the version outside of git."""
    version = f"v{weaudit.__version__}"
    if not (root / ".git").exists():
        return version, False  # an installed package
    revision = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *_DEPLOYED)
    return (revision.strip(), bool(changed)) if revision else (version, False)


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  (the words are this module's own)
            ["git", "--no-optional-locks", "-C", str(root), *words],  # noqa: S607  (git is the user's own)
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""

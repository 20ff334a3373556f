"""What every stop of `weaudit demo` works with: the installation, its trail and its API, and ways to print."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from weaudit.installation import calling, clients, stacks
from weaudit.installation.outputs import Installation
from weaudit.installation.readers import open_trail, with_callers
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target
from weaudit.trail.changes import AuditedChange

if TYPE_CHECKING:
    from weaudit.installation.engine_state import EngineState
    from weaudit.trail.reader import Trail

STOPS = 8
WAIT_SECONDS = 20.0
POLL_SECONDS = 0.03

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Printing:
    """How the tour prints: progress and advice, lines of data, and changes as `weaudit history` shows them."""

    note: Callable[[str], None]
    text: Callable[[str], None]
    changes: Callable[[Iterable[AuditedChange]], None]


@dataclass(frozen=True, slots=True)
class Tour:
    """One run of the demo; ``weaudit`` is how its command is called, for lines to copy."""

    installation: Installation
    dynamodb: Any
    trail: "Trail"
    directory: Path
    weaudit: str
    printing: Printing

    @classmethod
    def of(cls, engine: "EngineState", weaudit: str, printing: Printing) -> "Tour":
        """Return a tour of the stack that `weaudit up` deployed to this engine."""
        target = Target.of(engine)
        found = stacks.describe(target, Stage().stack)
        assert found is not None  # noqa: S101 `up` has just deployed it
        installation = Installation(target, found.outputs)
        trail = open_trail(target, installation.audit_table)
        return cls(installation, target.client("dynamodb"), trail, engine.directory, weaudit, printing)

    def heading(self, number: int, text: str) -> None:
        """Say what comes next, and which function does it."""
        self.printing.note(f"\n{number} of {STOPS}: {text}")

    def by_hand(self, *commands: str) -> None:
        """Show the commands that do the same."""
        self.printing.note("  $ " + " && ".join(f"{self.weaudit} {command}" for command in commands))

    def with_callers(self, changes: Iterable[AuditedChange]) -> list[AuditedChange]:
        """Return changes with the callers that the log of updates names."""
        reading, logs = clients.dynamodb(self.installation.target), self.installation.outputs["AuditLogsTableName"]
        return list(with_callers(changes, self.trail, reading, logs, self.printing.note))

    def ask(self, method: str, path: str, body: Any = None, *, signed: bool = True) -> tuple[int, Any]:
        """Send a request to the API and return the response's status and document, None if it is not JSON."""
        import boto3

        target = self.installation.target
        session = boto3.session.Session(
            region_name=target.region, aws_access_key_id=target.access_key, aws_secret_access_key=target.secret_key
        )
        url = calling.base_url(target, self.installation.outputs) + calling.address(path)
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        status, _, answer = calling.send(method, url, data, headers, (session, target.region) if signed else None)
        try:
            return status, json.loads(answer)
        except ValueError:
            return status, None


def awaited(look: Callable[[], Found], right: Callable[[Found], bool]) -> Found:
    """Call ``look`` until its result is right and return that; after WAIT_SECONDS, return the last result."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not right(found := look()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return found

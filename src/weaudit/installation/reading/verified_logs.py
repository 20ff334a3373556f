"""What was verified of each ledger, kept in the state directory for `weaudit verify --ledger --resume`."""

import os
from pathlib import Path
from urllib.parse import quote

from weaudit.errors import InvalidInputError
from weaudit.installation import engine_state
from weaudit.ledger.faults import LedgerError
from weaudit.trail.verification import resuming
from weaudit.trail.verification.walking import Verified


def path_of(origin: str) -> Path:
    """Return the file for the log of this name."""
    return engine_state.directory() / "ledger" / f"{quote(origin, safe='')}.verified"


def load(path: Path) -> Verified | None:
    """Return what was verified, or None if nothing was. Raises InvalidInputError if the file cannot be used."""
    try:
        return resuming.read(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, LedgerError) as error:
        raise InvalidInputError(
            f"{path} cannot be used: {error}\nRemove it to verify the log from its beginning."
        ) from error


def save(path: Path, verified: Verified) -> None:
    """Keep what was verified; the file is replaced whole. Raises InvalidInputError if it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.writelines(resuming.written(verified))
        temporary.replace(path)
    except OSError as error:
        raise InvalidInputError(
            f"{path} cannot be written: {error}\nSet WEAUDIT_STATE_DIR to another folder."
        ) from error

"""Which revision of the sources is being deployed."""

import subprocess
from pathlib import Path

import weaudit

_ROOT = Path(__file__).resolve().parents[3]
# What a deployment is made of; a changed page of documentation makes no other release.
_DEPLOYED = ("src/weaudit", "infra")


def current(root: Path = _ROOT) -> tuple[str, bool]:
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

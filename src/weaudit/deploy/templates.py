"""The templates that the package brings: the main stack's, and those of the stacks beside it."""

from pathlib import Path

from weaudit.errors import DeployError


def path(name: str) -> Path:
    """Return a template's file: the installed copy, or the repository's own. DeployError where there is neither."""
    here = Path(__file__).resolve()
    for candidate in (here.with_name(name), here.parents[3] / "infra" / name):
        if candidate.is_file():
            return candidate
    raise DeployError(f"the template is not there: neither weaudit/deploy/{name} nor infra/{name}")

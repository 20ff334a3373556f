"""Stages: the installation that a command means (dev, staging, production), and the name of its stack."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from weaudit.errors import InvalidInputError

# As in infra/template.yaml, where these are the parameters EnvironmentSuffix and Prefix.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,11}")
_PREFIX = re.compile(r"([a-z][a-z0-9-]{0,15})?")


@dataclass(frozen=True, slots=True)
class Stage:
    """One installation in an account and region: ``name`` is EnvironmentSuffix, ``prefix`` precedes every name."""

    name: str = "dev"
    prefix: str = ""

    @classmethod
    def of(
        cls, name: str | None = None, prefix: str | None = None, environment: Mapping[str, str] | None = None
    ) -> "Stage":
        """Return the given stage, else the one of WEAUDIT_STAGE and WEAUDIT_PREFIX, else dev with no prefix.

        Raises InvalidInputError for a name or prefix that the template would refuse.
        """
        environment = os.environ if environment is None else environment
        name = environment.get("WEAUDIT_STAGE") or "dev" if name is None else name
        prefix = environment.get("WEAUDIT_PREFIX", "") if prefix is None else prefix
        if not _NAME.fullmatch(name):
            raise InvalidInputError(f"{name!r} is not a valid stage: up to 12 lower-case letters, digits and hyphens")
        if not _PREFIX.fullmatch(prefix):
            raise InvalidInputError(
                f"{prefix!r} is not a valid prefix: up to 16 lower-case letters, digits and hyphens, a letter first"
            )
        return cls(name, prefix)

    @property
    def stack(self) -> str:
        """The name of the stage's stack."""
        return f"{self.prefix}weaudit-{self.name}"

    @property
    def options(self) -> str:
        """The command-line options for this stage, for use in advice: ``--stage staging --prefix staging-``."""
        return f"--stage {self.name}" + (f" --prefix {self.prefix}" if self.prefix else "")

    def named(self, name: str, default: str) -> str:
        """Return a table's name; if it is the template's ``default``, the prefix of this stage is added."""
        return self.prefix + name if name == default else name

"""Stages: which installation of an account a command means (dev, staging, production), and what its stack is called."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from weaudit.errors import InvalidInputError

# As in infra/template.yaml, whose parameters EnvironmentSuffix and Prefix these become.
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
        """Return the stage that is meant: as given, else by WEAUDIT_STAGE and WEAUDIT_PREFIX, else dev with no prefix.

        Raises InvalidInputError for a name or prefix that the template would refuse.
        """
        environment = os.environ if environment is None else environment
        name = environment.get("WEAUDIT_STAGE") or "dev" if name is None else name
        prefix = environment.get("WEAUDIT_PREFIX", "") if prefix is None else prefix
        if not _NAME.fullmatch(name):
            raise InvalidInputError(f"{name!r} is no stage: up to 12 lower-case letters, digits and hyphens")
        if not _PREFIX.fullmatch(prefix):
            raise InvalidInputError(
                f"{prefix!r} is no prefix: up to 16 lower-case letters, digits and hyphens, a letter first"
            )
        return cls(name, prefix)

    @property
    def stack(self) -> str:
        """The name of the stage's stack."""
        return f"{self.prefix}weaudit-{self.name}"

    @property
    def options(self) -> str:
        """How a command of the shell names this stage, for advice: ``--stage staging --prefix staging-``."""
        return f"--stage {self.name}" + (f" --prefix {self.prefix}" if self.prefix else "")

    def named(self, name: str, default: str) -> str:
        """Return ``name``, or where it is ``default``, a name of the template, that table's name in this stage."""
        return self.prefix + name if name == default else name

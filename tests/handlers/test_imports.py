"""A cold start pays for every module: what each function loads is on the list."""

import pytest

from tests.import_closures import loaded_by
from weaudit.functions import BESIDE, FUNCTIONS, Function

# The child in which pixels are worked on is limited by these.
_ALSO = {"image_processor": frozenset(("resource", "signal"))}


@pytest.mark.parametrize("function", [*FUNCTIONS, *BESIDE], ids=lambda function: function.name)
def test_importing_a_function_loads_only_the_allowed_modules(function: Function) -> None:
    statements = f"from weaudit.handlers import {function.name}\nfrom weaudit.runtime import {function.trigger}"
    loaded = loaded_by(statements, _ALSO.get(function.name, frozenset()))
    assert f"weaudit.handlers.{function.name}" in loaded
    assert "pyvips" not in loaded, "it is loaded by the first image, not by what only looks at an object"


def test_a_proof_loads_only_the_allowed_modules_and_only_when_one_is_asked_for() -> None:
    assert "weaudit.ledger.proofs" not in loaded_by("from weaudit.handlers import read_trail")
    assert "weaudit.ledger.proofs" in loaded_by("from weaudit.trail import receipts")

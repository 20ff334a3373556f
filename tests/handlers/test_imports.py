"""A cold start pays for every module: what each function loads is on the list."""

import pytest

from tests.import_closures import loaded_by
from weaudit.functions import FUNCTIONS, Function


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_importing_a_function_loads_only_the_allowed_modules(function: Function) -> None:
    statements = f"from weaudit.handlers import {function.name}\nfrom weaudit.runtime import {function.trigger}"
    assert f"weaudit.handlers.{function.name}" in loaded_by(statements)

"""A cold start pays for every module: what importing the client loads is on the list."""

from tests.import_closures import loaded_by


def test_importing_the_client_loads_only_the_allowed_modules() -> None:
    loaded = loaded_by("import weaudit.aws.client")
    ours = {name for name in loaded if name.startswith("weaudit.")}
    assert ours == {
        "weaudit.errors",
        "weaudit.adapters",
        *(f"weaudit.adapters.{name}" for name in ("aws", "aws_errors", "connections", "credentials")),
        *(f"weaudit.adapters.{name}" for name in ("endpoints", "signing", "transport")),
    }
    # http.client loads neither of them, and each costs milliseconds.
    assert not {"http.server", "http.cookies", "threading", "dataclasses", "typing"}.intersection(loaded)

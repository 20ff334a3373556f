"""A cold start pays for every module: what importing the client loads is on the list."""

from tests.import_closures import loaded_by


def test_importing_the_client_loads_only_the_allowed_modules() -> None:
    loaded = loaded_by("import weaudit.aws.client")
    ours = {name for name in loaded if name.startswith("weaudit.")}
    assert ours == {
        "weaudit.errors",
        "weaudit.values",
        "weaudit.aws",
        *(f"weaudit.aws.{name}" for name in ("client", "connections", "credentials", "endpoints", "errors")),
        *(f"weaudit.aws.{name}" for name in ("sigv4", "transport")),
    }
    # http.client loads neither of them, and each costs milliseconds.
    assert not {"http.server", "http.cookies", "threading", "dataclasses", "typing"}.intersection(loaded)

"""A cold start pays for every module: what importing the client loads is on the list."""

from tests.import_closures import loaded_by


def test_importing_the_client_loads_only_the_allowed_modules() -> None:
    loaded = loaded_by("import weaudit.adapters.aws")
    ours = {name for name in loaded if name.startswith("weaudit.")}
    assert ours == {
        "weaudit.errors",
        "weaudit.adapters",
        *(f"weaudit.adapters.{name}" for name in ("aws", "aws_errors", "connections", "credentials", "endpoints")),
        *(f"weaudit.adapters.{name}" for name in ("http1", "http_pool", "signing", "sockets")),
    }
    # Each of them costs milliseconds; TLS is loaded with the first connection to an endpoint that has it.
    assert not {"http.client", "email", "ssl", "datetime"}.intersection(loaded)

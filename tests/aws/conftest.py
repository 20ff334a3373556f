"""A certificate for the servers that these tests run."""

import pytest

from tests.aws import certificates


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificate:
    """Return a certificate for 127.0.0.1."""
    return certificates.made_in(tmp_path_factory.mktemp("certificate"))

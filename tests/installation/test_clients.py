"""Commands reach AWS by the lean client, with the address, the credentials and the proxy that the SDK would take."""

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from tests.aws.certificates import Certificate
from tests.aws.conftest import certificate
from tests.aws.scripted_server import answer, serving
from tests.conftest import RunningEngine
from weaudit.aws.client import DynamoDB
from weaudit.errors import InvalidInputError, StoreUnavailableError
from weaudit.installation import clients
from weaudit.installation.targets import Target

__all__ = ["certificate"]  # the fixture

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "wJalr"}


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty AWS configuration."""
    path = tmp_path / "config"
    path.touch()
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    return path


def addressed(target: Target, service: str = "dynamodb") -> tuple[str, str, str]:
    """Return the address, the region and the access key of a service's requests."""
    connection = clients._connection(target, service)
    endpoint = connection.endpoint
    return f"{endpoint.scheme}://{endpoint.host}{endpoint.path}", endpoint.region, connection._credentials().access_key


def as_the_sdk(target: Target, service: str = "dynamodb") -> tuple[str, str, str]:
    made = target.client(service)
    return made.meta.endpoint_url, made.meta.region_name, made._get_credentials().access_key


@pytest.mark.parametrize("service", ["dynamodb", "s3"])
@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({**KEYS, "AWS_REGION": "eu-west-1"}, ""),
        ({**KEYS, "AWS_REGION": "cn-north-1"}, ""),
        ({**KEYS, "AWS_REGION": "us-iso-east-1"}, ""),
        ({**KEYS, "AWS_REGION": "eu-west-1"}, "[default]\nendpoint_url = http://127.0.0.1:7\n"),
        ({**KEYS, "AWS_REGION": "eu-west-1"}, "[default]\nregion = eu-west-3\nuse_fips_endpoint = true\n"),
        ({**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:8/base"}, ""),
        (
            {"AWS_PROFILE": "audit"},
            "[profile audit]\nregion = eu-central-1\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = s\n",
        ),
        (
            {**KEYS, "AWS_PROFILE": "audit"},
            "[profile audit]\nregion = eu-central-1\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = s\n",
        ),
    ],
)
def test_requests_go_where_those_of_the_sdk_go(
    variables: dict[str, str], text: str, service: str, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration.write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    target = Target.resolve()
    assert addressed(target, service) == as_the_sdk(target, service)


def test_each_request_has_the_credentials_of_now(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of the profile gives keys that end within minutes, and others each time."""
    program = tmp_path / "program"
    program.write_text(
        f"#!{sys.executable}\n"
        "import datetime, json, pathlib\n"
        f"asked = pathlib.Path({str(tmp_path / 'asked')!r})\n"
        "asked.write_text((asked.read_text() if asked.exists() else '') + '.')\n"
        "ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'AKID{len(asked.read_text())}', 'SecretAccessKey': 's',"
        " 'SessionToken': 't', 'Expiration': ends.isoformat()}))\n"
    )
    program.chmod(0o700)
    configuration.write_text(f"[profile audit]\nregion = eu-west-1\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_PROFILE", "audit")
    connection = clients._connection(Target.resolve(), "dynamodb")
    first, second = connection._credentials(), connection._credentials()
    assert first.session_token == "t"
    assert first.access_key != second.access_key


def test_without_credentials_it_is_the_sdk_that_says_so(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration.write_text("[profile audit]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_PROFILE", "audit")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NoCredentialsError):
        clients.dynamodb(Target.resolve())


def test_an_address_that_is_not_valid_is_refused(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInputError, match="AWS_ENDPOINT_URL"):
        clients.dynamodb(Target("eu-west-1", "nowhere"))


@pytest.mark.engine
def test_reading_the_trail_of_an_engine_starts_without_the_sdk(engine: RunningEngine) -> None:
    script = (
        "import sys; from weaudit.cli.main import app; app(sys.argv[1:], standalone_mode=False);"
        "print([name for name in sys.modules if name in ('boto3', 'botocore')])"
    )
    for words in (["history", "NONE"], ["changes", "-n", "1"]):
        command = [sys.executable, "-c", script, *words, "--json", "--state", str(engine.directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=engine.environment)
        assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


# ---- through a proxy


class _Proxy(socketserver.StreamRequestHandler):
    """Answers CONNECT, and hands bytes on in both directions."""

    def handle(self) -> None:
        proxy: Any = self.server
        lines = iter(lambda: self.rfile.readline().strip().decode(), "")
        proxy.seen.append(list(lines))
        if proxy.refusal:
            self.wfile.write(f"HTTP/1.1 {proxy.refusal}\r\n\r\n".encode())
            return
        host, _, port = proxy.seen[-1][0].split()[1].rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(there, self.connection))
            back.start()
            _pump(self.connection, there)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side may close first
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[Any]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Proxy) as server:
        server.seen, server.refusal = [], ""  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def listing(
    url: str, proxy: Any, certificate: Certificate, monkeypatch: pytest.MonkeyPatch, login: str = ""
) -> dict[str, Any]:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{login}127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("AWS_CA_BUNDLE", certificate.path)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    made = clients._connection(Target("eu-west-1", url), "dynamodb")
    made.attempts = 1
    try:
        return DynamoDB(made).call("ListTables", {})
    finally:
        made.close()


def test_https_goes_through_the_proxy_of_the_environment(
    proxy: Any, certificate: Certificate, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answer(200, {"TableNames": ["a"]}), context=certificate.context) as server:
        found = listing(server.url, proxy, certificate, monkeypatch, "ada:p%40ss@")
        assert found == {"TableNames": ["a"]}
        assert len(server.requests) == 1
        [seen] = proxy.seen
        assert seen[0].startswith(f"CONNECT {server.url.removeprefix('https://')} ")
    assert "Proxy-Authorization: Basic YWRhOnBAc3M=" in seen


def test_what_the_environment_excludes_goes_past_the_proxy(
    proxy: Any, certificate: Certificate, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(answer(200, {"TableNames": []}), context=certificate.context) as server:
        assert listing(server.url, proxy, certificate, monkeypatch) == {"TableNames": []}
    assert proxy.seen == []


def test_a_proxy_that_refuses_is_named(
    proxy: Any, certificate: Certificate, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.refusal = "407 Proxy Authentication Required"
    with pytest.raises(StoreUnavailableError, match="407"):
        listing("https://127.0.0.1:9", proxy, certificate, monkeypatch, "ada:wrong@")

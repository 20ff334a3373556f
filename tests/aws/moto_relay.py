"""moto behind a socket on the loopback, for a client that is no botocore."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from moto import mock_aws

REGION = "us-east-1"


class _Relay(BaseHTTPRequestHandler):
    """Hands each request to moto, which answers in this process in AWS's place."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and content leave together: the second of two packets waits 40 ms for the first one's ACK

    def _relay(self) -> None:
        target = self.headers.get("X-Amz-Target", "").partition("_")[0]
        service = {"": "s3", "DynamoDBStreams": "streams.dynamodb"}.get(target, "dynamodb")
        url = f"https://{service}.{REGION}.amazonaws.com{self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        answer = requests.request(self.command, url, headers=headers, data=body, timeout=30, stream=True)
        content = b"" if self.command == "HEAD" else answer.content  # of HEAD the length alone is told
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "content-encoding"):
                self.send_header(name, value)
        told = str(len(content)) if content else answer.headers.get("Content-Length", "0")
        self.send_header("Content-Length", told)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_GET = do_HEAD = do_DELETE = _relay  # noqa: N815 the names are the standard library's

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the name is the standard library's
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # readers open a connection for each shard at once: one too many is asked again after 1 s


@contextlib.contextmanager
def moto_environment() -> Iterator[dict[str, str]]:
    """Yield the variables by which a client reaches moto; its tables and buckets are gone afterwards."""
    with mock_aws():
        server = _Server(("127.0.0.1", 0), _Relay)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}
            yield {"AWS_ENDPOINT_URL": url, "AWS_REGION": REGION, **keys}
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

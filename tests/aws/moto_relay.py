"""moto behind a socket on the loopback, for a client that is no botocore."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

REGION = "us-east-1"
# Asked directly: what moto puts in front of it for `requests` takes longer than its answer does.
_MOTO = BotocoreStubber()


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
        request = AWSPreparedRequest(self.command, url, HTTPHeaders.from_pairs(headers.items()), body, False)
        answer = _MOTO.process_request(request)
        assert answer is not None, f"moto knows no {url}"
        status, found, text = answer
        content = text.encode() if isinstance(text, str) else text
        if self.command == "HEAD":  # its length alone is told
            content = b""
        self.send_response(status)
        for name, value in found.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "content-encoding"):
                self.send_header(name, value)
        lengths = [value for name, value in found.items() if name.lower() == "content-length"]
        self.send_header("Content-Length", str(len(content) or next(iter(lengths), 0)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_GET = do_HEAD = do_DELETE = _relay  # noqa: N815 the names are the standard library's

    def handle_expect_100(self) -> bool:
        # boto3 waits a second for leave to send an object's bytes.
        leave = super().handle_expect_100()
        self.wfile.flush()
        return leave

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

"""A DynamoDB with one table whose key is `key`, which takes every update and keeps nothing; in a process of its own."""

import contextlib
import json
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_TABLE = {
    "Table": {
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
    }
}
_ANSWERS: dict[str, Any] = {"DescribeTable": _TABLE, "UpdateItem": {}, "TransactWriteItems": {}, "PutItem": {}}


class _Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    transactions = 0

    def do_POST(self) -> None:
        """Answer an operation; a transaction has to hold the update and its log entry."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        if operation == "TransactWriteItems":
            assert {kind for action in json.loads(body)["TransactItems"] for kind in action} == {"Update", "Put"}
            _Store.transactions += 1
        self._say(json.dumps(_ANSWERS[operation]).encode())

    def do_GET(self) -> None:
        """Tell how many transactions there were."""
        self._say(str(_Store.transactions).encode())

    def _say(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-amz-crc32", str(zlib.crc32(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@contextlib.contextmanager
def started(certificate: Path | None = None) -> Iterator[str]:
    """Run the store in another process and give its URL; with TLS where there is a certificate (tls.py)."""
    command = [sys.executable, "-m", "bench.update_store"]
    command += [str(certificate)] if certificate is not None else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Store)
    scheme = "http"
    for certificate in sys.argv[1:]:
        scheme, context = "https", ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        # The thread of a connection shakes hands, when it reads first, and not the one that accepts.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"{scheme}://127.0.0.1:{server.server_address[1]}", flush=True)

    def end_with_the_parent() -> None:
        sys.stdin.read()
        server.shutdown()

    threading.Thread(target=end_with_the_parent, daemon=True).start()
    server.serve_forever()

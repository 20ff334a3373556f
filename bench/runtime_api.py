"""The Lambda Runtime API for one execution environment: hands out one event and takes the first answer.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REQUEST_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:audit_producer:learn"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a function that is ended after its answer drops its connection."""


class RuntimeApi:
    """Serves on a port of 127.0.0.1; one instance for each start of a function."""

    def __init__(self, event: Any) -> None:
        self._event = json.dumps(event).encode()
        self._handed_out = False
        self._done = threading.Event()
        self._closed = threading.Event()
        self.answered_at = 0.0  # time.perf_counter()
        self.failure = ""
        self._server = _Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self) -> str:
        """Host and port, as AWS_LAMBDA_RUNTIME_API gives them."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def wait(self, timeout_s: float = 30.0) -> float:
        """Wait for the first answer and return when it came; AssertionError where the function failed or was silent."""
        assert self._done.wait(timeout_s), "the function gave no answer"
        assert not self.failure, self.failure
        return self.answered_at

    def close(self) -> None:
        """Stop serving."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, path: str, body: bytes) -> None:
        if not self._done.is_set():
            self.answered_at = time.perf_counter()
            self.failure = "" if path.endswith("/response") else f"{path}: {body.decode(errors='replace')[:2000]}"
            self._done.set()

    def _handler(api) -> type[BaseHTTPRequestHandler]:  # noqa: N805 the handler's self is the other one
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if api._handed_out:
                    api._closed.wait()  # no second event: the runtime waits, as it does on Lambda
                    return
                api._handed_out = True
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(api._event)))
                self.send_header("Lambda-Runtime-Aws-Request-Id", REQUEST_ID)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60_000))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN)
                self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1")
                self.end_headers()
                self.wfile.write(api._event)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                api._take(self.path, body)
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002 the base class names it so
                pass

        return Handler

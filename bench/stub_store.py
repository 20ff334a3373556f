"""A DynamoDB that keeps nothing and answers every write after a given time; runs in a process of its own.

It costs so little itself that what is measured beside it is the client. Answers carry the checksum that DynamoDB sends.
"""

import argparse
import asyncio
import contextlib
import re
import ssl
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ROW = '{"id":{"S":"%s"},"secret":{"B":"' + 43 * "A" + '="}}'
_ANSWERS = {
    b"BatchWriteItem": b'{"UnprocessedItems":{}}',
    b"PutItem": b"{}",
    # No rules of the table; the table of keys.
    b"GetItem": b"{}",
    b"BatchGetItem": f'{{"Responses":{{"keys":[{_ROW % "ROOT"},{_ROW % "ORIGIN"}]}}}}'.encode(),
}


class StubStore(asyncio.Protocol):
    """One connection: requests in, empty answers out, in order."""

    items = 0

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if not found or len(rest) < size:
                return
            self._buffer = rest[size:]
            answer = self._answer(head, rest[:size])
            if self._latency_s:
                asyncio.get_running_loop().call_later(self._latency_s, self._send, answer)
            else:
                self._send(answer)

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /items"):
            content = str(StubStore.items).encode()
        else:
            (operation,) = (name for name in _ANSWERS if b"DynamoDB_20120810." + name in head)
            StubStore.items += (
                body.count(b'"PutRequest"') if operation == b"BatchWriteItem" else operation == b"PutItem"
            )
            content = _ANSWERS[operation]
        lines = (
            "HTTP/1.1 200 OK",
            "Server: Server",
            "Content-Type: application/x-amz-json-1.0",
            f"Content-Length: {len(content)}",
            "Connection: keep-alive",
            "x-amzn-RequestId: 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEF",
            f"x-amz-crc32: {zlib.crc32(content)}",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@contextlib.contextmanager
def started(latency_ms: float = 0.0, *, certificate: Path | None = None) -> Iterator[str]:
    """Run a stub store in another process and give its URL; with TLS where there is a certificate (tls.py)."""
    command = [sys.executable, "-m", "bench.stub_store", f"--latency-ms={latency_ms}"]
    command += [f"--certificate={certificate}"] if certificate is not None else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def _serve(latency_s: float, certificate: str | None) -> None:
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StubStore(latency_s), "127.0.0.1", 0, ssl=context)
    scheme = "http" if context is None else "https"
    print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--certificate")
    options = parser.parse_args()
    asyncio.run(_serve(options.latency_ms / 1000, options.certificate))

"""A real HTTP server on 127.0.0.1 that does, request by request, what a script says: also what no server should."""

import contextlib
import io
import json
import queue
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any


@dataclass(frozen=True)
class Request:
    """What a client sent; ``connection`` counts the connections of the server from 1."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


# Gets the request and the socket; True keeps the connection open.
Step = Callable[[Request, socket.socket, "ScriptedServer"], bool]


class ScriptedServer:
    """Takes the steps in turn, one a request; the last one is for ever."""

    def __init__(self, steps: tuple[Step, ...], context: ssl.SSLContext | None, early: bytes, sips: int) -> None:
        self.requests: list[Request] = []
        self.over = threading.Event()
        # One entry for each connection that the server has closed.
        self.closed: queue.Queue[int] = queue.Queue()
        self._steps = steps
        self._context = context
        self._early = early
        self._sips = sips
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        if sips:  # else a client hears only now and then that some of it was taken
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            number += 1
            self._sockets.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection, number)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._sockets.append(connection)
            if self._early:
                # Closed with the body unread: the client's next write fails.
                connection.recv(100)
                connection.sendall(self._early)
                return
            with io.BufferedReader(_Sipped(connection, self._sips, self.over)) as reader:
                while (request := _read(reader, connection, number)) is not None:
                    with self._lock:
                        self.requests.append(request)
                        step = self._steps[min(len(self.requests), len(self._steps)) - 1]
                    if not step(request, connection, self):
                        break
        except OSError:
            pass
        finally:
            connection.close()
            self.closed.put(number)


class _Sipped(io.RawIOBase):
    """What comes on a connection, of which so many parts are taken slowly."""

    def __init__(self, connection: socket.socket, sips: int, over: threading.Event) -> None:
        self._connection = connection
        self._sips = sips
        self._over = over

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._sips:
            self._sips -= 1
            self._over.wait(0.03)
            return self._connection.recv_into(memoryview(buffer)[:65_536])
        return self._connection.recv_into(buffer)


@contextlib.contextmanager
def serving(
    *steps: Step, context: ssl.SSLContext | None = None, early: bytes = b"", sips: int = 0
) -> Iterator[ScriptedServer]:
    """Run a server while the block runs.

    ``early`` is said on every connection before its request was read. Of what comes on a connection, so many parts as
    ``sips`` are taken slowly, and the others at once.
    """
    server = ScriptedServer(steps, context, early, sips)
    try:
        yield server
    finally:
        server.stop()


def answer(
    status: int, body: Any = b"", *, headers: dict[str, str] | None = None, close: bool = False, cut: int | None = None
) -> Step:
    """Answer with bytes, or a JSON document; ``close`` without saying so; ``cut`` sends only so much of the body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"Date": formatdate(usegmt=True), "Content-Length": str(len(data)), **(headers or {})}
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in told.items()) + "\r\n"

    def step(request: Request, connection: socket.socket, server: ScriptedServer) -> bool:
        connection.sendall(head.encode() + data[:cut])
        return not close and cut is None

    return step


def dynamodb(document: dict[str, Any], **options: Any) -> Step:
    """Answer as DynamoDB does, with a checksum."""
    checksum = str(zlib.crc32(json.dumps(document).encode()))
    return answer(200, document, headers={"x-amz-crc32": checksum}, **options)


def refusal(code: str, message: str = "", status: int = 400, **options: Any) -> Step:
    """Answer with an error as DynamoDB does."""
    return answer(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}, **options)


def hang_up(request: Request, connection: socket.socket, server: ScriptedServer) -> bool:
    """Close the connection and answer nothing."""
    return False


def reset(request: Request, connection: socket.socket, server: ScriptedServer) -> bool:
    """Reset the connection and answer nothing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def stall(request: Request, connection: socket.socket, server: ScriptedServer) -> bool:
    """Answer nothing and keep the connection until the server is stopped."""
    server.over.wait()
    return False


def _read(reader: Any, connection: socket.socket, number: int) -> Request | None:
    line = reader.readline().decode().split()
    if len(line) != 3:
        return None
    headers = {}
    while text := reader.readline().decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    if "100-continue" in headers.get("expect", ""):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")  # botocore waits a second for it
    return Request(line[0], line[1], headers, reader.read(int(headers.get("content-length", "0"))), number)

"""HTTP/1.1 as a client of AWS needs it: a request at a time on a connection, and answers that are whole, or refused.

``http.client`` reads headers by way of ``email``, and importing both was a fifth of a function's cold start
(docs/decisions/0014-http.md). What is framed in a doubtful way is refused, never guessed at: another answer might be
hidden in it. https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

from io import BytesIO
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    import socket

_PART_BYTES = 65_536
_LONGEST_HEAD_BYTES = 65_536  # as http.client's longest line
_LONGEST_LINE_BYTES = 8_192  # of a chunk's size, and of a trailer
# The largest that ImageMaxBytes may be; nothing that functions read is larger. A longer body is refused unread.
LARGEST_BODY_BYTES = 268_435_456
_MOST_LINES = 100  # of trailers; and of heads of which each says that the answer is still to come
_TOO_LARGE = f"its body has more than {LARGEST_BODY_BYTES:,} bytes"
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class UnreadableAnswerError(Exception):
    """A response that cannot be what the service meant to say: cut off, empty or damaged."""


class HttpConnection:
    """One request at a time, each answer read to its end; ``reusable`` says then whether there may be another."""

    __slots__ = ("_deadline", "_left", "_wait_s", "reusable", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.reusable = True
        self._left = bytearray()  # received and not read yet; taking from its front moves nothing
        self._wait_s = self._deadline = float("inf")

    def limit(self, wait_s: float, deadline: float) -> None:
        """Wait for the other side so long at a time, and for nothing beyond a deadline (of time.monotonic).

        Without the deadline a server that gives or takes a byte now and then would hold a request for ever.
        """
        self._wait_s, self._deadline = wait_s, deadline

    def close(self) -> None:
        """Close it, whatever was going on."""
        self.sock.close()

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        """Send a request. Raises OSError, and ValueError for what would be more than one header or request."""
        self.reusable = False
        lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()]]
        if body or method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join((*lines, "", ""))
        if lines[0].count(" ") != 2 or not _holds_lines(head, len(lines) + 1):
            raise ValueError(
                "a request's target or a header holds a space, a line break or a NUL that may not be there"
            )
        data = head.encode("latin-1")
        for content in (data + body,) if len(body) <= _PART_BYTES else (data, body):
            for at in range(0, len(content), _PART_BYTES):
                self._bound()
                self.sock.sendall(memoryview(content)[at : at + _PART_BYTES])

    def head(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of the answer, names in lower case; what comes twice is joined by a comma.

        Raises ConnectionResetError where not one byte came, UnreadableAnswerError, OSError.
        """
        for _ in range(_MOST_LINES):
            if not self._left:
                self._left += self._received()
            if not self._left:
                raise ConnectionResetError("closed without an answer")
            first, *lines = self._until(b"\r\n\r\n", _LONGEST_HEAD_BYTES).decode("latin-1").split("\r\n")
            status, headers = self._status(first), _headers(lines)
            if status == 101:
                raise UnreadableAnswerError("it changes to another protocol, which nobody asked for")
            if status >= 200:
                if "close" in [word.strip() for word in headers.get("connection", "").lower().split(",")]:
                    self.reusable = False
                return status, headers
        raise UnreadableAnswerError("it is announced over and over again")

    def body(self, method: str, status: int, headers: dict[str, str]) -> bytes:
        """Return the body that belongs to a head, to its end. Raises UnreadableAnswerError, OSError."""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        reusable, self.reusable = self.reusable, False
        one_way = coding is None or (length is None and coding.lower() == "chunked")
        if not one_way or (length is not None and not (length.isdecimal() and length.isascii() and len(length) < 19)):
            raise UnreadableAnswerError("its length is said in two ways, in an unknown one, or is not one number")
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif coding is not None:
            body = self._chunks()
        elif length is not None:
            if int(length) > LARGEST_BODY_BYTES:
                raise UnreadableAnswerError(_TOO_LARGE)
            body = self._exactly(int(length))
        else:
            reusable, body = False, self._rest()
        # What came behind the end answers nothing that was asked: it must not be taken for the next answer.
        self.reusable = reusable and not self._left
        return body

    def _status(self, line: str) -> int:
        version, code = (*line.split(" ", 2), "", "")[:2]
        known = version in ("HTTP/1.1", "HTTP/1.0") and _holds_lines(line, 0)
        if not (known and code.isdecimal() and code.isascii() and len(code) == 3 and code >= "100"):
            raise UnreadableAnswerError("its first line is not that of HTTP/1.1")
        self.reusable = version == "HTTP/1.1"
        return int(code)

    def _chunks(self) -> bytes:
        whole = BytesIO()
        while size := self._chunk_bytes():
            if whole.tell() + size > LARGEST_BODY_BYTES:
                raise UnreadableAnswerError(_TOO_LARGE)
            whole.write(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise UnreadableAnswerError("a chunk of it is longer than it says")
        for _ in range(_MOST_LINES):
            if not self._line():
                return whole.getvalue()
        raise UnreadableAnswerError("its trailers do not end")

    def _chunk_bytes(self) -> int:
        digits = self._line().partition(b";")[0].rstrip(b" \t")
        if not 0 < len(digits) <= 15 or not _HEXADECIMAL.issuperset(digits):
            raise UnreadableAnswerError("a chunk's length is no hexadecimal number")
        return int(digits, 16)

    def _line(self) -> bytes:
        line = self._until(b"\r\n", _LONGEST_LINE_BYTES)
        if not _holds_lines(line.decode("latin-1"), 0):
            raise UnreadableAnswerError("a line of it holds half of a line break")
        return line

    def _until(self, mark: bytes, limit: int) -> bytes:
        searched = 0
        while (end := self._left.find(mark, searched, limit)) < 0:
            if len(self._left) >= limit:
                raise UnreadableAnswerError("a line or a head of it does not end")
            searched = max(0, len(self._left) - len(mark))
            self._receive_more()
        found = bytes(self._left[:end])
        del self._left[: end + len(mark)]
        return found

    def _exactly(self, count: int) -> bytes:
        whole, missing = BytesIO(), count
        while len(self._left) < missing:
            missing -= whole.write(self._left)
            self._left.clear()
            self._receive_more()
        whole.write(self._left[:missing])
        del self._left[:missing]
        return whole.getvalue()  # its buffer, not a copy

    def _rest(self) -> bytes:
        whole, part = BytesIO(), bytes(self._left) or self._received()
        self._left.clear()
        while part:
            if whole.tell() + len(part) > LARGEST_BODY_BYTES:
                raise UnreadableAnswerError(_TOO_LARGE)
            whole.write(part)
            part = self._received()
        return whole.getvalue()

    def _receive_more(self) -> None:
        received = self._received()
        if not received:
            raise UnreadableAnswerError("it ends before its end")
        self._left += received

    def _received(self) -> bytes:
        self._bound()
        return self.sock.recv(_PART_BYTES)

    def _bound(self) -> None:
        wait_s = min(self._wait_s, self._deadline - monotonic())
        if wait_s <= 0:
            raise TimeoutError("timed out")
        if wait_s < float("inf"):
            self.sock.settimeout(wait_s)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not (colon and name and _TOKEN.issuperset(name) and _holds_lines(value, 0)):
            raise UnreadableAnswerError("a line of its head is no header")
        headers.setdefault(name.lower(), []).append(value.strip(" \t"))
    return {name: ", ".join(values) for name, values in headers.items()}


def _holds_lines(text: str, count: int) -> bool:
    """Say whether a text has so many line breaks, each of them whole, and no NUL: else it would be read as others."""
    return text.count("\r") == text.count("\n") == text.count("\r\n") == count and "\0" not in text

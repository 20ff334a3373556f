"""A socket whose data comes in small pieces, as a network may bring it."""


class Trickling:
    """Gives its content in pieces of these sizes, over and over again, and then its end."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._content = content
        self._sizes = sizes
        self._turn = 0

    def recv(self, limit: int) -> bytes:
        size = min(limit, self._sizes[self._turn % len(self._sizes)])
        self._turn += 1
        part, self._content = self._content[:size], self._content[size:]
        return part

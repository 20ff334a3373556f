"""A pool of daemon threads that never delays the process's exit."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Argument = TypeVar("Argument")
Found = TypeVar("Found")

_AHEAD_THREADS = 16
_AHEAD = 64
_Work = tuple["Future[Any]", Callable[[], Any]]


class ReadingPool(Executor):
    """A ThreadPoolExecutor for reads that may be abandoned: nothing waits for a read under way.

    At exit, Python waits for each thread of a ThreadPoolExecutor. After Ctrl-C, a service that does not respond would
    then keep a command from ending until the SDK gives up.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._most = threads
        self._name = name
        self._started = 0
        self._over = False
        self._lock = threading.Lock()
        self._idle = threading.Semaphore(0)
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Call ``fn`` as soon as a thread is free. Raises RuntimeError after ``shutdown``."""
        future: Future[Any] = Future()
        with self._lock:
            if self._over:
                raise RuntimeError("the pool was shut down and takes no more calls")
            self._waiting.put((future, lambda: fn(*args, **kwargs)))
            if not self._idle.acquire(blocking=False) and self._started < self._most:
                self._started += 1
                # A thread refers to the pool's parts and not to the pool, so that an unused pool is collected.
                parts, name = (self._waiting, self._idle), f"{self._name}_{self._started}"
                threading.Thread(target=_serve, args=parts, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel the calls not yet begun, and wait for none. The arguments, of ThreadPoolExecutor, have no effect."""
        del wait, cancel_futures
        self._over = True
        while True:
            try:
                work = self._waiting.get_nowait()
            except Empty:
                break
            if work is not None:
                work[0].cancel()
        for _ in range(self._started):
            self._waiting.put(None)

    def __del__(self) -> None:
        self.shutdown()


def _serve(waiting: "SimpleQueue[_Work | None]", idle: threading.Semaphore) -> None:
    while (work := waiting.get()) is not None:
        future, call = work
        if future.set_running_or_notify_cancel():
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 not swallowed: result() raises it
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        del work, future, call
        idle.release()


def ahead(call: Callable[[Argument], Found], arguments: Iterable[Argument]) -> Iterator[Found]:
    """Yield what ``call`` returns for each argument, in their order, with some calls under way for those to come."""
    with ReadingPool(_AHEAD_THREADS, "weaudit-ahead") as pool:
        waiting = deque[Future[Found]]()
        for argument in arguments:
            waiting.append(pool.submit(call, argument))
            if len(waiting) == _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

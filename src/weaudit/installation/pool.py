"""Threads that read for a command, and that hold nobody: neither who has enough, nor who interrupts it."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any

_Work = tuple["Future[Any]", Callable[[], Any]]


class ReadingPool(Executor):
    """As ThreadPoolExecutor, for what may be left undone: nothing waits for a read that is on its way.

    Python waits at its end for each thread of a ThreadPoolExecutor: after Ctrl-C, a service that does not answer would
    hold a command until the SDK gives up.
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
        """Have it called as soon as a thread is free. Raises RuntimeError after ``shutdown``."""
        future: Future[Any] = Future()
        with self._lock:
            if self._over:
                raise RuntimeError("nothing more is begun: the pool was shut down")
            self._waiting.put((future, lambda: fn(*args, **kwargs)))
            if not self._idle.acquire(blocking=False) and self._started < self._most:
                self._started += 1
                # It knows the pool's parts and not the pool, which goes when nobody has it any more.
                parts, name = (self._waiting, self._idle), f"{self._name}_{self._started}"
                threading.Thread(target=_serve, args=parts, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Begin nothing more, and wait for nothing; whatever the arguments, which are ThreadPoolExecutor's."""
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
            except BaseException as error:  # noqa: BLE001 nothing is swallowed: result() raises it to who asks
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        del work, future, call
        idle.release()

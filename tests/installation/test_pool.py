"""Threads that read for a command: they read as those of the standard library, and hold nobody."""

import gc
import threading

import pytest

from weaudit.installation.pool import ReadingPool

NAME = "weaudit-test"


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(NAME)]


def test_answers_come_in_order_and_so_many_are_read_at_once() -> None:
    together = threading.Barrier(3, timeout=10)

    def read(number: int) -> tuple[int, str]:
        together.wait()
        return number, threading.current_thread().name

    with ReadingPool(3, NAME) as pool:
        found = list(pool.map(read, range(9)))
    assert [number for number, _ in found] == list(range(9))
    assert {name for _, name in found} == {f"{NAME}_{number}" for number in (1, 2, 3)}


def test_an_error_is_for_who_asks_and_the_next_is_read() -> None:
    def read(number: int) -> float:
        return 1 / number

    with ReadingPool(1, NAME) as pool:
        first, second = pool.submit(read, 0), pool.submit(read, 2)
        with pytest.raises(ZeroDivisionError):
            first.result(timeout=10)
        assert second.result(timeout=10) == 0.5


def test_leaving_waits_for_nothing_and_begins_nothing() -> None:
    begun, over = threading.Event(), threading.Event()

    def read() -> None:
        begun.set()
        over.wait()

    with ReadingPool(1, NAME) as pool:
        first, second = pool.submit(read), pool.submit(read)
        assert begun.wait(timeout=10)
    assert not first.done()
    assert second.cancelled()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(read)
    assert all(thread.daemon for thread in threads())
    over.set()
    first.result(timeout=10)


def test_a_pool_that_nobody_has_any_more_leaves_no_thread() -> None:
    pool = ReadingPool(2, NAME)
    assert list(pool.map(str, range(5))) == list("01234")
    del pool
    gc.collect()
    for thread in threads():
        thread.join(timeout=10)
    assert threads() == []

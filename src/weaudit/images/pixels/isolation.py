"""A task in a forked child, within limits of memory and time: whatever becomes of the child, the parent goes on.

A decoder that crashes, eats memory or never ends takes the child with it. The child says what it found in frames, JSON
and bytes, on a pipe; the parent reads no pickle and follows no pointer of it. A fork, and forgetting what the parent
knew, take 10 ms of CPU; a fresh process with libvips in it, which would have nothing to forget, took 95.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
import warnings

from weaudit.images.pixels import forgetting
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Frame = tuple[dict[str, Any], bytes]
    Send = Callable[..., None]

_OUT = 3  # what the child answers on, behind its standard input, output and errors
_CHUNK = 1 << 20
_KEPT_COMPLAINTS = 16 * 1024
_MOST_ANSWER_BYTES = 512 * 1024 * 1024
# How libraries complain, on their way out, that there is no more memory: glib, C++, glibc's threads, libvips.
_MEMORY_WORDS = (b"failed to allocate", b"bad_alloc", b"out of memory", b"cannot allocate", b"creating thread")


@value
class Outcome:
    """What became of a child."""

    frames: list[Frame]  # those that came whole, in order
    ended: str  # "", OutOfTime, OutOfMemory or DecoderCrashed
    peak_bytes: int  # resident memory at its height, with what it shared with its parent


def run(task: Callable[[Send], None], *, memory_bytes: int, cpu_seconds: int, wall_seconds: float) -> Outcome:
    """Return what a task sent before it ended, and how it ended; the child is gone then, its own children too.

    The task is called with ``send(fields, content=b"")``. ``memory_bytes`` bounds its private memory (RLIMIT_DATA),
    what it got from this process included. Raises OSError where no process can be made.
    """
    libc = forgetting.prepare()
    out_read, out_write = os.pipe()
    complaints_read, complaints_write = os.pipe()
    deadline = time.monotonic() + wall_seconds
    with warnings.catch_warnings():
        # Other threads may run here, as those of the stores' clients; the child uses nothing that they could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_child(task, libc, out_write, complaints_write, memory_bytes, cpu_seconds)
    os.close(out_write)
    os.close(complaints_write)
    ended_by_itself = False
    answer, complaints = bytearray(), bytearray()
    try:
        ended_by_itself = _read(out_read, complaints_read, answer, complaints, deadline) and _ends(child, deadline)
    finally:
        # Not reaped yet: its number is still its own.
        _kill(child)
        _, status, usage = os.wait4(child, 0)
        os.close(out_read)
        os.close(complaints_read)
    ended = _ended(status, bytes(complaints).lower()) if ended_by_itself else "OutOfTime"
    return Outcome(_frames(bytes(answer)), ended, usage.ru_maxrss * 1024)


def _be_child(
    task: Callable[[Send], None], libc: Any, out: int, complaints: int, memory_bytes: int, cpu_seconds: int
) -> None:
    status = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for place, target in ((0, nothing), (1, nothing), (2, complaints)):
            os.dup2(target, place)
        os.dup2(out, _OUT, inheritable=False)
        forgetting.forget(libc, range(_OUT + 1))
        for name in ("TERM", "INT", "ALRM", "SEGV", "ABRT", "BUS", "FPE", "ILL"):  # whoever handled them here before
            signal.signal(signal.Signals[f"SIG{name}"], signal.SIG_DFL)
        for limit, most in (
            (resource.RLIMIT_DATA, memory_bytes),
            (resource.RLIMIT_CPU, cpu_seconds),
            (resource.RLIMIT_CORE, 0),
        ):
            _, hard = resource.getrlimit(limit)
            resource.setrlimit(limit, (most if hard < 0 else min(most, hard), hard))
        task(lambda fields, content=b"": _send(_OUT, fields, content))
        status = 0
    except MemoryError:
        os.write(2, b"out of memory")
    except BaseException as error:  # noqa: BLE001  (nothing may return into the parent's code)
        os.write(2, type(error).__name__.encode())
    finally:
        os._exit(status)


def _send(out: int, fields: dict[str, Any], content: bytes) -> None:
    head = json.dumps(fields).encode()
    for part in (len(head).to_bytes(4, "big"), len(content).to_bytes(8, "big"), head, content):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(out, rest[:_CHUNK]) :]


def _read(out: int, complaints_from: int, answer: bytearray, complaints: bytearray, deadline: float) -> bool:
    """Read until the child has closed ``out``; False where the time was up before."""
    waiting = [out, complaints_from]
    while out in waiting:
        left = deadline - time.monotonic()
        ready = select.select(waiting, (), (), left)[0] if left > 0 else []
        if not ready or len(answer) > _MOST_ANSWER_BYTES:
            return False
        for source in ready:
            part = os.read(source, _CHUNK)
            if not part:
                waiting.remove(source)
            elif source == out:
                answer += part
            else:
                complaints += part
                del complaints[:-_KEPT_COMPLAINTS]
    while complaints_from in waiting and select.select([complaints_from], (), (), 0.05)[0]:
        part = os.read(complaints_from, _CHUNK)
        if not part:
            break
        complaints += part
    return True


def _frames(answer: bytes) -> list[Frame]:
    frames: list[Frame] = []
    at = 0
    while len(answer) >= at + 12:
        head = int.from_bytes(answer[at : at + 4], "big")
        content = int.from_bytes(answer[at + 4 : at + 12], "big")
        start = at + 12 + head
        if len(answer) < start + content:
            break  # the child died while it was sending
        frames.append((json.loads(answer[at + 12 : start]), answer[start : start + content]))
        at = start + content
    return frames


def _ends(child: int, deadline: float) -> bool:
    """Wait until the child, which has closed its pipe, is gone as well; False where it goes on all the same."""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0005)
    return True


def _kill(child: int) -> None:
    for kill in (os.killpg, os.kill):  # the group of a child so young that it has none yet is not there
        try:
            kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _ended(status: int, complaints: bytes) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return ""
    if code == -signal.SIGXCPU:
        return "OutOfTime"
    # A kill that is not ours is the kernel's, for want of memory.
    if code == -signal.SIGKILL or any(word in complaints for word in _MEMORY_WORDS):
        return "OutOfMemory"
    return "DecoderCrashed"

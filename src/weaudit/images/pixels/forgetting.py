"""What a child forgets before it works on bytes from outside: credentials, other settings, open files and sockets.

A decoder that runs somebody's code runs it in that child. It has what this process had when it forked, so all that it
has no use for is taken away. The network is still there (docs/threat-model.md).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What programs that an algorithm starts may need to run at all.
_KEPT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ")
_SECRET_WORDS = ("KEY", "SECRET", "TOKEN")
_SHORTEST_SECRET = 16  # what is shorter may stand anywhere in memory by chance; AWS' own have 20 characters or more
# https://man7.org/linux/man-pages/man2/prctl.2.html
_SET_DUMPABLE, _SET_NO_NEW_PRIVILEGES = 4, 38
_ENVIRONMENT_FIELDS = slice(47, 49)  # of /proc/self/stat, behind the name: env_start and env_end


def prepare() -> Any:
    """Return what :func:`forget` needs, and shut this process's memory and environment to its children.

    The kernel opens /proc/PID/environ and /proc/PID/mem of a process that is not dumpable to root alone.
    """
    import ctypes  # the first image pays for it, not the start

    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):  # not beyond Linux
        libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
        libc.memmem.restype = ctypes.c_void_p
        libc.memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t)
    return libc


def forget(libc: Any, descriptors: range) -> None:
    """Leave this process the ``descriptors`` and a few variables, and nothing that is secret; it cannot be undone.

    Secrets are those of the variables. They are overwritten wherever they lie in memory: in the variables, in objects
    that hold them, in requests that were sent.
    """
    secrets = [
        os.fsencode(value)
        for name, value in os.environ.items()
        if name.startswith("AWS_") and len(value) >= _SHORTEST_SECRET and any(word in name for word in _SECRET_WORDS)
    ]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    _close_all_but(descriptors)
    if hasattr(libc, "prctl"):
        libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        _overwrite(libc, secrets)


def _close_all_but(descriptors: range) -> None:
    try:
        found = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  (one name a descriptor, no more)
    except FileNotFoundError:  # not beyond Linux
        found = list(range(os.sysconf("SC_OPEN_MAX")))
    for descriptor in found:
        if descriptor not in descriptors:
            try:
                os.close(descriptor)
            except OSError:  # that of the listing itself
                continue


def _overwrite(libc: Any, secrets: list[bytes]) -> None:
    import ctypes

    needles = [ctypes.create_string_buffer(secret, len(secret)) for secret in secrets]
    places = [ctypes.addressof(needle) for needle in needles]
    for start, size in _own_memory():
        for needle in needles:
            at, end = start, start + size
            while found := libc.memmem(at, end - at, needle, len(needle)):
                if found not in places:
                    ctypes.memset(found, 0, len(needle))
                at = found + len(needle)
    for needle in needles:
        ctypes.memset(needle, 0, len(needle))
    # What the process was started with lies where the kernel put it, whatever has been unset since.
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123  (pathlib would be imported)
        first, last = map(int, file.read().rpartition(b")")[2].split()[_ENVIRONMENT_FIELDS])
    ctypes.memset(first, 0, last - first)


def _own_memory() -> list[tuple[int, int]]:
    """Return start and size of each part of memory that can be written, is of this process alone, and is of no file."""
    found = []
    with open("/proc/self/maps", "rb") as file:  # noqa: PTH123
        for line in file:
            place, rights, _, _, inode, *name = line.split(maxsplit=5)
            if rights == b"rw-p" and inode == b"0" and not b"".join(name).startswith(b"[v"):
                start, end = (int(one, 16) for one in place.split(b"-"))
                found.append((start, end - start))
    return found

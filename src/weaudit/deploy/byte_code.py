"""Byte code beside the sources of a zip: Lambda cannot write it there, and would compile them at every cold start.

A Python that is not of the version that made it finds none under its own tag, and compiles as it did without.
"""

import functools
import importlib.util
import marshal
import sys
import warnings
from collections.abc import Mapping
from pathlib import PurePosixPath


def beside(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return for each source among a zip's files (by name) its byte code, under the name where Python looks for it.

    The same source and the same Python give the same bytes. What is no Python has none.
    """
    found: dict[str, bytes] = {}
    for name, source in files.items():
        path = PurePosixPath(name)
        if path.suffix == ".py" and (code := _compiled(name, source)):
            found[str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc")] = code
    return found


@functools.cache  # functions share most of their files
def _compiled(name: str, source: bytes) -> bytes:
    try:
        with warnings.catch_warnings(action="ignore"):  # a wheel's author hears them, nobody here can mend it
            # The name in the zip, not a path of this machine; an import puts the path there that it found.
            code = compile(source, name, "exec", dont_inherit=True, optimize=0)
        # Of later versions marshal marks what is referred to more than once, which depends on what else is in memory.
        written = marshal.dumps(code, 2)
    # Some wheels hold templates, or what is nested deeper than Python goes. Python 3.14 has constants (slices) that
    # marshal cannot write in this version: such a source goes without.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return b""
    # PEP 552, unchecked: the zip's digest vouches for both, and nothing is hashed or compared at a cold start.
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source) + written

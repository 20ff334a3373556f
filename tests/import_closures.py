"""What a fresh interpreter loads for an import, held to the one list of modules that a cold start may pay for."""

import json
import subprocess
import sys
from pathlib import Path

_SOURCES = Path(__file__).parents[1] / "src"
# Top-level names of the standard library; http.client, json and urllib.parse load nearly all of them.
_ALLOWED = """
array base64 binascii bisect calendar codecs collections copyreg datetime email encodings enum errno
functools gc genericpath hashlib heapq hmac http io ipaddress itertools json keyword locale math operator os
posixpath quopri random re reprlib select selectors socket ssl stat string struct threading time types
urllib warnings weaudit zlib
"""
_SCRIPT = """
import sys
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
exec(sys.argv[2])
import json as shown
print(shown.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(statements: str, also: frozenset[str] = frozenset()) -> list[str]:
    """Return the modules that these import statements load; AssertionError where one is not on the list."""
    command = [sys.executable, "-I", "-S", "-c", _SCRIPT, str(_SOURCES), statements]
    loaded: list[str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    names = {name.partition(".")[0] for name in loaded if not name.startswith("_")}
    allowed = {*_ALLOWED.split(), *also}
    assert names <= allowed, f"a new import: {sorted(names - allowed)}"
    assert "urllib.request" not in loaded
    return loaded

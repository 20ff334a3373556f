"""A cold start pays for every module: what table_update loads is on this list."""

import json
import subprocess
import sys
from pathlib import Path

_SOURCES = Path(__file__).parents[2] / "src"
# Top-level names of the standard library; http.client alone loads nearly all of them.
_ALLOWED = """
array base64 binascii bisect calendar codecs collections copyreg datetime email encodings enum errno
functools genericpath hashlib hmac http io ipaddress itertools json keyword locale math operator os
posixpath quopri random re reprlib select selectors socket ssl stat string struct threading time types
urllib warnings weaudit zlib
"""
_SCRIPT = """
import sys
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
from weaudit.handlers import table_update
from weaudit.runtime import http
import json as shown
print(shown.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_the_function_loads_only_the_allowed_modules() -> None:
    command = [sys.executable, "-I", "-S", "-c", _SCRIPT, str(_SOURCES)]
    loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    names = {name.partition(".")[0] for name in loaded if not name.startswith("_")}
    assert names <= set(_ALLOWED.split()), f"a new import: {sorted(names - set(_ALLOWED.split()))}"
    assert "urllib.request" not in loaded

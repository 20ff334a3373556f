"""A cold start pays for every module: what importing the client loads is on this list."""

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
import weaudit.adapters.aws
import json as shown
print(shown.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_the_client_loads_only_the_allowed_modules() -> None:
    command = [sys.executable, "-I", "-S", "-c", _SCRIPT, str(_SOURCES)]
    loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    names = {name.partition(".")[0] for name in loaded if not name.startswith("_")}
    allowed = set(_ALLOWED.split())
    assert names <= allowed, f"a new import: {sorted(names - allowed)}"
    assert "urllib.request" not in loaded
    ours = {name for name in loaded if name.startswith("weaudit.")}
    assert ours == {
        "weaudit.errors",
        "weaudit.adapters",
        *(f"weaudit.adapters.{name}" for name in ("aws", "aws_errors", "connections", "credentials", "endpoints")),
        "weaudit.adapters.signing",
    }

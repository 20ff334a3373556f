"""How large is each function's zip, without the wheels beside it (image_processor has libvips)?"""

import tempfile
from pathlib import Path

from bench.reports import Report, load
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS


def run(quick: bool = False) -> Report:  # noqa: ARG001 there is nothing to repeat
    """Build every zip by the real packager and weigh it."""
    before = load()
    with tempfile.TemporaryDirectory() as folder:
        built = [packaging.build(function, Path(folder)) for function in FUNCTIONS]
    results = {artifact.function: {"kb": round(artifact.bytes / 1000, 1)} for artifact in built}
    return Report("package_size", "each function's zip, our own sources", {"wheels": "none"}, results, [], before)

"""MiniStack with corrections: `weaudit up` starts this module instead of MiniStack itself.

Gaps that can be worked around outside the engine are worked around there (`weaudit.local.restarting`,
`weaudit.deploy.engine_gaps`). This file corrects the rest: writes that never reach a table's stream, and wrong results.

Each correction names the version it is for and depends on private names of that version, so no other one is started.
To move to a new version, change `VERSION` here and the pin in pyproject.toml, then run
tests/local/test_ministack_corrected.py. It also starts the engine without corrections and fails for each fault that is
gone: remove that correction.
"""

import functools
import importlib.metadata
import os
from collections.abc import Callable
from typing import Any

VERSION = "1.5.33"
PROCESS_HEADER = "x-weaudit-process"
"""A ready response names the process that sent it in this header."""


def main() -> None:
    """Apply the corrections and run the engine until SIGTERM."""
    try:
        found = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit("the embedded engine is not installed: pip install 'weaudit[local]'") from None
    if found != VERSION:
        raise SystemExit(
            f"WeAudit's corrections are for MiniStack {VERSION}, and {found} is installed:"
            f" pip install ministack=={VERSION}"
        )
    from ministack import app

    _name_the_process(app)
    app.main()


def _in_place_of(module: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Replace `module.name` with the decorated function, which gets the original as its first argument."""
    original = getattr(module, name)

    def place(correction: Callable[..., Any]) -> None:
        setattr(module, name, functools.wraps(original)(functools.partial(correction, original)))

    return place


def _name_the_process(app: Any) -> None:
    """1.5.33: a ready response does not say which engine sent it.

    Where another engine has the port, that one answers while the new process is still on its way to exit.
    """

    @_in_place_of(app, "_handle_ready_request")
    def ready(original: Any, *request: Any) -> Any:
        answer = original(*request)
        if answer is not None:
            answer[1][PROCESS_HEADER] = str(os.getpid())
        return answer


if __name__ == "__main__":
    main()

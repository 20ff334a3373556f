"""One variant of batch_cost in a process of its own: a line in, one event handled, its cost out as a JSON line.

A process of its own, so that no variant pays for another's modules, and CPU time is that of the variant alone.
"""

import json
import os
import sys
import time

from bench.batch_handlers import HANDLERS
from bench.stream_events import modify_event


def main(variant: str, records: int, changed: int) -> None:
    """Handle one event for each line on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the function's own log
    handler = HANDLERS[variant]()
    # Lambda's runtime decodes the event for every handler alike: that is not measured.
    text = json.dumps(modify_event(records, changed))
    for _line in sys.stdin:
        event = json.loads(text)
        wall, cpu = time.perf_counter(), time.process_time()
        handler(event)
        cost = {"cpuMs": 1000 * (time.process_time() - cpu), "wallMs": 1000 * (time.perf_counter() - wall)}
        answers.write(json.dumps(cost) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

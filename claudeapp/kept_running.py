"""How does a process that must not stay away come back? `python -m claudeapp.kept_running COMMAND …` starts it anew.

For `make run` only; in earnest a service manager does this. RQ's worker and clock end when Redis is away for a while.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from types import FrameType

# Seconds between an end and the next start, so that a program that cannot start does not keep the machine busy.
PAUSE = 1.0


def main(command: list[str]) -> int:
    """Run `command` again and again until somebody asks this process to stop, and the command has."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        # Not passed on: the whole group is told, and a worker that is told twice drops its call.
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    status = 0
    while not stopping.is_set():
        status = subprocess.call(command)  # noqa: S603 - a line of our own Procfile
        if not stopping.is_set():
            sys.stdout.write(f"ended with status {status}; it is started again\n")
            sys.stdout.flush()
            stopping.wait(PAUSE)
    return max(0, status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

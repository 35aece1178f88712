"""How does a process that must not stay away come back? `python -m claudeapp.kept_running COMMAND …` starts it anew.

For `make run` only; in earnest a service manager does this. RQ's clock ends when Redis is away for a while, and
whatever ends by mistake is to come back.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

# Seconds between an end and the next start: twice as many each time, so that a program that cannot start does not keep
# the machine busy, until it ran for a while.
PAUSE, LONGEST_PAUSE, WHILE = 1.0, 30.0, 60.0


def main(command: list[str]) -> int:
    """Run `command` again and again until somebody asks this process to stop, and the command has."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        # Not passed on: the whole group is told, and a worker that is told twice drops its call.
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    status, pause = 0, PAUSE
    while not stopping.is_set():
        began = time.monotonic()
        status = subprocess.call(command)  # noqa: S603 - a line of our own Procfile
        if not stopping.is_set():
            pause = PAUSE if time.monotonic() - began > WHILE else pause
            # Where a program's own words go is not always looked at.
            sys.stderr.write(f"{_name_of(command)} ended with status {status}; it is started again in {pause:.0f} s\n")
            sys.stderr.flush()
            stopping.wait(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
    return max(0, status)


def _name_of(command: list[str]) -> str:
    """`manage.py simulator` and the like, without what it is run by."""
    words = [Path(word).name for word in command if not word.startswith("-")]
    return " ".join(words[1:3] if words[0].startswith("python") else words[:1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

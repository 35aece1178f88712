"""How is something done that nobody waits for, and that harms nobody where it fails?"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

_under_way: set[threading.Thread] = set()


def aside(work: Callable[[], object], about: str) -> None:
    """Do it in a thread of its own, which the end of the process waits for; what it raises is logged.

    It must not ask the database: its transaction is not the caller's.
    """

    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("%s: failed", about)
        finally:
            _under_way.discard(threading.current_thread())

    thread = threading.Thread(target=run, name=about)
    _under_way.add(thread)
    thread.start()


def wait(seconds: float) -> bool:
    """Wait for all that is under way, so long each at most; whether it is done."""
    for thread in list(_under_way):
        thread.join(seconds)
    return not _under_way

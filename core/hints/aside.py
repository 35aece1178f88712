"""How is something done that nobody waits for, and that harms nobody where it fails?"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from core.hints.per_process import PerProcess

log = logging.getLogger(__name__)


class _Aside:
    """A thread that does one after the other in the order in which they came, and is there while there are any."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        # Each with what the log calls it.
        self._waiting: deque[tuple[Callable[[], object], str]] = deque()
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], object], about: str) -> None:
        with self._changing:
            self._waiting.append((work, about))
            if self._thread is None:
                self._thread = threading.Thread(target=self._do_all, name="aside")
                self._thread.start()

    def _do_all(self) -> None:
        while True:
            with self._changing:
                if not self._waiting:
                    self._thread = None
                    return
                work, about = self._waiting.popleft()
            try:
                work()
            except Exception:
                log.exception("%s: failed", about)

    def wait(self, seconds: float) -> bool:
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return self._thread is None


_aside: PerProcess[_Aside] = PerProcess(_Aside)


def aside(work: Callable[[], object], about: str) -> None:
    """Do it in another thread, in its turn; what it raises is logged. The end of the process waits for it.

    It must not ask the database: its transaction is not the caller's.
    """
    _aside.get().do(work, about)


def wait(seconds: float) -> bool:
    """Wait for all that was put aside, so long at most; whether it is done."""
    return _aside.get().wait(seconds)

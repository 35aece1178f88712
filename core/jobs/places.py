"""Who runs the jobs of a worker? Threads that are kept: what one has made to reach the database serves its next job."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

Work = Callable[[], object]


class Places:
    """So many threads at most, begun when they are first needed. None of them keeps a process from ending."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._works: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._changing = threading.Lock()
        self._threads = 0
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many jobs run."""
        return self._taken

    @property
    def free(self) -> int:
        return self.most - self._taken

    def begin(self, work: Work) -> None:
        """Run this in a thread; more than `most` are begun as well, for they were taken from the queue already."""
        with self._changing:
            self._taken += 1
            another = self._taken > self._threads
            self._threads += another
        self._works.put(work)
        if another:
            threading.Thread(target=self._serve, name="place", daemon=True).start()

    def close(self) -> None:
        """No more will come: threads end that have nothing to do."""
        for _ in range(self._threads):
            self._works.put(None)

    def _serve(self) -> None:
        while (work := self._works.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("a job of this worker")
            finally:
                with self._changing:
                    self._taken -= 1

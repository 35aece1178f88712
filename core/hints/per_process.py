"""What has threads of its own, and is there once for each process?"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One of these for this process, made when it is first asked for.

    A forked child gets its own: threads do not come along.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}
        self._making = threading.Lock()

    def get(self) -> T:
        pid = os.getpid()
        found = self._made.get(pid)
        if found is None:
            with self._making:
                found = self._made.get(pid)
                if found is None:
                    found = self._made[pid] = self._make()
        return found

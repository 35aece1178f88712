"""What was read a moment ago, and need not be read again for each call?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """A value that is read anew when it is older than `seconds`; one thread reads, and the others go on with the old.

    What `read` raises is raised to whoever asks while there is no value at all; otherwise the old one stays.
    """

    def __init__(self, read: Callable[[], T], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._reading = threading.Lock()
        self._value: T | None = None
        self._until = 0.0

    def get(self) -> T:
        value = self._value
        if value is not None and time.monotonic() < self._until:
            return value
        return self._anew(value)

    def put(self, value: T) -> None:
        """What this process has just changed itself, until it is read anew."""
        self._value = value

    def forget(self) -> None:
        """Read at the next use."""
        self._value = None

    def _anew(self, old: T | None) -> T:
        if not self._reading.acquire(blocking=old is None):
            assert old is not None  # noqa: S101 - said for the type checker: without an old value it waits
            return old
        try:
            if self._value is None or time.monotonic() >= self._until:
                self._value = self._read()
                self._until = time.monotonic() + self._seconds
            return self._value
        finally:
            self._reading.release()

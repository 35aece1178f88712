"""Which queues are paused, so that no worker takes anything from them?"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from django.conf import settings
from django.db import Error, connection

from core.models import PausedQueue, User

log = logging.getLogger(__name__)

# Seconds between two looks of a worker.
LOOK_EVERY = 1.0


def queue_names() -> list[str]:
    return list(settings.RQ_QUEUES)


def pause(name: str, *, by: User, note: str = "") -> bool:
    """Let no worker take anything from a queue any more; False where it was paused already."""
    return PausedQueue.objects.get_or_create(pk=name, defaults={"by": by, "note": note})[1]


def resume(name: str) -> bool:
    """Let workers take from it again; False where it was not paused."""
    return bool(PausedQueue.objects.filter(pk=name).delete()[0])


def is_paused(name: str) -> bool:
    return PausedQueue.objects.filter(pk=name).exists()


class Pauses:
    """What a worker knows of pauses: read once a second. A database that is away changes nothing that is known."""

    def __init__(self) -> None:
        self._paused: Collection[str] | None = None
        self._looked_at = 0.0

    def open(self, names: Collection[str]) -> set[str]:
        """Those of these queues that are not paused; none while nobody could ask yet."""
        if self._paused is None or time.monotonic() - self._looked_at >= LOOK_EVERY:
            self._look()
        return set() if self._paused is None else set(names).difference(self._paused)

    def _look(self) -> None:
        try:
            self._paused = set(PausedQueue.objects.values_list("pk", flat=True))
        except Error as error:
            log.warning("the worker cannot ask which queues are paused: %s", error)
        finally:
            self._looked_at = time.monotonic()
            if not connection.in_atomic_block:
                connection.close()

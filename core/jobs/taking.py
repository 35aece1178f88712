"""Which jobs does a worker take next: people's before all others, and of those no more than leave room for people?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import redis
from rq.queue import Queue
from rq.suspension import is_suspended
from rq.utils import as_text

from core.jobs.pausing import Pauses
from core.jobs.places import Places

# Seconds that a pop blocks while bulk has all its places; and between two looks whether somebody stopped all workers.
SHORT_POP = 0.05
LOOK_EVERY = 1.0

# A job's queue, and its name.
Taken = tuple[Queue, str]


class Taking:
    """From these queues, of which the first is people's. All of it raises RedisError while Redis is away."""

    def __init__(self, connection: redis.Redis, queues: Sequence[Queue], places: Places) -> None:
        self._connection = connection
        self._queues = queues
        self._places = places
        self._looked_at = 0.0
        self._pauses = Pauses()

    def take(self, taken: list[Taken], room: int, timeout: int | None) -> None:
        """Add to `taken` as many jobs as there is room for; where there are none, the first one within `timeout` s.

        What it has by an error is in no queue any more.
        """
        if self._suspended():
            time.sleep(LOOK_EVERY)
            return
        self._pop(taken, room)
        if not taken and timeout is not None:
            taken += self._wait_for_one(timeout)

    def _pop(self, taken: list[Taken], room: int) -> None:
        """From the first queue into all free places, from the others into those that are not kept for people."""
        for queue in self._going_on():
            most = room - len(taken) - (self._kept_for_people() if queue is not self._queues[0] else 0)
            popped: Any = self._connection.lpop(queue.key, most) if most > 0 else None
            taken += [(queue, _name_of(job_id)) for job_id in popped or ()]

    def _wait_for_one(self, timeout: int) -> list[Taken]:
        open_queues = {queue.key: queue for queue in self._open_queues()}
        if not open_queues:
            time.sleep(timeout)
            return []
        # Places that bulk may have can become free meanwhile.
        patience = SHORT_POP if self._scarce() else timeout
        popped: Any = self._connection.blpop(list(open_queues), patience)
        return [(open_queues[as_text(popped[0])], _name_of(popped[1]))] if popped else []

    def _kept_for_people(self) -> int:
        """The last eighth of the places, so that bulk does not keep people waiting."""
        return self._places.most // 8

    def _scarce(self) -> bool:
        return self._places.free <= self._kept_for_people()

    def _open_queues(self) -> list[Queue]:
        scarce = self._scarce()
        return [queue for queue in self._going_on() if queue is self._queues[0] or not scarce]

    def _going_on(self) -> list[Queue]:
        """Those that nobody has paused."""
        names = self._pauses.open([queue.name for queue in self._queues])
        return [queue for queue in self._queues if queue.name in names]

    def _suspended(self) -> bool:
        """Whether somebody stopped all workers; looked at once a second."""
        if time.monotonic() - self._looked_at < LOOK_EVERY:
            return False
        suspended = bool(is_suspended(self._connection))
        if not suspended:
            self._looked_at = time.monotonic()
        return suspended


def _name_of(job_id: bytes) -> str:
    """Whatever somebody has put there: a name of no job is passed over like that of one that is gone."""
    return job_id.decode(errors="replace")

"""The job of a worker: one call."""

from __future__ import annotations

import logging
import time
import uuid

from django.db import connection

from core.execution.run import run_call
from core.live.channel import Publisher
from core.models.away import AWAY

log = logging.getLogger(__name__)

# Seconds between two tries while the database is away.
PAUSE = 0.5


def run(call_id: str) -> str:
    """Run one call; answers its new status, empty where it was not to be run.

    While the database is away it waits: a worker whose places all wait takes nothing more from the queue. What was
    claimed already when it went is given back and claimed again; what may have been sent is left to the sweeper.
    """
    identifier = uuid.UUID(call_id)
    while True:
        try:
            return run_call(identifier, Publisher(identifier)).status
        except AWAY as error:
            if connection.in_atomic_block:
                raise
            log.warning("call %s waits for the database: %s", call_id, error)
        connection.close()
        time.sleep(PAUSE)

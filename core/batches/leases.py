"""For how long has one process a part of a batch in hand, and when does the next one look?"""

from __future__ import annotations

import datetime as dt
import logging

from core.models import BatchPart

log = logging.getLogger(__name__)

# Renewed with each chunk of rows.
LEASE = dt.timedelta(minutes=5)
# Waits after something that passes: doubled from the first to the longest.
FIRST_WAIT = dt.timedelta(seconds=10)
LONGEST_WAIT = dt.timedelta(minutes=10)


def wait_after(tries: int, retry_after: float | None = None) -> dt.timedelta:
    """How long to wait after so many tries: as the API asks, or twice as long each time."""
    if retry_after is not None:
        return dt.timedelta(seconds=retry_after)
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(max(tries, 1) - 1, 10))


def asks(part: BatchPart, problem: str) -> None:
    """Nothing more is done about a part until a person has decided."""
    log.error("part %s of batch %s waits for a decision: %s", part.number, part.batch.public_id, problem)
    part.change(state=BatchPart.State.ASKS, problem=problem[:500])
    part.let_go()

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
    """How long to wait after so many tries: twice as long each time, and never less than the API asks.

    Were it no more than that, a limit of tries that is to last for a day would be over in an hour.
    """
    doubled = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(max(tries, 1) - 1, 10))
    return max(doubled, dt.timedelta(seconds=retry_after or 0.0))


def asks(part: BatchPart, problem: str) -> None:
    """Nothing more is done about a part until a person has decided."""
    log.error("part %s of batch %s waits for a decision: %s", part.number, part.batch.public_id, problem)
    part.change(state=BatchPart.State.ASKS, problem=problem[:500])
    part.let_go()

"""How does one call run? The one function behind every door."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator
from functools import partial

from django.db import connection

from core.claude.requests import Sending
from core.costs.ledger import settle
from core.execution.claiming import claim
from core.execution.files import with_files
from core.execution.lease import kept, lease_time
from core.execution.outcomes import Outcome
from core.execution.refusals import no_room
from core.execution.running import Run
from core.execution.settling import error_of, patiently
from core.execution.watching import NobodyWatches, Watch
from core.hints.logs import about, call_id
from core.models import Call
from core.models.away import AWAY

__all__ = ["Outcome", "not_begun", "run_call"]

log = logging.getLogger(__name__)


def run_call(call: uuid.UUID | Call, watch: Watch | None = None, sending: Sending | None = None) -> Outcome:
    """Claim, send and settle one call; answers at once where it is somebody else's or has ended.

    A call that was stored as claimed (`claimed_here`) is run as it is. `sending` is the request as a program sent it;
    without it the call's own is sent, with the files that it names, streamed but on the sync lane.
    """
    mine = _claimed(call)
    if mine is None:
        return Outcome()
    sending = sending or Sending(with_files(mine.request), streamed=mine.lane != Call.Lane.SYNC)
    with about(call_id, str(mine.pk)):
        with kept(mine), _given_back_unsent(mine):
            outcome = Run(mine, watch or NobodyWatches(), sending).to_its_end()
        log.info("call %s, attempt %s: %s", mine.pk, mine.attempt, outcome.status or "taken over by another process")
    return outcome


def not_begun(call: Call) -> Outcome:
    """End a call that was stored as claimed, and for which this process has no thread: nothing of it was sent."""
    error = no_room()
    end = partial(call.fail, Call.Status.FAILED, error_of(error))
    patiently(partial(settle, call, None, end))
    return Outcome(call.status, error=error, headers=error.headers)


@contextlib.contextmanager
def _given_back_unsent(call: Call) -> Iterator[None]:
    """Where the database went between a claim and sending, nobody has to wait for the lease, and it was no try."""
    try:
        yield
    except AWAY:
        if call.lane == Call.Lane.QUEUE and not connection.in_atomic_block and patiently(call.hand_back):
            log.warning("call %s is given back, for the database was away before it was sent", call.pk)
        raise


def _claimed(call: uuid.UUID | Call) -> Call | None:
    if isinstance(call, Call) and call.claimed_here:
        # Once: whoever starts it a second time has to ask the database.
        call.claimed_here = False
        # Storing it may have waited for a lock, and a sweeper may have taken it since.
        return call if not call.may_have_lapsed(lease_time()) or call.renew_here(lease_time()) else None
    return claim(call.pk if isinstance(call, Call) else call)

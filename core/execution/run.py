"""How does one call run? The one function behind every door."""

from __future__ import annotations

import logging
import uuid

from core.claude.requests import Sending
from core.execution.lease import kept, lease_time
from core.execution.outcomes import Outcome
from core.execution.running import Run
from core.execution.watching import NobodyWatches, Watch
from core.models import Call

__all__ = ["Outcome", "run_call", "run_claimed"]

log = logging.getLogger(__name__)


def run_call(call_id: uuid.UUID, watch: Watch | None = None, sending: Sending | None = None) -> Outcome:
    """Claim, send and settle one call; answers at once where it is somebody else's or has ended.

    `sending` is the request as a program sent it; without it the call's own is sent, streamed but on the sync lane.
    """
    call = Call.objects.select_related("version", "key", "prompt").claim(call_id, lease_time())
    return Outcome() if call is None else run_claimed(call, watch, sending)


def run_claimed(call: Call, watch: Watch | None = None, sending: Sending | None = None) -> Outcome:
    """The same for a call that this process has claimed, or has stored as claimed (`Call.claimed`)."""
    sending = sending or Sending(call.request, streamed=call.lane != Call.Lane.SYNC)
    with kept(call):
        outcome = Run(call, watch or NobodyWatches(), sending).to_its_end()
    log.info("call %s, attempt %s: %s", call.pk, call.attempt, outcome.status or "taken over by another process")
    return outcome

"""What has to be done about the batches now? Run by a worker, as often and as many at once as one likes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from django.utils import timezone

from core.batches.collect import collect, look
from core.batches.find import find
from core.batches.gathering import gather
from core.batches.leases import LEASE, asks, wait_after
from core.batches.live import tend_live
from core.batches.send import send
from core.batches.start import forget_abandoned
from core.models import BatchPart

log = logging.getLogger(__name__)

State = BatchPart.State
# Seconds after which no further part is taken in hand; the clock will start the next round.
LONG_ENOUGH = 600.0
AT_ONCE = 20
# Faults of our own in one step of a part, after which a person has to look; they take about three hours.
MOST_FAILURES = 25


def tend() -> int:
    """Gather, send, look for, look at and collect whatever is due; answers how many parts that were."""
    until = time.monotonic() + LONG_ENOUGH
    forget_abandoned()
    gather()
    count = _tend_parts(until)
    tend_live()
    return count


def _tend_parts(until: float) -> int:
    count = 0
    while time.monotonic() < until and (part := _next()) is not None:
        advance(part)
        count += 1
    return count


def _next() -> BatchPart | None:
    """A due part that nobody else has in hand, the longest due first."""
    for pk in BatchPart.objects.due(timezone.now()).order_by("next_at").values_list("pk", flat=True)[:AT_ONCE]:
        part = BatchPart.objects.claim(pk, LEASE)
        if part is not None:
            return part
    return None


def advance(part: BatchPart) -> None:
    """One step of a part that this process has in hand; whatever goes wrong with it harms no other."""
    try:
        _STEPS[part.state](part)
    except Exception as error:
        log.exception("part %s of batch %s", part.number, part.batch.public_id)
        if part.tries + 1 >= MOST_FAILURES:
            asks(part, f"Something went wrong here {MOST_FAILURES} times, and was logged: {type(error).__name__}.")
            return
        part.change(tries=part.tries + 1)
        part.let_go(wait_after(part.tries))


_STEPS: Mapping[str, Callable[[BatchPart], None]] = {
    State.UNSENT: send,
    # Its sender is gone: the lease has run out.
    State.SENDING: lambda part: find(part, timezone.now()),
    State.UNSURE: lambda part: find(part, timezone.now()),
    State.SENT: lambda part: look(part, timezone.now()),
    State.READY: collect,
}

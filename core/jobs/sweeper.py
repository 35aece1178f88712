"""Which calls did nobody pick up, and whose process is gone? The database knows; Redis holds hints."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass

from django.utils import timezone
from redis.exceptions import RedisError

from core.costs import budgets
from core.execution.recovery import recover
from core.jobs.dispatch import dispatch, in_queue, job_id_of
from core.models import Call

log = logging.getLogger(__name__)

# A call that was put into the queue this long ago and is neither there nor running was lost on the way.
GRACE = dt.timedelta(seconds=5)
MOST_AT_ONCE = 1000


@dataclass(frozen=True)
class Swept:
    """How many calls were taken from lost processes, and how many were put into the queue again."""

    recovered: int = 0
    dispatched: int = 0


def sweep() -> Swept:
    """One round. Safe to run anywhere, any number of times at once."""
    swept = Swept(recovered=_recover_lost(), dispatched=_dispatch_forgotten())
    released = budgets.release_finished()
    if released:
        log.warning("gave back what %s finished calls still held of their budgets", released)
    return swept


def _recover_lost() -> int:
    lost = Call.objects.lost(timezone.now()).select_related("version")[:MOST_AT_ONCE]
    recovered = [call for call in lost if recover(call)]
    for call in recovered:
        log.warning("call %s lost its worker at attempt %s; now %s", call.pk, call.attempt, call.status)
    return len(recovered)


def _dispatch_forgotten() -> int:
    now = timezone.now()
    # What waits for its time was «put into the queue» for that time, so it is due at once.
    due = Call.objects.runnable(now).filter(lane=Call.Lane.QUEUE)
    candidates = [*due.filter(status=Call.Status.WAITING).order_by("not_before")[:MOST_AT_ONCE], *_unstarted(now)]
    if not candidates:
        return 0
    try:
        held = in_queue()
    except RedisError as error:
        log.warning("the sweeper waits for Redis: %s", error)
        return 0
    missing = [call for call in candidates if job_id_of(call.pk) not in held]
    return sum(dispatch(call.pk) and call.mark_dispatched() for call in missing)


def _unstarted(now: dt.datetime) -> list[Call]:
    """Those that waited longest first, so that no backlog keeps the same ones waiting."""
    forgotten = Call.objects.forgotten(now, GRACE).filter(status=Call.Status.QUEUED)
    return list(forgotten.order_by("dispatched_at")[:MOST_AT_ONCE])

"""Which calls did nobody pick up, and whose process is gone? The database knows; Redis holds hints.

Every worker sweeps in a thread of its own, and nobody is elected: each step is a conditional UPDATE that only one of
them gets through. At rest it costs one indexed query a second.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.conf import settings
from django.db import Error, connection
from django.utils import timezone
from redis.exceptions import RedisError

from core.costs import budgets
from core.execution.lease import lease_time
from core.execution.recovery import recover
from core.execution.settling import let_go_of_the_database
from core.jobs.dispatch import dispatch_again, in_queue, job_id_of
from core.models import Call, IdempotencyToken, clock
from core.models.away import AWAY
from core.models.calls import CallQuerySet

log = logging.getLogger(__name__)

# A call that was put into the queue this long ago and is neither there nor running was lost on the way.
GRACE = dt.timedelta(seconds=5)
# A call that is answered at once is begun in the moment it is stored, or its process was gone before.
ABANDONED = dt.timedelta(minutes=5)
MOST_AT_ONCE = 1000
# Of a call's row; its texts may be long.
ENOUGH = ("pk", "status", "door", "dispatched_at", "queued_since")
# Seconds between two looks: for what is due, for what the queue forgot, for what budgets still hold.
DUE, FORGOTTEN, HELD = 1.0, 4.0, 30.0


@dataclass(frozen=True)
class Swept:
    """How many calls were taken from lost processes, and how many were put into the queue again."""

    recovered: int = 0
    dispatched: int = 0


def sweep_from_outside() -> Swept:
    """One round of everything by whoever did not watch before. Safe to run anywhere, any number of times at once.

    After an outage, or where the clock jumped, the leases of those who live look old too: they get the time to renew.
    """
    if Call.objects.lost().exists():
        let_go_of_the_database()
        time.sleep(time_to_renew())
    return sweep()


def sweep() -> Swept:
    """One round of everything, by whoever knows that a lease that ran out is one of a process that is gone."""
    swept = Swept(recovered=recover_lost(), dispatched=start_due() + dispatch_all(forgotten()))
    release_held()
    return swept


def recover_lost() -> int:
    """Take the calls of lost processes; those that may run again are put into the queue."""
    lost = Call.objects.lost().select_related("version")[:MOST_AT_ONCE]
    recovered = [call for call in lost if _recovered(call)]
    for call in recovered:
        log.warning("call %s lost its worker at attempt %s; now %s", call.pk, call.attempt, call.status)
        if call.status == Call.Status.QUEUED and call.lane == Call.Lane.QUEUE:
            dispatch_again(call, at_front=True)
    return len(recovered)


def _recovered(call: Call) -> bool:
    try:
        return bool(recover(call))
    except AWAY:
        raise
    except Exception:
        # Whatever is wrong with it, the others are not to wait for it.
        log.exception("call %s cannot be taken from its lost worker", call.pk)
        return False


def start_due() -> int:
    """Put what has waited long enough into the queue."""
    due = Call.objects.waiting(until=timezone.now()).only(*ENOUGH)[:MOST_AT_ONCE]
    return sum(call.end_waiting() and dispatch_again(call, at_front=True) for call in due)


def forgotten() -> list[uuid.UUID]:
    """Calls that are to be in the queue and are not there; those that waited longest first.

    What a worker has taken from it, and not claimed yet, is among them.
    """
    if not _perhaps_forgotten().exists():
        return []
    try:
        # Before the database is asked: what a worker takes from the queue meanwhile would look forgotten.
        held = in_queue()
    except RedisError as error:
        log.warning("the sweeper waits for Redis: %s", error)
        return []
    return [call_id for call_id in _waiting_longest() if job_id_of(call_id) not in held]


def dispatch_all(call_ids: Collection[uuid.UUID]) -> int:
    """Put these into the queue again; answers how many that were."""
    calls = Call.objects.filter(pk__in=call_ids).order_by("dispatched_at").only(*ENOUGH) if call_ids else ()
    return sum(call.mark_dispatched() and dispatch_again(call) for call in calls)


def _perhaps_forgotten() -> CallQuerySet:
    return Call.objects.forgotten(timezone.now(), GRACE)


def _waiting_longest() -> list[uuid.UUID]:
    """Those that wait longest; of each queue, where they are many, so that one that is paused hides no other."""
    forgotten = _perhaps_forgotten().order_by("dispatched_at")
    oldest = list(forgotten.values_list("pk", flat=True)[:MOST_AT_ONCE])
    if len(oldest) < MOST_AT_ONCE:
        return oldest
    by_queue = (forgotten.of_bulk(bulk=bulk).values_list("pk", flat=True)[:MOST_AT_ONCE] for bulk in (False, True))
    return [call_id for found in by_queue for call_id in found]


def release_held() -> None:
    """Give back what nobody will use: what finished calls hold, and calls whose program's server stopped at once."""
    span = lease_time()
    if shortened := Call.objects.leased_too_long(span).renew(span):
        log.warning("the clock was put back; %s calls were leased for longer than anybody leases", shortened)
    if brought := Call.objects.bring_forward(timezone.now()):
        log.warning("the clock was put back; %s calls would have waited for as much longer", brought)
    for call in Call.objects.abandoned(timezone.now() - ABANDONED).only(*ENOUGH)[:MOST_AT_ONCE]:
        if budgets.cancel(call):
            log.warning("call %s was stored and never begun; its process is gone", call.pk)
    IdempotencyToken.objects.filter(created_at__lt=timezone.now() - IdempotencyToken.REMEMBERED).delete()
    released = budgets.release_finished()
    if released:
        log.warning("gave back what %s finished calls still held of their budgets", released)


class Steady:
    """Does the clock that leases are told by go evenly? One that jumped makes every lease look old.

    `read` answers seconds since 1970. The processes that live renew their leases within a third of one.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._ahead: float | None = None
        self._trusted_from = 0.0

    def look(self) -> bool:
        """Whether a lease that ran out says by now that its process is gone."""
        ahead = self._read() - time.monotonic()
        before, self._ahead = self._ahead, ahead
        if before is not None and abs(ahead - before) > settings.CALL_LEASE / 3:
            log.warning("the clock jumped by %.0f seconds; nobody is taken for lost for a while", ahead - before)
            self.doubt()
        return time.monotonic() >= self._trusted_from

    def doubt(self) -> None:
        """Nobody could renew a lease just now."""
        self._trusted_from = time.monotonic() + time_to_renew()


def time_to_renew() -> float:
    """Seconds in which everybody who lives renews each lease: it is done three times in one."""
    return float(settings.CALL_LEASE) / 2


class Sweeper(threading.Thread):
    """Sweeps until `over` is set, each step in time: what waits starts when it is due, not at the next look."""

    def __init__(self, over: threading.Event, read_clock: Callable[[], float] = clock.read) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._over = over
        # Workers that started together need not look together.
        self._forgotten_at = time.monotonic() + random.uniform(0, FORGOTTEN)
        self._missing: frozenset[uuid.UUID] = frozenset()
        # At once: what is compared with later has to be known.
        self._held_at = 0.0
        self._steady = Steady(read_clock)
        self._latest = timezone.now()

    def run(self) -> None:
        # It begins at the end of an outage, perhaps.
        self._steady.doubt()
        while not self._over.is_set():
            began = time.monotonic()
            try:
                self.round(began)
            except Error as error:
                self._steady.doubt()
                log.warning("the sweeper waits for the database: %s", error)
            except Exception:
                log.exception("the sweeper's round")
            finally:
                connection.close()
            self._over.wait(max(0.05, began + DUE - time.monotonic()))

    def round(self, began: float) -> None:
        """What is to be done `began`, by the steady clock of this process. At rest it is one query."""
        now = timezone.now()
        if now < self._latest - GRACE:
            # This machine's clock was put back; what it means is looked for at once.
            self._held_at = began
        self._latest = now
        until = now + dt.timedelta(seconds=DUE)
        found = list(Call.objects.to_sweep(until).only(*ENOUGH)[:MOST_AT_ONCE])
        waiting = [call for call in found if call.status == Call.Status.WAITING]
        if began >= self._held_at:
            self._held_at = began + HELD * random.uniform(0.8, 1.2)
            self._steady.look()
            release_held()
        if len(waiting) < len(found) and self._steady.look():
            recover_lost()
        if began >= self._forgotten_at:
            self._forgotten_at = began + FORGOTTEN
            self._look_for_forgotten()
        for call in sorted(waiting, key=lambda call: call.dispatched_at):
            if not self._start_in_time(call):
                return

    def _look_for_forgotten(self) -> None:
        """What was not there at two looks is forgotten; a busy worker may hold at one what it is about to claim."""
        missing = forgotten()
        dispatch_all([call_id for call_id in missing if call_id in self._missing])
        self._missing = frozenset(missing)

    def _start_in_time(self, call: Call) -> bool:
        """Start a call when it is due; False where the worker stops meanwhile or Redis is away."""
        early = (call.dispatched_at - timezone.now()).total_seconds()
        if early > 2 * DUE:
            # The clock was put back since it was found; the next round sees what that means.
            return False
        if early > 0:
            connection.close()
            if self._over.wait(early):
                return False
        return not call.end_waiting() or dispatch_again(call, at_front=True)

"""How is a program's new call stored with what it reserves, several of a process in one transaction?"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from core.costs import statements
from core.costs.bulk import Room, worst_of
from core.costs.estimate import speed_of
from core.costs.statements import scope_of
from core.execution.fallbacks import chain_of, with_fallbacks
from core.execution.lease import lease_time
from core.hints.together import APART, Apart
from core.intake.again import Again
from core.jobs.dispatch import dispatch
from core.models import Call, direct
from core.models.away import AWAY
from core.models.grouped import Grouped, transaction_of
from core.models.round_trip import run_all
from core.routing.choose import Plan
from core.routing.reserving import reserve

log = logging.getLogger(__name__)

# Calls in one transaction: a shared budget waits for it.
MOST = 32


class UnreadableRequestError(ValueError):
    """A Messages request of which not even its cost can be said."""


@dataclass(frozen=True)
class New:
    """A call to be stored. Its own request may be shortened, so `body` is what its worst case is that of."""

    call: Call
    body: Mapping[str, Any]
    planned: Plan
    again: Again | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """All that may come to answer."""
        return with_fallbacks(self.planned, chain_of(self.call.key, self.call.prompt))

    @property
    def usual(self) -> bool:
        """Whether all that it may need is one answer by a model that is known by now."""
        return self.again is None and not self.planned.classifiers

    def begin(self) -> None:
        """It may have waited in line: one that is run here begins when it is stored."""
        if self.call.claimed_here:
            self.call.begin_now(lease_time())

    @property
    def ahead(self) -> Mapping[str, dt.timedelta]:
        """A lease is given by the database's clock, by which all others judge it."""
        return {"lease_until": lease_time()} if self.call.claimed_here else {}


def store(new: New) -> None:
    """Store it with what it reserves of its budgets, or nothing; one for the queue goes there then.

    Raises `OverBudgetError` and `UnreadableRequestError`.
    """
    try:
        _grouped.do(new) if new.usual else _alone(new)
    except (IntegrityError, *AWAY):
        # Where the answer to a commit was lost, it is there all the same: nobody else has its key.
        if connection.in_atomic_block or not Call.objects.filter(pk=new.call.pk).exists():
            raise
        direct.inserted(new.call)
    _put_into_the_queue(new.call)


def _one(new: New) -> None:
    if isinstance(store_all([new])[0], Apart):
        _alone(new)


def _alone(new: New) -> None:
    new.begin()
    with transaction.atomic():
        direct.insert(new.call, new.ahead)
        if new.again:
            # Before the windows are: it locks the call that it is another try of.
            new.again.note(new.call)
        _reserve(new)


def store_all(group: Sequence[New]) -> list[Apart | None]:
    """Store them all, or none: then all are `APART`."""
    room = _room_for(group)
    if room.unclear:
        return [APART] * len(group)
    for new in group:
        new.begin()
    with transaction_of(len(group)):
        insertions = [direct.insertion(new.call, new.ahead) for new in group]
        done = run_all([*insertions, *room.steps()])
        if not room.fits(done[len(group) :]):
            transaction.set_rollback(True)
            return [APART] * len(group)
    for new in group:
        direct.inserted(new.call)
    return [None] * len(group)


def _room_for(group: Sequence[New]) -> Room:
    """What they reserve, by prices and budgets that are read in one round trip."""
    today = timezone.localdate()
    scopes = list(dict.fromkeys(scope_of(new.call) for new in group))
    priced = list(dict.fromkeys((model, speed_of(new.body)) for new in group for model in new.models))
    done = run_all(
        [
            *(statements.asking_applying(scope, today) for scope in scopes),
            *(statements.asking_prices(*which) for which in priced),
        ]
    )
    applying = {scope: statements.applying_in(one) for scope, one in zip(scopes, done, strict=False)}
    prices = {which: statements.prices_in(one) for which, one in zip(priced, done[len(scopes) :], strict=True)}
    with _readable():
        worst = [(new.call, worst_of(new.models, new.body, lambda *which: prices[which], batch=False)) for new in group]
    return Room(worst, [applying[scope_of(new.call)] for new in group])


def _reserve(new: New) -> None:
    """The worst case is that of the whole request, and not of what is kept of it."""
    call = new.call
    kept, call.request = call.request, dict(new.body)
    try:
        with _readable():
            reserve(call, new.planned, new.models)
    finally:
        call.request = kept


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        log.warning("a request whose cost has no bound: %s", type(error).__name__, exc_info=True)
        raise UnreadableRequestError("messages: this request is not in the shape of the Messages API") from error


def _put_into_the_queue(call: Call) -> None:
    """In the thread of whoever asks: where Redis does not answer, nobody else is to wait for it."""
    if call.lane == Call.Lane.QUEUE and call.status == Call.Status.QUEUED:
        transaction.on_commit(partial(dispatch, call.pk))


_grouped: Grouped[New, None] = Grouped(_one, store_all, MOST)

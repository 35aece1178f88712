"""How is a program's new call stored with what it reserves, several of a process in one transaction?"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection, transaction

from core.costs.bulk import remembered_prices, reserve_calls, worst_of
from core.execution.fallbacks import chain_of, with_fallbacks
from core.hints.per_process import PerProcess
from core.hints.together import APART, Together
from core.intake.again import Again
from core.jobs.dispatch import dispatch
from core.models import Call, direct
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


def store(new: New) -> None:
    """Store it with what it reserves of its budgets, or nothing; one for the queue goes there then.

    Raises `OverBudgetError` and `UnreadableRequestError`.
    """
    if new.usual and not connection.in_atomic_block:
        _together.get().do(new)
    else:
        _alone(new)


def _alone(new: New) -> None:
    with transaction.atomic():
        direct.insert(new.call)
        _reserve(new)
        if new.again:
            new.again.note(new.call)
        _put_into_the_queue(new.call)


def store_all(group: Sequence[New]) -> list[Any]:
    """Store them all; those that cannot be with the others are `APART`."""
    prices = remembered_prices()
    worst = [(new.call, worst_of(new.models, new.body, prices, batch=False)) for new in group]
    with transaction.atomic():
        direct.insert_all([new.call for new in group])
        if not reserve_calls(worst):
            transaction.set_rollback(True)
            return [APART] * len(group)
        for new in group:
            _put_into_the_queue(new.call)
    return [None] * len(group)


def _reserve(new: New) -> None:
    """The worst case is that of the whole request, and not of what is kept of it."""
    call = new.call
    kept, call.request = call.request, dict(new.body)
    try:
        reserve(call, new.planned, new.models)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        log.warning("a request whose cost has no bound: %s", type(error).__name__, exc_info=True)
        raise UnreadableRequestError("messages: this request is not in the shape of the Messages API") from error
    finally:
        call.request = kept


def _put_into_the_queue(call: Call) -> None:
    if call.lane == Call.Lane.QUEUE and call.status == Call.Status.QUEUED:
        transaction.on_commit(partial(dispatch, call.pk))


_together: PerProcess[Together[New, None]] = PerProcess(partial(Together, _alone, store_all, MOST, direct.let_go))

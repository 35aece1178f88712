"""What becomes of a running call whose process is gone?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django.db import Error, transaction

from core.costs import budgets
from core.costs.ledger import Exchange, book
from core.execution.lease import held_here
from core.execution.patience import may_be_recovered
from core.models import Call, CostRecord, FailedAttempt

log = logging.getLogger(__name__)

LOST = "worker_lost"
# What changes while a process runs a call.
_NEEDED = ["status", "lane", "attempt", "model", "sent_at", "classifying", "lease_token", "lease_until"]


def recover(call: Call) -> str:
    """Queue a lost call again or give it up; answers its new status, empty where its process came back in time.

    A request that had been sent may be billed although its answer is gone, so its unknown cost is booked; so may the
    question to a classifier.
    """
    with transaction.atomic():
        # As it is now: since it was found, its process may have sent it, or have come back.
        if not _locked(call):
            return ""
        sent, asking = call.sent_at is not None, bool(call.classifying)
        again = may_be_recovered(call, billed=sent) and (not (sent or asking) or budgets.hold_another(call))
        end = call.give_back if again else partial(call.give_up, lost_error())
        # Booked only if the call really was ours to take: otherwise its process will book what it knows.
        if not end():
            return ""
        if sent:
            _note(call, "tried again" if again else "given up")
            book(call, Exchange(model=call.model))
        if asking:
            book(call, Exchange(model=call.classifying, purpose=CostRecord.Purpose.CLASSIFICATION))
        budgets.settle(call.pk)
    return call.status


def _locked(call: Call) -> bool:
    """Whether it is lost still; then the object says what its row does, which nobody else changes by now."""
    try:
        call.refresh_from_db(fields=_NEEDED, from_queryset=Call.objects.lost().select_for_update(no_key=True))
    except Call.DoesNotExist:
        return False
    return True


def hand_back() -> list[Call]:
    """Give up what runs in this process, which is about to end; answers the calls that are queued again.

    What was not sent yet is as if nobody had taken it; for the rest the rules are those of a lost process.
    """
    held = held_here()
    queued = []
    for call in _still_ours(held):
        try:
            if call.hand_back() or (call.abandon() and recover(call) == Call.Status.QUEUED):
                queued.append(call)
        except Error as error:
            # Its lease runs out, and another process takes it then.
            log.warning("call %s could not be handed back: %s", call.pk, error)
    if held:
        log.warning("handed back %s of %s calls", len(queued), len(held))
    return [call for call in queued if call.lane == Call.Lane.QUEUE]


def _still_ours(held: Mapping[UUID, str]) -> list[Call]:
    try:
        return list(Call.objects.held(held).select_related("version"))
    except Error as error:
        log.warning("nothing can be handed back: %s", error)
        return []


def lost_error() -> dict[str, Any]:
    """What a call says whose process was gone before the answer was saved."""
    return {
        "error_type": LOST,
        "error_status": None,
        "error_message": "The worker stopped before the answer was saved.",
    }


def _note(call: Call, then: str) -> None:
    told = {"model": call.model, "at": call.sent_at, "then": then, **lost_error()}
    FailedAttempt.objects.get_or_create(call=call, number=call.attempt, defaults=told)

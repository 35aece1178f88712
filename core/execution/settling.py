"""How do a try and its end get into the database, also when the database is away for a while?"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db import connection

from core.claude.errors import ClaudeError
from core.claude.replies import Reply, storable
from core.costs import answered
from core.costs.answered import Answered
from core.costs.ledger import Exchange, settle
from core.execution.trying import Tried
from core.models import Call, FailedAttempt
from core.models.away import AWAY

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds that a settlement waits for a database that is away, and between two tries: fewer than the sweeper's.
SETTLE_PATIENCE = 600.0
SETTLE_PAUSE = 0.5


def patiently(settlement: Callable[[], T]) -> T:
    """`settlement`, tried again while the database is away: an answer that was paid for is not thrown away for that.

    It changes nothing the second time, so it does not matter whether a try that broke had been committed.
    """
    deadline = time.monotonic() + SETTLE_PATIENCE
    while True:
        try:
            return settlement()
        except AWAY:
            if connection.in_atomic_block or time.monotonic() > deadline:
                raise
            log.warning("an answer waits for the database", exc_info=True)
        connection.close()
        time.sleep(SETTLE_PAUSE)


def settle_reply(call: Call, reply: Reply, **more: Any) -> bool:
    """End the call with Claude's answer, and book it; `more` are further fields of the call."""
    return answered.settle(Answered(call, exchange_of(call, reply), {**answer_of(call, reply), **more}))


def settle_failure(call: Call, tried: Tried, then: str, change: Callable[[], bool]) -> bool:
    """Note a try that failed and what followed, change the call's state, and book the try where it may be billed."""
    error = tried.error
    assert error is not None  # noqa: S101 - for the type checker
    log.warning("call %s, attempt %s: %s %s (%s)", call.pk, call.attempt, error.status, error.type, error.request_id)
    exchange = exchange_of(call, tried.reply, error.request_id) if error.may_be_billed else None
    return settle(call, exchange, partial(_change_and_note, call, tried, error, then, change))


def _change_and_note(call: Call, tried: Tried, error: ClaudeError, then: str, change: Callable[[], bool]) -> bool:
    if not change():
        return False
    FailedAttempt.objects.get_or_create(
        call=call,
        number=call.attempt,
        defaults={
            "model": tried.model,
            "at": tried.at,
            "seconds": tried.seconds,
            "request_id": error.request_id,
            "error_type": error.type,
            "error_status": error.status,
            "error_message": storable(error.message),
            "then": then,
        },
    )
    return True


def answer_of(call: Call, reply: Reply) -> dict[str, Any]:
    """The fields of a call that was answered."""
    return {
        "text": storable(reply.text),
        "content": storable(reply.content),
        "envelope": storable(reply.envelope),
        "stop_reason": reply.stop_reason,
        "model": reply.model or call.model,
        "request_id": reply.request_id,
    }


def error_of(error: ClaudeError) -> dict[str, Any]:
    """The fields of a call that was not."""
    return {
        "error_type": error.type,
        "error_status": error.status,
        "error_message": storable(error.message),
        "request_id": error.request_id,
    }


def exchange_of(call: Call, reply: Reply, request_id: str = "") -> Exchange:
    return Exchange(
        model=reply.model or call.model,
        request_id=reply.request_id or request_id,
        raw_usage=dict(reply.usage),
        complete=reply.usage_complete,
    )


def let_go_of_the_database() -> None:
    """Claude may take minutes; nobody holds a connection meanwhile."""
    if not connection.in_atomic_block:
        connection.close()

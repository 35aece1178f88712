"""How does one call run? The one function behind every door."""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from core.claude import client
from core.claude.errors import ClaudeError
from core.claude.replies import Reply, storable
from core.claude.requests import Sending
from core.costs import budgets
from core.costs.ledger import Exchange, settle
from core.execution.lease import kept, lease_time
from core.execution.watching import NobodyWatches, Watch
from core.models import Call
from core.routing.choose import choose

log = logging.getLogger(__name__)

# A lost answer may have been billed; it is asked for once more at most, where the prompt allows that at all.
MOST_ATTEMPTS_WHEN_BILLED = 2
# Seconds before the second attempt; doubled for each further one, up to the longest.
FIRST_WAIT = 2.0
LONGEST_WAIT = 60.0
# Seconds that a settlement waits for a database that is away, and between two tries: fewer than the sweeper's.
SETTLE_PATIENCE = 600.0
SETTLE_PAUSE = 0.5


@dataclass(frozen=True)
class Outcome:
    """How the run ended. `status` is empty where the call was not this process's to run, or not any more."""

    status: str = ""
    retry_at: dt.datetime | None = None
    # What a program gets: the error, or a JSON answer's bytes, and the headers that Claude sent with it.
    error: ClaudeError | None = None
    answer: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def run_call(call_id: uuid.UUID, watch: Watch | None = None, sending: Sending | None = None) -> Outcome:
    """Claim, send and settle one call; answers at once where it is somebody else's or has ended.

    `sending` is the request as a program sent it; without it, the call's own is sent, and its answer streamed.
    """
    call = Call.objects.select_related("version").claim(call_id, lease_time())
    if call is None:
        return Outcome()
    with kept(call):
        outcome = _run(call, watch or NobodyWatches(), sending or Sending(call.request))
    log.info("call %s, attempt %s: %s", call.pk, call.attempt, outcome.status or "taken over by another process")
    return outcome


def _run(call: Call, watch: Watch, sending: Sending) -> Outcome:
    choice = choose(call, sending.body)
    if not call.mark_sent(choice.model, choice.reason, choice.routing):
        return Outcome()
    watch.started(call.attempt)
    # Claude may take minutes; nobody holds a database connection meanwhile.
    if not connection.in_atomic_block:
        connection.close()
    answering = client.send(sending.with_body(choice.apply(sending.body)), settings.CALL_TIMEOUT)
    try:
        _tell(call, answering, watch)
    except ClaudeError as error:
        outcome = _patiently(partial(_settle_error, call, answering.reply, error))
        outcome = replace(outcome, error=error, headers=error.headers or answering.headers)
    else:
        outcome = _patiently(partial(_settle_reply, call, answering.reply))
        outcome = replace(outcome, answer=answering.reply.raw, headers=answering.headers)
    watch.ended(outcome.status)
    return outcome


def _tell(call: Call, answering: client.Answering, watch: Watch) -> None:
    told = False
    for event in answering:
        if not told:
            watch.opened(answering.headers)
            told = True
        watch.event(event.name, event.data)
        if event.text:
            call.first_text_at = call.first_text_at or timezone.now()
            watch.text(event.text)


def _patiently(settlement: Callable[[], Outcome]) -> Outcome:
    """`settlement`, tried again while the database is away: an answer that was paid for is not thrown away for that.

    It changes nothing the second time, so it does not matter whether a try that broke had been committed.
    """
    deadline = time.monotonic() + SETTLE_PATIENCE
    while True:
        try:
            return settlement()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > deadline:
                raise
            log.warning("an answer waits for the database", exc_info=True)
        connection.close()
        time.sleep(SETTLE_PAUSE)


def _settle_reply(call: Call, reply: Reply) -> Outcome:
    answer = {
        "text": storable(reply.text),
        "content": storable(reply.content),
        "envelope": storable(reply.envelope),
        "stop_reason": reply.stop_reason,
        "model": reply.model or call.model,
        "request_id": reply.request_id,
    }
    applied = settle(call, _exchange(call, reply), partial(call.succeed, answer))
    return Outcome(Call.Status.SUCCEEDED) if applied else Outcome()


def _settle_error(call: Call, reply: Reply, error: ClaudeError) -> Outcome:
    log.warning("call %s, attempt %s: %s %s (%s)", call.pk, call.attempt, error.status, error.type, error.request_id)
    exchange = _exchange(call, reply, error.request_id) if error.may_be_billed else None
    details = {
        "error_type": error.type,
        "error_status": error.status,
        "error_message": storable(error.message),
        "request_id": error.request_id,
    }
    again = error.retryable and may_try_again(call, billed=error.may_be_billed)
    # Where the budget has no room for another worst case beside the unknown one, the call ends here.
    if again and (not error.may_be_billed or budgets.hold_another(call)):
        until = timezone.now() + dt.timedelta(seconds=_wait(call.attempt, error.retry_after))
        applied = settle(call, exchange, partial(call.wait, until, details))
        return Outcome(Call.Status.WAITING, until) if applied else Outcome()
    status = Call.Status.DEAD if error.retryable else Call.Status.FAILED
    applied = settle(
        call, exchange, partial(call.fail, status, details, text=storable(reply.text), content=storable(reply.content))
    )
    return Outcome(status) if applied else Outcome()


def may_try_again(call: Call, *, billed: bool) -> bool:
    """Whether the call has an attempt left, and, where the last one may have been billed, the leave to pay again."""
    if call.attempt >= settings.CALL_ATTEMPTS or call.lane != Call.Lane.QUEUE:
        return False
    if not billed:
        return True
    allowed = call.version is None or call.version.run_again_if_lost
    return allowed and call.attempt < MOST_ATTEMPTS_WHEN_BILLED


def _exchange(call: Call, reply: Reply, request_id: str = "") -> Exchange:
    return Exchange(
        model=reply.model or call.model,
        request_id=reply.request_id or request_id,
        raw_usage=dict(reply.usage),
        complete=reply.usage_complete,
    )


def _wait(attempt: int, retry_after: float | None) -> float:
    """Seconds until the next attempt: what the API asks for, or twice as long each time, a little spread."""
    if retry_after is not None:
        return retry_after + random.uniform(0, 0.5)
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1)) * (1 + random.random() / 2)


def lost_error() -> dict[str, Any]:
    """What a call says whose process was gone before the answer was saved."""
    return {
        "error_type": "worker_lost",
        "error_status": None,
        "error_message": "The worker stopped before the answer was saved.",
    }

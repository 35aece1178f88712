"""How does a part of a batch get to Claude once, and only once?

Its rows are marked as sent and then the part as being sent, both committed, before the one request that creates the
batch there. Where nobody knows what became of that request, because this process or the connection died, nothing is
sent again: `core.batches.find` looks for the batch first.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from django.db import connection, transaction
from django.db.models import QuerySet

from core.batches import bodies
from core.batches.ending import end_unsent, refuse
from core.batches.leases import FIRST_WAIT, LEASE, wait_after
from core.batches.pieces import rows_by_bytes
from core.claude import batches as claude
from core.claude.errors import ClaudeError
from core.costs.ledger import Exchange, book
from core.execution import breaker, pacing
from core.models import Batch, BatchPart, BatchRow, Call, CostRecord
from core.routing.choose import Choice, choose

log = logging.getLogger(__name__)

CHUNK = 500
# Classifiers that are asked at the same time for the rows of one part.
ASKED_AT_ONCE = 16
# Seconds after which no further piece of a body leaves this process, and for how long nobody else touches the part:
# only when both are well over may somebody conclude from Claude's list that a batch was never taken.
SEND_WITHIN = 600.0
SENDING_LEASE = dt.timedelta(minutes=25)
# What breaker and pacing know all batches by, as if it were a model.
BATCHES = "message batches"
# Before the first look at a batch that was just sent.
FIRST_LOOK = dt.timedelta(seconds=2)
# A day of refusals that pass is enough.
MOST_TRIES = 150
# Answers that say for certain that Claude did not take the batch, and may take it later.
NOT_NOW = frozenset({408, 409, 429, 529})
# And those that say that our key or our account is at fault, and no request: somebody will put that right.
NOT_WITH_THIS_KEY = frozenset({401, 402, 403})


class LostError(Exception):
    """This process took so long that another one has taken the part."""


def send(part: BatchPart) -> None:
    """Send a part that was never sent, or was refused for the moment. This process has it in hand."""
    if part.batch.status == Batch.Status.CANCELING:
        end_unsent(part)
        return
    mark_rows_sent(part)
    if breaker.is_open(BATCHES):
        # Not even its body needs to be written.
        part.let_go(FIRST_WAIT)
        return
    with tempfile.TemporaryFile() as body:
        count = bodies.write(body, requests(part))
        if not count:
            # Each of its rows was canceled by itself.
            end_unsent(part)
            return
        body.seek(0)
        wait = _seconds_to_wait(part)
        if wait or not part.mark_sending(count, SENDING_LEASE):
            part.let_go(dt.timedelta(seconds=wait))
            return
        _create(part, body)


def _seconds_to_wait(part: BatchPart) -> float:
    """0 where a batch may be sent now. Batches have rate limits, and a breaker, of their own."""
    return pacing.wait_for(BATCHES, 0, holder=part.marker) or breaker.seconds_closed_to(BATCHES)


def _create(part: BatchPart, body: IO[bytes]) -> None:
    # Claude may take minutes; nobody holds a database connection meanwhile.
    if not connection.in_atomic_block:
        connection.close()
    try:
        made = claude.create(body, part.batch.headers, within=SEND_WITHIN, beta=part.batch.beta)
    except ClaudeError as error:
        breaker.note_error(BATCHES, error)
        if error.status == 429:
            pacing.slow_down(BATCHES, error.retry_after or FIRST_WAIT.total_seconds())
        _not_created(part, error)
    else:
        breaker.note_answer(BATCHES)
        note_sent(part, made.id)


def note_sent(part: BatchPart, provider_id: str) -> None:
    """Claude has it, under this id."""
    if part.mark_sent(provider_id, FIRST_LOOK):
        log.info("part %s of batch %s is Claude's %s", part.number, part.batch.public_id, provider_id)
        part.batch.mark_in_progress()


def _not_created(part: BatchPart, error: ClaudeError) -> None:
    log.warning("part %s of batch %s: %s %s", part.number, part.batch.public_id, error.status, error)
    problem = str(error)[:500]
    never_left = error.type in {"connection_error", "configuration_error"} and not error.may_be_billed
    ours = error.type == "configuration_error" or error.status in NOT_WITH_THIS_KEY
    passing = never_left or error.status in NOT_NOW
    if error.limited_until is not None:
        # A spend limit: nothing of it is billed, and the day comes when it is lifted.
        part.park(error.limited_until, problem)
    elif (ours or (passing and error.retryable)) and part.tries < MOST_TRIES:
        part.change(state=BatchPart.State.UNSENT, problem=problem)
        part.let_go(wait_after(part.tries, error.retry_after))
    elif passing or (error.status is not None and 400 <= error.status < 500):
        refuse(part, error)
    else:
        part.change(state=BatchPart.State.UNSURE, problem=problem)
        part.let_go(FIRST_WAIT)


def mark_rows_sent(part: BatchPart) -> None:
    """Choose each row's model and mark it as at work, chunk by chunk; one canceled by itself stays so."""
    for rows in rows_by_bytes(_unchosen(part), CHUNK, after=part.first - 1):
        part.renew(LEASE)
        asking = [row.call for row in rows if _asks(row.call)]
        BatchRow.objects.mark_working(asking)
        chosen = list(_choices(part, [row.call for row in rows]))
        with transaction.atomic():
            part.renew(LEASE)
            for row, choice in zip(rows, chosen, strict=True):
                _apply(row, choice)
            BatchRow.objects.mark_sent([row.call for row in rows])


def _unchosen(part: BatchPart) -> QuerySet[BatchRow]:
    rows = BatchRow.objects.filter(batch_id=part.batch_id, position__lt=part.beyond)
    working = rows.filter(call__status__in=[Call.Status.QUEUED, Call.Status.RUNNING], call__model="")
    return working.select_related("call")


def _asks(call: Call) -> bool:
    """Whether a classifier may have to be asked before its model is known."""
    return bool((call.routing or {}).get("classifiers"))


def _choices(part: BatchPart, calls: list[Call]) -> Iterator[Choice]:
    """The model of each of these calls; classifiers are asked side by side, a few at a time."""
    if connection.in_atomic_block or not any(map(_asks, calls)):
        yield from map(_choice, calls)
        return
    with ThreadPoolExecutor(ASKED_AT_ONCE, "classifying") as pool:
        asked = [pool.submit(_choice_of_a_thread, call) for call in calls]
        for count, future in enumerate(asked, start=1):
            if count % ASKED_AT_ONCE == 0 and not part.renew(LEASE):
                pool.shutdown(cancel_futures=True)
                raise LostError(f"another process has part {part.marker}")
            yield future.result()


def _choice_of_a_thread(call: Call) -> Choice:
    try:
        return _choice(call)
    finally:
        connection.close()


def _choice(call: Call) -> Choice:
    """The model of a row; where a classifier has to be asked, that may take a second."""
    if call.classifying:
        # A process died while it asked, and what that cost nobody knows.
        with transaction.atomic():
            book(call, Exchange(model=call.classifying, purpose=CostRecord.Purpose.CLASSIFICATION))
            call.mark_classifying("")
    return choose(call, call.request, breaker.is_open)


def _apply(row: BatchRow, choice: Choice) -> None:
    """Let the row's call say what is sent."""
    call = row.call
    call.model, call.reason = choice.model, choice.reason
    call.routing = call.routing if choice.routing is None else choice.routing
    request = choice.apply(call.request)
    if request != call.request:
        Call.objects.filter(pk=call.pk).update(request=request)
        if row.body:
            body = bodies.encoded(choice.apply(json.loads(row.body)))
            BatchRow.objects.filter(pk=row.pk).update(body=body)


def requests(part: BatchPart) -> Iterator[tuple[str, str]]:
    """The rows that are at work, by name and JSON, in the order of their positions."""
    rows = BatchRow.objects.filter(batch_id=part.batch_id, call__status=Call.Status.RUNNING, position__lt=part.beyond)
    needed = rows.select_related("call").only("position", "body", "call__request")
    for chunk in rows_by_bytes(needed, CHUNK, after=part.first - 1):
        for row in chunk:
            yield part.custom_id(row.position), row.body or bodies.encoded(row.call.request)

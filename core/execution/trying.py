"""How is Claude asked once, and what came of it?"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils import timezone

from core.claude import client
from core.claude.errors import ClaudeError
from core.claude.replies import Reply
from core.claude.requests import Sending
from core.execution import breaker, pacing
from core.execution.patience import FIRST_WAIT, Patience
from core.execution.showing import Showing

# The type of the error of an answer that nobody waited for any more.
LEFT = "program_left"


@dataclass(frozen=True)
class Tried:
    """One request that was sent: its whole reply, or the error and what of the reply had come by then."""

    model: str
    reply: Reply
    error: ClaudeError | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    at: dt.datetime = field(default_factory=timezone.now)
    seconds: float = 0.0


def try_once(sending: Sending, patience: Patience, showing: Showing) -> Tried:
    """Send it, show what comes, and tell the breaker and the pacing how it went."""
    model = str(sending.body["model"])
    at, began = timezone.now(), time.monotonic()
    answering = client.send(sending, patience.whole_try, patience.silence)
    error = None
    try:
        _show(model, answering, showing)
    except ClaudeError as caught:
        error = caught
    _tell(model, error)
    return Tried(model, answering.reply, error, answering.headers, at, time.monotonic() - began)


def left() -> ClaudeError:
    return ClaudeError(LEFT, "The program left before its answer was whole.", may_be_billed=True)


def _show(model: str, answering: client.Answering, showing: Showing) -> None:
    learnt = False
    with contextlib.closing(iter(answering)) as events:
        for event in events:
            if not learnt:
                # At once: what remains now says little when the answer ends, minutes later.
                pacing.learn(model, answering.headers)
                learnt = True
            showing.take(event, answering.headers)
            if showing.watch.left() and not answering.reply.stopped:
                raise left()


def _is_rate_limit(error: ClaudeError) -> bool:
    """Also where something before Claude says so in words of its own; a spend limit is none."""
    return error.retryable and (error.type == "rate_limit_error" or error.status == 429)


def _tell(model: str, error: ClaudeError | None) -> None:
    if error is None:
        breaker.note_answer(model)
    else:
        breaker.note_error(model, error)
        pacing.learn(model, error.headers)
    if error is not None and _is_rate_limit(error):
        pacing.slow_down(model, FIRST_WAIT if error.retry_after is None else error.retry_after)

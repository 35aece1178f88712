"""What happens to one call from its first try to its end: tries, waits, other models, a written answer?"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.utils import timezone

from core.claude.errors import ClaudeError
from core.claude.replies import Reply, storable
from core.claude.requests import Sending
from core.costs import budgets
from core.costs.ledger import settle
from core.execution import breaker, pacing
from core.execution.course import Course
from core.execution.outcomes import Outcome
from core.execution.patience import PARKED, lost_before, patience_of, pays_again
from core.execution.refusals import left_alone, left_before_sending, out_of_pace
from core.execution.settling import answer_of, error_of, let_go_of_the_database, patiently, settle_failure, settle_reply
from core.execution.showing import Showing
from core.execution.trying import LEFT, Tried, try_once
from core.execution.watching import Watch
from core.execution.written import events_of, written_reply
from core.models import Call
from core.routing.choose import Choice, choose

# Bytes of a request's JSON that stand for a token, where pacing wants to know about how long it is.
BYTES_PER_TOKEN = 4
# Seconds between two looks whether the program still waits, while nothing is under way.
LOOK_EVERY = 0.25
# Seconds for which a call of the queue keeps its worker's place rather than to go back into the queue.
SHORT_WAIT = 2.0
# Seconds over which those come back, at least, that wait for a model that another call is trying just now.
SHORTEST_SPREAD = 4.0
# Seconds over which those come back that a spend limit held, for each of them.
SPREAD_OF_PARKED = 0.1


@dataclass(frozen=True)
class _Next:
    """What follows a failure: the same or another model, a written answer, or with neither of these the end."""

    then: str
    model: str = ""
    wait: float = 0.0
    answer: str = ""


class Run:
    """One claimed call in this process."""

    def __init__(self, call: Call, watch: Watch, sending: Sending) -> None:
        self.call = call
        self.sending = sending
        self.patience = patience_of(call)
        self.showing = Showing(call, watch)
        # Stored as sent already, it was chosen for before.
        if call.sent_at is None:
            choice = choose(call, sending.body, breaker.is_open)
        else:
            choice = Choice(call.model, call.reason)
        self.choice = choice
        self.routing = choice.routing
        self.course = Course(call, choice, sending.body, self.patience.attempts)
        self.queued = call.lane == Call.Lane.QUEUE
        self.began = time.monotonic()
        # Seconds for which it had been tried by then.
        self.waited = seconds_tried(call) if self.queued else 0.0
        self.sent = 0
        # Why there is no answer yet, as the caller would be told; and the model whose breaker was asked already.
        self.error: ClaudeError | None = None
        self.cleared = ""

    def to_its_end(self) -> Outcome:
        outcome = self._join_a_batch() if self.choice.batch and self.call.may_join_a_batch else None
        while outcome is None:
            outcome = self._step()
        self.showing.watch.ended(outcome.status)
        return outcome

    def _join_a_batch(self) -> Outcome:
        """Its route says that it may wait: it goes with others at half price, and this worker is done with it."""
        until = timezone.now() + dt.timedelta(minutes=settings.BATCH_WAIT_MINUTES)
        joined = patiently(partial(self.call.join_a_batch, until, self.choice.reason, self.routing))
        return Outcome(Call.Status.WAITING, until) if joined else Outcome()

    def _step(self) -> Outcome | None:
        """One try, or what comes in its place; None where something else follows."""
        if self.showing.watch.left():
            return self._end(left_before_sending())
        if self.course.used_up and self._turn_to_another():
            return None
        closed = self._seconds_closed()
        if closed:
            return self._without_asking("not asked, as it failed often lately", left_alone(self.course.model, closed))
        sending = self.sending.with_body(self.course.body)
        wait = pacing.wait_for(self.course.model, len(sending.encoded) / BYTES_PER_TOKEN, holder=str(self.call.pk))
        if wait:
            return self._wait_for_its_turn(wait)
        if not self._mark_sent():
            self._give_probe_back()
            return Outcome()
        self.showing.start()
        let_go_of_the_database()
        tried = try_once(sending, self.patience, self.showing)
        return self._answered(tried) if tried.error is None else self._failed(tried, tried.error)

    # --- before a try ---

    def _seconds_closed(self) -> float:
        if self.cleared == self.course.model:
            return 0.0
        seconds = breaker.seconds_closed_to(self.course.model)
        self.cleared = "" if seconds else self.course.model
        return seconds

    def _give_probe_back(self) -> None:
        """It will not be asked after all, so another call may try it where its breaker is not closed."""
        if self.cleared:
            breaker.note_nothing(self.cleared)
            self.cleared = ""

    def _wait_for_its_turn(self, wait: float) -> Outcome | None:
        error = out_of_pace(self.course.model, wait)
        if not self.patience.has_room(self._elapsed() + wait):
            return self._without_asking("its rate limit is used up", error)
        if self.queued and wait > SHORT_WAIT:
            self._give_probe_back()
            # It has a place of its own, so the moment is exact.
            return self._postpone(error, exactly=True)
        self._sleep(wait)
        return None

    def _without_asking(self, why: str, error: ClaudeError) -> Outcome | None:
        """The model at hand cannot be asked now: another one is, or the call waits, or it ends."""
        self._give_probe_back()
        self.course.pass_over(why)
        self._remember(error)
        if self._turn_to_another():
            return None
        if self.queued and self.patience.has_room(self._elapsed() + (error.retry_after or 0.0)):
            return self._postpone(error)
        return self._give_written_answer() if self.course.chain.answer else self._end(self.error or error)

    def _turn_to_another(self) -> bool:
        other = self.course.other()
        if other:
            self.course.turn_to(other)
            self.cleared = other
        return bool(other)

    def _mark_sent(self) -> bool:
        """Note, before it is sent, that it may have been; False where the call was taken over."""
        call, model, reason = self.call, self.course.model, self.course.reason("is asked")
        if self.sent:
            marked = call.mark_sent(model, reason, self.routing, attempt=call.attempt + 1)
        else:
            marked = (call.sent_at is not None and call.model == model) or call.mark_sent(model, reason, self.routing)
        if marked:
            self.sent += 1
            self.course.tried[model] += 1
            self.cleared = ""
        return marked

    # --- after a try ---

    def _answered(self, tried: Tried) -> Outcome:
        self.showing.release()
        more = {"reason": self.course.reason("answered")} if self.course.strayed else {}
        applied = patiently(partial(settle_reply, self.call, tried.reply, **more))
        status = Call.Status.SUCCEEDED if applied else ""
        return Outcome(status, answer=tried.reply.raw, headers=tried.headers)

    def _failed(self, tried: Tried, error: ClaudeError) -> Outcome | None:
        self.course.fail(error)
        self._remember(error)
        if self.queued and error.limited_until is not None:
            until = error.limited_until + dt.timedelta(seconds=patiently(spread_of_parked))
            return self._wait_until(until, tried, error, PARKED, self.call.park)
        following = patiently(partial(self._following, error))
        if following.answer:
            return self._give_written_answer(partial(settle_failure, self.call, tried, following.then))
        if not following.model:
            return self._end(
                self.error or error, tried.reply, partial(settle_failure, self.call, tried, following.then)
            )
        if self.queued and following.model == self.course.model:
            until = timezone.now() + dt.timedelta(seconds=following.wait)
            return self._wait_until(until, tried, error, following.then, self.call.wait)
        return self._go_on(tried, following)

    def _following(self, error: ClaudeError) -> _Next:
        if error.type == LEFT:
            return _Next("the program had left")
        if self.showing.visible:
            return _Next("given up, for part of the answer had been shown")
        if error.limited_until is not None:
            # It holds for all models.
            return self._at_last()
        if not error.retryable and not self.course.strayed:
            return _Next("given up, for trying again would not help")
        model = self.course.model
        lost = lost_before(self.call, model) if error.may_be_billed else 0
        wait = self.patience.wait(error, self.course.tried[model], self._elapsed(), lost)
        model = model if wait is not None else self.course.other()
        if model and self._may_pay_again(error):
            return _Next("tried again" if wait is not None else f"{model} was asked instead", model, wait or 0.0)
        if model:
            breaker.note_nothing(model)
        return self._at_last()

    def _at_last(self) -> _Next:
        answer = self.course.chain.answer
        return _Next("the written answer was given" if answer else "given up", answer=answer)

    def _may_pay_again(self, error: ClaudeError) -> bool:
        """Where the try may have been billed: whether the prompt and its budgets allow another one beside it."""
        return not error.may_be_billed or (pays_again(self.call) and budgets.hold_another(self.call))

    def _go_on(self, tried: Tried, following: _Next) -> Outcome | None:
        if not patiently(partial(settle_failure, self.call, tried, following.then, self.call.rest)):
            breaker.note_nothing(following.model)
            return Outcome()
        if following.model == self.course.model:
            self._sleep(following.wait)
        else:
            self.course.turn_to(following.model)
            self.cleared = following.model
        return None

    def _wait_until(
        self,
        until: dt.datetime,
        tried: Tried,
        error: ClaudeError,
        then: str,
        change: Callable[[dt.datetime, dict[str, Any]], bool],
    ) -> Outcome:
        change_it = partial(change, until, error_of(error))
        applied = patiently(partial(settle_failure, self.call, tried, then, change_it))
        return Outcome(Call.Status.WAITING, until, error) if applied else Outcome()

    # --- the end ---

    def _postpone(self, error: ClaudeError, *, exactly: bool = False) -> Outcome:
        """Wait in the queue without having asked; not all those that wait are to come back at the same moment."""
        seconds = error.retry_after or 0.0
        if not exactly:
            seconds += random.random() * max(SHORTEST_SPREAD, seconds / 4)
        until = timezone.now() + dt.timedelta(seconds=seconds)
        later = self.call.wait if self.sent else self.call.put_off
        if not patiently(partial(later, until, error_of(error))):
            return Outcome()
        return Outcome(Call.Status.WAITING, until, error)

    def _end(
        self,
        error: ClaudeError,
        reply: Reply | None = None,
        settlement: Callable[[Callable[[], bool]], bool] | None = None,
    ) -> Outcome:
        """No answer, or half of one. `settlement` books the last try with the change of the call's state."""
        status = Call.Status.DEAD if error.retryable else Call.Status.FAILED
        if error.type == LEFT:
            status = Call.Status.CANCELED
        had = reply or Reply()
        parts = {"text": storable(had.text), "content": storable(had.content)}
        applied = self._settle(partial(self.call.fail, status, error_of(error), **parts), settlement)
        return Outcome(status if applied else "", error=error, headers=error.headers)

    def _give_written_answer(self, settlement: Callable[[Callable[[], bool]], bool] | None = None) -> Outcome:
        reply = written_reply(self.course.chain.answer)
        reason = self.course.reason_for_the_written_answer()
        fields = {**answer_of(self.call, reply), "reason": reason, "written": True}
        applied = self._settle(partial(self.call.succeed, fields), settlement)
        self.showing.start()
        for event in events_of(reply) if self.sending.streamed else ():
            self.showing.take(event, {})
        return Outcome(Call.Status.SUCCEEDED if applied else "", answer=reply.raw)

    def _settle(
        self, change: Callable[[], bool], settlement: Callable[[Callable[[], bool]], bool] | None = None
    ) -> bool:
        return patiently(partial(settlement or partial(settle, self.call, None), change))

    # --- time ---

    def _remember(self, error: ClaudeError) -> None:
        """What another model makes of a request that was not meant for it is nothing to tell the caller."""
        if self.error is None or error.retryable or not self.course.strayed:
            self.error = error

    def _elapsed(self) -> float:
        return self.waited + time.monotonic() - self.began

    def _sleep(self, seconds: float) -> None:
        let_go_of_the_database()
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0 and not self.showing.watch.left():
            time.sleep(min(rest, LOOK_EVERY))


def seconds_tried(call: Call) -> float:
    """For how long a call of the queue has been tried; while nobody took it, or a spend limit held it, it was not."""
    since = call.tried_since or timezone.now()
    return max(0.0, (timezone.now() - since).total_seconds())


def spread_of_parked() -> float:
    """Seconds after the end of a spend limit at which one more call comes back: not all in the same moment."""
    return random.random() * SPREAD_OF_PARKED * (1 + Call.objects.parked().count())

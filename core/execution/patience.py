"""How often is a call tried, how long may it take, and how long is it waited for another try?"""

from __future__ import annotations

import random
from dataclasses import dataclass

from django.conf import settings

from core.claude.errors import ClaudeError
from core.models import Call, CostRecord

# A lost answer may have been billed; a model is asked for it once more at most, where the prompt allows that at all.
MOST_LOST = 2
# How often a call may lose its worker before anything is sent: one that ends whatever runs it must end some day.
MOST_LOST_UNSENT = 3
# What followed a try that a spend limit refused, which says nothing of the call or its model.
PARKED = "waits until the spend limit ends"
# Seconds before the second try; doubled for each further one, up to the longest. A program that waits is served sooner.
FIRST_WAIT = 2.0
FIRST_WAIT_OF_A_PROGRAM = 0.5
LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Patience:
    """Of one call. `attempts` are for each model; all others are seconds."""

    attempts: int
    whole_try: float
    silence: float
    first_wait: float
    # In all, within which a further try may begin.
    waiting: float

    def wait(self, error: ClaudeError, tried: int, elapsed: float, lost: int = 0) -> float | None:
        """Seconds until a model that was `tried` so often is asked again, or None where it is not.

        `elapsed` are the seconds that the caller has waited; `lost` are earlier answers of it that may be billed.
        """
        once_too_often = error.may_be_billed and lost + 1 >= MOST_LOST
        if not error.retryable or tried >= self.attempts or once_too_often:
            return None
        seconds = wait_before_next(tried, error.retry_after, self.first_wait)
        return seconds if self.has_room(elapsed + seconds) else None

    def has_room(self, seconds: float) -> bool:
        return seconds <= self.waiting


def patience_of(call: Call) -> Patience:
    """The installation's figures, or the key's or prompt's own where it has them."""
    if call.lane == Call.Lane.QUEUE:
        minutes = (call.prompt and call.prompt.give_up_after) or settings.CALL_GIVE_UP_AFTER
        return Patience(
            attempts_in_the_queue(call), settings.CALL_TIMEOUT, settings.CALL_TIMEOUT, FIRST_WAIT, minutes * 60
        )
    key = call.key
    try_seconds = (key and key.try_seconds) or settings.SYNC_TRY_SECONDS
    waiting = settings.SYNC_PATIENCE if key is None or key.patience_seconds is None else key.patience_seconds
    return Patience(
        attempts=(key and key.attempts) or settings.SYNC_ATTEMPTS,
        # A stream shows that it lives, so only its silences count.
        whole_try=max(try_seconds, settings.CALL_TIMEOUT) if call.lane == Call.Lane.STREAM else try_seconds,
        silence=try_seconds,
        first_wait=FIRST_WAIT_OF_A_PROGRAM,
        waiting=waiting,
    )


def attempts_in_the_queue(call: Call) -> int:
    return (call.prompt and call.prompt.most_attempts) or settings.CALL_ATTEMPTS


def wait_before_next(tried: int, retry_after: float | None, first_wait: float) -> float:
    """Seconds until the next try: what the API asks for, or twice as long each time, a little spread."""
    if retry_after is not None:
        return retry_after + random.uniform(0, 0.5)
    return min(LONGEST_WAIT, first_wait * 2.0 ** (tried - 1)) * (1 + random.random() / 2)


def pays_again(call: Call) -> bool:
    """Whether the prompt allows to ask again for an answer that may have been billed."""
    return call.version is None or call.version.run_again_if_lost


def lost_before(call: Call, model: str) -> int:
    """How many answers of this model to the call were lost that may be billed, and are booked."""
    lost = CostRecord.objects.filter(call=call, model=model, purpose=CostRecord.Purpose.ANSWER, corrects=None)
    return lost.count()


def may_be_recovered(call: Call, *, billed: bool) -> bool:
    """Whether a call whose process is gone runs again: it has a try left, and the leave to pay again."""
    if call.lane != Call.Lane.QUEUE:
        return False
    failed = list(call.failed_attempts.values_list("then", flat=True))
    if not billed:
        return call.attempt - len(failed) <= MOST_LOST_UNSENT
    tried = 1 + sum(then != PARKED for then in failed)
    once_too_often = lost_before(call, call.model) + 1 >= MOST_LOST
    return tried < attempts_in_the_queue(call) and pays_again(call) and not once_too_often

"""Which model is left alone for a while, because it keeps failing?

A breaker opens when a model has failed so often in a row, whatever call it was. After a time one call may try the
model, and its answer closes the breaker. The rules are pybreaker's; it holds a lock while it calls, so it is told
afterwards how a call went, instead of making the call itself.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import pybreaker
from django.conf import settings

from core.claude.errors import ClaudeError
from core.execution.board import Board, Standing

# Seconds that the clocks of two machines may differ.
CLOCKS_DIFFER = 5.0
CLOSED, HALF_OPEN, OPEN = pybreaker.STATE_CLOSED, pybreaker.STATE_HALF_OPEN, pybreaker.STATE_OPEN
# To whoever looks: its time is over and nobody tries the model now, so that the next request does.
OVER = "over"

board = Board()


@dataclass(frozen=True)
class BreakerState:
    """One model's breaker: `state` is closed, open, half-open or over."""

    model: str
    state: str
    failures: int
    opened_at: dt.datetime | None
    reopens_at: dt.datetime | None


def states() -> list[BreakerState]:
    """The breakers of all models that failed lately, by model."""
    return [_state_of(model) for model in sorted(board.all())]


def reset(model: str) -> None:
    """Ask this model again from now on, as if it had never failed."""
    board.change(model, state=CLOSED, failures=0, opened_at=None)
    board.give_probe_back(model)


def seconds_closed_to(model: str) -> float:
    """0 where a request may be sent to this model now; otherwise seconds until it is worth asking again.

    Whoever gets 0 for a breaker that is not closed is the one that tries; it has to tell how that went.
    """
    standing = board.of(model)
    if standing.state == CLOSED:
        return 0.0
    left = _left(standing.opened_at) if standing.state == OPEN else 0.0
    if left > 0:
        return left
    # Another call is trying the model. Should its process die, the next one may after this time.
    if not board.take_probe(model, settings.BREAKER_SECONDS):
        return 1.0
    board.change(model, state=HALF_OPEN)
    return 0.0


def is_open(model: str) -> bool:
    """Whether this model is left alone now. Who asks only this need not tell how anything went."""
    standing = board.of(model)
    return standing.state == OPEN and _left(standing.opened_at) > 0


def note_answer(model: str) -> None:
    """A whole answer came."""
    standing = board.of(model)
    if standing.state == CLOSED and not standing.failures:
        return
    with contextlib.suppress(pybreaker.CircuitBreakerError):
        _breaker(model, settings.BREAKER_FAILURES, settings.BREAKER_SECONDS).call(lambda: None)
    board.give_probe_back(model)


def note_error(model: str, error: ClaudeError) -> None:
    """No whole answer came. What the caller did wrong says nothing of the model; nor does a spend limit."""
    if not speaks_against_the_model(error):
        note_nothing(model)
        return
    with contextlib.suppress(pybreaker.CircuitBreakerError, ClaudeError):
        _breaker(model, settings.BREAKER_FAILURES, settings.BREAKER_SECONDS).call(_raise, error)
    board.give_probe_back(model)


def note_nothing(model: str) -> None:
    """It came to nothing that says anything of the model, so the next call may try it."""
    if board.of(model).state != CLOSED:
        board.give_probe_back(model)


def speaks_against_the_model(error: ClaudeError) -> bool:
    """Whether it is a 429, a 5xx, a time-out, or a connection or stream that broke."""
    return error.retryable and error.status not in {408, 409}


def _raise(error: ClaudeError) -> None:
    raise error


def _left(opened_at: float | None) -> float:
    if opened_at is None:
        return 0.0
    left = opened_at + settings.BREAKER_SECONDS - dt.datetime.now(dt.UTC).timestamp()
    # Opened in the future: the clock was put back since, and nobody is to wait for as much longer.
    return left if left <= settings.BREAKER_SECONDS + CLOCKS_DIFFER else 0.0


def _state_of(model: str) -> BreakerState:
    standing = board.of(model)
    opened_at = None if standing.opened_at is None else dt.datetime.fromtimestamp(standing.opened_at, dt.UTC)
    state = _state_now(model, standing)
    reopens_at = opened_at + dt.timedelta(seconds=settings.BREAKER_SECONDS) if opened_at and state == OPEN else None
    return BreakerState(model, state, standing.failures, opened_at, reopens_at)


def _state_now(model: str, standing: Standing) -> str:
    """Without the next request, which would change it, and although whoever tried the model may have died."""
    if standing.state == OPEN:
        return OPEN if _left(standing.opened_at) > 0 else OVER
    if standing.state == HALF_OPEN:
        return HALF_OPEN if board.probed(model) else OVER
    return CLOSED


@lru_cache(maxsize=100)
def _breaker(model: str, failures: int, seconds: float) -> pybreaker.CircuitBreaker:
    return pybreaker.CircuitBreaker(
        fail_max=failures, reset_timeout=seconds, state_storage=_OnTheBoard(model), throw_new_error_on_trip=False
    )


class _OnTheBoard(pybreaker.CircuitBreakerStorage):
    """Where pybreaker keeps one model's state."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._successes = 0

    @property
    def state(self) -> str:
        return board.of(self.name).state

    @state.setter
    def state(self, state: str) -> None:
        board.change(self.name, state=state)

    def increment_counter(self) -> None:
        board.count_failure(self.name)

    def reset_counter(self) -> None:
        board.change(self.name, failures=0)

    @property
    def counter(self) -> int:
        return board.of(self.name).failures

    def increment_success_counter(self) -> None:
        self._successes += 1

    def reset_success_counter(self) -> None:
        self._successes = 0

    @property
    def success_counter(self) -> int:
        return self._successes

    @property
    def opened_at(self) -> dt.datetime | None:
        at = board.of(self.name).opened_at
        return None if at is None else dt.datetime.fromtimestamp(at, dt.UTC)

    @opened_at.setter
    def opened_at(self, at: dt.datetime) -> None:
        board.change(self.name, opened_at=at.timestamp())

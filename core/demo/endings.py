"""How did a past call end? Most well, some as they end in life, each with what it left in the books."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass

from core.demo.bookkeeping import PriceBook, make_usage, record, tokens_of
from core.models import Call, CostRecord

Status = Call.Status
REASON = "This prompt is set to this model."
# Seconds from one attempt to the next, as the queue waits.
WAITS = (2.4, 5.1, 9.8, 18.9)
# A lost call is found by the sweeper when its lease has run out.
UNTIL_FOUND = dt.timedelta(seconds=35)


@dataclass(frozen=True)
class Ending:
    """What an ending needs beside the call: its answer had it gone well, the prices, and this call's luck."""

    answer: str
    book: PriceBook
    luck: random.Random

    def request_id(self) -> str:
        return f"req_demo_{self.luck.getrandbits(64):016x}"


def succeed(call: Call, ending: Ending) -> list[CostRecord]:
    """The usual end; one in forty needed a second attempt because Claude was overloaded, which costs nothing."""
    attempt = 2 if ending.luck.random() < 0.025 else 1
    return [_answered(call, ending, ending.answer, tokens_of(ending.answer, ending.luck), attempt)]


def run_out_of_tokens(call: Call, ending: Ending) -> list[CostRecord]:
    """The answer was longer than the prompt allows and is cut off."""
    cut = ending.answer[: len(ending.answer) * 3 // 5]
    booked = _answered(call, ending, cut, call.request["max_tokens"], 1)
    call.stop_reason = "max_tokens"
    return [booked]


def lose_the_first_worker(call: Call, ending: Ending) -> list[CostRecord]:
    """The worker died after sending, the second attempt went well: one unknown cost, one known."""
    lost = _lost(call, ending, attempt=1)
    return [lost, _answered(call, ending, ending.answer, tokens_of(ending.answer, ending.luck), 2, after=40)]


def lose_the_worker(call: Call, ending: Ending) -> list[CostRecord]:
    """The worker died after sending, and the prompt does not allow to pay twice."""
    booked = _lost(call, ending, attempt=1)
    _break(call, Status.DEAD, None, "worker_lost", "The worker stopped before the answer was saved.")
    call.finished_at = booked.at
    return [booked]


def stay_limited(call: Call, ending: Ending) -> list[CostRecord]:
    """Five times over the rate limit, which is not billed."""
    _try_in_vain(call, ending, attempts=5)
    message = "This request would exceed your organization's rate limit. Please try again later."
    return _break(call, Status.DEAD, 429, "rate_limit_error", message)


def stay_overloaded(call: Call, ending: Ending) -> list[CostRecord]:
    _try_in_vain(call, ending, attempts=5)
    return _break(call, Status.DEAD, 529, "overloaded_error", "Overloaded")


def ask_a_retired_model(call: Call, ending: Ending) -> list[CostRecord]:
    _try_in_vain(call, ending, attempts=1)
    return _break(call, Status.FAILED, 404, "not_found_error", f"model: {call.model}")


def be_refused(call: Call, ending: Ending) -> list[CostRecord]:
    _try_in_vain(call, ending, attempts=1)
    message = "Output blocked by content filtering policy"
    return _break(call, Status.FAILED, 400, "invalid_request_error", message)


def be_canceled(call: Call, ending: Ending) -> list[CostRecord]:
    """Canceled while it waited for a worker: nothing was sent."""
    call.status = Status.CANCELED
    call.finished_at = call.created_at + dt.timedelta(seconds=ending.luck.uniform(2, 9))
    return []


End = Callable[[Call, Ending], list[CostRecord]]


def _answered(call: Call, ending: Ending, text: str, tokens: int, attempt: int, after: float = 0) -> CostRecord:
    """Give the call this answer; `after` is how many seconds later than usual its last attempt began."""
    luck = ending.luck
    sent = _start(call, luck, attempt, after)
    call.first_text_at = sent + dt.timedelta(seconds=luck.uniform(0.5, 2.5))
    call.finished_at = call.first_text_at + dt.timedelta(seconds=tokens / luck.uniform(70, 140))
    call.status = Status.SUCCEEDED
    call.text = text
    call.content = [{"type": "text", "text": text}]
    call.stop_reason = "end_turn"
    call.request_id = ending.request_id()
    usage = make_usage(call.request, tokens, luck)
    return record(call, ending.book, usage, request_id=call.request_id, attempt=attempt, at=call.finished_at)


def _lost(call: Call, ending: Ending, attempt: int) -> CostRecord:
    found = _start(call, ending.luck, attempt) + UNTIL_FOUND
    return record(call, ending.book, None, request_id="", attempt=attempt, at=found)


def _try_in_vain(call: Call, ending: Ending, attempts: int) -> None:
    sent = _start(call, ending.luck, attempts)
    call.finished_at = sent + dt.timedelta(seconds=ending.luck.uniform(0.2, 0.9))
    call.request_id = ending.request_id()


def _start(call: Call, luck: random.Random, attempt: int, after: float = 0) -> dt.datetime:
    """Note when the last attempt began; answers when it was sent."""
    waited = luck.uniform(0.1, 1.5) + sum(WAITS[: attempt - 1]) + after
    call.attempt = attempt
    call.started_at = call.created_at + dt.timedelta(seconds=waited)
    sent = call.started_at + dt.timedelta(seconds=luck.uniform(0.02, 0.08))
    call.sent_at = sent
    call.model = call.request["model"]
    call.reason = REASON
    return sent


def _break(call: Call, status: str, http_status: int | None, kind: str, message: str) -> list[CostRecord]:
    call.status = status
    call.error_status = http_status
    call.error_type = kind
    call.error_message = message
    return []

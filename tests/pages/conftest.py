"""What the tests of the pages share: calls and cost records as rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from core.models import Call, CostRecord, PendingRollup, Prompt, User

ANSWERED: dict[str, Any] = {
    "status": Call.Status.SUCCEEDED,
    "attempt": 1,
    "model": "claude-haiku-5-5",
    "reason": "This prompt is set to this model.",
    "text": "A short summary.",
    "stop_reason": "end_turn",
}


@pytest.fixture
def answered(prompt: Prompt) -> Callable[..., Call]:
    """Makes a finished call of a person, with whatever else is said."""

    def make(user: User | None, **values: Any) -> Call:
        now = timezone.now()
        times = {"started_at": now - dt.timedelta(seconds=3), "finished_at": now}
        inputs = {"document": "A long text.", "length": "short"}
        defaults = {"prompt": prompt, "version": prompt.published, "inputs": inputs, **ANSWERED, **times}
        return Call.objects.create(user=user, **{**defaults, **values})

    return make


@pytest.fixture
def billed(answered: Callable[..., Call]) -> Callable[..., CostRecord]:
    """Makes a cost record of `amount` (None: unknown) for a call of its own, at a time of one's choice."""

    def make(user: User | None, amount: str | None, at: dt.datetime | None = None, **values: Any) -> CostRecord:
        when = at or timezone.now()
        call = values.pop("call", None) or answered(user, created_at=when)
        tokens = {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 0}
        caches = {"cache_write_5m_tokens": 0, "cache_write_1h_tokens": 0, "web_searches": 0}
        known: dict[str, Any] = {**tokens, **caches} if amount is not None else {}
        record = CostRecord.objects.create(
            **{
                "at": when,
                "booked_on": timezone.localdate(when),
                "call": call,
                "user": user,
                "prompt": call.prompt,
                "model": call.model,
                "lane": call.lane,
                "amount": None if amount is None else Decimal(amount),
                "unknown_reason": "" if amount is not None else "the price book has no price for this model",
                **known,
                **values,
            }
        )
        PendingRollup.objects.create(record=record)
        return record

    return make

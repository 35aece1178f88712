"""Calls that were given up, as tests need them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from core.costs import budgets
from core.intake.accept import accept
from core.models import Call, Key, Prompt, User

OVERLOADED = {"error_type": "overloaded_error", "error_status": 529, "error_message": "Overloaded", "request_id": ""}


def given_up(prompt: Prompt, user: User | None, key: Key | None = None, **error: Any) -> Call:
    """A call of the queue that used up its attempts."""
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "A text.", "length": "short"}, user=user, key=key)
    return ended_dead(call, **error)


def ended_dead(call: Call, **error: Any) -> Call:
    claimed = Call.objects.claim(call.pk, dt.timedelta(seconds=30))
    assert claimed is not None
    claimed.model = str(call.request["model"])
    Call.objects.filter(pk=call.pk).update(model=claimed.model)
    assert claimed.fail(Call.Status.DEAD, {**OVERLOADED, **error})
    budgets.settle(call.pk)
    return claimed

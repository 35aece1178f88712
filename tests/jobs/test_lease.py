from __future__ import annotations

import time

import pytest
from pytest_django import Settings

from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Call, Prompt, User


@pytest.mark.django_db(transaction=True)
def test_a_silent_claude_does_not_cost_the_call_its_lease(prompt: Prompt, member: User, settings: Settings) -> None:
    """Claude is silent for longer than the lease; the heartbeat keeps the call all the same."""
    settings.CALL_LEASE = 1
    assert prompt.published is not None
    call = accept(
        prompt.published, {"document": "[[simulate: slow seconds=2]] A text.", "length": "short"}, user=member
    )
    started = time.monotonic()

    outcome = run_call(call.pk)

    assert time.monotonic() - started >= 2
    assert outcome.status == Call.Status.SUCCEEDED
    assert not Call.objects.lost().exists()

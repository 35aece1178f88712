"""Does a call keep its lease while its process lives, and is nobody held up by that?"""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Call, Prompt, User
from tests.locks import locks_rows


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


@locks_rows
@pytest.mark.django_db(transaction=True)
def test_a_call_whose_row_is_locked_keeps_no_other_ones_lease_from_being_renewed() -> None:
    """Nor does whoever renews hold a row that others wait for while it waits: that would be a deadlock."""
    running = {"status": Call.Status.RUNNING, "lease_token": "token"}
    locked, free = (Call.objects.create(**running) for _ in range(2))

    def renew() -> int:
        try:
            return Call.objects.held({locked.pk: "token", free.pk: "token"}).renew(dt.timedelta(seconds=30))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Call.objects.select_for_update(no_key=True).get(pk=locked.pk)
        assert pool.submit(renew).result(30) == 1

    assert set(Call.objects.filter(lease_until__isnull=False)) == {free}

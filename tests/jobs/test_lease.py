"""Does a call keep its lease while its process lives, and is nobody held up by that?"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Call, Prompt, User
from tests.locks import until_somebody_waits


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


@pytest.mark.django_db(transaction=True)
def test_leases_are_renewed_in_the_order_in_which_threads_that_share_a_transaction_lock_calls() -> None:
    """Whatever order the rows lie in: otherwise each would wait for the other until PostgreSQL ends one of them."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks no rows")
    running = {"status": Call.Status.RUNNING, "lease_token": "token"}
    late, early = (Call.objects.create(pk=uuid.UUID(int=number), **running) for number in (2, 1))

    def renew() -> int:
        try:
            return Call.objects.held({late.pk: "token", early.pk: "token"}).renew(dt.timedelta(seconds=30))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Call.objects.select_for_update().get(pk=early.pk)
            renewing = pool.submit(renew)
            until_somebody_waits()
            # It holds nothing yet that comes after what it waits for.
            Call.objects.select_for_update(nowait=True).get(pk=late.pk)
        assert renewing.result(30) == 2

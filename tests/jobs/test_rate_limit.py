"""Many calls and a narrow gate: does none die, come back too early, or wait much longer than it must?"""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection
from pytest_django import Settings

from core.intake.accept import accept
from core.models import Call, FailedAttempt, Prompt, User
from core.simulator.server import Simulator
from tests.jobs.test_worker import made, run_all

CALLS = 150
PER_MINUTE, BURST = 900, 15
BEST = (CALLS - BURST) * 60 / PER_MINUTE


@pytest.mark.django_db(transaction=True)
def test_many_calls_through_a_narrow_gate(
    prompt: Prompt, member: User, simulator: Simulator, settings: Settings
) -> None:
    """Scaled down from 1,000 calls at 60 a minute: the same number of rounds at the gate."""
    assert prompt.published is not None
    simulator.state.clear()
    settings.WORKER_CONCURRENCY = 12
    for number in range(CALLS):
        accept(prompt.published, {"document": f"Text {number}.", "length": "short"}, user=member)
    worker = made()
    simulator.state.limits.enforce(PER_MINUTE, BURST)
    try:
        began = time.monotonic()
        threading.Thread(target=_stop_when_all_ended, args=(worker,), daemon=True).start()
        run_all(worker, burst=False)
        took = time.monotonic() - began
    finally:
        limits = simulator.state.limits
        limits.lift()

    assert set(Call.objects.values_list("status", flat=True)) == {Call.Status.SUCCEEDED}
    assert limits.early == 0
    assert limits.refused < CALLS / 5, "the headers are heeded, so that hardly anybody is refused"
    assert FailedAttempt.objects.count() == limits.refused
    # Two seconds for the worker's own beginning and end.
    assert took < BEST * 1.1 + 2


def _stop_when_all_ended(worker: object) -> None:
    while Call.objects.exclude(status__in=Call.FINISHED).exists():
        connection.close()
        time.sleep(0.05)
    connection.close()
    worker._stop_requested = True  # type: ignore[attr-defined]

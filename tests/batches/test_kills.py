"""Does every row end exactly once, wherever a process that works on a batch is killed?"""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from core.batches import clock
from core.claude import batches as api
from core.models import Batch, BatchPart, Budget, BudgetWindow, Call, CostRecord, Key, Reservation
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, due_now, leases_run_out, statuses, tended
from tests.batches.rows import request
from tests.crash.test_killed_workers import address_of_the_tests_database

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = ["one", "two", "[[simulate: batch=errored]]", "four", "five"]
AFTER = ["succeeded", "succeeded", "failed", "succeeded", "succeeded"]
LONGEST_WAIT = 60
# A batch of another program's, with as many requests, of which none is billed.
ANOTHERS = json.dumps(
    {
        "requests": [
            {"custom_id": f"another-{number}", "params": request("[[simulate: batch=errored]]")} for number in range(2)
        ]
    }
).encode()


def killed(step: str, *texts: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tests.batches.victim", step, *texts],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DATABASE_URL": address_of_the_tests_database()},
        timeout=LONGEST_WAIT,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", ["written down in part", "reserved and not started"])
def test_killed_before_it_was_started_nothing_is_left(
    catalogue: None, claude: Simulator, budget: Budget, key: Key, step: str
) -> None:
    killed(step, *TEXTS)
    assert Call.objects.exists()
    leases_run_out()
    clock.tend()
    assert not Batch.objects.exists()
    assert not Call.objects.exists()
    assert not Reservation.objects.exists()
    assert_books_are_the_bill(claude)


@pytest.mark.parametrize(
    "step",
    [
        "rows marked in part",
        "rows marked",
        "noted as sending",
        "sent and not saved",
        "rows ended and not booked",
        "booked and not settled",
        "collected in part",
        "all collected",
    ],
)
def test_killed_at_any_later_step_every_row_ends_once(
    begin: Callable[..., Batch], claude: Simulator, step: str
) -> None:
    batch = begin(*TEXTS)
    killed(step)
    clock.tend()
    assert Batch.objects.get().status != Batch.Status.ENDED, "it is in somebody's hand yet"
    leases_run_out()
    batch = tended(batch)
    assert batch.status == Batch.Status.ENDED
    assert statuses(batch) == AFTER
    assert (batch.succeeded, batch.errored) == (4, 1)
    assert_books_are_the_bill(claude)
    assert len(list(api.created_since(batch.created_at))) == 1, "sent once"


def test_a_batch_that_may_be_anothers_is_waited_for(begin: Callable[..., Batch], claude: Simulator) -> None:
    claude.state.batches.seconds = 600
    # So many that not all their names fit into a sentence.
    for _ in range(30):
        api.create(io.BytesIO(ANOTHERS), {}, within=10)
    batch = begin("one", "two")
    killed("sent and not saved")
    leases_run_out()
    for _ in range(3):
        due_now()
        clock.tend()
    part = BatchPart.objects.get()
    assert (part.state, part.provider_id) == (BatchPart.State.UNSURE, None)
    assert "its results will tell" in part.problem
    everything_ends(claude)
    batch = tended(batch)
    assert (batch.status, batch.succeeded) == (Batch.Status.ENDED, 2)
    assert_books_are_the_bill(claude)


def test_nothing_is_sent_again_before_the_list_must_show_it(begin: Callable[..., Batch], claude: Simulator) -> None:
    begin("one", "two")
    killed("noted as sending")
    leases_run_out()
    BatchPart.objects.update(next_at=timezone.now())
    clock.tend()
    part = BatchPart.objects.get()
    assert part.state == BatchPart.State.UNSURE
    assert part.next_at > timezone.now()
    assert CostRecord.objects.count() == 0
    assert BudgetWindow.objects.get().reserved > 0


def everything_ends(claude: Simulator) -> None:
    """What the rest of its ten minutes would do."""
    for batch in claude.state.batches._batches.values():
        batch.due = dt.datetime.now(dt.UTC)

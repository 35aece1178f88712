"""What becomes of a part of which only a person can decide?"""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from core.batches import clock
from core.models import Batch, BatchPart, BudgetWindow, Call, CostRecord
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, due_now, statuses, tended

pytestmark = pytest.mark.django_db


@pytest.fixture
def lost(begin: Callable[..., Batch], claude: Simulator) -> BatchPart:
    """A part whose batch Claude knows no more."""
    claude.state.batches.seconds = 600
    begin("one", "two")
    clock.tend()
    claude.state.batches._batches.clear()
    due_now()
    clock.tend()
    return BatchPart.objects.get()


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("batches", *arguments, stdout=out)
    return out.getvalue()


def test_it_waits_and_is_listed(lost: BatchPart) -> None:
    assert lost.state == BatchPart.State.ASKS
    due_now()
    clock.tend()
    assert f"part {lost.marker}: Waits for a person's decision" in said()
    assert set(statuses(lost.batch)) == {"running"}
    assert BudgetWindow.objects.get().reserved > 0


def test_given_up_its_rows_have_an_unknown_cost_and_stay_reserved(lost: BatchPart) -> None:
    said("--decide", lost.marker, "give-up")
    lost.batch.refresh_from_db()
    assert (lost.batch.status, lost.batch.errored) == (Batch.Status.ENDED, 2)
    assert CostRecord.objects.unknown().count() == 2
    assert {call.error_type for call in Call.objects.all()} == {"result_lost"}
    assert BudgetWindow.objects.get().reserved > 0


def test_looked_at_again_it_goes_on_where_claude_knows_it(lost: BatchPart, claude: Simulator) -> None:
    said("--decide", lost.marker, "look-again")
    due_now()
    clock.tend()
    lost.refresh_from_db()
    assert lost.state == BatchPart.State.ASKS
    with pytest.raises(CommandError):
        said("--decide", lost.marker, "send-again")


def test_sent_again_where_a_person_takes_the_risk(lost: BatchPart, claude: Simulator) -> None:
    BatchPart.objects.update(provider_id=None)
    claude.state.batches.seconds = 0
    said("--decide", lost.marker, "send-again")
    batch = tended(lost.batch)
    assert (batch.status, batch.succeeded) == (Batch.Status.ENDED, 2)
    assert_books_are_the_bill(claude)

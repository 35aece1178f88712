"""What becomes of a part of which only a person can decide?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from core.batches import clock
from core.batches.decide import abandon, look_again, send_again
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


def test_of_two_decisions_at_once_the_first_counts(lost: BatchPart) -> None:
    soon = timezone.now() + dt.timedelta(minutes=1)
    BatchPart.objects.update(lease_token="another", lease_until=soon)
    for decision in (look_again, send_again, abandon):
        assert not decision(lost)
    lost.refresh_from_db()
    assert (lost.state, lost.lease_token) == (BatchPart.State.ASKS, "another")
    assert set(statuses(lost.batch)) == {"running"}


def test_what_is_known_to_be_with_claude_by_now_is_not_sent_again(lost: BatchPart) -> None:
    looked_at = BatchPart.objects.get()
    looked_at.provider_id = None
    assert lost.provider_id
    assert not send_again(looked_at)
    assert look_again(looked_at)
    lost.refresh_from_db()
    assert lost.state == BatchPart.State.SENT

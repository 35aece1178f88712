"""What the tests of batches share: rows, budgets, and a worker that looks after what is due at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.utils import timezone

from core.batches.find import CERTAIN_AFTER
from core.batches.start import start
from core.bulk import clock
from core.models import Batch, BatchPart, Budget, BudgetWindow, Call, CostRecord, Key, User
from core.simulator.server import Simulator
from tests.batches.rows import rows


@pytest.fixture
def key(member: User) -> Key:
    return Key.objects.create(name="program", user=member)


@pytest.fixture
def begin(catalogue: None, claude: Simulator, budget: Budget, key: Key) -> Callable[..., Batch]:
    """Starts a batch of these texts for the member's key."""

    def make(*texts: str) -> Batch:
        return start(Batch(user=key.user, key=key), rows(*texts))

    return make


def due_now() -> None:
    """What waiting would do, also for a part of which nobody knows whether it was sent."""
    past = timezone.now() - 2 * CERTAIN_AFTER
    BatchPart.objects.filter(state__in=["sending", "unsure"]).update(sending_at=past)
    BatchPart.objects.exclude(state=BatchPart.State.DONE).update(next_at=timezone.now() - dt.timedelta(seconds=1))


def leases_run_out() -> None:
    past = timezone.now() - dt.timedelta(seconds=1)
    BatchPart.objects.filter(lease_until__isnull=False).update(lease_until=past)
    Batch.objects.filter(lease_until__isnull=False).update(lease_until=past)


def look_after() -> None:
    due_now()
    clock.tend()


def tended(batch: Batch, rounds: int = 6) -> Batch:
    """Look after the batches as long as that changes something, and answer how the batch is then."""
    for _ in range(rounds):
        look_after()
        batch.refresh_from_db()
        if batch.over:
            break
    return batch


def statuses(batch: Batch) -> list[str]:
    return list(
        Call.objects.filter(batch_row__batch=batch).order_by("batch_row__position").values_list("status", flat=True)
    )


def assert_books_are_the_bill(simulator: Simulator) -> None:
    """Each billed request has one record of its amount, no other has one, and nothing is reserved any more."""
    billed = {entry["request_id"]: Decimal(entry["amount_usd"]) for entry in simulator.bill()["entries"]}
    booked = {record.request_id: record.amount for record in CostRecord.objects.all()}
    assert len(booked) == CostRecord.objects.count()
    assert booked == billed
    for window in BudgetWindow.objects.all():
        assert (window.spent, window.reserved) == (sum(billed.values(), Decimal(0)), Decimal(0))

"""Does a batch come back as calls with their costs, each once?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from core.batches import clock
from core.batches.cancel import cancel
from core.batches.start import BadRowError, EmptyBatchError, Row, start
from core.costs import budgets
from core.costs.budgets import OverBudgetError
from core.models import Batch, BatchPart, BatchRow, Budget, BudgetWindow, Call, CostRecord, Key, Reservation
from core.routing.choose import UnknownModelError
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, statuses, tended
from tests.batches.rows import request

pytestmark = pytest.mark.django_db


def test_each_row_becomes_a_call_with_its_cost_at_half_price(begin: Callable[..., Batch], claude: Simulator) -> None:
    batch = tended(begin("one", "two", "three"))

    assert (batch.status, batch.rows, batch.succeeded) == ("ended", 3, 3)
    calls = Call.objects.filter(batch_row__batch=batch)
    assert {call.status for call in calls} == {Call.Status.SUCCEEDED}
    assert all(call.text and call.lane == "batch" and call.model and call.envelope for call in calls)
    record = CostRecord.objects.first()
    assert record is not None
    assert record.saved_by_batch == record.amount
    assert record.lane == "batch"
    assert_books_are_the_bill(claude)


def test_starting_reserves_the_worst_case_of_all_rows(begin: Callable[..., Batch]) -> None:
    begin("one", "two")
    window = BudgetWindow.objects.get()
    worst = list(BatchRow.objects.values_list("worst", flat=True))
    assert window.reserved == sum(amount for amount in worst if amount is not None) > 0
    assert Reservation.objects.count() == 2


def test_a_batch_over_budget_starts_nothing(begin: Callable[..., Batch], budget: Budget, claude: Simulator) -> None:
    Budget.objects.create(name="Small", scope=Budget.Scope.ORGANISATION, amount=Decimal("0.0001"), owner=budget.owner)
    with pytest.raises(OverBudgetError):
        begin(*["a text"] * 20)
    assert not Batch.objects.exists()
    assert not Call.objects.exists()
    assert not any(window.reserved for window in BudgetWindow.objects.all())
    clock.tend()
    assert claude.bill()["entries"] == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ([Row("a b", request())], BadRowError),
        ([Row("a", request()), Row("a", request())], BadRowError),
        ([Row("a", {"model": "claude-haiku-5-5"})], BadRowError),
        ([Row("a", request()), Row("b", {**request(), "model": "no-such-model"})], UnknownModelError),
        ([], EmptyBatchError),
    ],
    ids=["name", "twice", "shape", "model", "empty"],
)
def test_a_bad_row_leaves_nothing_behind(catalogue: None, key: Key, bad: list[Row], error: type[Exception]) -> None:
    with pytest.raises(error):
        start(Batch(user=key.user, key=key), bad)
    assert not Batch.objects.exists()
    assert not Call.objects.exists()


def test_rows_that_failed_or_expired_are_known_and_not_billed(begin: Callable[..., Batch], claude: Simulator) -> None:
    batch = tended(
        begin("fine", "[[simulate: batch=errored]]", "[[simulate: batch=expired]]", "[[simulate: status=400]]")
    )
    assert (batch.succeeded, batch.errored, batch.expired, batch.canceled) == (1, 2, 1, 0)
    assert statuses(batch) == ["succeeded", "failed", "failed", "failed"]
    kinds = list(Call.objects.order_by("batch_row__position").values_list("error_type", flat=True))
    assert kinds == ["", "api_error", "expired", "invalid_request_error"]
    assert_books_are_the_bill(claude)


def test_collecting_twice_counts_once(begin: Callable[..., Batch], claude: Simulator) -> None:
    batch = tended(begin("one", "two"))
    BatchPart.objects.update(state=BatchPart.State.READY)
    tended(batch)
    clock.tend()
    batch.refresh_from_db()
    assert batch.succeeded == 2
    assert_books_are_the_bill(claude)


def test_what_was_not_sent_is_canceled_without_a_cost(begin: Callable[..., Batch], claude: Simulator) -> None:
    batch = begin("one", "two")
    assert cancel(batch)
    assert not cancel(batch)
    batch = tended(batch)
    assert (batch.status, batch.canceled) == ("ended", 2)
    assert set(statuses(batch)) == {"canceled"}
    assert_books_are_the_bill(claude)
    assert claude.bill()["entries"] == []


def test_what_was_sent_is_canceled_at_claude(begin: Callable[..., Batch], claude: Simulator) -> None:
    claude.state.batches.seconds = 600
    batch = begin("one", "two")
    clock.tend()
    batch.refresh_from_db()
    assert batch.status == "in_progress"
    cancel(batch)
    batch = tended(batch)
    assert (batch.status, batch.canceled) == ("ended", 2)
    assert_books_are_the_bill(claude)


def test_a_large_batch_is_split_at_the_limits(
    begin: Callable[..., Batch], claude: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.batches.bodies.MOST_REQUESTS", 2)
    batch = tended(begin("one", "two", "three", "four", "five"))
    assert [(part.first, part.beyond, part.sent) for part in batch.parts.all()] == [(0, 2, 2), (2, 4, 2), (4, 5, 1)]
    assert (batch.status, batch.succeeded) == ("ended", 5)
    assert_books_are_the_bill(claude)


def test_a_row_canceled_by_itself_is_left_out(begin: Callable[..., Batch], claude: Simulator) -> None:
    batch = begin("one", "two")
    call = Call.objects.get(batch_row__position=0)
    assert call.cancel()
    budgets.settle(call.pk)
    batch = tended(batch)
    assert statuses(batch) == ["canceled", "succeeded"]
    assert (batch.canceled, batch.succeeded) == (1, 1)
    assert_books_are_the_bill(claude)

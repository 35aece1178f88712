"""Do single calls whose route says «send as batch» go together at half price, and alone where somebody cannot wait?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from core.batches import clock
from core.costs import budgets
from core.execution.run import run_call
from core.intake.accept import accept
from core.jobs import batches as jobs
from core.jobs.sweeper import sweep
from core.models import Batch, Budget, BudgetWindow, Call, Prompt, Route, User
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, tended

pytestmark = pytest.mark.django_db

HAIKU = "claude-haiku-5-5"


@pytest.fixture
def patient(ready_made: None, prompt: Prompt) -> Prompt:
    """A prompt whose route sends everything as a batch."""
    prompt.route = Route.objects.create(name="Patient", slug="patient", model=HAIKU, batch=True)
    prompt.route.publish(None)
    prompt.save()
    prompt.publish(None)
    return prompt


@pytest.fixture
def ask(patient: Prompt, member: User, claude: Simulator, budget: Budget) -> Callable[..., Call]:
    """A call of the member, as far as a worker takes it."""

    def make(text: str = "A letter.", door: str = Call.Door.FORM, lane: str = Call.Lane.QUEUE) -> Call:
        assert patient.published is not None
        call = accept(patient.published, {"document": text, "length": "short"}, user=member, door=door, lane=lane)
        run_call(call.pk)
        call.refresh_from_db()
        return call

    return make


def waited_long_enough() -> None:
    Call.objects.joining().update(not_before=timezone.now() - dt.timedelta(seconds=1))


def test_a_call_that_may_wait_waits_with_its_reservation_and_costs_nothing_yet(
    ask: Callable[..., Call], claude: Simulator
) -> None:
    call = ask()
    assert (call.status, call.lane, call.model, call.attempt) == ("waiting", "batch", "", 0)
    assert call.reason == "«Patient»"
    assert BudgetWindow.objects.get().reserved > 0
    assert claude.bill()["entries"] == []
    assert jobs.nudge_if_due() == "nothing to do"
    sweep()
    assert run_call(call.pk).status == ""
    clock.tend()
    assert not Batch.objects.exists()


def test_they_go_together_after_a_while_at_half_price(ask: Callable[..., Call], claude: Simulator) -> None:
    calls = [ask("One."), ask("Two. [[simulate: batch=errored]]")]
    waited_long_enough()
    assert jobs.nudge_if_due() == "told a worker"
    clock.tend()
    batch = tended(Batch.objects.get())
    assert (batch.rows, batch.succeeded, batch.errored) == (2, 1, 1)
    for call in calls:
        call.refresh_from_db()
    assert [call.status for call in calls] == ["succeeded", "failed"]
    record = calls[0].cost_records.get()
    assert record.saved_by_batch == record.amount
    assert (calls[0].model, calls[0].reason) == (HAIKU, "«Patient»")
    assert_books_are_the_bill(claude)


def test_many_do_not_wait_for_the_clock(ask: Callable[..., Call], settings: Settings, claude: Simulator) -> None:
    settings.BATCH_WAIT_CALLS = 2
    ask()
    clock.tend()
    assert not Batch.objects.exists()
    ask()
    assert jobs.nudge_if_due() == "told a worker"
    clock.tend()
    assert tended(Batch.objects.get()).succeeded == 2
    assert_books_are_the_bill(claude)


def test_gathering_is_split_at_the_limits(
    ask: Callable[..., Call], claude: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.batches.bodies.MOST_REQUESTS", 2)
    for _ in range(3):
        ask()
    waited_long_enough()
    clock.tend()
    batch = tended(Batch.objects.get())
    assert [(part.first, part.beyond) for part in batch.parts.all()] == [(0, 2), (2, 3)]
    assert_books_are_the_bill(claude)


def test_a_call_that_is_canceled_while_it_waits_costs_nothing(ask: Callable[..., Call], claude: Simulator) -> None:
    assert budgets.cancel(ask())
    waited_long_enough()
    clock.tend()
    assert not Batch.objects.exists()
    assert_books_are_the_bill(claude)


@pytest.mark.parametrize(
    ("door", "lane"),
    [(Call.Door.TRY, "queue"), (Call.Door.CHAT, "queue"), (Call.Door.FORM, "sync"), (Call.Door.FORM, "stream")],
)
def test_where_somebody_waits_the_answer_is_given_at_once_and_the_reason_says_so(
    ask: Callable[..., Call], door: str, lane: str
) -> None:
    call = ask(door=door, lane=lane)
    assert (call.status, call.lane) == ("succeeded", lane)
    assert call.reason.endswith(
        "its rule says «send as batch», but somebody waits for this answer, so it is given at once"
    )


def test_its_page_says_that_it_waits_and_sends_it_at_once_on_demand(
    ask: Callable[..., Call], client: Client, member: User, outsider: User, claude: Simulator
) -> None:
    call = ask()
    client.force_login(outsider)
    assert client.post(f"{call.get_absolute_url()}now/").status_code == 404
    client.force_login(member)
    html = client.get(call.get_absolute_url()).content.decode()
    assert "It goes to Claude together with others, at half price. The answer comes within 24 hours." in html
    assert "Send it now instead" in html
    assert "Waits for a batch" in client.get("/calls/").content.decode()

    client.post(f"{call.get_absolute_url()}now/")
    run_call(call.pk)
    call.refresh_from_db()
    assert (call.status, call.lane) == ("succeeded", "queue")
    assert call.reason == "«Patient»; sent at once instead of in a batch, as was asked for"
    record = call.cost_records.get()
    assert not record.saved_by_batch
    assert_books_are_the_bill(claude)
    assert "It was too late" in client.post(f"{call.get_absolute_url()}now/", follow=True).content.decode()


def test_what_is_with_claude_says_so_on_its_page(
    ask: Callable[..., Call], client: Client, member: User, claude: Simulator
) -> None:
    claude.state.batches.seconds = 600
    call = ask()
    waited_long_enough()
    clock.tend()
    client.force_login(member)
    html = client.get(call.get_absolute_url()).content.decode()
    assert "Claude has it in a batch, at half price" in html
    assert "Send it now instead" not in html

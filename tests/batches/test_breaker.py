"""Is Claude left alone with batches where it asks for that, or keeps failing, and are they sent afterwards?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone
from pytest_django import Settings

from core.batches import clock
from core.batches.send import BATCHES
from core.execution import breaker, pacing
from core.models import Batch, BatchPart, Call
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, due_now, tended
from tests.environment import free_port

pytestmark = pytest.mark.django_db


def test_where_claude_keeps_failing_its_breaker_opens_and_nothing_is_sent_until_it_closes(
    begin: Callable[..., Batch], settings: Settings, claude: Simulator
) -> None:
    batch = begin("one", "two")
    address, settings.ANTHROPIC_BASE_URL = settings.ANTHROPIC_BASE_URL, f"http://127.0.0.1:{free_port()}"
    for _ in range(settings.BREAKER_FAILURES):
        due_now()
        clock.tend()
    assert BATCHES in [each.model for each in breaker.states() if each.state == breaker.OPEN]
    settings.ANTHROPIC_BASE_URL = address
    due_now()
    clock.tend()
    assert BatchPart.objects.get().state == BatchPart.State.UNSENT
    breaker.reset(BATCHES)
    assert tended(batch).succeeded == 2
    assert_books_are_the_bill(claude)


def test_where_claude_asks_to_wait_no_batch_is_sent_meanwhile(begin: Callable[..., Batch], claude: Simulator) -> None:
    pacing.slow_down(BATCHES, 60)
    begin("one")
    clock.tend()
    part = BatchPart.objects.get()
    assert (part.state, part.tries) == (BatchPart.State.UNSENT, 0)
    assert claude.bill()["entries"] == []


def test_refusals_that_name_a_short_wait_do_not_use_up_in_an_hour_the_tries_of_a_day(
    begin: Callable[..., Batch], claude: Simulator
) -> None:
    batch = begin("one")
    Batch.objects.filter(pk=batch.pk).update(headers={"x-simulator-fault": "status=429; retry-after=1"})
    BatchPart.objects.update(tries=20)
    clock.tend()
    part = BatchPart.objects.get()
    assert (part.state, part.tries) == (BatchPart.State.UNSENT, 21)
    assert part.next_at > timezone.now() + dt.timedelta(minutes=9)


def test_a_wrong_key_fails_no_row_and_what_is_sent_is_found_with_the_right_one(
    begin: Callable[..., Batch], settings: Settings, claude: Simulator
) -> None:
    claude.state.batches.seconds = 600
    first = begin("one")
    due_now()
    clock.tend()
    second = begin("two")
    key, settings.ANTHROPIC_API_KEY = settings.ANTHROPIC_API_KEY, "sk-invalid"
    for _ in range(3):
        due_now()
        clock.tend()
    assert [part.state for part in BatchPart.objects.order_by("pk")] == ["sent", "unsent"]
    assert all("invalid x-api-key" in part.problem for part in BatchPart.objects.all())
    assert not Call.objects.filter(status__in=Call.FINISHED).exists()
    settings.ANTHROPIC_API_KEY = key
    claude.state.batches.seconds = 0
    for batch in claude.state.batches._batches.values():
        batch.due = batch.created
    assert (tended(first).succeeded, tended(second).succeeded) == (1, 1)
    assert_books_are_the_bill(claude)

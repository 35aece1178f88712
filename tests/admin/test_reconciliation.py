"""Can people see how the ledger agrees with the provider's report, and put right from it what they may?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx2
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from core.costs.reconciliation import reconcile
from core.execution.run import run_call
from core.intake.accept import accept
from core.models import CostRecord, Prompt, Reconciliation, User
from core.simulator.server import Simulator

SignIn = Callable[[User], Client]
LIST = reverse("admin:core_reconciliation_changelist")
RUN = reverse("admin:core_reconciliation_run")
HAIKU, OPUS = "claude-haiku-5-5", "claude-opus-5-5"


@pytest.fixture
def run(prompt: Prompt, member: User, simulator: Simulator) -> Iterator[Callable[..., None]]:
    def make(directive: str = "") -> None:
        assert prompt.published is not None
        inputs = {"document": f"{directive} A text about rivers.", "length": "short"}
        run_call(accept(prompt.published, inputs, user=member).pk)

    httpx2.delete(f"{simulator.url}/_simulator/bill")
    yield make
    httpx2.delete(f"{simulator.url}/_simulator/bill")


def plant(simulator: Simulator, **body: str) -> None:
    httpx2.post(f"{simulator.url}/_simulator/differences", json=body)


def its_day() -> dt.date:
    """The day, as the provider counts, of what was asked; the clock may have passed midnight since."""
    return CostRecord.objects.earliest("at").at.astimezone(dt.UTC).date()


def a_day() -> str:
    """Some day that has begun, where nothing was asked."""
    return timezone.now().date().isoformat()


def page_of(made: Reconciliation) -> str:
    return reverse("admin:core_reconciliation_change", args=[made.pk])


def test_an_empty_list_says_how_it_begins(as_: SignIn, finance: User, operator: User, settings: Settings) -> None:
    text = as_(finance).get(LIST).content.decode()
    assert "No day has been compared yet. Choose a day above" in text
    assert "the simulator answers, and it reports what it billed" in text

    settings.SIMULATED = False
    text = as_(finance).get(LIST).content.decode()
    assert "ANTHROPIC_ADMIN_KEY" in text

    text = as_(operator).get(LIST).content.decode()
    assert "Compare now" not in text


def test_a_day_is_compared_now_and_shown_model_by_model(
    as_: SignIn, finance: User, run: Callable[..., None], simulator: Simulator
) -> None:
    run()
    plant(simulator, kind="extra", model=OPUS, usd="1.5")

    text = as_(finance).post(RUN, {"day": its_day()}, follow=True).content.decode()

    amount = CostRecord.objects.get().amount
    assert amount is not None
    assert f"${amount.normalize():f}" in text
    assert "Matched" in text
    assert "Only in the provider&#x27;s report" in text
    assert "+$1.5" in text
    listed = as_(finance).get(LIST).content.decode()
    assert "Differs" in listed
    assert "1 of 2 matched" in listed


def test_the_list_has_the_newest_of_a_day_and_its_page_the_others(
    as_: SignIn, finance: User, run: Callable[..., None]
) -> None:
    day = timezone.now().date()
    older, newer = reconcile(day), reconcile(day)

    client = as_(finance)

    assert list(client.get(LIST).context["cl"].result_list) == [newer]
    assert page_of(older) in client.get(page_of(newer)).content.decode()
    assert "A newer comparison of this day counts" in client.get(page_of(older)).content.decode()


def test_the_one_unknown_cost_is_filled_in_with_a_click(as_: SignIn, finance: User, run: Callable[..., None]) -> None:
    run()
    run("[[simulate: cut after=5]]")
    made = reconcile(its_day())
    line = made.lines.get()
    assert (line.theirs, line.ours) != (None, None)
    client = as_(finance)
    offered = client.get(page_of(made)).content.decode()
    fill = reverse("admin:core_reconciliation_fill", args=[line.pk])
    assert fill in offered
    assert "Explained by unknown costs of ours" in offered

    text = client.post(fill, follow=True).content.decode()

    filled = CostRecord.objects.get(corrects__isnull=False)
    assert filled.amount == (line.theirs or 0) - (line.ours or 0)
    assert filled.entered_by == finance
    assert "All matched" in text
    again = client.post(fill, follow=True).content.decode()
    assert "no single unknown cost any more" in again
    assert CostRecord.objects.filter(corrects__isnull=False).count() == 1


def test_the_page_leads_to_the_records_of_that_day_and_model(
    as_: SignIn, finance: User, run: Callable[..., None]
) -> None:
    run()
    run("[[simulate: cut after=5]]")
    client = as_(finance)
    (row,) = client.get(page_of(reconcile(its_day()))).context["rows"]

    everything = client.get(row.records).context["cl"].result_list
    unknown = client.get(row.unknown).context["cl"].result_list

    assert set(everything) == set(CostRecord.objects.all())
    assert list(unknown) == list(CostRecord.objects.filter(amount=None))


def test_who_may_only_look_can_neither_compare_nor_fill_in(
    as_: SignIn, operator: User, editor: User, run: Callable[..., None]
) -> None:
    run("[[simulate: cut after=5]]")
    made = reconcile(its_day())
    fill = reverse("admin:core_reconciliation_fill", args=[made.lines.get().pk])

    client = as_(operator)
    assert client.get(page_of(made)).status_code == 200
    assert fill not in client.get(page_of(made)).content.decode()
    assert [client.post(RUN, {"day": its_day()}).status_code, client.post(fill).status_code] == [403, 403]
    client = as_(editor)
    assert [client.get(address).status_code for address in (LIST, page_of(made))] == [403, 403]
    assert [client.post(RUN).status_code, client.post(fill).status_code] == [403, 403]
    assert Reconciliation.objects.count() == 1
    assert not CostRecord.objects.exclude(amount=None).exists()


def test_nothing_happens_by_a_link(as_: SignIn, finance: User, db: None) -> None:
    assert as_(finance).get(RUN).status_code == 405
    assert as_(finance).get(reverse("admin:core_reconciliation_fill", args=[1])).status_code == 405


@pytest.mark.parametrize("day", ["", "soon", "2026-02-31", "2999-01-01"])
def test_a_senseless_day_is_refused_in_words(day: str, as_: SignIn, finance: User) -> None:
    text = as_(finance).post(RUN, {"day": day}, follow=True).content.decode()
    assert "Please choose a day that has begun." in text
    assert not Reconciliation.objects.exists()


def test_an_error_is_shown_and_not_hidden(as_: SignIn, finance: User, settings: Settings) -> None:
    settings.SIMULATED = False
    text = as_(finance).post(RUN, {"day": a_day()}, follow=True).content.decode()
    assert "ANTHROPIC_ADMIN_KEY is not set" in text
    assert "Not compared" in as_(finance).get(LIST).content.decode()


def test_the_start_page_says_on_how_many_days_the_sides_differ(
    as_: SignIn, finance: User, editor: User, run: Callable[..., None], simulator: Simulator
) -> None:
    start = reverse("admin:index")
    run()
    reconcile(its_day())
    assert "cost report differ" not in as_(finance).get(start).content.decode()

    plant(simulator, kind="extra", model=OPUS, usd="1")
    reconcile(its_day(), Decimal(0))

    assert "1 day of the last month: our ledger" in as_(finance).get(start).content.decode()
    assert "cost report differ" not in as_(editor).get(start).content.decode()

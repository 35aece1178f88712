"""Can budgets be kept and requests for more be decided, by those who may and nobody else?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from core.costs import raises
from core.costs.windows import window_of
from core.hints import aside
from core.intake.accept import accept
from core.models import Budget, BudgetNotice, BudgetRequest, BudgetWindow, Prompt, User

As = Callable[[User], Client]
ADD = "/admin/core/budget/add/"
GOOD: dict[str, Any] = {
    "name": "All of us",
    "scope": "organisation",
    "amount": "100",
    "period": "month",
    "starts_on": "2026-01-01",
    "thresholds": "50, 80 %, 100",
    "hard": "on",
    "active": "on",
}


@pytest.fixture
def budget(editor: User) -> Budget:
    """Owned by somebody whose role says nothing of budgets."""
    return Budget.objects.create(name="Research", scope="organisation", amount=Decimal(10), owner=editor)


@pytest.fixture
def asked(budget: Budget, member: User) -> BudgetRequest:
    return raises.ask(budget, member, Decimal("5.50"), "A deadline")


def decide_url(asked: BudgetRequest) -> str:
    return reverse("admin:core_budgetrequest_decide", args=[asked.pk])


def test_finance_makes_a_budget_and_sees_its_period(as_: As, finance: User) -> None:
    page = as_(finance)
    assert 'value="50, 80, 100"' in page.get(ADD).content.decode()
    answer = page.post(ADD, {**GOOD, "owner": finance.pk})
    assert answer.status_code == 302, answer.content.decode()

    made = Budget.objects.get()
    assert (made.amount, made.thresholds) == (Decimal(100), [50, 80, 100])
    html = page.get("/admin/core/budget/").content.decode()
    assert "<progress" in html
    assert "$100.00 each month" in html
    assert page.get(reverse("admin:core_budgetwindow_change", args=[made.windows.get().pk])).status_code == 200
    assert page.get("/admin/core/budgetwindow/").status_code == 200


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scope": "group"}, "Please choose the group that it is for."),
        ({"scope": "user"}, "Please choose the person that it is for."),
        ({"group": "1"}, "Please leave this empty: the budget is for something else."),
        ({"amount": "0"}, "Please enter an amount above 0."),
        ({"thresholds": "0"}, "Please enter percents from 1 to 500"),
        ({"thresholds": "501"}, "Please enter percents from 1 to 500"),
        ({"thresholds": "half"}, "Please enter percents from 1 to 500"),
        ({"ends_on": "2025-12-31"}, "Please enter a last day that is not before the first."),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(as_: As, finance: User, changes: dict[str, str], sentence: str) -> None:
    if "group" in changes:
        changes = {"group": str(Group.objects.earliest("pk").pk)}
    html = as_(finance).post(ADD, {**GOOD, "owner": finance.pk, **changes}).content.decode()
    assert sentence in html
    assert not Budget.objects.exists()


def test_an_owner_must_be_able_to_decide_here(as_: As, finance: User, member: User) -> None:
    html = as_(finance).post(ADD, {**GOOD, "owner": member.pk}).content.decode()
    assert "somebody who may open this administration" in html


def test_a_new_amount_moves_the_present_limit_and_keeps_what_was_granted(
    as_: As, finance: User, budget: Budget, asked: BudgetRequest
) -> None:
    raises.approve(asked, finance)
    change = reverse("admin:core_budget_change", args=[budget.pk])
    data = {"name": "Research", "amount": "20", "thresholds": "", "hard": "on", "active": "on", "owner": finance.pk}

    answer = as_(finance).post(change, data)

    assert answer.status_code == 302, answer.content.decode()
    budget.refresh_from_db()
    assert (budget.scope, budget.period, budget.thresholds) == ("organisation", "month", [])
    assert BudgetWindow.objects.get().limit == Decimal("25.5")
    assert as_(finance).post(reverse("admin:core_budget_delete", args=[budget.pk]), {"post": "yes"}).status_code == 403


def test_the_owner_approves_and_only_this_period_gets_more(
    as_: As,
    editor: User,
    member: User,
    asked: BudgetRequest,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    page = as_(editor)
    assert (
        "asks for $5.50 more" in page.get(reverse("admin:core_budgetrequest_change", args=[asked.pk])).content.decode()
    )
    assert "Requests for more" in page.get("/admin/").content.decode()

    with django_capture_on_commit_callbacks(execute=True):
        page.post(decide_url(asked), {"approve": "1", "answer": "Good luck"})
        page.post(decide_url(asked), {"approve": "1"})

    asked.refresh_from_db()
    assert (asked.status, asked.decided_by, asked.answer) == ("approved", editor, "Good luck")
    assert asked.window.limit == Decimal("15.5"), "once, however often it is approved"
    assert asked.window.budget.amount == 10
    assert aside.wait(20)
    assert [message.to for message in mail.outbox] == [[member.email]]
    assert "Good luck" in str(mail.outbox[0].body)


def test_who_is_not_the_owner_sees_and_decides_nothing_without_leave(
    as_: As, publisher: User, finance: User, asked: BudgetRequest
) -> None:
    assert as_(publisher).post(decide_url(asked), {"approve": "1"}).status_code == 404
    assert as_(publisher).get("/admin/core/budgetrequest/").status_code == 403
    assert "Requests for more" not in as_(publisher).get("/admin/").content.decode()

    as_(finance).post(decide_url(asked), {"decline": "1"})
    asked.refresh_from_db()
    assert (asked.status, asked.window.limit) == ("declined", Decimal(10))


def test_asking_by_get_decides_nothing(as_: As, finance: User, asked: BudgetRequest) -> None:
    as_(finance).get(decide_url(asked), {"approve": "1"})
    asked.refresh_from_db()
    assert asked.status == "open"


def test_a_passed_threshold_shows_to_the_owner_and_finance_until_the_period_ends(
    as_: As, editor: User, finance: User, publisher: User, budget: Budget
) -> None:
    BudgetNotice.objects.create(window=window_of(budget, timezone.localdate()), percent=80)
    for page in ("/admin/", "/"):
        assert "80 %" in as_(editor).get(page).content.decode()
        assert "80 %" in as_(finance).get(page).content.decode()
        assert "80 %" not in as_(publisher).get(page).content.decode()
    BudgetWindow.objects.update(first_day="2020-01-01", last_day="2020-01-31")
    assert "80 %" not in as_(editor).get("/").content.decode()


def test_the_explanation_names_what_spent_and_what_holds(
    as_: As, finance: User, member: User, budget: Budget, prompt: Prompt
) -> None:
    assert prompt.published
    accept(prompt.published, {"document": "A text", "length": "short"}, user=member)
    window = BudgetWindow.objects.get()
    html = as_(finance).get(reverse("admin:core_budgetwindow_change", args=[window.pk])).content.decode()
    assert f"{prompt.name}</a>, member" in html
    assert "Waiting for a free worker" in html


def test_a_trial_and_a_rerun_say_what_is_missing(
    as_: As, administrator: User, editor: User, budget: Budget, prompt: Prompt
) -> None:
    assert prompt.published
    call = accept(prompt.published, {"document": "A text", "length": "short"}, user=editor)
    BudgetWindow.objects.update(limit=0)
    tried = (
        as_(editor)
        .post(
            reverse("admin:core_prompt_try", args=[prompt.pk]),
            {"input-document": "Kept words", "input-length": "short"},
        )
        .content.decode()
    )
    assert "has no room for this" in tried
    assert "Kept words" in tried
    again = as_(administrator).post(reverse("admin:core_call_again", args=[call.pk]), follow=True).content.decode()
    assert "has no room for this" in again

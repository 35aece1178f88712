"""Is what several threads store at the same moment stored as if each had come by itself?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from core.costs.budgets import OverBudgetError
from core.costs.estimate import worst_case
from core.hints.together import APART
from core.intake.requests import Asking, accept_request
from core.intake.storing import New, UnreadableRequestError, store_all
from core.models import Budget, BudgetWindow, Call, Key, Prompt, Reservation, User
from core.routing.choose import Plan

MODEL = "claude-haiku-5-5"
BODY = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
ROOM = 10
TIMEOUT = 30


@pytest.fixture
def worst(prompt: Prompt) -> Decimal:
    found = worst_case(MODEL, BODY, timezone.now().date())
    assert found
    return found


@pytest.fixture
def budget(finance: User, worst: Decimal) -> Budget:
    """Room for exactly ten calls."""
    return Budget.objects.create(name="Ten", scope="organisation", amount=ROOM * worst, owner=finance, thresholds=[])


def at_once(bodies: list[Mapping[str, Any]], member: User, lane: str = Call.Lane.SYNC) -> list[Any]:
    """The call or the error of each, all asked for at the same moment."""
    key = Key.objects.create(name="Script", user=member)
    start = threading.Barrier(len(bodies))

    def ask(body: Mapping[str, Any]) -> Any:
        start.wait(TIMEOUT)
        try:
            return accept_request(body, Asking(member, key, Call.Door.API, lane))
        except (OverBudgetError, UnreadableRequestError) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(ask, bodies))


@pytest.mark.django_db(transaction=True)
def test_of_sixteen_at_once_those_are_stored_that_the_budget_has_room_for(
    budget: Budget, worst: Decimal, member: User
) -> None:
    found = at_once([BODY] * 16, member)

    assert sorted(type(each).__name__ for each in found) == ["Call"] * ROOM + ["OverBudgetError"] * 6
    stored = {each.pk for each in found if isinstance(each, Call)}
    assert set(Call.objects.values_list("pk", flat=True)) == stored
    assert set(Reservation.objects.values_list("call", "held")) == {(pk, worst) for pk in stored}
    assert BudgetWindow.objects.get().reserved == ROOM * worst


@pytest.mark.django_db(transaction=True)
def test_one_that_cannot_be_read_harms_no_other(budget: Budget, worst: Decimal, member: User) -> None:
    unreadable = {**BODY, "max_tokens": "many"}
    found = at_once([BODY, unreadable, BODY, unreadable, BODY, BODY], member)

    assert [type(each).__name__ for each in found] == ["Call", "UnreadableRequestError"] * 2 + ["Call", "Call"]
    assert Call.objects.count() == 4
    assert BudgetWindow.objects.get().reserved == 4 * worst


def new(member: User, **fields: Any) -> New:
    call = Call(user=member, request=BODY, door=Call.Door.API, **{"lane": Call.Lane.SYNC, **fields})
    return New(call, BODY, Plan(MODEL, (MODEL,)))


def test_a_group_with_room_is_stored_with_what_each_reserves(
    budget: Budget, worst: Decimal, member: User, outsider: User
) -> None:
    theirs = Budget.objects.create(
        name="Theirs", scope="user", user=outsider, amount=5, owner=budget.owner, thresholds=[]
    )
    # The windows are there.
    assert store_all([new(member)]) == [APART]
    for person in (member, outsider):
        accept_request(BODY, Asking(person, None, Call.Door.API, Call.Lane.SYNC))

    group = [new(member), new(outsider), new(member)]
    assert store_all(group) == [None] * 3

    assert [Reservation.objects.filter(call=each.call).count() for each in group] == [1, 2, 1]
    assert BudgetWindow.objects.get(budget=budget).reserved == 5 * worst
    assert BudgetWindow.objects.get(budget=theirs).reserved == 2 * worst


def test_a_group_without_room_leaves_nothing_behind(budget: Budget, worst: Decimal, member: User) -> None:
    accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC))

    assert store_all([new(member) for _ in range(ROOM)]) == [APART] * ROOM

    assert Call.objects.count() == Reservation.objects.count() == 1
    assert BudgetWindow.objects.get().reserved == worst


def test_what_is_for_the_queue_goes_there_when_the_group_is_stored(
    member: User, prompt: Prompt, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        store_all([new(member, lane=Call.Lane.QUEUE), new(member), new(member, lane=Call.Lane.QUEUE)])
    assert len(callbacks) == 2

"""Is what several threads store at the same moment stored as if each had come by itself?"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from core.chat.say import Message, begin
from core.costs.budgets import OverBudgetError
from core.costs.estimate import worst_case
from core.execution.lease import lease_time
from core.execution.run import not_begun, run_call
from core.hints.together import APART
from core.intake import same
from core.intake.requests import Asking, accept_request
from core.intake.storing import New, UnreadableRequestError, store, store_all
from core.jobs import sweeper
from core.models import Budget, BudgetWindow, Call, Key, Prompt, Reservation, User
from core.routing.choose import Plan
from core.simulator.server import Simulator
from tests.locks import locks_rows, until_somebody_waits
from tests.lost_commits import LostCommits

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


def in_a_thread(person: User) -> Call:
    """What this person asks for, by a connection that is not the test's."""
    try:
        return accept_request(BODY, Asking(person, None, Call.Door.API, Call.Lane.SYNC))
    finally:
        connection.close()


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


def test_whoever_brings_it_puts_what_is_for_the_queue_there(
    member: User, prompt: Prompt, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    """And not who stores for all: where Redis does not answer, the others are not to wait for it."""
    with django_capture_on_commit_callbacks() as of_the_group:
        store_all([new(member, lane=Call.Lane.QUEUE), new(member)])
    with django_capture_on_commit_callbacks() as own:
        for lane in (Call.Lane.QUEUE, Call.Lane.SYNC):
            store(new(member, lane=lane))

    assert (len(of_the_group), len(own)) == (0, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("usual", [True, False])
def test_a_call_of_whose_commit_nothing_was_heard_is_stored_once_and_goes_on(
    usual: bool, budget: Budget, worst: Decimal, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    if usual:
        # Its window is there.
        accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC))
    before = Call.objects.count()
    lost = LostCommits(monkeypatch)

    call = accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC))

    assert not lost.left
    assert Call.objects.count() == before + 1
    assert BudgetWindow.objects.get().reserved == (before + 1) * worst
    assert run_call(call).status == Call.Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_a_group_of_whose_commit_nothing_was_heard_is_stored_once(
    budget: Budget, worst: Decimal, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC))
    lost = LostCommits(monkeypatch, number=2)

    found = at_once([BODY] * 8, member)

    assert not lost.left
    assert [type(each).__name__ for each in found] == ["Call"] * 8
    assert Call.objects.count() == Reservation.objects.count() == 9
    assert BudgetWindow.objects.get().reserved == 9 * worst


@pytest.mark.django_db(transaction=True)
def test_a_named_call_of_whose_commit_nothing_was_heard_is_the_first_ones_own(
    key: Key, prompt: Prompt, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = LostCommits(monkeypatch)

    make = partial(accept_request, BODY, Asking(member, key, Call.Door.API, Call.Lane.SYNC))
    call, earlier = same.named(key, "order-1", "digest", make)

    assert not lost.left
    assert not earlier, "nobody else runs it"
    assert Call.objects.get() == call
    assert same.named(key, "order-1", "digest", make) == (call, True)


@locks_rows
@pytest.mark.django_db(transaction=True)
def test_one_that_waits_for_a_row_keeps_nobody_else_waiting(
    budget: Budget, member: User, outsider: User, finance: User
) -> None:
    """The row is the window of somebody's budget, which a long transaction has changed."""
    budget.delete()
    Budget.objects.create(name="Theirs", scope="user", user=outsider, amount=5, owner=finance, thresholds=[])
    accept_request(BODY, Asking(outsider, None, Call.Door.API, Call.Lane.SYNC))

    with ThreadPoolExecutor(3) as pool:
        with transaction.atomic():
            BudgetWindow.objects.select_for_update().get()
            first = pool.submit(in_a_thread, outsider)
            until_somebody_waits()
            others = [pool.submit(in_a_thread, member) for _ in range(2)]
            assert [other.result(TIMEOUT).user for other in others] == [member] * 2
            assert not first.done()
        assert first.result(TIMEOUT).user == outsider


@locks_rows
@pytest.mark.django_db(transaction=True)
def test_a_group_does_not_wait_for_a_locked_row_as_one_alone_does(budget: Budget, member: User) -> None:
    accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC))

    def store_two() -> None:
        try:
            store_all([new(member), new(member)])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        BudgetWindow.objects.select_for_update().get()
        with pytest.raises(OperationalError, match="lock timeout"):
            pool.submit(store_two).result(TIMEOUT)


@locks_rows
@pytest.mark.django_db(transaction=True)
def test_a_person_who_is_at_work_in_a_chat_can_be_asked_for_elsewhere(prompt: Prompt, member: User) -> None:
    """The chat holds the person's row until it has reserved; calls of theirs refer to that row."""

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        begin(member, None, Message("Hello"), MODEL)
        assert pool.submit(in_a_thread, member).result(TIMEOUT).user == member


@pytest.mark.django_db(transaction=True)
def test_a_call_that_was_stored_late_begins_when_it_is_stored(
    prompt: Prompt, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have waited in line for so long that a sweeper would take it at once."""
    was_claimed = timezone.now() - dt.timedelta(hours=1)
    claimed = Call.claimed

    def long_ago(lease: dt.timedelta) -> dict[str, Any]:
        return {**claimed(lease), "started_at": was_claimed, "lease_until": was_claimed + lease}

    monkeypatch.setattr(Call, "claimed", staticmethod(long_ago))
    call = accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC))

    stored = Call.objects.get(pk=call.pk)
    assert stored.started_at is not None
    assert stored.started_at > was_claimed
    assert stored.sent_at == stored.started_at
    assert not Call.objects.lost().exists()


@pytest.mark.parametrize("together", [False, True], ids=["alone", "with others"])
def test_no_machine_takes_the_call_of_another_whose_clock_is_behind(
    prompt: Prompt, member: User, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """The database's clock says until when a lease is given, as it says whose is over."""
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() - dt.timedelta(hours=1))
    planned = Plan(MODEL, (MODEL,))
    if together:
        calls = [Call(user=member, request=BODY, **Call.claimed(lease_time())) for _ in range(2)]
        for call in calls:
            call.claimed_here = True
        store_all([New(call, BODY, planned) for call in calls])
    else:
        calls = [accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC, planned=planned))]
    monkeypatch.undo()

    for renewed in (False, True):
        assert not renewed or calls[0].renew_here(lease_time())
        for until in Call.objects.values_list("lease_until", flat=True):
            assert until is not None
            assert abs((until - timezone.now() - lease_time()).total_seconds()) < 5


def test_a_call_that_a_sweeper_ended_before_it_began_is_not_sent(
    prompt: Prompt, member: User, simulator: Simulator
) -> None:
    simulator.state.clear()
    call = accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC))
    call.started_at = timezone.now() - dt.timedelta(hours=1)
    Call.objects.update(lease_until=call.started_at)
    sweeper.recover_lost()

    assert run_call(call).status == ""

    assert Call.objects.get().status == Call.Status.DEAD
    assert simulator.bill()["entries"] == []


def test_a_call_whose_lease_is_nearly_over_before_it_begins_renews_it(prompt: Prompt, member: User) -> None:
    call = accept_request(BODY, Asking(member, None, Call.Door.API, Call.Lane.SYNC))
    call.started_at = timezone.now() - dt.timedelta(hours=1)
    Call.objects.update(lease_until=call.started_at)

    assert run_call(call).status == Call.Status.SUCCEEDED


def test_a_stream_for_which_there_is_no_thread_gives_back_what_it_reserved(
    budget: Budget, member: User, simulator: Simulator
) -> None:
    simulator.state.clear()
    call = accept_request(BODY, Asking(member, None, Call.Door.GATEWAY, Call.Lane.STREAM))

    outcome = not_begun(call)

    assert (outcome.status, outcome.error and outcome.error.status) == (Call.Status.FAILED, 529)
    assert BudgetWindow.objects.get().reserved == 0
    assert simulator.bill()["entries"] == []

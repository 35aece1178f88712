"""Does a call reserve its worst case in each budget that applies, and does it give back what it did not spend?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.db.models import Sum
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from core.costs import budgets
from core.costs.budgets import OverBudgetError
from core.costs.corrections import correct, fill_unknown
from core.costs.estimate import worst_case
from core.costs.windows import period_of, renews_on
from core.execution.recovery import recover
from core.execution.run import run_call
from core.hints import aside
from core.intake.accept import accept
from core.jobs.sweeper import sweep
from core.models import Budget, BudgetNotice, BudgetWindow, Call, CostRecord, Key, Prompt, Reservation, User
from core.simulator.server import Simulator
from tests.books import forget_prices
from tests.lanes import asked_by, for_lane, run, tend

Ask = Callable[..., Call]
Make = Callable[..., Budget]
DOCUMENT = "One sentence. Another sentence. A third one."
CUT = f"[[simulate: cut after=3]] {DOCUMENT}"


@pytest.fixture
def make(finance: User) -> Make:
    """Makes a budget, of 1 USD a month for the organisation unless said otherwise."""

    def budget(**values: Any) -> Budget:
        defaults = {"name": "All", "scope": "organisation", "amount": Decimal(1), "owner": finance}
        return Budget.objects.create(**{**defaults, **values})

    return budget


@pytest.fixture
def ask(prompt: Prompt, member: User) -> Ask:
    def call(document: str = DOCUMENT, **values: Any) -> Call:
        assert prompt.published is not None
        inputs = {"document": document, "length": "short"}
        return accept(prompt.published, inputs, **{"user": member, **values})

    return call


@pytest.fixture
def worst(ask: Ask) -> Callable[..., Decimal]:
    """What a call can cost at most."""

    def amount(document: str = DOCUMENT) -> Decimal:
        call = ask(document)
        found = worst_case("claude-haiku-5-5", call.request, timezone.now().date())
        budgets.cancel(call)
        Call.objects.filter(pk=call.pk).delete()
        assert found
        return found

    return amount


def figures() -> list[Any]:
    """What each window says, after checking that it is what its reservations come to."""
    for window in BudgetWindow.objects.all():
        sums = window.reservations.aggregate(held=Sum("held"), spent=Sum("spent"))
        assert (window.reserved, window.spent) == (sums["held"] or 0, sums["spent"] or 0)
    return list(BudgetWindow.objects.order_by("pk").values_list("spent", "reserved"))


def billed(call: Call) -> Decimal:
    return Decimal(call.cost_records.aggregate(total=Sum("amount"))["total"])


def test_without_budgets_one_query_more_is_all_it_costs(
    ask: Ask, member: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    call = ask()
    with django_assert_num_queries(1):
        budgets.reserve(call)
    with django_assert_num_queries(1):
        budgets.settle(call.pk)


@pytest.mark.parametrize("lane", Call.Lane.values)
def test_a_call_holds_its_worst_case_until_it_is_settled(
    lane: str, prompt: Prompt, ask: Ask, make: Make, worst: Callable[..., Decimal], simulator: Simulator
) -> None:
    for_lane(lane, prompt)
    most = worst()
    make()
    call = ask(lane=asked_by(lane))
    assert figures() == [(0, most)]

    if run(call) == Call.Status.WAITING:
        assert figures() == [(0, most)]
        tend()
        tend()

    assert 0 < billed(call) < most
    assert figures() == [(billed(call), 0)]
    assert Reservation.objects.get().released_at


def test_all_budgets_that_apply_are_asked_and_no_others(
    ask: Ask, make: Make, member: User, outsider: User, prompt: Prompt
) -> None:
    key = Key.objects.create(name="k", user=member)
    other_key = Key.objects.create(name="o", user=member)
    groups = {name: Group.objects.create(name=name) for name in ("One", "Two", "Strange")}
    member.groups.add(groups["One"], groups["Two"])
    today = timezone.localdate()
    day = dt.timedelta(days=1)
    make(name="all")
    make(name="one", scope="group", group=groups["One"])
    make(name="two", scope="group", group=groups["Two"])
    make(name="me", scope="user", user=member)
    make(name="key", scope="key", key=key)
    make(name="prompt", scope="prompt", prompt=prompt)
    make(name="not mine", scope="group", group=groups["Strange"])
    make(name="not me", scope="user", user=outsider)
    make(name="not this key", scope="key", key=other_key)
    make(name="off", active=False)
    make(name="not yet", starts_on=today + day)
    make(name="over", starts_on=today - 2 * day, ends_on=today - day)

    call = ask(key=key)

    found = call.reservations.values_list("window__budget__name", flat=True)
    assert sorted(found) == ["all", "key", "me", "one", "prompt", "two"]


def test_the_groups_of_a_key_count_instead_of_its_owners(ask: Ask, make: Make, member: User) -> None:
    groups = {name: Group.objects.create(name=name) for name in ("Owner's", "Key's", "Both's")}
    for name, group in groups.items():
        make(name=name, scope="group", group=group)
    member.groups.add(groups["Owner's"], groups["Both's"])
    with_groups = Key.objects.create(name="with", user=member)
    with_groups.groups.add(groups["Key's"], groups["Both's"])
    without = Key.objects.create(name="without", user=member)

    def counted(**values: Any) -> list[str]:
        return sorted(ask(**values).reservations.values_list("window__budget__name", flat=True))

    assert counted(key=with_groups) == ["Both's", "Key's"]
    assert counted(key=without) == counted() == ["Both's", "Owner's"]


def test_all_or_none_and_a_refused_call_leaves_nothing_behind(ask: Ask, make: Make, member: User) -> None:
    make(name="Roomy")
    make(name="Tight", scope="user", user=member, amount=Decimal("0.0000000001"), period="day")

    with pytest.raises(OverBudgetError) as caught:
        ask()

    refusal = caught.value
    assert refusal.budget.name == "Tight"
    assert refusal.left == Decimal("0.0000000001")
    assert refusal.needed
    assert refusal.needed > refusal.left
    assert refusal.renews_on == timezone.localdate() + dt.timedelta(days=1)
    assert not Call.objects.exists()
    assert not Reservation.objects.exists()
    assert all(reserved == 0 for _, reserved in figures())


def test_a_limit_is_reached_exactly_and_not_passed(ask: Ask, make: Make, worst: Callable[..., Decimal]) -> None:
    make(amount=worst() * 2)
    ask()
    ask()
    with pytest.raises(OverBudgetError):
        ask()


def test_a_soft_budget_refuses_nothing(ask: Ask, make: Make, worst: Callable[..., Decimal]) -> None:
    most = worst()
    make(amount=Decimal(0), hard=False)
    ask()
    assert figures() == [(0, most)]


def test_without_a_price_a_hard_budget_refuses_and_a_soft_one_does_not(ask: Ask, make: Make, prompt: Prompt) -> None:
    forget_prices(prompt.model.prices.all())
    soft = make(hard=False)
    ask()
    Budget.objects.filter(pk=soft.pk).update(hard=True)
    with pytest.raises(OverBudgetError, match="does not say what this can cost") as caught:
        ask()
    assert caught.value.needed is None


@pytest.mark.parametrize("directive", ["status=400", "status=529 retry-after=0"])
def test_a_call_that_cost_nothing_gives_all_back_when_it_ends(
    directive: str, ask: Ask, make: Make, simulator: Simulator, worst: Callable[..., Decimal]
) -> None:
    document = f"[[simulate: {directive}]] text"
    most = worst(document)
    make()
    call = ask(document)
    run_call(call.pk)
    call.refresh_from_db()
    if call.status == Call.Status.WAITING:
        assert figures() == [(0, most)], "it is still to run"
        budgets.cancel(call)
    assert figures() == [(0, 0)]


def test_what_is_canceled_holds_nothing(ask: Ask, make: Make) -> None:
    make()
    assert budgets.cancel(ask())
    assert figures() == [(0, 0)]


def test_a_lost_answer_stays_held_until_somebody_says_what_it_cost(
    ask: Ask, make: Make, simulator: Simulator, finance: User, worst: Callable[..., Decimal]
) -> None:
    most = worst(CUT)
    make()
    call = ask(CUT)

    run_call(call.pk)
    assert figures() == [(0, 2 * most)], "the lost attempt, and the next"
    Call.objects.filter(pk=call.pk).update(not_before=timezone.now())
    run_call(call.pk)
    assert figures() == [(0, 2 * most)], "two lost ones"

    sweep()
    assert figures() == [(0, 2 * most)]
    first, second = CostRecord.objects.unknown().order_by("pk")
    fill_unknown(first, note="by the invoice", by=finance, amount=Decimal("0.002"))
    assert figures() == [(Decimal("0.002"), most)]
    told = fill_unknown(second, note="by the invoice", by=finance, amount=Decimal(0))
    assert figures() == [(Decimal("0.002"), 0)]
    raised = correct(told, Decimal("0.001"), note="looked again", by=finance)
    assert figures() == [(Decimal("0.003"), 0)]
    correct(raised, Decimal("0.0000000001"), note="and again", by=finance)
    assert figures() == [(Decimal("0.0020000001"), 0)], "what a correction takes back may be spent again"


def test_without_room_for_a_second_worst_case_a_lost_answer_is_not_asked_for_again(
    ask: Ask, make: Make, simulator: Simulator, worst: Callable[..., Decimal]
) -> None:
    most = worst(CUT)
    make(amount=most * 2 - Decimal("0.0000000001"))
    call = ask(CUT)

    outcome = run_call(call.pk)

    assert outcome.status == Call.Status.DEAD
    assert figures() == [(0, most)]


@pytest.mark.parametrize("room", [1, 2])
def test_a_killed_worker_leaves_no_more_held_than_it_may_have_spent(
    room: int, ask: Ask, make: Make, simulator: Simulator, worst: Callable[..., Decimal]
) -> None:
    most = worst()
    make(amount=most * room)
    call = ask()
    lost = Call.objects.claim(call.pk, dt.timedelta(seconds=-1))
    assert lost is not None
    assert lost.mark_sent("claude-haiku-5-5", "as the prompt says")

    status = recover(lost)

    assert status == (Call.Status.QUEUED if room == 2 else Call.Status.DEAD)
    assert figures() == [(0, most * room)]
    if room == 2:
        run_call(call.pk)
        assert figures() == [(billed(call), most)]


@pytest.mark.parametrize("came_back", [False, True])
def test_of_several_sweepers_that_found_a_lost_call_one_alone_holds_for_its_next_try(
    came_back: bool, ask: Ask, make: Make, simulator: Simulator, worst: Callable[..., Decimal]
) -> None:
    """Each worker has a sweeper, and all of them see it in the same second."""
    most = worst()
    make(amount=most * 10)
    call = ask()
    lost = Call.objects.claim(call.pk, dt.timedelta(seconds=-1))
    assert lost is not None
    assert lost.mark_sent("claude-haiku-5-5", "as the prompt says")
    found = Call.objects.lost().get()
    assert lost.renew_here(dt.timedelta(minutes=1)) if came_back else recover(lost) == Call.Status.QUEUED
    held = figures()

    assert recover(found) == ""

    assert figures() == held == [(0, most * (1 if came_back else 2))]


def test_a_worker_killed_before_it_sent_anything_costs_nothing(
    ask: Ask, make: Make, simulator: Simulator, worst: Callable[..., Decimal]
) -> None:
    make(amount=worst())
    call = ask()
    lost = Call.objects.claim(call.pk, dt.timedelta(seconds=-1))
    assert lost is not None

    assert recover(lost) == Call.Status.QUEUED

    run_call(call.pk)
    assert figures() == [(billed(call), 0)]


def test_the_sweeper_gives_back_what_a_finished_call_still_holds(ask: Ask, make: Make) -> None:
    make()
    call = ask()
    Call.objects.filter(pk=call.pk).update(status=Call.Status.FAILED)
    sweep()
    assert figures() == [(0, 0)]


def test_a_late_answer_counts_in_the_window_that_reserved_for_it(ask: Ask, make: Make, simulator: Simulator) -> None:
    make(period="day")
    call = ask()
    yesterday = timezone.localdate() - dt.timedelta(days=1)
    BudgetWindow.objects.update(first_day=yesterday, last_day=yesterday)

    run_call(call.pk)

    assert BudgetWindow.objects.get().first_day == yesterday
    assert figures() == [(billed(call), 0)]


def test_each_threshold_is_told_once(
    ask: Ask,
    make: Make,
    simulator: Simulator,
    finance: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    make(name="Tiny", amount=Decimal("0.0000000001"), hard=False, thresholds=[80, 100])
    for _ in range(2):
        call = ask()
        with django_capture_on_commit_callbacks(execute=True):
            run_call(call.pk)

    assert sorted(BudgetNotice.objects.values_list("percent", flat=True)) == [80, 100]
    assert aside.wait(20)
    assert [(message.to, message.subject) for message in mail.outbox] == [
        ([finance.email], "80 % of the budget «Tiny» is spent"),
        ([finance.email], "100 % of the budget «Tiny» is spent"),
    ]


def test_a_mail_server_that_is_away_harms_no_call(
    ask: Ask,
    make: Make,
    simulator: Simulator,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    make(amount=Decimal("0.0000000001"), hard=False)
    with django_capture_on_commit_callbacks(execute=True):
        assert run_call(ask().pk).status == Call.Status.SUCCEEDED
    assert BudgetNotice.objects.count() == 3


@pytest.mark.parametrize(
    ("period", "day", "expected"),
    [
        ("day", dt.date(2026, 2, 28), (dt.date(2026, 2, 28), dt.date(2026, 2, 28))),
        ("week", dt.date(2026, 11, 22), (dt.date(2026, 11, 16), dt.date(2026, 11, 22))),
        ("week", dt.date(2026, 11, 23), (dt.date(2026, 11, 23), dt.date(2026, 11, 29))),
        ("month", dt.date(2028, 2, 10), (dt.date(2028, 2, 1), dt.date(2028, 2, 29))),
        ("month", dt.date(2026, 12, 31), (dt.date(2026, 12, 1), dt.date(2026, 12, 31))),
        ("once", dt.date(2026, 6, 1), (dt.date(2026, 1, 5), dt.date(2026, 7, 1))),
    ],
)
def test_a_period_holds_its_day(period: str, day: dt.date, expected: tuple[dt.date, dt.date]) -> None:
    budget = Budget(period=period, starts_on=dt.date(2026, 1, 5), ends_on=dt.date(2026, 7, 1))
    assert period_of(budget, day) == expected


def test_a_budget_that_ends_does_not_renew() -> None:
    last = dt.date(2026, 11, 30)
    window = BudgetWindow(budget=Budget(period="month"), first_day=last.replace(day=1), last_day=last)
    assert renews_on(window) == dt.date(2026, 12, 1)
    window.budget.ends_on = last
    assert renews_on(window) is None
    window.budget = Budget(period="once")
    assert renews_on(window) is None

"""Is what is settled together what would have been settled one by one?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import InternalError, connection
from django.db.models import Sum

from core.costs import answered, ledger
from core.costs.answered import Answered, settle_all
from core.costs.budgets import reserve
from core.costs.ledger import Exchange, book
from core.execution.lease import lease_time
from core.execution.settling import patiently
from core.hints.together import APART
from core.models import (
    Budget,
    BudgetNotice,
    BudgetWindow,
    Call,
    CostRecord,
    Key,
    PendingRollup,
    Prompt,
    Reservation,
    User,
)
from tests.locks import locks_rows
from tests.lost_commits import LostCommits

MODEL = "claude-haiku-5-5"
REQUEST = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "Hello"}]}
TIMEOUT = 30
MakeCall = Callable[[], Call]


@pytest.fixture
def budgets(finance: User, member: User) -> list[Budget]:
    common: dict[str, Any] = {"amount": Decimal(1), "owner": finance, "thresholds": [1]}
    return [
        Budget.objects.create(name="All", scope="organisation", **common),
        Budget.objects.create(name="Theirs", scope="user", user=member, **common),
    ]


@pytest.fixture
def running(prompt: Prompt, member: User, budgets: list[Budget]) -> MakeCall:
    def call() -> Call:
        made = Call.objects.create(
            user=member, prompt=prompt, model=MODEL, request=REQUEST, **Call.claimed(lease_time())
        )
        reserve(made)
        return made

    return call


def answer(call: Call, request_id: str, *, complete: bool = True, model: str = MODEL) -> Answered:
    usage = {"input_tokens": 1000, "output_tokens": 200}
    fields = {"text": "Hi", "content": [], "envelope": {}, "stop_reason": "end_turn"}
    return Answered(
        call,
        Exchange(model, request_id, usage if complete else {}, complete),
        {**fields, "model": model, "request_id": request_id},
    )


def some_of_each(running: MakeCall, name: str) -> list[Answered]:
    """Usual ones, and each kind that is not."""
    corrected, taken_over, again, other_reason = running(), running(), running(), running()
    book(corrected, Exchange(model=MODEL))
    Call.objects.filter(pk=taken_over.pk).update(lease_token="somebody else's")
    once = answer(again, f"{name}-again")
    book(again, once.exchange)
    reasoned = answer(other_reason, f"{name}-reason")
    return [
        *(answer(running(), f"{name}-{number}") for number in range(3)),
        answer(corrected, f"{name}-late"),
        answer(taken_over, f"{name}-taken"),
        once,
        answer(running(), f"{name}-cut", complete=False),
        answer(running(), f"{name}-unpriced", model="claude-unheard-of"),
        Answered(other_reason, reasoned.exchange, {**reasoned.answer, "reason": "another model answered"}),
    ]


def figures(settled: list[Answered]) -> list[Any]:
    """What is stored of each call, without what differs between any two."""
    return [
        (
            stored.status,
            stored.text,
            stored.reason,
            stored.lease_until is None,
            list(stored.cost_records.order_by("pk").values_list("amount", "unknown_reason", "model", "booked_on")),
            list(Reservation.objects.filter(call=stored).order_by("pk").values_list("held", "spent")),
            [each.released_at is None for each in Reservation.objects.filter(call=stored).order_by("pk")],
        )
        for stored in (Call.objects.get(pk=each.call.pk) for each in settled)
    ]


def by_itself(one: Answered) -> bool:
    return ledger.settle(one.call, one.exchange, partial(one.call.succeed, dict(one.answer)))


def windows() -> list[Any]:
    return list(BudgetWindow.objects.order_by("pk").values_list("spent", "reserved"))


def test_together_is_the_same_as_one_by_one(running: MakeCall) -> None:
    alone, group = some_of_each(running, "alone"), some_of_each(running, "group")
    before = windows()

    one_by_one = [by_itself(each) for each in alone]
    after_alone = windows()
    together = settle_all(group)

    assert one_by_one == [True] * 4 + [False] + [True] * 4
    assert together == [True] * 4 + [APART] + [True] * 4
    assert not answered.settle(group[4])
    assert figures(group) == figures(alone)
    changed = [[now - then for now, then in zip(*pair, strict=True)] for pair in zip(after_alone, before, strict=True)]
    again = [[now - then for now, then in zip(*pair, strict=True)] for pair in zip(windows(), after_alone, strict=True)]
    assert again == changed != [[0, 0], [0, 0]]
    assert PendingRollup.objects.count() == CostRecord.objects.count()
    assert [each.call.status for each in group] == [each.call.status for each in alone]
    assert [each.call.cost for each in group] == [each.call.cost for each in alone]


def test_a_group_that_passes_a_threshold_tells_it_once(running: MakeCall, budgets: list[Budget]) -> None:
    group = [answer(running(), f"req-{number}") for number in range(3)]
    # Three calls cost 0.0006, and one percent of it is passed by the second.
    BudgetWindow.objects.update(limit=Decimal("0.03"))

    settle_all(group)

    assert sorted(BudgetNotice.objects.values_list("percent", flat=True)) == [1, 1]


@pytest.mark.django_db(transaction=True)
def test_threads_that_settle_at_once_leave_nothing_reserved(running: MakeCall) -> None:
    group = [answer(running(), f"req-{number}") for number in range(48)]
    start = threading.Barrier(16)

    def settle_three(which: int) -> list[bool]:
        start.wait(TIMEOUT)
        try:
            return [answered.settle(each) for each in group[which::16]]
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(settle_three, range(16)))

    assert results == [[True] * 3] * 16
    booked = CostRecord.objects.aggregate(sum=Sum("amount"))["sum"]
    assert CostRecord.objects.count() == Call.objects.filter(status=Call.Status.SUCCEEDED).count() == 48
    assert windows() == [(booked, 0)] * 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [1, 4])
def test_an_answer_of_whose_commit_nothing_was_heard_is_this_programs_all_the_same(
    number: int, running: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = [answer(running(), f"req-{each}") for each in range(number)]
    lost = LostCommits(monkeypatch)

    def settle(each: Answered) -> bool:
        try:
            return patiently(partial(answered.settle, each))
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        assert list(pool.map(settle, group)) == [True] * number

    assert not lost.left
    assert {each.call.status for each in group} == {Call.Status.SUCCEEDED}
    assert CostRecord.objects.count() == number
    assert {reserved for _, reserved in windows()} == {0}


@locks_rows
@pytest.mark.django_db(transaction=True)
def test_a_migration_beneath_a_running_process_loses_no_exchange(running: MakeCall) -> None:
    length = Key._meta.get_field("cost_centre").max_length or 0

    def alter(length: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE core_key ALTER COLUMN cost_centre TYPE varchar({length})")

    def fails(number: int) -> None:
        call = running()
        end = partial(call.fail, Call.Status.FAILED, {"error_type": "overloaded_error"})
        assert patiently(partial(ledger.settle, call, answer(call, f"req-{number}").exchange, end))

    fails(1)
    alter(length + 50)
    try:
        fails(2)
    finally:
        alter(length)
    assert CostRecord.objects.count() == 2
    assert {reserved for _, reserved in windows()} == {0}


@locks_rows
@pytest.mark.django_db(transaction=True)
def test_an_answer_waits_for_a_database_that_may_only_be_read(running: MakeCall) -> None:
    """As one is that another has taken over from, until its address leads to that one."""
    mine = answer(running(), "req-1")
    refused: list[str] = []

    def may_be_written(*, yes: bool) -> None:
        with connection.cursor() as cursor:
            database = connection.settings_dict["NAME"]
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(f'ALTER DATABASE "{database}" SET default_transaction_read_only = {not yes}')
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]

    def settle() -> bool:
        if refused:
            may_be_written(yes=True)
        try:
            return answered.settle(mine)
        except InternalError as error:
            refused.append(str(error))
            raise

    may_be_written(yes=False)
    try:
        assert patiently(settle)
    finally:
        may_be_written(yes=True)
    assert len(refused) == 1
    assert "read-only" in refused[0]
    assert CostRecord.objects.count() == 1

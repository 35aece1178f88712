"""Can many at once spend more than a budget allows? With room for exactly ten calls, exactly ten are accepted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import F, Sum
from django.utils import timezone

from core.costs import budgets
from core.costs.budgets import OverBudgetError
from core.costs.estimate import worst_case
from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Batch, Budget, BudgetWindow, Call, CostRecord, Prompt, PromptVersion, Reservation, User
from core.simulator.server import Simulator
from tests import environment
from tests.lanes import asked_by, for_lane, run, tend

ROOM = 10
THREADS = 64
PROCESSES = 4
# Of looking after batches: they are gathered and sent in one, and collected in the next.
ROUNDS = 2
INPUTS = {"document": "The invoice is due on Friday. Please pay it.", "length": "short"}

T = TypeVar("T")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lane() -> str:
    """Where a test does not go through all of them."""
    return Call.Lane.SYNC


@pytest.fixture
def version(lane: str, prompt: Prompt, simulator: Simulator) -> PromptVersion:
    prompt.max_tokens = 50
    return for_lane(lane, prompt)


@pytest.fixture
def worst(version: PromptVersion, member: User) -> Decimal:
    """What one call can cost at most."""
    call = accept(version, INPUTS, user=member, lane=Call.Lane.SYNC)
    amount = worst_case(version.model_id, call.request, timezone.now().date())
    Call.objects.all().delete()
    assert amount
    return amount


@pytest.fixture
def budget(worst: Decimal, finance: User) -> Budget:
    """Room for exactly ten calls."""
    return Budget.objects.create(
        name="Ten calls", scope="organisation", amount=ROOM * worst, owner=finance, thresholds=[]
    )


def at_once(number: int, work: Callable[[], T]) -> list[T]:
    """What `work` answers in each of `number` threads that begin together."""
    together = threading.Barrier(number)

    def one(_: int) -> T:
        together.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def check_accepted(worst: Decimal) -> None:
    window = BudgetWindow.objects.get()
    assert Call.objects.count() == ROOM
    assert (window.spent, window.reserved) == (Decimal(0), ROOM * worst)
    assert window.reserved == window.limit


def check_waiting(worst: Decimal) -> None:
    """They wait for a batch with all that they have reserved, and nothing was sent."""
    assert Call.objects.joining().count() == ROOM
    assert not CostRecord.objects.exists()
    check_accepted(worst)


def check_settled(lane: str) -> None:
    window = BudgetWindow.objects.get()
    assert set(Call.objects.values_list("lane", flat=True)) == {lane}
    booked = CostRecord.objects.aggregate(total=Sum("amount"))["total"]
    assert CostRecord.objects.count() == Call.objects.filter(status=Call.Status.SUCCEEDED).count() == ROOM
    assert (window.spent, window.reserved) == (booked, Decimal(0))
    assert 0 < booked < window.limit
    assert not Reservation.objects.filter(released_at=None).exists()
    assert Reservation.objects.aggregate(held=Sum("held"), spent=Sum("spent")) == {"held": 0, "spent": booked}
    if lane == Call.Lane.BATCH:
        # They went together, at half the price that each had reserved.
        assert Batch.objects.get().succeeded == ROOM
        assert CostRecord.objects.aggregate(total=Sum("saved_by_batch"))["total"] == booked


@pytest.mark.parametrize("lane", Call.Lane.values)
def test_of_64_threads_ten_are_accepted(
    lane: str, budget: Budget, worst: Decimal, version: PromptVersion, member: User
) -> None:
    def ask() -> Call | None:
        try:
            return accept(version, INPUTS, user=member, lane=asked_by(lane))
        except OverBudgetError:
            return None

    calls = [call for call in at_once(THREADS, ask) if call]

    assert len(calls) == ROOM
    check_accepted(worst)
    waiting = iter(calls)
    at_once(ROOM, lambda: run(next(waiting)))
    if lane == Call.Lane.BATCH:
        check_waiting(worst)
        for _ in range(ROUNDS):
            at_once(PROCESSES, tend)
    check_settled(lane)


@pytest.mark.parametrize("lane", Call.Lane.values)
def test_of_4_processes_with_64_calls_ten_are_accepted(
    lane: str, budget: Budget, worst: Decimal, version: PromptVersion, member: User
) -> None:
    asked = {"prompt": version.prompt_id, "user": member.pk, "inputs": INPUTS, "lane": asked_by(lane)}
    with ExitStack() as stack:
        racers = [stack.enter_context(racer()) for _ in range(PROCESSES)]
        phase(racers, {**asked, "times": THREADS // PROCESSES})

        results = phase(racers, "ask")

        assert [sum(result) for result in results] == [THREADS // PROCESSES] * PROCESSES
        assert sum(accepted for accepted, _ in results) == ROOM
        check_accepted(worst)
        statuses = [status for result in phase(racers, "run") for status in result]
        if lane == Call.Lane.BATCH:
            assert statuses == [Call.Status.WAITING] * ROOM
            check_waiting(worst)
            for _ in range(ROUNDS):
                phase(racers, "tend")
        else:
            assert statuses == [Call.Status.SUCCEEDED] * ROOM
    check_settled(lane)


def test_while_calls_come_and_end_no_moment_passes_the_limit(
    budget: Budget, worst: Decimal, version: PromptVersion, member: User
) -> None:
    """What ended calls give back lets others in, until what is left is less than a worst case."""
    over = threading.Event()
    passed: list[Any] = []

    def watch() -> None:
        while not over.is_set():
            passed.extend(BudgetWindow.objects.filter(limit__lt=F("spent") + F("reserved")).values())
        connection.close()

    def spend() -> int:
        done = 0
        while True:
            try:
                call = accept(version, INPUTS, user=member, lane=Call.Lane.SYNC)
            except OverBudgetError:
                return done
            run_call(call.pk)
            done += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    done = sum(at_once(16, spend))
    over.set()
    watcher.join()

    window = BudgetWindow.objects.get()
    assert not passed
    assert done == Call.objects.count() > ROOM
    assert window.reserved == 0
    assert window.spent == CostRecord.objects.aggregate(total=Sum("amount"))["total"] <= window.limit


def test_a_canceled_call_gives_its_room_to_one_other(
    budget: Budget, worst: Decimal, version: PromptVersion, member: User
) -> None:
    calls = [accept(version, INPUTS, user=member, lane=Call.Lane.SYNC) for _ in range(ROOM)]

    assert sum(at_once(8, lambda: budgets.cancel(Call.objects.get(pk=calls[0].pk)))) == 1

    accept(version, INPUTS, user=member, lane=Call.Lane.SYNC)
    with pytest.raises(OverBudgetError):
        accept(version, INPUTS, user=member, lane=Call.Lane.SYNC)


def racer() -> subprocess.Popen[str]:
    name = str(connection.settings_dict["NAME"])
    cluster = environment.cluster
    url = f"postgres://{cluster.user}@/{cluster.folder}/{name}" if cluster else f"sqlite:///{name}"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.costs.racer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": url},
    )


def phase(racers: list[subprocess.Popen[str]], line: Any) -> list[Any]:
    """Let all begin the next phase, and answer what each of them says at its end."""
    for process in racers:
        assert process.stdin is not None
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
    return [json.loads(_said(process)) for process in racers]


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()

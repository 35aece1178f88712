"""Is the ledger the provider's bill, whenever a worker is killed?

Real workers, real signals: see `tests.crash.worker`. The bill is the simulator's, reckoned by somebody else's code.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from core.costs.corrections import fill_unknown, standing
from core.intake.accept import accept
from core.jobs import calls
from core.jobs.sweeper import Swept, sweep
from core.live.channel import text_so_far
from core.models import Budget, BudgetWindow, Call, CostRecord, Prompt, User
from core.simulator.server import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "The invoice is due on Friday. Please pay it. The goods came yesterday. Nothing was missing."
LONGEST_WAIT = 60
UNBILLED = "attempt {}: unknown here, and not on the bill"
BILLED = "attempt {}: unknown here, and on the bill"


@pytest.fixture
def ask(prompt: Prompt, member: User, simulator: Simulator) -> Callable[[str], Call]:
    simulator.state.clear()
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=100, owner=member)

    def make(directive: str = "") -> Call:
        assert prompt.published is not None
        return accept(prompt.published, {"document": f"{directive} {TEXT}", "length": "short"}, user=member)

    return make


@contextlib.contextmanager
def worker(step: str) -> Iterator[subprocess.Popen[str]]:
    """A worker on the tests' own database."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.worker", step],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DATABASE_URL": address_of_the_tests_database()},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def address_of_the_tests_database() -> str:
    values: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    return f"postgres://{values['USER']}@/{values['HOST']}/{values['NAME']}"


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < deadline, f"in vain waited for {what}"
        time.sleep(0.02)


def killed_by_itself(step: str) -> None:
    with worker(step) as process:
        # The end of its output is the end of all its processes.
        process.communicate(timeout=LONGEST_WAIT)
        assert process.returncode == -signal.SIGKILL


def killed_when(condition: Callable[[], Any], what: str) -> None:
    with worker("sent") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        until(condition, what)
        process.kill()
        process.communicate(timeout=LONGEST_WAIT)


def lease_runs_out() -> None:
    """What thirty seconds would do."""
    past = timezone.now() - dt.timedelta(seconds=1)
    Call.objects.filter(status=Call.Status.RUNNING).update(lease_until=past)


def recovered(call: Call) -> Call:
    """Sweep, and run what the sweeper gives back, until the call has ended."""
    for _ in range(settings.CALL_ATTEMPTS + 1):
        lease_runs_out()
        sweep()
        calls.run(str(call.pk))
        call.refresh_from_db()
        if call.finished:
            break
    assert sweep() == Swept()
    return call


def differences(simulator: Simulator) -> list[str]:
    """Each record and each entry of the bill that has no partner of the same request id and amount."""
    entries = {entry["request_id"]: entry for entry in simulator.bill()["entries"]}
    found = []
    unmatched = dict(entries)
    for record in CostRecord.objects.filter(corrects=None).exclude(request_id="").order_by("pk"):
        entry = unmatched.pop(record.request_id, None)
        if entry is None:
            found.append(f"attempt {record.attempt}: only in the ledger")
        elif standing(record) != Decimal(entry["amount_usd"]):
            found.append(f"attempt {record.attempt}: the amounts differ")
    # Without a request id only their number can be matched; the provider's report, too, names nothing else.
    lost = list(unmatched.values())
    for record in CostRecord.objects.unknown().filter(request_id="").order_by("attempt"):
        entry = lost.pop() if lost else None
        found.append((BILLED if entry else UNBILLED).format(record.attempt))
    return [*found, *(f"request {entry['request_id']}: only on the bill" for entry in lost)]


def total(simulator: Simulator) -> Decimal:
    return Decimal(simulator.bill()["total_usd"])


@pytest.mark.parametrize(
    ("step", "attempts", "expected"),
    [
        ("claimed", 2, []),
        ("noted as sent", 2, [UNBILLED.format(1)]),
        ("answered", 2, [BILLED.format(1)]),
        ("ended and not booked", 2, [BILLED.format(1)]),
        ("booked and not committed", 2, [BILLED.format(1)]),
        ("settled", 1, []),
    ],
)
def test_after_a_kill_at_any_step_the_ledger_is_the_bill(
    ask: Callable[..., Call], simulator: Simulator, step: str, attempts: int, expected: list[str]
) -> None:
    call = ask()

    killed_by_itself(step)

    call = recovered(call)
    assert (call.status, call.attempt) == (Call.Status.SUCCEEDED, attempts)
    assert differences(simulator) == expected
    fill_in_what_the_bill_says(simulator)


def test_killed_while_claude_is_silent(ask: Callable[..., Call], simulator: Simulator) -> None:
    call = ask("[[simulate: hang seconds=60 times=1]]")

    killed_when(lambda: simulator.state.counter._seen, "the request at the simulator")

    assert recovered(call).status == Call.Status.SUCCEEDED
    assert differences(simulator) == [UNBILLED.format(1)]
    fill_in_what_the_bill_says(simulator)


def test_killed_in_the_middle_of_an_answer(ask: Callable[..., Call], simulator: Simulator) -> None:
    call = ask("[[simulate: hang seconds=60 after=3 times=1]]")

    killed_when(lambda: text_so_far(call.pk), "the first words")

    until(lambda: simulator.bill()["entries"], "the bill for what had been written")
    assert recovered(call).status == Call.Status.SUCCEEDED
    assert differences(simulator) == [BILLED.format(1)]
    fill_in_what_the_bill_says(simulator)


def test_killed_at_each_attempt_a_call_is_given_up_and_each_cost_is_listed(
    ask: Callable[..., Call], simulator: Simulator
) -> None:
    call = ask()
    killed_by_itself("answered")
    lease_runs_out()
    assert sweep().recovered == 1
    killed_by_itself("booked and not committed")

    assert recovered(call).status == Call.Status.DEAD
    assert differences(simulator) == [BILLED.format(1), BILLED.format(2)]
    assert not CostRecord.objects.exclude(amount=None).exists()
    fill_in_what_the_bill_says(simulator)


def fill_in_what_the_bill_says(simulator: Simulator) -> None:
    """With the unknown ones filled in from the bill, the ledger is the bill to the last digit."""
    booked = set(CostRecord.objects.values_list("request_id", flat=True))
    missing = [entry for entry in simulator.bill()["entries"] if entry["request_id"] not in booked]
    for entry, record in zip(missing, CostRecord.objects.unknown(), strict=False):
        amount = Decimal(entry["amount_usd"])
        fill_unknown(record, amount=amount, note="As billed.", source=CostRecord.Source.RECONCILED)
    known = [record.amount for record in CostRecord.objects.all() if record.amount is not None]
    assert sum(known, Decimal(0)) == total(simulator)
    window = BudgetWindow.objects.get()
    assert window.spent == total(simulator)
    assert bool(window.reserved) == CostRecord.objects.unknown().exists(), "only what may yet be billed is held"

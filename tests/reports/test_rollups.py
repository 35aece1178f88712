"""Are the sums exact at every moment, whoever adds to them and whoever dies on the way?"""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction

from core.models import Call, CostRecord, PendingRollup, SpendRollup, User
from core.reports import sums
from core.reports.periods import Period
from core.reports.rollups import rebuild_rollups, roll_up, roll_up_all, wrong_rollups
from tests.reports.conftest import MakeRecord

YEAR = Period(dt.date(2026, 1, 1), dt.date(2026, 12, 31))
DAY = dt.date(2026, 5, 20)


def amount(period: Period = YEAR) -> Decimal:
    return sums.total(period).amount


def test_a_record_counts_before_and_after_it_is_rolled_up(spent: MakeRecord) -> None:
    spent("1.0000000001", DAY)
    assert amount() == Decimal("1.0000000001")
    assert roll_up() == 1
    assert amount() == Decimal("1.0000000001")
    spent("2", DAY)
    assert amount() == Decimal("3.0000000001")
    assert roll_up_all() == 1
    assert amount() == Decimal("3.0000000001")
    assert not PendingRollup.objects.exists()
    assert wrong_rollups() == []


def test_a_batch_takes_so_many_and_leaves_the_rest(spent: MakeRecord) -> None:
    for _ in range(7):
        spent("1", DAY)
    assert roll_up(3) == 3
    assert PendingRollup.objects.count() == 4
    assert amount() == 7
    assert [roll_up(3), roll_up(3), roll_up(3)] == [3, 1, 0]
    assert SpendRollup.objects.get(dimension="total", grain="day").amount == 7


def test_each_dimension_has_its_days_and_months(spent: MakeRecord, member: User) -> None:
    team = Group.objects.create(name="Bridge")
    spent("1", dt.date(2026, 4, 30), user=member, team=team, cost_centre="K1", lane="batch")
    spent("2", dt.date(2026, 5, 1), user=member, lane="queue")
    spent("4", dt.date(2026, 5, 31), cost_centre="K1", lane="queue")
    roll_up_all()
    found = {
        (row.dimension, row.grain, f"{row.starts_on:%m-%d}", row.value): int(row.amount or 0)
        for row in SpendRollup.objects.filter(dimension__in=["total", "team", "cost_centre", "user"])
    }
    person, group = str(member.pk), str(team.pk)
    assert found[("total", "month", "04-01", "")] == 1
    assert found[("total", "month", "05-01", "")] == 6
    assert found[("total", "day", "05-31", "")] == 4
    assert found[("team", "month", "04-01", group)] == 1
    assert found[("team", "month", "05-01", "")] == 6
    assert found[("cost_centre", "month", "05-01", "K1")] == 4
    assert found[("user", "day", "05-01", person)] == 2
    assert wrong_rollups() == []


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-03-31", "2026-03-31", 1),
        ("2026-03-31", "2026-04-01", 3),
        ("2026-04-01", "2026-04-30", 6),
        ("2026-04-02", "2026-04-29", 0),
        ("2026-03-31", "2026-05-01", 15),
        ("2026-04-30", "2026-06-15", 60),
        ("2026-01-01", "2026-12-31", 63),
        ("2025-01-01", "2026-04-01", 3),
    ],
)
def test_any_two_days_make_whole_months_and_edges_without_a_gap(
    spent: MakeRecord, rolled: bool, first: str, last: str, expected: int
) -> None:
    days = ["2026-03-31", "2026-04-01", "2026-04-30", "2026-05-01", "2026-05-31", "2026-06-15"]
    for number, day in enumerate(days):
        spent(str(2**number), dt.date.fromisoformat(day))
    if rolled:
        roll_up_all()
    assert amount(Period(dt.date.fromisoformat(first), dt.date.fromisoformat(last))) == expected


def test_within_one_moment_what_is_pending_counts_on_whichever_day_it_is(spent: MakeRecord) -> None:
    days = [dt.date(2026, month, 15) for month in (5, 2, 8, 3)]
    for number, day in enumerate(days):
        spent(str(10**number), day)
    wanted = {Period(day, day): Decimal(10**number) for number, day in enumerate(days)} | {YEAR: Decimal(1111)}
    for _ in range(len(days) + 1):
        with sums.one_moment():
            assert {period: amount(period) for period in wanted} == wanted
            assert sums.per_values(["model"], YEAR, 5)["model"][0]["claude-haiku-5-5"].amount == 1111
        roll_up(1)
    assert not PendingRollup.objects.exists()


def test_an_unknown_cost_is_counted_until_a_correction_puts_it_right(spent: MakeRecord) -> None:
    lost = spent(None, DAY)
    roll_up_all()
    assert sums.total(YEAR).unknown == 1
    later = DAY + dt.timedelta(days=1)
    again = spent(None, later, corrects=lost, source="repriced")
    assert sums.total(YEAR).unknown == 1
    spent("5", later, corrects=again, source="by_hand", note="Claude's console", entered_by=_somebody())
    for roll in (False, True):
        if roll:
            roll_up_all()
        assert (sums.total(YEAR).unknown, amount()) == (0, Decimal(5))
        assert sums.total(Period(DAY, DAY)).unknown == 1
        assert sums.total(Period(later, later)).unknown == -1
    assert wrong_rollups() == []


def test_a_correction_carries_the_difference(spent: MakeRecord) -> None:
    first = spent("5", DAY)
    roll_up_all()
    spent("-1.5", DAY, corrects=first, source="repriced")
    assert amount() == Decimal("3.5")
    roll_up_all()
    assert amount() == Decimal("3.5")
    assert sums.total(YEAR).unknown == 0


def test_rebuilding_mends_what_a_hand_broke_and_leaves_pending_records_pending(spent: MakeRecord) -> None:
    for number in range(5):
        spent("1", DAY + dt.timedelta(days=number * 20))
    roll_up_all()
    SpendRollup.objects.filter(dimension="model").update(records=99)
    SpendRollup.objects.filter(dimension="total", grain="month").delete()
    spent("1", DAY)
    assert len(wrong_rollups()) > 5
    rebuild_rollups()
    assert wrong_rollups() == []
    assert PendingRollup.objects.count() == 1
    assert amount() == 6


def _somebody() -> User:
    return User.objects.create_user("somebody")


# --- At once ---

WRITERS, EACH = 4, 40


@pytest.mark.django_db(transaction=True)
def test_a_reader_never_misses_a_record_nor_sees_it_twice(call: Call) -> None:
    """Four write, two roll up, two read: each total is one between what was committed before and after the reading."""
    committed = _Counter()
    done = threading.Event()
    seen: list[tuple[int, int, int]] = []
    writers = [threading.Thread(target=_guarded(_write, number, call, committed)) for number in range(WRITERS)]
    rollers = [threading.Thread(target=_guarded(_roll_until, done)) for _ in range(2)]
    readers = [threading.Thread(target=_guarded(_read_until, done, committed, seen)) for _ in range(2)]
    for thread in [*writers, *rollers, *readers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in [*rollers, *readers]:
        thread.join()
    assert _problems == []
    assert any(0 < total < WRITERS * EACH for _, total, _ in seen), "nobody read while others wrote"
    for before, total, after in seen:
        assert before <= total <= after
    roll_up_all()
    assert amount() == WRITERS * EACH
    assert wrong_rollups() == []


_problems: list[BaseException] = []


class _Counter:
    """How many records are certainly committed (`sure`), and how many may be (`begun`)."""

    def __init__(self) -> None:
        self.sure = self.begun = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            self.begun += 1

    def end(self) -> None:
        with self._lock:
            self.sure += 1


def _guarded(work: Callable[..., object], *arguments: object) -> Callable[[], None]:
    def run() -> None:
        try:
            work(*arguments)
        except BaseException as problem:  # noqa: BLE001 - shown by the test
            _problems.append(problem)
        finally:
            connections.close_all()

    return run


def _write(number: int, call: Call, committed: _Counter) -> None:
    luck = random.Random(number)
    for index in range(EACH):
        day = DAY + dt.timedelta(days=luck.randrange(100))
        committed.begin()
        with transaction.atomic():
            record = CostRecord.objects.create(
                call=call, request_id=f"{number}-{index}", model="m", booked_on=day, amount=Decimal(1)
            )
            PendingRollup.objects.create(record=record)
        committed.end()


def _roll_until(done: threading.Event) -> None:
    while not done.is_set():
        roll_up(7)


def _read_until(done: threading.Event, committed: _Counter, seen: list[tuple[int, int, int]]) -> None:
    last = 0
    while not done.is_set():
        before = committed.sure
        total = int(sums.total(YEAR).amount)
        seen.append((max(before, last), total, committed.begun))
        last = total


@pytest.mark.django_db(transaction=True)
def test_several_rollers_at_once_add_each_record_once(spent: MakeRecord) -> None:
    for number in range(60):
        spent("1", DAY + dt.timedelta(days=number), lane=["sync", "queue", "batch"][number % 3])
    threads = [threading.Thread(target=_guarded(roll_up_all, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _problems == []
    roll_up_all()
    assert amount() == 60
    assert wrong_rollups() == []
    assert not PendingRollup.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_pages_figures_are_all_of_one_moment(spent: MakeRecord) -> None:
    """What another connection commits meanwhile is in none of them."""
    spent("1", DAY)
    with sums.one_moment():
        assert amount() == 1
        other = threading.Thread(target=_guarded(spent, "2", DAY))
        other.start()
        other.join()
        assert amount() == 1
    assert _problems == []
    assert amount() == 3


# --- Killed ---

ROLLER = """
import django, os, sys
django.setup()
from django.db import connection
from core.reports import rollups

def hold(execute, sql, params, many, context):
    result = execute(sql, params, many, context)
    if sys.argv[1] in sql:
        print("there", flush=True)
        sys.stdin.read()
    return result

with connection.execute_wrapper(hold):
    rollups.roll_up()
"""


@pytest.fixture
def roller() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process that rolls up and stops after the statement that holds these words."""
    started: list[subprocess.Popen[str]] = []

    def start(words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", ROLLER, words],
            env={**os.environ, "DATABASE_URL": _address()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("words", ["INSERT INTO core_spendrollup", "DELETE FROM core_pendingrollup"])
def test_a_killed_roller_leaves_nothing_out_and_nothing_twice(
    spent: MakeRecord, roller: Callable[[str], subprocess.Popen[str]], words: str
) -> None:
    for _ in range(5):
        spent("1", DAY)
    connections.close_all()
    process = roller(words)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "there"
    assert amount() == 5
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert amount() == 5
    roll_up_all()
    assert amount() == 5
    assert wrong_rollups() == []


def _address() -> str:
    """The test database's, for another process."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    settings = connection.settings_dict
    return f"postgres://{settings['USER']}@/{settings['HOST']}/{name}"

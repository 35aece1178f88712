"""Does each regular task run when it is due, once at a time, and is it told when one is late or fails?"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator

import django_rq
import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string

from core.jobs import alarms, lateness, regular
from core.jobs.alarms import look_out, of_letters, tell_once
from core.jobs.lateness import task_stands, troubled
from core.jobs.regular import TASKS, Daily, Each, Task, known, run, run_due, run_now
from core.models import Alarm, Prompt, RegularTask, User
from tests.letters import given_up

MINUTE = dt.timedelta(minutes=1)
ran: list[str] = []
hold = threading.Event()
held = threading.Event()


def good() -> str:
    ran.append("good")
    return "3 things done"


def bad() -> str:
    ran.append("bad")
    # As a database says it, which adds the row.
    raise ValueError("no such thing\nDETAIL:  Failing row contains (what somebody asked).")


def slow() -> str:
    ran.append("slow")
    held.set()
    assert hold.wait(20)
    return "done"


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Task]]:
    ran.clear()
    hold.clear()
    held.clear()
    few = {
        name: Task(name.capitalize(), f"{__name__}.{name}", Each(10) if name != "bad" else Daily(4, 17))
        for name in ("good", "bad", "slow")
    }
    for module in (regular, lateness):
        monkeypatch.setattr(module, "TASKS", few)
    yield few
    hold.set()


@pytest.fixture
def rows(db: None) -> dict[str, RegularTask]:
    return known()


def due(*names: str) -> None:
    RegularTask.objects.filter(pk__in=names).update(next_at=timezone.now() - MINUTE)


def stand_of(name: str, later: dt.timedelta = dt.timedelta(0)) -> lateness.TaskStand:
    return {stand.name: stand for stand in task_stands(timezone.now() + later)}[name]


def test_every_task_of_this_installation_names_a_function_that_exists() -> None:
    for task in TASKS.values():
        assert callable(import_string(task.work))


def test_what_is_due_runs_and_says_how_it_went(rows: dict[str, RegularTask]) -> None:
    due("good")
    assert run_due() == "ran good"
    row = RegularTask.objects.get(pk="good")
    assert (row.result, row.error, row.failures, row.lease_until) == ("3 things done", "", 0, None)
    assert row.started_at is not None
    assert row.finished_at == pytest.approx(timezone.now(), abs=MINUTE)
    assert row.next_at == pytest.approx(row.finished_at + dt.timedelta(seconds=10), abs=dt.timedelta(seconds=1))
    assert run_due() == "nothing is due"
    assert ran == ["good"]


def test_what_fails_is_tried_sooner_and_says_why(
    rows: dict[str, RegularTask], caplog: pytest.LogCaptureFixture
) -> None:
    due("bad")
    run_due()
    row = RegularTask.objects.get(pk="bad")
    assert (row.error, row.failures, row.succeeded_at) == ("ValueError: no such thing", 1, None)
    assert dt.timedelta(minutes=9) < row.next_at - timezone.now() < dt.timedelta(minutes=11)
    due("bad")
    run_due()
    assert RegularTask.objects.get(pk="bad").failures == 2


@pytest.mark.django_db(transaction=True)
def test_two_who_tick_at_once_run_a_task_once() -> None:
    known()
    due("slow")
    first = _in_thread(run_due)
    assert held.wait(20)
    assert run("slow") is False
    assert run_due() == "nothing is due"
    assert run_now("slow") is False
    hold.set()
    first.join()
    assert ran == ["slow"]


def test_a_machine_whose_clock_is_wrong_takes_no_task_that_runs_elsewhere(
    rows: dict[str, RegularTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    due("good")
    assert RegularTask.objects.claim("good", regular.LEASE) is not None
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + 60 * MINUTE)

    assert run("good") is False


def test_a_clock_put_back_keeps_no_task_of_a_dead_process_for_as_long(rows: dict[str, RegularTask]) -> None:
    due("good")
    RegularTask.objects.filter(pk="good").update(lease_token="dead", lease_until=timezone.now() + 60 * MINUTE)

    assert run_due() == "nothing is due"

    row = RegularTask.objects.get(pk="good")
    assert row.lease_until is not None
    assert row.lease_until - timezone.now() <= regular.LEASE


def test_a_task_whose_process_died_is_taken_over_when_its_lease_is_over(rows: dict[str, RegularTask]) -> None:
    due("good")
    dead = RegularTask.objects.claim("good", dt.timedelta(seconds=-1))
    assert dead is not None
    assert run_due() == "ran good"
    assert not dead.end(1.0, timezone.now(), result="late")
    assert RegularTask.objects.get(pk="good").result == "3 things done"


def test_a_lease_is_renewed_while_the_work_lasts(rows: dict[str, RegularTask]) -> None:
    due("good")
    row = RegularTask.objects.claim("good", dt.timedelta(seconds=1))
    assert row is not None
    assert row.renew(dt.timedelta(minutes=5))
    assert RegularTask.objects.due(timezone.now() + MINUTE).filter(pk="good").count() == 0


def test_run_now_makes_it_due_and_tells_the_queue(rows: dict[str, RegularTask]) -> None:
    assert run_now("good") is True
    assert run_due() == "ran good"


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-03-28T12:00:00+01:00", "2026-03-29T04:17:00+02:00"),
        ("2026-03-29T01:00:00+01:00", "2026-03-29T04:17:00+02:00"),
        ("2026-10-24T23:00:00+02:00", "2026-10-25T04:17:00+01:00"),
        ("2026-11-22T04:17:00+01:00", "2026-11-23T04:17:00+01:00"),
    ],
)
def test_daily_is_by_the_clock_on_the_wall(now: str, then: str) -> None:
    assert Daily(4, 17).after(dt.datetime.fromisoformat(now)) == dt.datetime.fromisoformat(then)


def test_after_a_clock_that_went_ahead_nothing_waits_for_that_day(rows: dict[str, RegularTask]) -> None:
    RegularTask.objects.update(next_at=timezone.now() + dt.timedelta(days=400))
    hold.set()
    assert set(run_due().removeprefix("ran ").split(", ")) == {"good", "bad", "slow"}


def test_late_failing_and_running_are_told_apart(rows: dict[str, RegularTask], caplog: object) -> None:
    assert not troubled()
    assert stand_of("good", 3 * MINUTE).state == "late"
    assert stand_of("good", MINUTE).state == "fine"
    due("bad", "slow")
    run("bad")
    assert stand_of("bad").trouble == "«Bad» failed 1 time in a row: ValueError: no such thing"
    RegularTask.objects.claim("slow", dt.timedelta(hours=5))
    assert stand_of("slow").state == "running"
    assert stand_of("slow", dt.timedelta(hours=4)).trouble == "«Slow» has been running for 4 hours."


def test_trouble_is_told_once_by_mail(
    rows: dict[str, RegularTask], operator: User, editor: User, mailoutbox: list[EmailMessage]
) -> None:
    RegularTask.objects.update(next_at=timezone.now() - dt.timedelta(hours=1))
    assert look_out() == "told of regular tasks"
    assert look_out() == "nothing new"
    (mail,) = mailoutbox
    assert mail.to == ["operator@example.org"]
    assert "«Good» should have run 60 minutes ago." in mail.body


def test_letters_are_told_once_for_each_step_and_never_within_the_quiet_time(
    prompt: Prompt, member: User, operator: User, mailoutbox: list[EmailMessage], settings: object
) -> None:
    settings.DEAD_LETTER_STEP = 2  # type: ignore[attr-defined]
    settings.ALERT_TO = ["night@example.org"]  # type: ignore[attr-defined]
    steps: list[tuple[Callable[[], object], int]] = [
        (lambda: given_up(prompt, member), 1),
        (lambda: given_up(prompt, member), 1),
        (lambda: given_up(prompt, member), 1),
        (_two_hours_pass, 2),
        (_two_hours_pass, 2),
        (lambda: given_up(prompt, member), 2),
        (lambda: given_up(prompt, member), 3),
    ]
    for act, mails in steps:
        act()
        look_out()
        assert len(mailoutbox) == mails
    assert mailoutbox[0].subject == "1 call of the queue is given up"
    assert mailoutbox[1].subject == "3 calls of the queue are given up"
    assert {tuple(mail.to) for mail in mailoutbox} == {("night@example.org",)}


def test_what_was_dealt_with_and_comes_back_is_news(db: None) -> None:
    assert tell_once(of_letters(5)) == "told of dead letters"
    assert tell_once(of_letters(0)) == ""
    _two_hours_pass()
    assert tell_once(of_letters(1)) == "told of dead letters"


def test_one_task_that_recovers_does_not_hide_another_that_fails(
    rows: dict[str, RegularTask], operator: User, mailoutbox: list[EmailMessage]
) -> None:
    RegularTask.objects.filter(pk="bad").update(failures=1, error="No such thing.")
    assert look_out() == "told of regular tasks"
    _two_hours_pass()
    RegularTask.objects.filter(pk="bad").update(failures=0)
    RegularTask.objects.filter(pk="slow").update(failures=3, error="Nor that.")
    assert [look_out(), look_out()] == ["told of regular tasks", "nothing new"]
    assert "«Slow» failed" in mailoutbox[1].body
    # Which of them were told is a number in the database.
    assert len(TASKS) < 31


def test_a_clock_that_went_ahead_silences_nobody(db: None) -> None:
    tell_once(of_letters(1))
    Alarm.objects.update(told_at=timezone.now() + dt.timedelta(days=30))
    assert tell_once(of_letters(500)) == "told of dead letters"
    assert tell_once(of_letters(1000)) == ""


@pytest.mark.django_db(transaction=True)
def test_of_many_who_look_at_once_one_tells() -> None:
    heard: list[str] = []
    threads = [_in_thread(lambda: heard.append(tell_once(of_letters(3)))) for _ in range(6)]
    for thread in threads:
        thread.join()
    assert sorted(heard) == [""] * 5 + ["told of dead letters"]


def test_a_mail_server_that_is_away_harms_nobody_and_all_is_told_when_it_is_back(
    prompt: Prompt, member: User, settings: object, caplog: pytest.LogCaptureFixture, mailoutbox: list[EmailMessage]
) -> None:
    back = settings.EMAIL_BACKEND  # type: ignore[attr-defined]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # type: ignore[attr-defined]
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # type: ignore[attr-defined]
    settings.ALERT_TO = ["night@example.org"]  # type: ignore[attr-defined]
    given_up(prompt, member)
    assert [look_out(), look_out()] == ["could not tell of dead letters"] * 2
    assert "nobody could be told" in caplog.text
    settings.EMAIL_BACKEND = back  # type: ignore[attr-defined]
    assert [look_out(), look_out()] == ["told of dead letters", "nothing new"]
    assert [mail.subject for mail in mailoutbox] == ["1 call of the queue is given up"]


def test_what_a_process_that_died_while_it_sent_the_mail_was_to_tell_is_told_later(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> int:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(alarms, "send_mail", killed)
        with pytest.raises(SystemExit):
            tell_once(of_letters(3))
    assert tell_once(of_letters(3)) == "", "nobody knows yet that it is dead"
    _two_hours_pass()

    assert [tell_once(of_letters(3)) for _ in range(2)] == ["told of dead letters", ""]
    _two_hours_pass()
    assert tell_once(of_letters(3)) == ""


def _two_hours_pass() -> None:
    Alarm.objects.exclude(told_at=None).update(told_at=timezone.now() - dt.timedelta(hours=2))


def _in_thread(work: Callable[[], object]) -> threading.Thread:
    def working() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=working)
    thread.start()
    return thread


def test_a_worker_looks_out(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, over = threading.Event(), threading.Event()
    monkeypatch.setattr(alarms, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(alarms, "look_out", looked.set)
    lookout = alarms.Lookout(over)
    lookout.start()
    assert looked.wait(10)
    over.set()
    lookout.join(10)
    assert not lookout.is_alive()


def test_however_often_a_round_is_asked_for_one_job_waits(db: None) -> None:
    known()
    assert all(run_now("good") for _ in range(50))
    assert [job.func_name for job in django_rq.get_queue(regular.HOUSEKEEPING).jobs] == [regular.RUN_DUE]

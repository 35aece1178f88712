"""What is Prometheus told, and who is told it?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from core.costs.windows import windows_of
from core.execution import breaker
from core.intake.accept import accept
from core.jobs.regular import known
from core.models import Budget, Call, PausedQueue, Prompt, RegularTask, User
from core.operations import metrics
from tests.letters import given_up

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(autouse=True)
def _anew() -> None:
    metrics._remembered.forget()


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name and the values of its labels."""
    return {
        (sample.name.removeprefix("claudeapp_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def scraped(client: Client, settings: object, db: None) -> object:
    settings.METRICS_TOKEN = TOKEN  # type: ignore[attr-defined]

    def scrape() -> dict[tuple[str, ...], float]:
        metrics._remembered.forget()
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
        return samples(answer.content.decode())

    return scrape


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ü"])
@pytest.mark.parametrize("set_to", ["", TOKEN])
def test_without_the_token_nobody_reads_them(
    client: Client, db: None, settings: object, token: str, set_to: str
) -> None:
    settings.METRICS_TOKEN = set_to  # type: ignore[attr-defined]
    answer = client.get("/metrics", headers={"Authorization": token} if token else {})
    assert answer.status_code == 401
    assert "claudeapp_" not in answer.content.decode()
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("who", "status"), [("outsider", 403), ("editor", 403), ("operator", 200)])
def test_of_people_staff_with_leave_for_the_queues_read_them(
    client: Client, request: pytest.FixtureRequest, who: str, status: int
) -> None:
    client.force_login(request.getfixturevalue(who))
    assert client.get("/metrics").status_code == status


def test_money_and_calls_given_up_are_for_those_who_may_see_them(
    client: Client, person: Callable[..., User], operator: User, prompt: Prompt, member: User
) -> None:
    given_up(prompt, member)
    windows_of(
        [Budget.objects.create(name="Office", scope="organisation", amount=50, owner=operator)], timezone.localdate()
    )
    looker = person("looker", staff=True)
    seen = {}
    for also in ([], ["view_call"], ["view_spend"]):
        looker.user_permissions.set(Permission.objects.filter(codename__in=["view_queues", *also]))
        client.force_login(looker)
        found = samples(client.get("/metrics").content.decode())
        assert found["queue_waiting", "calls"] == 0
        seen[" ".join(also)] = {name for name, *_ in found if name.startswith(("spend", "budget", "dead"))}
    letters = {"dead_letters", "dead_letters_oldest_seconds", "dead_letters_of_kind"}
    money = {"spend_today_usd", "spend_today_unknown", "budget_spent_usd", "budget_reserved_usd", "budget_limit_usd"}
    assert seen == {"": set(), "view_call": letters, "view_spend": money}


def test_they_say_what_the_database_says(scraped: object, prompt: Prompt, member: User) -> None:
    assert prompt.published is not None
    inputs = {"document": "A text.", "length": "short"}
    given_up(prompt, member)
    running = accept(prompt.published, inputs, user=member)
    Call.objects.claim(running.pk, dt.timedelta(seconds=30))
    Call.objects.filter(pk=running.pk).update(model="claude-haiku-5-5")
    old = accept(prompt.published, inputs, user=member)
    Call.objects.filter(pk=old.pk).update(dispatched_at=timezone.now() - dt.timedelta(minutes=7))
    PausedQueue.objects.create(name="batches")
    known()
    RegularTask.objects.filter(pk="rollups").update(failures=9, error="x")
    found = scraped()  # type: ignore[operator]
    assert found["queue_waiting", "calls"] == 1
    assert found["queue_oldest_seconds", "calls"] == pytest.approx(420, abs=30)
    assert found["queue_paused", "batches"] == 1
    assert found["queue_paused", "calls"] == 0
    assert found["calls_in_flight", "claude-haiku-5-5"] == 1
    assert found["dead_letters",] == 1
    assert found["dead_letters_of_kind", "overloaded_error", "claude-haiku-5-5"] == 1
    assert found["task_trouble", "rollups"] == 1
    assert found["task_trouble", "sweep"] == 0
    assert found["redis_up",] == 1
    assert found["spend_today_usd",] == 0


def test_workers_are_told_for_each_queue_so_that_one_for_another_hides_no_absence(
    scraped: object, registered: Callable[..., None]
) -> None:
    registered("housekeeping")
    registered("batches", "housekeeping")
    found = scraped()  # type: ignore[operator]
    assert found["workers", "calls"] == 0
    assert found["workers", "batches"] == 1
    assert found["workers", "housekeeping"] == 2


def test_a_breaker_whose_time_is_over_is_open_no_more_though_nobody_asks_its_model(scraped: object) -> None:
    now = timezone.now().timestamp()
    for model, opened_at in (("over", now - 7200), ("alone", now), ("tried", now - 7200), ("left", now - 7200)):
        breaker.board.change(model, state="open", failures=5, opened_at=opened_at)
    assert [breaker.seconds_closed_to(model) for model in ("tried", "left")] == [0, 0]
    # Its process died, and the time in which nobody else tries the model is over.
    breaker.board.give_probe_back("left")
    found = scraped()  # type: ignore[operator]
    assert [found["breaker_open", model] for model in ("over", "alone", "tried", "left")] == [0, 1, 1, 0]


def test_a_redis_that_is_gone_is_told_and_changes_no_other_number(
    scraped: object, prompt: Prompt, member: User, settings: object, tmp_path: object
) -> None:
    assert prompt.published is not None
    accept(prompt.published, {"document": "A text.", "length": "short"}, user=member)
    nowhere = f"unix://{tmp_path}/none.sock"
    settings.REDIS_URL = nowhere  # type: ignore[attr-defined]
    settings.RQ_QUEUES = {name: {"URL": nowhere} for name in ("calls", "batches", "housekeeping")}  # type: ignore[attr-defined]
    found = scraped()  # type: ignore[operator]
    assert found["redis_up",] == 0
    assert not [name for name, *_ in found if name == "workers"]
    assert ("queue_jobs", "calls") not in found
    assert found["queue_waiting", "calls"] == 1


def test_the_number_of_queries_does_not_grow_with_what_is_counted(
    scraped: object, prompt: Prompt, member: User
) -> None:
    known()
    given_up(prompt, member)
    with CaptureQueriesContext(
        connection,
    ) as few:
        scraped()  # type: ignore[operator]
    for _ in range(5):
        given_up(prompt, member)
    with CaptureQueriesContext(connection) as many:
        scraped()  # type: ignore[operator]
    assert len(many) == len(few)


def test_one_answer_does_for_all_who_ask_within_a_moment(client: Client, operator: User) -> None:
    client.force_login(operator)
    client.get("/metrics")
    with CaptureQueriesContext(connection) as asked:
        client.get("/metrics")
    assert not [query for query in asked if "core_call" in query["sql"]]

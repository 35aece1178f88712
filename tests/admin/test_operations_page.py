"""The page of operations: who sees it, what does it say, and what can be done there?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.costs.windows import windows_of
from core.execution import breaker, pacing
from core.intake.accept import accept
from core.jobs.regular import known
from core.models import Budget, BudgetWindow, Call, PausedQueue, Prompt, RegularTask, User
from core.operations import standing
from tests.letters import given_up

SignIn = Callable[[User], Client]
PAGE = reverse("admin:core_operations")
PAUSE, RESUME = (reverse(f"admin:core_operations_{do}", args=["calls"]) for do in ("pause", "resume"))
RUN = reverse("admin:core_operations_run", args=["rollups"])


@pytest.mark.parametrize("who", ["outsider", "member", "editor", "finance"])
def test_nobody_without_leave_sees_or_does_anything(request: pytest.FixtureRequest, as_: SignIn, who: str) -> None:
    client = as_(request.getfixturevalue(who))
    for page in (PAGE, f"{PAGE}?part=1", PAUSE, RESUME, RUN):
        assert client.get(page).status_code in {302, 403}
        assert client.post(page).status_code in {302, 403}
    assert not PausedQueue.objects.exists()


def test_who_may_look_only_pauses_and_starts_nothing(as_: SignIn, person: Callable[..., User]) -> None:
    looker = person("looker", staff=True)
    looker.user_permissions.set(_permissions("view_queues"))
    client = as_(looker)
    page = client.get(PAGE).content.decode()
    assert "Pause…" not in page
    assert "Run now" not in page
    assert "Spent today" not in page
    assert "Given up" not in page
    for act in (PAUSE, RESUME, RUN):
        assert client.post(act).status_code == 403


def test_at_rest_each_part_says_that_there_is_nothing(as_: SignIn, operator: User) -> None:
    page = as_(operator).get(PAGE).content.decode()
    for said in (
        "No call is at work.",
        "None gave a sign of life lately.",
        "Claude has told no limits in the last minutes.",
        "No model has failed lately",
        "No budget has a period that holds today.",
        "never yet",
        "No worker gave a sign of life lately",
    ):
        assert said in page


def test_a_queue_that_nobody_serves_is_an_alarm_while_other_workers_live(
    as_: SignIn, operator: User, registered: Callable[..., None]
) -> None:
    registered("housekeeping")
    page = as_(operator).get(PAGE).content.decode()
    assert "No worker takes from the queue «calls»." in page
    assert "No worker takes from the queue «batches»." in page
    assert "No worker takes from the queue «housekeeping»." not in page
    registered("calls", "batches", "housekeeping")
    assert "No worker takes from" not in as_(operator).get(PAGE).content.decode()


def test_it_shows_how_the_work_stands(as_: SignIn, operator: User, prompt: Prompt, member: User) -> None:
    assert prompt.published is not None
    inputs = {"document": "A text.", "length": "short"}
    given_up(prompt, member)
    Budget.objects.create(
        name="Office", scope="organisation", amount=Decimal(50), period="month", owner=operator,
        starts_on=timezone.localdate(),
    )  # fmt: skip
    running = accept(prompt.published, inputs, user=member)
    Call.objects.claim(running.pk, dt.timedelta(seconds=30))
    Call.objects.filter(pk=running.pk).update(model="claude-haiku-5-5")
    old = accept(prompt.published, inputs, user=member)
    Call.objects.filter(pk=old.pk).update(dispatched_at=timezone.now() - dt.timedelta(minutes=7))
    breaker.board.change("claude-opus-5", state="open", failures=5, opened_at=timezone.now().timestamp())
    pacing.learn("claude-haiku-5-5", {
        "anthropic-ratelimit-requests-limit": "1000", "anthropic-ratelimit-requests-remaining": "250",
    })  # fmt: skip
    page = as_(operator).get(PAGE).content.decode()
    for said in (
        "The queue «calls» is stuck", "7 min", "claude-haiku-5-5", "claude-opus-5", "of 1,000", "Office",
        "the oldest since", "Sums for reports",
    ):  # fmt: skip
        assert said in page


def test_a_budget_that_nobody_has_spent_from_yet_is_shown_and_one_of_nothing_is_full(
    as_: SignIn, operator: User
) -> None:
    today = timezone.localdate()
    day = dt.timedelta(days=1)
    kept = {"scope": "organisation", "amount": Decimal(50), "period": "month", "owner": operator}
    Budget.objects.create(name="Untouched", **kept)
    Budget.objects.create(name="Of nothing", **{**kept, "amount": Decimal(0)})
    Budget.objects.create(name="To come", **kept, starts_on=today + day)
    Budget.objects.create(name="Over", **kept, starts_on=today - 2 * day, ends_on=today - day)
    Budget.objects.create(name="Put away", **kept, active=False)
    windows_of([Budget.objects.create(name="Touched", **kept)], today)
    assert [window.budget.name for window in standing.spend().budgets] == ["Of nothing", "Touched", "Untouched"]
    page = as_(operator).get(PAGE).content.decode()
    assert "No budget has a period that holds today." not in page
    assert "Untouched" in page
    assert BudgetWindow.objects.count() == 1, "to look at it makes nothing"


def test_a_breaker_whose_time_is_over_is_shown_as_open_nowhere(as_: SignIn, operator: User) -> None:
    opened_at = timezone.now().timestamp() - 7200
    breaker.board.change("claude-opus-5", state="open", failures=5, opened_at=opened_at)
    client = as_(operator)
    for page in (PAGE, reverse("admin:core_breakers")):
        text = client.get(page).content.decode()
        assert "claude-opus-5" in text
        assert 'ca-bad">Open</span>' not in text
        assert "with the next request" in text


def test_the_part_that_is_drawn_anew_is_only_that_part_and_can_be_stopped(as_: SignIn, operator: User) -> None:
    client = as_(operator)
    part = client.get(f"{PAGE}?part=1").content.decode()
    assert part.lstrip().startswith('<div id="standing" hx-get=')
    assert "?part=1" not in client.get(f"{PAGE}?still=1").content.decode()


def test_after_signing_out_the_whole_page_is_loaded_and_not_a_piece_of_another(client: Client, db: None) -> None:
    answer = client.get(f"{PAGE}?part=1", headers={"HX-Request": "true"})
    assert (answer.content, answer["HX-Refresh"]) == (b"", "true")
    assert client.get(PAGE).status_code == 302


def test_a_queue_is_paused_with_a_note_and_goes_on(as_: SignIn, operator: User) -> None:
    client = as_(operator)
    assert "Pause the queue «calls»?" in client.get(PAUSE).content.decode()
    assert (
        "«calls» is paused"
        in client.post(PAUSE, {"pause": "1", "note": "Claude is down"}, follow=True).content.decode()
    )
    assert "Claude is down" in client.get(PAGE).content.decode()
    assert "The queue «calls» is paused." in client.get(reverse("admin:index")).content.decode()
    client.get(RESUME)
    assert PausedQueue.objects.exists()
    assert "«calls» goes on." in client.post(RESUME, follow=True).content.decode()
    assert not PausedQueue.objects.exists()


def test_there_is_no_other_queue_or_task(as_: SignIn, administrator: User) -> None:
    client = as_(administrator)
    for page in ("pause", "resume", "run"):
        assert client.post(reverse(f"admin:core_operations_{page}", args=["other"])).status_code == 404


def test_a_task_is_started_by_hand(as_: SignIn, operator: User) -> None:
    before = known()["rollups"].next_at
    client = as_(operator)
    client.get(RUN)
    assert RegularTask.objects.get(pk="rollups").next_at == before
    assert "begins as soon as a worker is free" in client.post(RUN, follow=True).content.decode()
    assert RegularTask.objects.get(pk="rollups").next_at <= timezone.now()


def test_late_work_is_a_banner_here_and_on_the_start_page(as_: SignIn, operator: User, editor: User) -> None:
    known()
    RegularTask.objects.filter(pk="rollups").update(next_at=timezone.now() - dt.timedelta(minutes=30))
    RegularTask.objects.filter(pk="sweep").update(failures=4, error="OperationalError: gone")
    client = as_(operator)
    for page in (PAGE, reverse("admin:index")):
        text = client.get(page).content.decode()
        assert "«Sums for reports» should have run 30 minutes ago." in text
        assert "«Lost and forgotten calls» failed 4 times in a row: OperationalError: gone" in text
    assert "Sums for reports" not in as_(editor).get(reverse("admin:index")).content.decode()


def test_without_redis_the_page_says_what_nobody_knows(
    as_: SignIn, operator: User, settings: object, tmp_path: object
) -> None:
    nowhere = f"unix://{tmp_path}/none.sock"
    settings.REDIS_URL = nowhere  # type: ignore[attr-defined]
    settings.RQ_QUEUES = {name: {"URL": nowhere} for name in ("calls", "batches", "housekeeping")}  # type: ignore[attr-defined]
    page = as_(operator).get(PAGE).content.decode()
    assert "Redis does not answer" in page
    assert "Nobody knows while Redis is away." in page


def _permissions(*names: str) -> QuerySet[Permission]:
    return Permission.objects.filter(codename__in=names)

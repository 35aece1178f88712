"""Batches that Claude's spend limit holds: until when, who sees them, and who sends them sooner?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import django_rq
import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.batches.cancel import cancel
from core.batches.start import start
from core.bulk import clock
from core.jobs import batches as jobs
from core.models import Batch, BatchPart, Budget, Call, Key, User
from core.operations import metrics, standing
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, tended
from tests.batches.rows import rows

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
LIST = reverse("admin:core_batch_changelist")
HELD = f"{LIST}?state=parked"
BANNER = "spend limit is reached"
WORDS = "Held by Claude&#x27;s spend limit"


def day_in(days: int) -> dt.datetime:
    return dt.datetime.combine(timezone.now().date() + dt.timedelta(days=days), dt.time(), dt.UTC)


def limit_until(day: dt.datetime) -> dict[str, str]:
    return {"x-simulator-fault": f"spend-limit={day:%Y-%m-%d}"}


@pytest.fixture
def refused(catalogue: None, claude: Simulator, budget: Budget, member: User) -> Callable[..., Batch]:
    """Starts a batch of the member's that Claude refuses for a spend limit until this day."""

    def make(until: dt.datetime) -> Batch:
        key = Key.objects.create(name="program", user=member)
        batch = start(Batch(user=member, key=key, headers=limit_until(until)), rows("one", "two"))
        clock.tend()
        return batch

    return make


@pytest.fixture
def held(refused: Callable[..., Batch]) -> Batch:
    return refused(day_in(9))


def is_held(batch: Batch) -> bool:
    return Batch.objects.parked().filter(pk=batch.pk).exists()


def page_of(batch: Batch) -> str:
    return reverse("admin:core_batch_change", args=[batch.pk])


def html(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def lift(batch: Batch) -> None:
    """The limit is raised in Claude's console."""
    Batch.objects.filter(pk=batch.pk).update(headers={})


def test_it_waits_exactly_until_the_day_that_claude_names_and_goes_on_by_itself(held: Batch, claude: Simulator) -> None:
    part = held.parts.get()
    assert (part.state, part.next_at, part.tries) == (BatchPart.State.UNSENT, day_in(9), 0)
    assert jobs.nudge_if_due() == "nothing to do"
    lift(held)
    assert tended(held).succeeded == 2
    assert not is_held(held)
    assert_books_are_the_bill(claude)


def test_where_that_day_is_over_it_waits_a_few_minutes(refused: Callable[..., Batch]) -> None:
    batch = refused(day_in(-1))
    assert is_held(batch)
    wait = batch.parts.get().next_at - timezone.now()
    assert dt.timedelta(minutes=4) < wait <= dt.timedelta(minutes=5)


def test_an_operator_is_told_everywhere_and_finds_it(as_: SignIn, operator: User, held: Batch) -> None:
    client = as_(operator)
    for page in (reverse("catalogue"), reverse("admin:index"), LIST):
        assert BANNER in html(client, page)
        assert "1 batch</a> waits until" in html(client, page)
    assert f"{WORDS}: 1 batch." in html(client, reverse("admin:index"))
    assert page_of(held) in html(client, HELD)
    until = timezone.localtime(day_in(9))
    assert f"Spend limit until {until.day} {until:%b, %H:%M}" in html(client, LIST)
    page = html(client, page_of(held))
    assert "On its way to Claude" not in page
    assert f"It waits until {until.day} {until:%B %Y, %H:%M}" in page
    assert "0, and 1 batch</dd>" in html(client, reverse("admin:core_operations"))


def test_calls_and_batches_are_counted_together(as_: SignIn, operator: User, held: Batch) -> None:
    waits = {"status": Call.Status.WAITING, "parked": True, "not_before": timezone.now() + dt.timedelta(days=1)}
    Call.objects.create(**waits)
    page = html(as_(operator), reverse("catalogue"))
    assert "1 request</a> and " in page
    assert "1 batch</a> wait until" in page
    assert "releases them" in page


def test_the_metric_counts_it(held: Batch) -> None:
    assert standing.later().batches == 1
    metrics._remembered.forget()
    assert b"claudeapp_batches_parked 1.0" in metrics.text(lambda _: True)


@pytest.mark.parametrize("way", ["action", "page", "all"])
def test_released_it_is_sent_at_once(as_: SignIn, operator: User, held: Batch, claude: Simulator, way: str) -> None:
    client = as_(operator)
    django_rq.get_queue(jobs.BATCHES).empty()  # type: ignore[no-untyped-call]
    assert "Release 1 batch" in html(client, HELD)
    assert "Release it" in html(client, page_of(held))
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "action": (LIST, {"action": "release_chosen", "_selected_action": [held.pk]}),
        "page": (reverse("admin:core_batch_release", args=[held.pk]), {}),
        "all": (reverse("admin:core_batch_release_all"), {}),
    }
    address, values = ways[way]
    lift(held)
    assert "1 batch released." in client.post(address, values, follow=True).content.decode()
    assert held.parts.get().next_at <= timezone.now()
    assert django_rq.get_queue(jobs.BATCHES).count == 1
    assert BANNER not in html(client, LIST)
    clock.tend()
    assert held.parts.get().state == BatchPart.State.SENT
    assert "1 batch not released" in client.post(LIST, ways["action"][1], follow=True).content.decode()


def test_released_too_early_it_is_held_again(as_: SignIn, operator: User, held: Batch) -> None:
    as_(operator).post(reverse("admin:core_batch_release", args=[held.pk]))
    assert not is_held(held)
    clock.tend()
    assert held.parts.get().next_at == day_in(9)
    assert is_held(held)


@pytest.mark.parametrize("who", ["outsider", "member", "editor", "finance"])
def test_nobody_else_releases(as_: SignIn, request: pytest.FixtureRequest, who: str, held: Batch) -> None:
    user = request.getfixturevalue(who)
    client = as_(user)
    assert BANNER not in html(client, reverse("catalogue"))
    client.post(LIST, {"action": "release_chosen", "_selected_action": [held.pk]})
    for address in (reverse("admin:core_batch_release_all"), reverse("admin:core_batch_release", args=[held.pk])):
        assert client.post(address).status_code in {302, 403}
    assert is_held(held)


def test_who_may_release_but_not_read_others_releases_their_own_only(
    as_: SignIn, editor: User, member: User, held: Batch
) -> None:
    rights = ["view_batch", "view_call", "rerun_call"]
    editor.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    client = as_(User.objects.get(pk=editor.pk))
    assert BANNER not in html(client, LIST)
    assert client.post(reverse("admin:core_batch_release", args=[held.pk])).status_code == 404
    client.post(reverse("admin:core_batch_release_all"))
    assert is_held(held)
    Batch.objects.update(user=editor)
    client.post(reverse("admin:core_batch_release_all"))
    assert not is_held(held)


def test_canceled_it_is_held_no_more_and_ends_without_a_cost(held: Batch, claude: Simulator) -> None:
    assert cancel(held)
    assert not is_held(held)
    clock.tend()
    held.refresh_from_db()
    assert (held.status, held.canceled) == ("ended", 2)
    assert_books_are_the_bill(claude)


def test_the_command_lists_it(held: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("batches")
    assert "held by Claude's spend limit until" in capsys.readouterr().out

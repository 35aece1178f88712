"""Calls that Claude's spend limit holds: who sees them, and who starts them sooner?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.intake.accept import accept
from core.jobs.dispatch import in_queue
from core.jobs.sweeper import start_due
from core.models import Call, Prompt, User

SignIn = Callable[[User], Client]
LIST = reverse("admin:core_call_changelist")
BANNER = "spend limit is reached"


@pytest.fixture
def held(prompt: Prompt, member: User) -> Call:
    """As a call is left that Claude refused for its spend limit."""
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "A text.", "length": "short"}, user=member)
    claimed = Call.objects.claim(call.pk, dt.timedelta(seconds=30))
    assert claimed is not None
    until = timezone.now() + dt.timedelta(days=9)
    assert claimed.park(until, {"error_type": "invalid_request_error", "error_message": "You have reached …"})
    return claimed


def release(client: Client, *calls: Call) -> str:
    chosen = {"action": "release", "_selected_action": [str(call.pk) for call in calls]}
    return client.post(LIST, chosen, follow=True).content.decode()


def test_an_operator_is_told_everywhere_and_finds_them(as_: SignIn, operator: User, held: Call) -> None:
    client = as_(operator)

    for page in (reverse("catalogue"), reverse("admin:index"), LIST):
        assert BANNER in client.get(page).content.decode()
    assert "Held by Claude&#x27;s spend limit: 1 call." in client.get(reverse("admin:index")).content.decode()
    listed = client.get(f"{LIST}?status=parked").content.decode()
    assert str(held.pk) in listed
    assert "Waiting to try again</span>" not in listed


def test_others_are_not_bothered_and_the_one_who_waits_knows_why(as_: SignIn, member: User, held: Call) -> None:
    client = as_(member)

    assert BANNER not in client.get(reverse("catalogue")).content.decode()
    page = client.get(reverse("call", args=[held.pk])).content.decode()
    assert "has reached its spend limit at Claude" in page
    assert "goes on by itself on" in page
    for each in (page, client.get(reverse("calls")).content.decode()):
        assert "Held by Claude&#x27;s spend limit</span>" in each


def test_nobody_is_told_that_the_request_is_at_fault(as_: SignIn, operator: User, held: Call) -> None:
    page = as_(operator).get(reverse("admin:core_call_change", args=[held.pk])).content.decode()
    assert "Claude&#x27;s spend limit is reached." in page
    for address in (reverse("admin:core_call_change", args=[held.pk]), reverse("call", args=[held.pk])):
        assert "could not accept this request" not in as_(operator).get(address).content.decode()


def test_without_held_calls_there_is_no_banner(as_: SignIn, operator: User) -> None:
    assert BANNER not in as_(operator).get(reverse("catalogue")).content.decode()


def test_a_released_call_is_in_the_queue_at_once(as_: SignIn, operator: User, held: Call) -> None:
    assert "1 call released." in release(as_(operator), held)

    held.refresh_from_db()
    assert (held.status, held.parked, held.not_before) == (Call.Status.QUEUED, False, None)
    assert in_queue() == {f"call-{held.pk}"}
    assert BANNER not in as_(operator).get(LIST).content.decode()


def test_what_is_not_held_is_not_touched(as_: SignIn, operator: User, held: Call) -> None:
    Call.objects.filter(pk=held.pk).update(parked=False)

    assert "1 call not released" in release(as_(operator), held)

    held.refresh_from_db()
    assert held.status == Call.Status.WAITING


def test_all_are_released_by_one_button(as_: SignIn, operator: User, held: Call) -> None:
    client = as_(operator)
    assert "Release 1 call" in client.get(f"{LIST}?status=parked").content.decode()
    assert "Release 1 call" not in client.get(LIST).content.decode()

    assert "1 call released." in client.post(reverse("admin:core_call_release"), follow=True).content.decode()

    held.refresh_from_db()
    assert held.status == Call.Status.QUEUED
    assert client.get(reverse("admin:core_call_release")).status_code == 302


@pytest.mark.parametrize("who", ["outsider", "member", "editor", "finance"])
def test_nobody_else_releases(as_: SignIn, request: pytest.FixtureRequest, who: str, held: Call) -> None:
    client = as_(request.getfixturevalue(who))
    release(client, held)
    client.post(reverse("admin:core_call_release"))

    held.refresh_from_db()
    assert (held.status, held.parked) == (Call.Status.WAITING, True)


def test_it_goes_on_by_itself_when_its_day_has_come(held: Call) -> None:
    past = timezone.now() - dt.timedelta(seconds=1)
    Call.objects.filter(pk=held.pk).update(not_before=past, dispatched_at=past)

    assert start_due() == 1

    held.refresh_from_db()
    assert (held.status, held.parked) == (Call.Status.QUEUED, False)

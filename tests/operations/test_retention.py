"""What is removed of old calls, and what stays?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.intake.accept import accept
from core.models import Call, CostRecord, FailedAttempt, Prompt, RegularTask, User
from core.operations import retention
from core.operations.retention import prune, prune_daily
from tests.letters import given_up

DAY = dt.timedelta(days=1)


def aged(call: Call, days: float) -> Call:
    Call.objects.filter(pk=call.pk).update(created_at=timezone.now() - days * DAY, text="An answer.")
    call.refresh_from_db()
    return call


@pytest.fixture
def old(prompt: Prompt, member: User) -> Call:
    return aged(given_up(prompt, member), 31)


def test_contents_go_and_figures_stay(old: Call, member: User, prompt: Prompt) -> None:
    FailedAttempt.objects.create(call=old, number=1, model="m", error_type="overloaded_error", error_message="secret")
    CostRecord.objects.create(
        call=old, amount=Decimal("0.25"), request_id="req_1", user=member, prompt=prompt, model="m"
    )
    young = aged(given_up(prompt, member), 29)
    assert prune(30) == 1
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.text, old.inputs, old.request, old.error_message) == ("", {}, {}, "")
    assert (old.status, old.user, old.prompt, old.cost) == (Call.Status.DEAD, member, prompt, Decimal("0.25"))
    assert FailedAttempt.objects.get().error_message == ""
    assert (young.text, bool(young.inputs)) == ("An answer.", True)
    assert prune(30) == 0


def test_what_has_not_ended_keeps_its_contents_until_it_has(prompt: Prompt, member: User, old: Call) -> None:
    assert prompt.published is not None
    waiting = aged(accept(prompt.published, {"document": "Waits.", "length": "short"}, user=member), 40)
    assert prune(30) == 1
    Call.objects.filter(pk=waiting.pk).update(status=Call.Status.CANCELED)
    assert prune(30) == 1
    assert RegularTask.objects.get(pk="retention").reached is not None


def test_what_ends_while_others_are_emptied_is_looked_at_the_next_time(
    prompt: Prompt, member: User, old: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time takes hours where there is much, and what a spend limit held ends meanwhile."""
    assert prompt.published is not None
    waiting = aged(accept(prompt.published, {"document": "Waits.", "length": "short"}, user=member), 40)
    empty = retention._empty

    def ends_meanwhile(calls: Sequence[UUID]) -> None:
        empty(calls)
        Call.objects.filter(pk=waiting.pk).update(status=Call.Status.CANCELED)

    monkeypatch.setattr(retention, "_empty", ends_meanwhile)

    assert [prune(30), prune(30)] == [1, 1]

    waiting.refresh_from_db()
    assert waiting.inputs == {}


def test_it_goes_on_from_where_it_came_to(old: Call, prompt: Prompt, member: User) -> None:
    prune(30)
    reached = RegularTask.objects.get(pk="retention").reached
    assert reached is not None
    assert timezone.now() - reached == pytest.approx(30 * DAY, abs=dt.timedelta(minutes=1))
    aged(given_up(prompt, member), 29.5)
    assert prune(29) == 1


def test_many_are_emptied_in_chunks(prompt: Prompt, member: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.operations.retention.CHUNK", 2)
    for _ in range(5):
        aged(given_up(prompt, member), 50)
    assert prune(30) == 5


def test_daily_it_does_what_the_setting_says(old: Call, settings: object) -> None:
    assert "for ever" in prune_daily()
    settings.RESULT_RETENTION_DAYS = 30  # type: ignore[attr-defined]
    assert prune_daily() == "emptied calls older than 30 days: 1"


def test_the_command_says_what_it_would_do_and_does_it(old: Call, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prune", "--days", "30", "--dry-run")
    assert "Calls older than 30 days that would be emptied: 1." in capsys.readouterr().out
    call_command("prune", "--days", "30")
    assert "Emptied calls older than 30 days: 1." in capsys.readouterr().out
    for wrong in ([], ["--days", "0"]):
        with pytest.raises(CommandError):
            call_command("prune", *wrong)


def test_the_pages_say_that_it_was_removed_and_offer_nothing_that_needs_it(
    old: Call, client: Client, operator: User
) -> None:
    prune(30)
    client.force_login(operator)
    for page in (old.get_absolute_url(), reverse("admin:core_call_change", args=[old.pk])):
        text = client.get(page).content.decode()
        assert "removed for its age" in text
    assert "Run again" not in client.get(old.get_absolute_url()).content.decode()
    chosen = {"action": "run_again", "_selected_action": [str(old.pk)]}
    page = reverse("admin:core_call_changelist")
    assert client.post(page, chosen).status_code == 200
    said = client.post(page, {**chosen, "confirmed": "1"}, follow=True).content.decode()
    assert "1 call not run again. Its contents were removed for their age." in said

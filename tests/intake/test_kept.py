"""Is an answer given again exactly where a prompt says so?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from core.execution.run import run_call
from core.intake.accept import accept, run_again
from core.intake.keys import make_key
from core.intake.requests import NotAllowedError
from core.jobs.dispatch import in_queue
from core.models import Budget, Call, ClaudeModel, CostRecord, Prompt, Reservation, User
from core.simulator.server import Simulator

Ask = Callable[..., Call]


@pytest.fixture
def ask(prompt: Prompt, member: User, simulator: Simulator) -> Ask:
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=100, owner=member)
    Prompt.objects.filter(pk=prompt.pk).update(cache_minutes=10)

    def make(user: User | None = member, document: str = "A text.", **more: Any) -> Call:
        version = Prompt.objects.get(pk=prompt.pk).published
        assert version is not None
        call = accept(version, {"document": document, "length": "short"}, user=user, **more)
        run_call(call.pk)
        call.refresh_from_db()
        return call

    return make


def test_the_same_from_the_same_person_has_its_answer_at_once_and_costs_nothing(ask: Ask) -> None:
    first, second = ask(), ask()

    assert second.status == Call.Status.SUCCEEDED
    assert (second.kept_from, second.text, second.content) == (first, first.text, first.content)
    assert second.cost == second.attempt == 0
    assert CostRecord.objects.count() == Reservation.objects.count() == 1
    assert not in_queue()


def test_another_person_another_text_and_another_day_ask_claude(ask: Ask, outsider: User) -> None:
    ask()

    assert ask(outsider).kept_from is None
    assert ask(None).kept_from is None
    assert ask(None).kept_from is None, "nobody in particular is not always the same"
    assert ask(document="Another text.").kept_from is None
    Call.objects.update(finished_at=timezone.now() - dt.timedelta(minutes=11))
    assert ask().kept_from is None


def test_people_share_where_the_prompt_says_so(ask: Ask, prompt: Prompt, outsider: User) -> None:
    Prompt.objects.filter(pk=prompt.pk).update(cache_shared=True)
    first = ask()

    assert ask(outsider).kept_from == first
    assert ask(None).kept_from == first


def test_who_runs_it_again_or_tries_a_draft_gets_claudes_own(ask: Ask, member: User) -> None:
    first = ask()

    assert run_again(first, user=member).kept_from is None
    assert ask(door=Call.Door.TRY).kept_from is None


def test_a_failure_is_not_kept(ask: Ask) -> None:
    assert ask(document="[[simulate: status=400 times=1]] A text.").status == Call.Status.FAILED

    assert ask(document="[[simulate: status=400 times=1]] A text.").kept_from is None


def test_a_key_is_held_to_its_prompts_and_models(ask: Ask, prompt: Prompt, member: User) -> None:
    key, _ = make_key("Report", member, by=None)
    assert ask(key=key).key == key

    key.models_allowed.add(ClaudeModel.objects.get(pk="claude-sonnet-5-5"))
    with pytest.raises(NotAllowedError, match="claude-haiku-5-5"):
        ask(key=key)
    key.models_allowed.clear()
    key.prompts_allowed.add(Prompt.objects.create(name="Other", slug="other", template="x", model=prompt.model))
    with pytest.raises(NotAllowedError, match="summarise"):
        ask(key=key)

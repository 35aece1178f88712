"""Does the admin speak as the rest of the product does, and not as its framework?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.models import ClaudeModel, Prompt, User

SignIn = Callable[[User], Client]


def test_dates_are_written_as_on_the_pages(as_: SignIn, administrator: User, prompt: Prompt) -> None:
    text = as_(administrator).get(reverse("admin:core_prompt_changelist")).content.decode()
    changed = timezone.localtime(prompt.updated_at)
    assert f"{changed.day} {changed:%b %Y, %H:%M}" in text
    assert "a.m." not in text
    assert "p.m." not in text


def test_a_history_without_changes_says_so(as_: SignIn, administrator: User, prompt: Prompt) -> None:
    text = as_(administrator).get(reverse("admin:core_prompt_history", args=[prompt.pk])).content.decode()
    assert "Nobody has changed this here yet." in text


def test_what_a_model_can_do_is_said_in_words(as_: SignIn, administrator: User) -> None:
    tree = {
        "batch": {"supported": True},
        "effort": {"supported": True, "high": {"supported": True}, "max": {"supported": False}},
        "pdf_input": {"supported": False},
        "thinking": {"supported": True, "types": {"adaptive": {"supported": True}}},
    }
    model = ClaudeModel.objects.create(id="claude-able", display_name="Able", capabilities=tree)
    text = as_(administrator).get(reverse("admin:core_claudemodel_change", args=[model.pk])).content.decode()
    assert "batch, effort (high), thinking (adaptive)" in text


@pytest.mark.parametrize("page", ["jobs", "queue_details", "failed_jobs", "deferred_jobs"])
def test_a_page_of_the_queues_greets_nobody(page: str, as_: SignIn, administrator: User) -> None:
    text = as_(administrator).get(reverse(f"admin:django_rq_{page}", args=[0])).content.decode()
    assert "Welcome" not in text
    assert f'href="{reverse("admin:django_rq_home")}"' in text.split("<h1", 1)[1].split("</h1>")[0]

"""Can only those who publish change what people see at once, and does the page tell the truth about it?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from core.models import FallbackChain, Prompt, User

Submission = Callable[..., dict[str, Any]]
SignIn = Callable[[User], Client]
LIVE = {"name": "Other", "slug": "other", "description": "Other.", "access": "everyone"}


@pytest.fixture
def restricted(prompt: Prompt) -> Prompt:
    """A published prompt for one group only."""
    prompt.access = Prompt.Access.GROUPS
    prompt.save()
    prompt.groups.set([Group.objects.get(name="Finance")])
    return prompt


def page_of(prompt: Prompt) -> str:
    return reverse("admin:core_prompt_change", args=[prompt.pk])


def state(prompt: Prompt) -> tuple[Any, ...]:
    stored = Prompt.objects.get(pk=prompt.pk)
    return stored.name, stored.slug, stored.description, stored.access, [group.name for group in stored.groups.all()]


def test_an_editor_cannot_open_a_published_prompt_to_anybody(
    as_: SignIn, client: Client, editor: User, restricted: Prompt, submission: Submission
) -> None:
    before = state(restricted)
    group = Group.objects.get(name="Member").pk
    data = submission(restricted, template="{{document}} {{length}}!", groups=[group], open_to_everyone="on", **LIVE)
    text = as_(editor).post(page_of(restricted), data, follow=True).content.decode()
    assert state(restricted) == before
    assert Prompt.objects.get().template.endswith("!")
    assert "What people see was left as it is" in text
    client.logout()
    assert client.get(f"/p/{restricted.slug}/").status_code == 404


def test_the_form_says_why_an_editor_cannot_change_them_and_who_can(
    as_: SignIn, editor: User, restricted: Prompt
) -> None:
    page = as_(editor).get(page_of(restricted))
    assert not {*LIVE, "groups"} & set(page.context["adminform"].form.fields)
    assert "ask somebody with the role Prompt publisher or Administrator" in page.content.decode()


def test_an_editor_changes_everything_of_a_prompt_that_nobody_uses(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    prompt.withdraw()
    page = as_(editor).get(page_of(prompt)).content.decode()
    assert "takes effect as soon as you save" not in page
    as_(editor).post(page_of(prompt), submission(prompt, **LIVE))
    assert state(prompt)[:4] == tuple(LIVE.values())


def test_a_publisher_is_told_before_and_after_that_people_see_it_now(
    as_: SignIn, publisher: User, prompt: Prompt, submission: Submission
) -> None:
    client = as_(publisher)
    assert "takes effect as soon as you save" in client.get(page_of(prompt)).content.decode()
    data = submission(prompt, name="Other", slug="other")
    text = client.post(page_of(prompt), data, follow=True).content.decode()
    assert "Changed for people at once: the name, the page&#x27;s address." in text
    assert "Its page is now /p/other/" in text


def test_nothing_is_said_to_be_live_where_only_the_draft_changed(
    as_: SignIn, publisher: User, prompt: Prompt, submission: Submission
) -> None:
    data = submission(prompt, template="{{document}} {{length}}!")
    text = as_(publisher).post(page_of(prompt), data, follow=True).content.decode()
    assert "Changed for people at once" not in text
    assert "Claude is sent what is published, until this draft is published." in text


def test_opening_a_published_prompt_to_everyone_takes_a_second_yes(
    as_: SignIn, publisher: User, restricted: Prompt, submission: Submission
) -> None:
    client = as_(publisher)
    page = client.post(page_of(restricted), submission(restricted, access="everyone"))
    assert "without a login" in page.context["adminform"].form.errors["access"][0]
    assert state(restricted)[3] == "groups"
    data = submission(restricted, access="everyone", open_to_everyone="on")
    text = client.post(page_of(restricted), data, follow=True).content.decode()
    assert state(restricted)[3] == "everyone"
    assert "It can be used now by: everyone, signed in or not." in text


def test_a_prompt_that_is_open_already_asks_nothing_again(
    as_: SignIn, publisher: User, prompt: Prompt, submission: Submission
) -> None:
    Prompt.objects.update(access="everyone")
    prompt.refresh_from_db()
    page = as_(publisher).get(page_of(prompt))
    assert "Open it to everyone, at once" not in page.content.decode()
    answer = as_(publisher).post(page_of(prompt), submission(prompt, name="Other"))
    assert answer.status_code == 302


def test_what_answers_instead_and_kept_answers_are_changed_by_publishers_at_once(
    prompt: Prompt, editor: User, publisher: User, as_: SignIn, submission: Submission
) -> None:
    chain = FallbackChain.objects.create(name="Cheap first", answer="Please call us.")
    more = {"fallback": chain.pk, "cache_minutes": 60, "cache_shared": "on"}
    as_(editor).post(page_of(prompt), submission(prompt, **more))
    prompt.refresh_from_db()
    assert (prompt.fallback, prompt.cache_minutes, prompt.cache_shared) == (None, 0, False)
    page = as_(publisher).post(page_of(prompt), submission(prompt, **more), follow=True).content.decode()
    prompt.refresh_from_db()
    assert (prompt.fallback, prompt.cache_minutes, prompt.cache_shared) == (chain, 60, True)
    assert "what answers instead, how long answers are kept, whose kept answers one gets" in page

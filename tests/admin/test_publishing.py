"""Does only a publisher decide what people use, and does an old version stay what it was?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from core.models import ClaudeModel, Prompt, User
from core.models.prompts import digest_of

SignIn = Callable[[User], Client]


def pages(prompt: Prompt) -> list[str]:
    number = prompt.versions.get().number
    return [
        reverse("admin:core_prompt_publish", args=[prompt.pk]),
        reverse("admin:core_prompt_withdraw", args=[prompt.pk]),
        reverse("admin:core_prompt_publish_version", args=[prompt.pk, number]),
    ]


def change(prompt: Prompt) -> None:
    prompt.template = "New: {{document}} {{length}} <script>alert(1)</script>"
    prompt.save()


@pytest.mark.parametrize("role", ["editor", "finance", "operator"])
@pytest.mark.parametrize("page", [0, 1, 2])
def test_staff_without_the_permission_neither_publish_nor_withdraw(
    page: int, role: str, request: pytest.FixtureRequest, client: Client, prompt: Prompt
) -> None:
    before = prompt.published
    change(prompt)
    client.force_login(request.getfixturevalue(role))
    assert client.get(pages(prompt)[page]).status_code == 403
    assert client.post(pages(prompt)[page], {"digest": digest_of(prompt.content())}).status_code == 403
    prompt.refresh_from_db()
    assert prompt.published == before


@pytest.mark.parametrize("role", ["outsider", "member"])
def test_who_is_no_staff_is_sent_to_the_login(
    role: str, request: pytest.FixtureRequest, client: Client, prompt: Prompt
) -> None:
    client.force_login(request.getfixturevalue(role))
    assert all(client.post(page).status_code == 302 for page in pages(prompt))
    prompt.refresh_from_db()
    assert prompt.published is not None


def test_an_editor_is_not_offered_what_is_refused(as_: SignIn, editor: User, prompt: Prompt) -> None:
    change(prompt)
    page = as_(editor).get(reverse("admin:core_prompt_change", args=[prompt.pk])).content.decode()
    assert reverse("admin:core_prompt_try", args=[prompt.pk]) in page
    assert not [path for path in pages(prompt) if path in page]


def test_a_publisher_sees_the_difference_as_text_and_publishes_what_was_shown(
    as_: SignIn, publisher: User, prompt: Prompt
) -> None:
    change(prompt)
    client = as_(publisher)
    shown = client.get(pages(prompt)[0])
    text = shown.content.decode()
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert(1)" not in text
    client.post(pages(prompt)[0], {"digest": shown.context["digest"]})
    prompt.refresh_from_db()
    assert prompt.published is not None
    assert (prompt.published.number, prompt.published.published_by) == (2, publisher)
    assert not prompt.changed_since_published


def test_a_draft_that_changed_after_it_was_shown_is_shown_again(as_: SignIn, publisher: User, prompt: Prompt) -> None:
    change(prompt)
    client = as_(publisher)
    digest = client.get(pages(prompt)[0]).context["digest"]
    prompt.template = "Other: {{document}} {{length}}"
    prompt.save()
    answer = client.post(pages(prompt)[0], {"digest": digest})
    prompt.refresh_from_db()
    assert "in the meantime" in answer.content.decode()
    assert prompt.published is not None
    assert prompt.published.number == 1


def test_a_draft_that_cannot_run_is_not_published(as_: SignIn, publisher: User, prompt: Prompt) -> None:
    change(prompt)
    ClaudeModel.objects.filter(pk=prompt.model_id).update(lifecycle="retired")
    answer = as_(publisher).post(pages(prompt)[0], {"digest": digest_of(prompt.content())})
    prompt.refresh_from_db()
    assert "no longer answers" in answer.content.decode()
    assert prompt.published is not None
    assert prompt.published.number == 1


def test_withdrawing_asks_first_and_keeps_the_versions(as_: SignIn, publisher: User, prompt: Prompt) -> None:
    client, page = as_(publisher), pages(prompt)[1]
    client.get(page)
    assert Prompt.objects.published().exists()
    client.post(page)
    assert not Prompt.objects.published().exists()
    assert prompt.versions.count() == 1


def test_an_older_version_comes_back_as_it_was(as_: SignIn, publisher: User, prompt: Prompt) -> None:
    first = prompt.versions.get()
    content = first.content()
    change(prompt)
    prompt.publish(publisher)
    page = reverse("admin:core_prompt_publish_version", args=[prompt.pk, first.number])
    client = as_(publisher)
    client.post(page, {"digest": client.get(page).context["digest"]})
    prompt.refresh_from_db()
    assert prompt.published == first
    assert prompt.published.content() == content
    assert prompt.template.startswith("New:")


def test_a_version_can_be_read_and_not_changed(as_: SignIn, editor: User, prompt: Prompt) -> None:
    version = prompt.versions.get()
    client = as_(editor)
    page = reverse("admin:core_prompt_version", args=[prompt.pk, version.number])
    text = client.get(page).content.decode()
    assert "Summarise this text in a {{length}} form" in text
    client.post(page, {"template": "changed"})
    version.refresh_from_db()
    assert version.template == "Summarise this text in a {{length}} form:\n\n{{document}}"
    assert client.get(reverse("admin:core_prompt_versions", args=[prompt.pk])).status_code == 200
    assert client.get(reverse("admin:core_prompt_version", args=[prompt.pk, 99])).status_code == 404

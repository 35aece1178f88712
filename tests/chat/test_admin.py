"""Does the administration show who chats and at which cost, and not what is said? Who offers a system prompt?"""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from core.models import Conversation, SystemPrompt, User


def test_operators_see_who_chats_and_not_what_is_said(
    client: Client, conversation: Conversation, operator: User
) -> None:
    client.force_login(operator)
    listed = client.get(reverse("admin:core_conversation_changelist")).content.decode()
    assert "member" in listed
    assert "tower" not in listed
    shown = client.get(reverse("admin:core_conversation_change", args=[conversation.pk])).content.decode()
    assert "claude-haiku-5-5" in shown
    assert "tower" not in shown
    assert client.post(reverse("admin:core_conversation_delete", args=[conversation.pk])).status_code == 403


@pytest.mark.parametrize("role", ["editor", "finance"])
def test_others_do_not(client: Client, role: str, request: pytest.FixtureRequest, conversation: Conversation) -> None:
    client.force_login(request.getfixturevalue(role))
    assert client.get(reverse("admin:core_conversation_change", args=[conversation.pk])).status_code == 403


@pytest.fixture
def system_prompt(db: None) -> SystemPrompt:
    return SystemPrompt.objects.create(name="Brief", text="Be brief.")


def offered(client: Client, prompt: SystemPrompt, **values: str) -> bool:
    address = reverse("admin:core_systemprompt_change", args=[prompt.pk])
    client.post(address, {"name": prompt.name, "description": "", "text": prompt.text, **values})
    return SystemPrompt.objects.get(pk=prompt.pk).in_chat


def test_only_those_who_publish_offer_a_system_prompt_in_chats(
    client: Client, editor: User, publisher: User, system_prompt: SystemPrompt
) -> None:
    client.force_login(editor)
    assert not offered(client, system_prompt, in_chat="on")
    client.force_login(publisher)
    assert offered(client, system_prompt, in_chat="on")
    # And from then on only they change what chats get.
    client.force_login(editor)
    offered(client, system_prompt, text="Be long.")
    assert SystemPrompt.objects.get().text == "Be brief."


def test_a_text_with_variables_is_not_offered(client: Client, publisher: User, system_prompt: SystemPrompt) -> None:
    client.force_login(publisher)
    assert not offered(client, system_prompt, text="Write for {{customer}}.", in_chat="on")

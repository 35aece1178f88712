"""Does everybody see the prompts that they may use, and no others?"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from core.models import Prompt, User

URL = "/"


def test_the_address_is_the_promised_one() -> None:
    assert reverse("catalogue") == URL


def test_somebody_signed_in_sees_their_prompts(client: Client, outsider: User, prompt: Prompt) -> None:
    client.force_login(outsider)
    page = client.get(URL).content.decode()
    assert prompt.name in page
    assert "/p/summarise/" in page


def test_a_visitor_sees_what_is_open_to_everyone_and_where_to_sign_in(client: Client, prompt: Prompt) -> None:
    page = client.get(URL).content.decode()
    assert prompt.name not in page
    assert "Sign in to see your prompts" in page

    Prompt.objects.update(access=Prompt.Access.EVERYONE)
    page = client.get(URL).content.decode()
    assert prompt.name in page
    assert reverse("login") in page


def test_a_prompt_for_a_group_is_for_that_group(client: Client, member: User, outsider: User, prompt: Prompt) -> None:
    Prompt.objects.update(access=Prompt.Access.GROUPS)
    prompt.groups.set(Group.objects.filter(name="Member"))
    client.force_login(outsider)
    assert prompt.name not in client.get(URL).content.decode()
    client.force_login(member)
    assert prompt.name in client.get(URL).content.decode()


def test_a_draft_is_not_listed(client: Client, administrator: User, prompt: Prompt) -> None:
    prompt.withdraw()
    client.force_login(administrator)
    assert "/p/summarise/" not in client.get(URL).content.decode()


def test_search_finds_names_and_descriptions(client: Client, member: User, prompt: Prompt) -> None:
    Prompt.objects.update(description="The gist of a report")
    client.force_login(member)
    assert prompt.name in client.get(URL, {"q": "GIST"}).content.decode()
    page = client.get(URL, {"q": "zebra"}).content.decode()
    assert prompt.name not in page
    assert "No prompt has these words" in page


def test_only_who_may_change_prompts_is_led_to_the_admin(
    client: Client, member: User, editor: User, prompt: Prompt
) -> None:
    edit = f"/admin/core/prompt/{prompt.pk}/change/"
    client.force_login(member)
    assert edit not in client.get(URL).content.decode()
    client.force_login(editor)
    assert edit in client.get(URL).content.decode()


def test_hostile_names_stay_text(client: Client, member: User, prompt: Prompt) -> None:
    Prompt.objects.update(name="<script>alert(1)</script> {{ x|safe }}", description="{% include 'x' %}")
    client.force_login(member)
    page = client.get(URL).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ x|safe }}" in page


def test_ten_more_prompts_take_no_more_queries(
    client: Client, member: User, prompt: Prompt, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(10):
        another = Prompt.objects.create(
            name=f"Prompt {number}", slug=f"prompt-{number}", template="Hello", model=prompt.model
        )
        another.publish(None)
    client.force_login(member)
    with django_assert_max_num_queries(8):
        assert "Prompt 9" in client.get(URL).content.decode()


@pytest.mark.parametrize("simulated", [True, False])
def test_a_banner_tells_of_the_simulator(client: Client, db: None, settings: object, simulated: bool) -> None:
    settings.SIMULATED = simulated  # type: ignore[attr-defined]
    assert ("a simulator stands in for Claude" in client.get(URL).content.decode()) is simulated

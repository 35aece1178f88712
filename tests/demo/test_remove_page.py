"""Does the page that removes the demo keep people from locking themselves out unawares?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from core.models import Prompt, User

PAGE = reverse("admin:core_demo_remove")


@pytest.fixture
def administrator_of_ours(person: Callable[..., User]) -> User:
    return person("ours", "Administrator", staff=True)


def test_one_click_of_the_demo_operator_locks_nobody_out(client: Client, demo: dict[str, int]) -> None:
    client.force_login(User.objects.get(username="operator"))
    asked = client.get(PAGE).content.decode()
    assert "Make a login of your own first." in asked
    assert "People → Add" in asked
    assert "manage.py createsuperuser" in asked
    refused = client.post(PAGE).content.decode()
    assert "Nothing was removed:" in refused
    assert User.objects.filter(is_active=True, demo=True).count() == demo["people"]


def test_whoever_ticks_the_box_lands_where_it_says_what_to_do(client: Client, demo: dict[str, int]) -> None:
    client.force_login(User.objects.get(username="operator"))
    landed = client.post(PAGE, {"nobody_can_sign_in": "on"}, follow=True)
    assert landed.redirect_chain == [(reverse("login"), 302)]
    text = landed.content.decode()
    assert "Removed: " in text
    assert "make a login with «manage.py createsuperuser», then sign in here" in text
    assert not Prompt.objects.exists()


def test_with_a_login_of_ones_own_nothing_has_to_be_ticked(
    client: Client, demo: dict[str, int], administrator_of_ours: User
) -> None:
    client.force_login(User.objects.get(username="operator"))
    asked = client.get(PAGE).content.decode()
    assert "Make a login of your own first." not in asked
    assert "You are signed in with a demo login, and it goes too." in asked
    text = client.post(PAGE, follow=True).content.decode()
    assert "Sign in with a login of your own." in text
    assert "createsuperuser" not in text


def test_who_removes_it_with_a_login_of_their_own_stays_signed_in(
    client: Client, demo: dict[str, int], administrator_of_ours: User
) -> None:
    client.force_login(administrator_of_ours)
    landed = client.post(PAGE, follow=True)
    assert landed.redirect_chain == [(reverse("admin:index"), 302)]
    assert landed.context["user"] == administrator_of_ours


def test_a_login_that_cannot_open_the_admin_does_not_count(
    client: Client, demo: dict[str, int], person: Callable[..., User]
) -> None:
    person("reader", "Member")
    unusable = person("locked", "Administrator", staff=True)
    unusable.set_unusable_password()
    unusable.save()
    client.force_login(User.objects.get(username="operator"))
    assert "Nothing was removed:" in client.post(PAGE).content.decode()


def test_the_page_promises_no_second_demo_beside_ones_own_work(client: Client, demo: dict[str, int]) -> None:
    client.force_login(User.objects.get(username="operator"))
    assert "only into a database that holds no prompts and no calls" in client.get(PAGE).content.decode()

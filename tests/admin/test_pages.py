"""Does each page of the admin open for those who may see it, and for nobody else?"""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from core.models import Prompt, User

LISTS = {
    "core_prompt": {"editor", "publisher", "operator", "administrator"},
    "core_systemprompt": {"editor", "publisher", "operator", "administrator"},
    "core_claudemodel": {"editor", "publisher", "finance", "operator", "administrator"},
    "core_price": {"editor", "publisher", "finance", "operator", "administrator"},
    "core_batch": {"finance", "operator", "administrator"},
    "core_conversation": {"operator", "administrator"},
    "core_call": {"finance", "operator", "administrator"},
    "core_costrecord": {"finance", "operator", "administrator"},
    "core_budget": {"finance", "administrator"},
    "core_budgetwindow": {"finance", "administrator"},
    "core_budgetrequest": {"finance", "administrator"},
    "core_key": {"operator", "administrator"},
    "core_user": {"administrator"},
    "auth_group": {"administrator"},
    "django_rq_dashboard": {"operator", "administrator"},
}
STAFF = ["editor", "publisher", "finance", "operator", "administrator"]


@pytest.mark.parametrize("role", STAFF)
@pytest.mark.parametrize("table", LISTS)
def test_a_list_opens_for_the_roles_that_need_it(
    table: str, role: str, request: pytest.FixtureRequest, client: Client, prompt: Prompt
) -> None:
    client.force_login(request.getfixturevalue(role))
    expected = 200 if role in LISTS[table] else 403
    assert client.get(reverse(f"admin:{table}_changelist")).status_code == expected


@pytest.mark.parametrize("role", ["outsider", "member"])
@pytest.mark.parametrize("table", LISTS)
def test_who_is_no_staff_is_sent_to_the_login(
    table: str, role: str, request: pytest.FixtureRequest, client: Client
) -> None:
    client.force_login(request.getfixturevalue(role))
    answer = client.get(reverse(f"admin:{table}_changelist"))
    assert answer.status_code == 302
    assert reverse("admin:login") in answer["Location"]


def test_whoever_is_signed_in_and_no_staff_is_told_why_the_login_stands_there(client: Client, member: User) -> None:
    client.force_login(member)
    text = client.get(reverse("admin:index"), follow=True).content.decode()
    assert f"You are signed in as {member}, who may not open this administration." in text


@pytest.mark.parametrize("role", STAFF)
def test_the_start_page_opens_for_all_staff(role: str, request: pytest.FixtureRequest, client: Client) -> None:
    client.force_login(request.getfixturevalue(role))
    assert "What needs attention" in client.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize(
    ("table", "name"), [("core_prompt", "Search by name or address"), ("core_budget", "Search by name")]
)
def test_the_search_field_has_a_name_that_stays_when_something_is_typed(
    table: str, name: str, client: Client, administrator: User
) -> None:
    client.force_login(administrator)
    page = client.get(reverse(f"admin:{table}_changelist"), {"q": "typed"}).content.decode()
    field = page[: page.index('id="searchbar"')].rpartition("<input")[2]
    assert f'aria-label="{name}"' in field

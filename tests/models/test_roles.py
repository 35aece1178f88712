from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from pytest_django import Settings

from core.models import User
from core.models.roles import ROLES, grant_roles


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_exactly_the_permissions_it_lists(db: None, role: str) -> None:
    granted = Group.objects.get(name=role).permissions.values_list("codename", flat=True)

    assert sorted(granted) == sorted(set(ROLES[role]))


def test_an_editor_may_not_publish_and_a_member_may_only_chat(editor: User, publisher: User, member: User) -> None:
    assert editor.has_perm("core.change_prompt")
    assert not editor.has_perm("core.publish_prompt")
    assert publisher.has_perm("core.publish_prompt")
    assert member.get_all_permissions() == {"core.use_chat"}


def test_what_was_granted_by_hand_stays(db: None) -> None:
    group = Group.objects.get(name="Member")
    group.permissions.add(Permission.objects.get(codename="view_spend"))

    grant_roles()

    assert group.permissions.filter(codename="view_spend").exists()


def test_a_demo_login_opens_nothing_in_earnest(member: User, client: Client, settings: Settings) -> None:
    User.objects.filter(pk=member.pk).update(demo=True)
    settings.DEBUG = True
    assert client.login(username="member", password="secret")
    settings.DEBUG = False

    assert not client.login(username="member", password="secret")
    assert not client.get("/calls/").wsgi_request.user.is_authenticated

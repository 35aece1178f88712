"""Can an administrator who is no superuser get, or give, more than they have?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from core.models import User
from core.models.roles import ROLES

SignIn = Callable[[User], Client]


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root", password="secret")


@pytest.fixture
def secret_group(db: None) -> Group:
    """A role with something that the administrator does not have."""
    group = Group.objects.create(name="Auditor")
    group.permissions.add(Permission.objects.get(codename="delete_costrecord"))
    return group


def form(user: User, **changes: Any) -> dict[str, Any]:
    return {
        "username": user.username,
        "is_active": "on",
        "is_staff": "on",
        "groups": [str(group.pk) for group in user.groups.all()],
        **changes,
    }


def save(client: Client, user: User, **changes: Any) -> int:
    return client.post(reverse("admin:core_user_change", args=[user.pk]), form(user, **changes)).status_code


def test_an_administrator_cannot_become_a_superuser(as_: SignIn, administrator: User) -> None:
    permission = Permission.objects.get(codename="delete_costrecord")
    client = as_(administrator)
    assert save(client, administrator, is_superuser="on", user_permissions=[permission.pk]) == 302
    administrator = User.objects.get(pk=administrator.pk)
    assert not administrator.is_superuser
    assert not administrator.has_perm("core.delete_costrecord")


def test_an_administrator_cannot_give_a_role_that_does_more_than_they_may(
    as_: SignIn, administrator: User, editor: User, secret_group: Group
) -> None:
    assert save(as_(administrator), editor, groups=[secret_group.pk]) == 200
    assert secret_group not in editor.groups.all()


def test_an_administrator_gives_the_ready_made_roles(as_: SignIn, administrator: User, editor: User) -> None:
    groups = list(Group.objects.filter(name__in=ROLES))
    assert save(as_(administrator), editor, groups=[group.pk for group in groups]) == 302
    assert editor.groups.count() == len(ROLES)


@pytest.mark.parametrize("name", ["change", "delete"])
def test_an_administrator_does_not_touch_a_superuser(name: str, as_: SignIn, administrator: User, root: User) -> None:
    page = reverse(f"admin:core_user_{name}", args=[root.pk])
    assert as_(administrator).post(page, {**form(root), "post": "yes"}).status_code == 403
    assert User.objects.get(pk=root.pk).is_superuser


def test_an_administrator_does_not_set_the_password_of_somebody_who_may_do_more(
    as_: SignIn, administrator: User, editor: User, root: User, secret_group: Group
) -> None:
    editor.groups.add(secret_group)
    client = as_(administrator)
    for user in (root, editor):
        page = reverse("admin:auth_user_password_change", args=[user.pk])
        answer = client.post(page, {"password1": "Taken-over-1", "password2": "Taken-over-1"})
        assert answer.status_code == 403
        assert User.objects.get(pk=user.pk).check_password("secret")


def test_an_administrator_sets_the_password_of_an_editor(as_: SignIn, administrator: User, editor: User) -> None:
    page = reverse("admin:auth_user_password_change", args=[editor.pk])
    new = {"password1": "A-new-one-42", "password2": "A-new-one-42"}
    assert as_(administrator).post(page, new).status_code == 302
    assert User.objects.get(pk=editor.pk).check_password("A-new-one-42")


def test_a_role_cannot_be_given_a_permission_that_its_editor_lacks(as_: SignIn, administrator: User) -> None:
    role = Group.objects.get(name="Administrator")
    before = set(role.permissions.all())
    stolen = Permission.objects.get(codename="delete_costrecord")
    page = reverse("admin:auth_group_change", args=[role.pk])
    answer = as_(administrator).post(page, {"name": role.name, "permissions": [stolen.pk]})
    assert answer.status_code == 200
    assert set(role.permissions.all()) == before


def test_a_role_beyond_ones_own_is_only_looked_at(as_: SignIn, administrator: User, secret_group: Group) -> None:
    page = reverse("admin:auth_group_change", args=[secret_group.pk])
    client = as_(administrator)
    assert client.get(page).status_code == 200
    assert client.post(page, {"name": "Mine", "permissions": []}).status_code == 403


def test_saving_a_role_unchanged_keeps_its_permissions(as_: SignIn, administrator: User) -> None:
    role = Group.objects.get(name="Operator")
    before = set(role.permissions.all())
    data = {"name": role.name, "permissions": [permission.pk for permission in before]}
    assert as_(administrator).post(reverse("admin:auth_group_change", args=[role.pk]), data).status_code == 302
    assert set(role.permissions.all()) == before


def test_a_superuser_may_make_another(as_: SignIn, root: User, editor: User) -> None:
    assert save(as_(root), editor, is_superuser="on") == 302
    assert User.objects.get(pk=editor.pk).is_superuser


def test_a_role_that_somebody_has_is_not_deleted(as_: SignIn, administrator: User) -> None:
    page = reverse("admin:auth_group_delete", args=[Group.objects.get(name="Administrator").pk])
    client = as_(administrator)
    assert "«Administrator» is held by 1 person. Take it from them first." in client.get(page).content.decode()
    client.post(page, {"post": "yes"})
    assert Group.objects.filter(name="Administrator").exists()


def test_a_role_that_nothing_names_is_deleted_without_a_list_of_its_permissions(
    as_: SignIn, root: User, secret_group: Group
) -> None:
    page = reverse("admin:auth_group_delete", args=[secret_group.pk])
    client = as_(root)
    assert "permission" not in client.get(page).content.decode().split("Objects")[1]
    assert client.post(page, {"post": "yes"}).status_code == 302
    assert not Group.objects.filter(pk=secret_group.pk).exists()


def test_a_person_is_added_and_the_roles_are_explained(as_: SignIn, administrator: User) -> None:
    client = as_(administrator)
    new = {"username": "new", "password1": "A-new-one-42", "password2": "A-new-one-42"}
    made = client.post(reverse("admin:core_user_add"), new)
    assert made.status_code == 302
    page = client.get(made["Location"]).content.decode()
    assert all(name in page for name in ROLES)
    assert "does not publish" in page


@pytest.mark.parametrize("role", ["editor", "publisher", "finance", "operator"])
def test_others_do_not_see_people(role: str, request: pytest.FixtureRequest, client: Client, root: User) -> None:
    client.force_login(request.getfixturevalue(role))
    assert client.get(reverse("admin:core_user_change", args=[root.pk])).status_code == 403
    assert client.post(reverse("admin:core_user_add"), {"username": "x"}).status_code == 403

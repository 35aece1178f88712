"""Can people sign in, sign out and change their password?"""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from core.models import User


def test_signing_in_leads_to_where_one_wanted_to_go(client: Client, member: User) -> None:
    wanted = {"username": "member", "password": "secret", "next": "/calls/"}
    assert client.post("/login/", wanted)["Location"] == "/calls/"
    assert client.post("/logout/")["Location"] == "/"
    assert client.post("/login/", {**wanted, "next": "https://evil.example/"})["Location"] == "/"


def test_a_wrong_password_gets_a_message_and_keeps_the_name(client: Client, member: User) -> None:
    html = client.post("/login/", {"username": "member", "password": "wrong"}).content.decode()
    assert 'role="alert"' in html
    assert 'value="member"' in html


def test_signing_out_takes_a_post(client: Client, member: User) -> None:
    client.force_login(member)
    assert client.get("/logout/").status_code == 405


def test_a_part_of_a_page_that_is_drawn_anew_after_signing_out_loads_the_whole(client: Client, db: None) -> None:
    part = client.get("/bulk/new/", headers={"HX-Request": "true"}, follow=True)
    assert part.redirect_chain == [("/login/?next=/bulk/new/", 302)]
    assert (part.content, part["HX-Refresh"]) == (b"", "true")


@pytest.mark.parametrize(("debug", "demo", "listed"), [(True, True, True), (False, True, False), (True, False, False)])
def test_demo_logins_are_listed_on_a_developers_machine_only(
    client: Client, member: User, settings: Settings, debug: bool, demo: bool, listed: bool
) -> None:
    settings.DEBUG = debug
    User.objects.update(demo=demo)
    assert ("Demo logins" in client.get("/login/").content.decode()) is listed


def test_the_password_can_be_changed(client: Client, member: User) -> None:
    assert client.get("/password/")["Location"].startswith("/login/")
    client.force_login(member)
    fresh = "a-new-and-long-one-77"
    wrong = {"old_password": "secret", "new_password1": fresh, "new_password2": "another"}
    assert "problem" in client.post("/password/", wrong).content.decode()
    right = {**wrong, "new_password2": fresh}
    assert "Your password is changed" in client.post("/password/", right, follow=True).content.decode()
    member.refresh_from_db()
    assert member.check_password(fresh)

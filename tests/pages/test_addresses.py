"""Is an address that makes no sense refused in words, and not with a crash?"""

from __future__ import annotations

import pytest
from django.test import Client

from core.models import User

WITH_NUL = [
    "/admin/core/call/?model=%00",
    "/admin/core/call/?status=%00",
    "/admin/core/costrecord/?model=%00",
    "/admin/core/prompt/?access__exact=%00",
    "/admin/core/prompt/?q=a%00b",
    "/calls/?q=%00",
    "/calls/?model=x%00",
    "/spend/?by=%00",
    "/p/a%00/",
    "/login/?next=%00",
]


@pytest.mark.parametrize("address", WITH_NUL)
def test_a_nul_byte_is_refused_with_our_page(address: str, client: Client, administrator: User) -> None:
    client.force_login(administrator)
    answer = client.get(address)
    assert answer.status_code == 400
    assert "This could not be understood" in answer.content.decode()
    assert "Content-Security-Policy" in answer


def test_a_stranger_is_refused_too(client: Client, db: None) -> None:
    assert client.get("/?x=%00").status_code == 400


def test_the_characters_percent_zero_zero_are_no_nul_byte(client: Client, db: None) -> None:
    assert client.get("/calls/?q=%2500").status_code == 200


@pytest.mark.parametrize("page", ["spend", "usage"])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ({"from": "soon", "to": "2026-01-10"}, "From:"),
        ({"from": "2026-02-31"}, "From:"),
        ({"to": "2026-01-10"}, "Please enter the first day too."),
        ({"from": "2026-01-10", "to": "2026-01-01"}, "Please enter a last day that is not before the first."),
        ({"from": "2000-01-01", "to": "2026-01-01"}, "Please choose at most"),
    ],
)
def test_no_file_is_made_of_dates_that_make_no_period(
    page: str, kind: str, dates: dict[str, str], said: str, client: Client, finance: User
) -> None:
    client.force_login(finance)
    answer = client.get(f"/{page}/export.{kind}", dates)
    assert answer.status_code == 400
    assert "No file was made" in answer.content.decode()
    assert said in answer.content.decode()
    assert "Content-Disposition" not in answer


def test_a_page_with_such_dates_says_what_it_shows_instead(client: Client, finance: User) -> None:
    client.force_login(finance)
    answer = client.get("/spend/", {"from": "2026-01-10", "to": "2026-01-01"})
    assert answer.status_code == 200
    assert "These dates make no period, so you see the last 30 days" in answer.content.decode()

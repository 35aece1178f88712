"""Does the history show what is mine, find what I look for and stay quick?"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.models import Call, Prompt, User

URL = "/calls/"
MakeCall = Callable[..., Call]


def listed(client: Client, **wanted: str) -> list[str]:
    """The ids on the page, in its order."""
    html = client.get(URL, wanted).content.decode()
    return re.findall(r'class="main"><a href="/calls/([0-9a-f-]{36})/"', html)


def test_everybody_sees_their_own_calls_only(client: Client, member: User, outsider: User, answered: MakeCall) -> None:
    mine, theirs = answered(member), answered(outsider)
    client.force_login(member)
    assert listed(client) == [str(mine.pk)]
    client.force_login(outsider)
    assert listed(client) == [str(theirs.pk)]
    client.logout()
    assert listed(client) == []


def test_no_filter_reaches_other_peoples_calls(
    client: Client, member: User, outsider: User, answered: MakeCall
) -> None:
    theirs = answered(outsider, text="a secret word", request_id="req_secret")
    client.force_login(member)
    for wanted in ({"q": str(theirs.pk)}, {"q": "secret"}, {"q": "req_secret"}, {"person": "outsider"}):
        assert listed(client, **wanted) == []


def test_who_may_read_all_sees_all_and_can_pick_a_person(
    client: Client, member: User, outsider: User, operator: User, answered: MakeCall
) -> None:
    mine, theirs = answered(member), answered(outsider)
    client.force_login(operator)
    assert set(listed(client)) == {str(mine.pk), str(theirs.pk)}
    assert listed(client, person="member") == [str(mine.pk)]
    assert listed(client, person="OUTSIDE") == [str(theirs.pk)]
    assert listed(client, person="nobody") == []


def test_search_finds_ids_prompts_and_words_of_the_answer(client: Client, member: User, answered: MakeCall) -> None:
    call = answered(member, text="About elephants", request_id="req_42")
    answered(member, text="About trees", prompt=None, version=None)
    client.force_login(member)
    for words in (str(call.pk), call.pk.hex, "req_42", "ELEPHANT", "Summarise a doc"):
        assert listed(client, q=words) == [str(call.pk)], words


def test_filters_narrow_by_state_prompt_model_and_day(
    client: Client, member: User, prompt: Prompt, answered: MakeCall
) -> None:
    long_ago = dt.datetime(2026, 1, 31, 22, 59, tzinfo=dt.UTC)  # one minute before February in Berlin
    old = answered(member, created_at=long_ago, model="claude-opus-5-5")
    failed = answered(member, status=Call.Status.FAILED, text="", prompt=None, version=None)
    client.force_login(member)
    assert listed(client, status="failed") == [str(failed.pk)]
    assert listed(client, prompt=str(prompt.pk)) == [str(old.pk)]
    assert listed(client, model="claude-opus-5-5") == [str(old.pk)]
    assert listed(client, to="2026-01-31") == [str(old.pk)]
    assert listed(client, **{"from": "2026-02-01"}) == [str(failed.pk)]


@pytest.mark.parametrize(
    "wanted",
    [
        {"from": "banana"},
        {"to": "9999-12-31"},
        {"from": "0001-01-01"},
        {"status": "' OR 1=1"},
        {"prompt": "99999999999999999999"},
        {"q": "x" * 1000},
    ],
)
def test_a_senseless_filter_gets_a_message_and_is_left_out(
    client: Client, member: User, answered: MakeCall, wanted: dict[str, str]
) -> None:
    call = answered(member)
    client.force_login(member)
    response = client.get(URL, wanted)
    assert response.status_code == 200
    assert "This filter is left out" in response.content.decode()
    assert str(call.pk) in response.content.decode()


@pytest.mark.parametrize("place", ["x", "1.2", "9" * 40 + ".00000000000040008000000000000000", "-5.zz"])
def test_a_senseless_place_shows_the_newest(client: Client, member: User, answered: MakeCall, place: str) -> None:
    call = answered(member)
    client.force_login(member)
    assert listed(client, before=place) == [str(call.pk)]
    assert listed(client, after=place) == [str(call.pk)]


def test_older_and_newer_lead_through_all_calls_without_counting(
    client: Client, member: User, answered: MakeCall, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    # Three share one moment, so that the order must not depend on time alone.
    for number in range(60):
        answered(member, created_at=now - dt.timedelta(minutes=number // 3))
    expected = [str(pk) for pk in Call.objects.values_list("pk", flat=True)]
    client.force_login(member)

    def link(html: str, rel: str) -> str:
        found = re.search(rf'rel="{rel}" href="([^"]+)"', html)
        return found[1].replace("&amp;", "&") if found else ""

    with django_assert_max_num_queries(10) as queries:
        html = client.get(URL, {"status": "succeeded"}).content.decode()
    assert not any("COUNT(" in query["sql"].upper() for query in queries.captured_queries)
    pages = [re.findall(r'class="main"><a href="/calls/([0-9a-f-]{36})/"', html)]
    assert link(html, "prev") == ""
    while older := link(html, "next"):
        assert "status=succeeded" in older
        html = client.get(older).content.decode()
        pages.append(re.findall(r'class="main"><a href="/calls/([0-9a-f-]{36})/"', html))
    assert [len(page) for page in pages] == [25, 25, 10]
    assert [pk for page in pages for pk in page] == expected

    html = client.get(link(html, "prev")).content.decode()
    assert re.findall(r'class="main"><a href="/calls/([0-9a-f-]{36})/"', html) == pages[1]


def test_an_empty_history_says_what_to_do(client: Client, member: User) -> None:
    client.force_login(member)
    html = client.get(URL).content.decode()
    assert "Nothing was asked yet" in html
    assert "Choose a prompt" in html
    assert "Nothing matches" in client.get(URL, {"q": "zebra"}).content.decode()


def test_excerpts_stay_text(client: Client, member: User, answered: MakeCall) -> None:
    answered(member, text="<script>alert(1)</script> {{ x|safe }}")
    client.force_login(member)
    html = client.get(URL, {"q": "<script>alert"}).content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ x|safe }}" in html

"""Does the spend page add up, for those who may see it?"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.models import CostRecord, Prompt, User

URL, CSV = "/spend/", "/spend/export.csv"
MakeRecord = Callable[..., CostRecord]


def sum_on(client: Client, **wanted: str) -> Decimal:
    html = client.get(URL, wanted).content.decode()
    found = re.search(r'class="sum"><data value="([\d.]+)"', html)
    return Decimal(found[1]) if found else Decimal(0)


def rows_of(client: Client, **wanted: str) -> list[dict[str, str]]:
    response = client.get(CSV, wanted)
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))  # type: ignore[attr-defined]


def test_only_who_may_see_spend_sees_it(
    client: Client, outsider: User, member: User, editor: User, finance: User
) -> None:
    for path in (URL, CSV):
        client.logout()
        assert client.get(path)["Location"] == f"/login/?next={path}"
        for who in (outsider, member, editor):
            client.force_login(who)
            assert client.get(path).status_code == 403
        client.force_login(finance)
        assert client.get(path).status_code == 200


def test_the_refusal_says_what_is_missing_and_whom_to_ask(client: Client, member: User, administrator: User) -> None:
    client.force_login(member)
    html = client.get(URL).content.decode()
    assert "Finance, Operator or Administrator" in html
    assert f"Ask {administrator}" in html
    assert 'href="/spend/"' not in html


def test_the_sum_is_exact_and_the_csv_adds_up_to_it(
    client: Client, member: User, finance: User, outsider: User, billed: MakeRecord
) -> None:
    for number in range(10):
        billed(member, f"0.000000012{number}")
    billed(outsider, "1.1")
    billed(None, None)
    client.force_login(finance)
    expected = sum((record.amount for record in CostRecord.objects.all() if record.amount), Decimal(0))
    assert sum_on(client) == expected
    rows = rows_of(client)
    assert len(rows) == 12
    assert sum(Decimal(row["amount USD"] or 0) for row in rows) == expected
    html = client.get(URL).content.decode()
    assert "for 12 calls" in html
    assert "The cost of 1 exchange is unknown" in html


def test_breakdowns_name_prompts_models_and_people_and_lead_to_their_calls(
    client: Client, member: User, finance: User, prompt: Prompt, billed: MakeRecord
) -> None:
    billed(member, "0.75")
    billed(None, "0.25")
    client.force_login(finance)
    html = client.get(URL, {"from": "2026-01-01", "to": "2026-12-31"}).content.decode()
    dates = "&amp;from=2026-01-01&amp;to=2026-12-31"
    assert f'<a href="/calls/?prompt={prompt.pk}{dates}">Summarise a document</a>' in html
    assert f'<a href="/calls/?model=claude-haiku-5-5{dates}">' in html
    assert f'<a href="/calls/?person=member{dates}">member</a>' in html
    assert "Not signed in" in html
    assert "75 %" in html


def test_a_period_counts_whole_days_of_the_installations_time_zone(
    client: Client, member: User, finance: User, billed: MakeRecord
) -> None:
    # Berlin is an hour ahead of UTC in January.
    billed(member, "1", dt.datetime(2026, 1, 9, 22, 59, tzinfo=dt.UTC))
    billed(member, "2", dt.datetime(2026, 1, 9, 23, 0, tzinfo=dt.UTC))
    billed(member, "4", dt.datetime(2026, 1, 10, 22, 59, tzinfo=dt.UTC))
    billed(member, "8", dt.datetime(2026, 1, 10, 23, 0, tzinfo=dt.UTC))
    client.force_login(finance)
    assert sum_on(client, **{"from": "2026-01-10", "to": "2026-01-10"}) == 6
    assert len(rows_of(client, **{"from": "2026-01-10", "to": "2026-01-10"})) == 2


@pytest.mark.parametrize("preset", ["today", "7-days", "30-days", "this-month", "last-month", "nonsense", ""])
def test_each_preset_shows_and_exports_the_same(
    client: Client, member: User, finance: User, billed: MakeRecord, preset: str
) -> None:
    now = timezone.now()
    for days in (0, 3, 20, 40):
        billed(member, f"{days + 1}", now - dt.timedelta(days=days))
    client.force_login(finance)
    rows = rows_of(client, period=preset)
    assert sum((Decimal(row["amount USD"]) for row in rows), Decimal(0)) == sum_on(client, period=preset)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("banana", "2026-01-01", "Please enter a date as year-month-day"),
        ("2026-01-02", "2026-01-01", "not before the first"),
        ("0001-01-01", "9999-12-31", "Please enter a date"),
        ("2000-01-01", "2026-01-01", "at most 1,100 days"),
        ("", "2026-01-01", "Please enter the first day too"),
        ("2026-02-30", "2026-03-01", "Please enter a date as year-month-day"),
    ],
)
def test_bad_dates_get_a_message_and_keep_what_was_typed(
    client: Client, finance: User, first: str, last: str, words: str
) -> None:
    client.force_login(finance)
    response = client.get(URL, {"from": first, "to": last})
    html = response.content.decode()
    assert response.status_code == 200
    assert words in html
    assert f'value="{first or last}"' in html
    assert client.get(CSV, {"from": first, "to": last}).status_code == 200


def test_nothing_spent_is_said_and_told_apart_from_nothing_ever(
    client: Client, member: User, finance: User, billed: MakeRecord
) -> None:
    client.force_login(finance)
    assert "Nothing was spent yet" in client.get(URL).content.decode()
    billed(member, "1", timezone.now() - dt.timedelta(days=60))
    assert "Nothing was spent in this time" in client.get(URL).content.decode()


def test_the_chart_has_a_bar_for_each_day_and_its_figures_as_a_table(
    client: Client, member: User, finance: User, billed: MakeRecord
) -> None:
    billed(member, "0.5", dt.datetime(2026, 1, 10, 12, tzinfo=dt.UTC))
    client.force_login(finance)
    html = client.get(URL, {"from": "2026-01-01", "to": "2026-01-31"}).content.decode()
    assert html.count('class="bar"') == 31
    assert "<title>10 Jan: $0.50, 1 call</title>" in html
    assert "Sat, 10 Jan 2026" in html
    assert 'role="img"' in html
    assert client.get(URL, {"from": "2025-01-01", "to": "2026-12-31"}).content.decode().count('class="bar"') == 24


def test_a_formula_in_a_name_stays_text_in_the_csv(
    client: Client, member: User, finance: User, prompt: Prompt, billed: MakeRecord
) -> None:
    Prompt.objects.update(name='=HYPERLINK("http://evil")')
    billed(member, "1")
    client.force_login(finance)
    assert rows_of(client)[0]["prompt"] == '\'=HYPERLINK("http://evil")'


def test_the_csv_streams_under_an_event_loop_too(member: User, finance: User, billed: MakeRecord) -> None:
    billed(member, "0.25")

    async def get() -> str:
        client = AsyncClient()
        await client.aforce_login(finance)
        response: Any = await client.get(CSV)
        return b"".join([chunk async for chunk in response.streaming_content]).decode()

    assert "0.25" in async_to_sync(get)()


def test_more_rows_take_no_more_queries(
    client: Client,
    member: User,
    finance: User,
    billed: MakeRecord,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(12):
        billed(member, "0.1")
    client.force_login(finance)
    with django_assert_max_num_queries(14):
        client.get(URL)

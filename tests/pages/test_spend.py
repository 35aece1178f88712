"""Does the spend page add up, for those who may see it?"""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from decimal import Decimal
from html import unescape as html_unescape
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.models import Call, CostRecord, Key, Prompt, User
from core.reports.labels import TITLES
from core.reports.periods import PRESETS
from core.reports.rollups import roll_up_all

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
    assert ">12 exchanges</a>" in html
    assert "The cost of 1 exchange is unknown" in html


def test_breakdowns_name_prompts_models_and_people_and_lead_to_their_calls(
    client: Client, member: User, finance: User, prompt: Prompt, billed: MakeRecord
) -> None:
    billed(member, "0.75")
    billed(None, "0.25")
    client.force_login(finance)
    html = client.get(URL, {"from": "2026-01-01", "to": "2026-12-31"}).content.decode()
    start = "/calls/?counted_from=2026-01-01&amp;counted_to=2026-12-31&amp;counted_by"
    assert f'<a href="{start}=prompt&amp;counted_as={prompt.pk}">Summarise a document</a>' in html
    assert f'<a href="{start}=model&amp;counted_as=claude-haiku-5-5">' in html
    assert f'<a href="{start}=user&amp;counted_as={member.pk}">member</a>' in html
    assert f'<a href="{start}=user">Not signed in</a>' in html
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


@pytest.mark.parametrize("preset", [*PRESETS, "nonsense", ""])
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
    assert client.get(CSV, {"from": first, "to": last}).status_code == 400


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
    assert "<title>10 Jan: $0.50, 1 exchange\nSummarise a document: $0.50</title>" in html
    day = "/calls/?counted_from=2026-01-10&amp;counted_to=2026-01-10"
    assert f'<a href="{day}">Sat, 10 Jan 2026</a>' in html
    assert re.search(
        rf'<td class="number"><a href="{re.escape(day)}&amp;counted_by=prompt&amp;counted_as=\d+">\$0.50</a>', html
    )
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
    with django_assert_max_num_queries(32):
        client.get(URL)


# --- What it is broken down by ---


@pytest.fixture
def spread(member: User, billed: MakeRecord) -> dict[str, str]:
    """A dollar with a value of each dimension, and three without any; the values as the addresses name them."""
    team = Group.objects.create(name="Bridge")
    key = Key.objects.create(name="Night run", user=member)
    call = Call.objects.create(
        user=member, key=key, lane="batch", model="claude-haiku-5-5", status=Call.Status.SUCCEEDED, attempt=1
    )
    billed(member, "1", call=call, key=key, team=team, cost_centre="K-7")
    billed(None, "3")
    return {"team": str(team.pk), "key": str(key.pk), "lane": "batch", "cost_centre": "K-7"}


@pytest.mark.parametrize(
    ("by", "name", "nothing"),
    [
        ("team", "Bridge", "No group"),
        ("key", "Night run", "No key"),
        ("lane", "Batch", "Queue"),
        ("cost_centre", "K-7", "No cost centre"),
        ("user", "member", "Not signed in"),
    ],
)
def test_the_switch_breaks_the_chart_down(
    client: Client, finance: User, spread: dict[str, str], by: str, name: str, nothing: str
) -> None:
    client.force_login(finance)
    html = client.get(URL, {"period": "today", "by": by}).content.decode()
    assert f"{nothing}: $3.00\n{name}: $1.00</title>" in html
    assert f'by={by}" aria-current="true"' in html


@pytest.mark.parametrize("by", ["team", "key", "lane", "cost_centre", "prompt", "user", "model"])
def test_a_line_leads_to_its_calls_and_to_no_others(
    client: Client, finance: User, member: User, spread: dict[str, str], by: str
) -> None:
    client.force_login(finance)
    html = client.get(URL, {"period": "today"}).content.decode()
    table = html[html.index(f"By {TITLES[by].lower()}</h2>") :].partition("</table>")[0]
    for address, count in re.findall(r'scope="row"><a href="([^"]+)">.*?class="number">(\d+)<', table):
        shown = client.get(html_unescape(address))
        assert len(shown.context["page"].calls) == int(count)
        assert "The calls behind a figure" in shown.content.decode()


@pytest.fixture
def late(member: User, billed: MakeRecord) -> Call:
    """A call asked on the tenth whose cost counts for the twelfth, for another model than it ended with."""
    call = Call.objects.create(
        user=member,
        model="claude-haiku-5-5",
        status=Call.Status.SUCCEEDED,
        attempt=1,
        created_at=dt.datetime(2026, 1, 10, 12, tzinfo=dt.UTC),
    )
    billed(member, "0.5", dt.datetime(2026, 1, 12, 12, tzinfo=dt.UTC), call=call, model="claude-sonnet-5-5")
    billed(member, None, dt.datetime(2026, 1, 13, 12, tzinfo=dt.UTC))
    return call


def behind(client: Client, **wanted: str) -> list[Call]:
    return list(
        client.get("/calls/", {f"counted_{name}": value for name, value in wanted.items()}).context["page"].calls
    )


def test_a_figure_leads_to_the_calls_that_count_for_its_days_and_model(
    client: Client, finance: User, late: Call
) -> None:
    client.force_login(finance)
    assert behind(client, **{"from": "2026-01-12", "to": "2026-01-12"}) == [late]
    assert behind(client, **{"from": "2026-01-10", "to": "2026-01-11"}) == []
    days = {"from": "2026-01-01", "to": "2026-01-31"}
    assert behind(client, **days, by="model", **{"as": "claude-sonnet-5-5"}) == [late]
    assert late not in behind(client, **days, by="model", **{"as": "claude-haiku-5-5"})
    (unknown,) = behind(client, **days, by="unknown")
    assert unknown != late
    assert behind(client, **days, by="saved_by_cache") == []


def test_a_figure_of_ones_own_report_leads_to_ones_own_calls_for_whoever_sees_all(
    client: Client, finance: User, late: Call, billed: MakeRecord
) -> None:
    billed(finance, "1", dt.datetime(2026, 1, 12, 12, tzinfo=dt.UTC))
    client.force_login(finance)
    html = client.get("/usage/", {"from": "2026-01-12", "to": "2026-01-12"}).content.decode()
    (address, *_) = re.findall(r'for <a href="([^"]+)">1 exchange</a>', html)
    assert [call.user for call in client.get(html_unescape(address)).context["page"].calls] == [finance]
    assert len(behind(client, **{"from": "2026-01-12", "to": "2026-01-12"})) == 2


def test_nobody_reads_others_calls_through_a_figure(client: Client, outsider: User, late: Call) -> None:
    client.force_login(outsider)
    assert behind(client, **{"from": "2026-01-01", "to": "2026-01-31"}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "yesterday", "to": "2026-01-31"},
        {"from": "2026-01-31", "to": "2026-01-01"},
        {"from": "2026-01-01"},
        {"from": "2026-01-01", "to": "9999-12-31"},
        {"from": "2026-01-01", "to": "2026-01-31", "by": "password"},
        {"from": "2026-01-01", "to": "2026-01-31", "by": "user", "as": "member"},
        {"from": "2026-01-01", "to": "2026-01-31", "by": "user", "as": "9" * 30},
    ],
)
def test_an_address_that_names_no_figure_says_so(client: Client, finance: User, wrong: dict[str, str]) -> None:
    client.force_login(finance)
    page = client.get("/calls/", {f"counted_{name}": value for name, value in wrong.items()})
    assert "This address names no figure" in page.content.decode()


def test_the_dearest_ten_are_named_and_the_others_summed_up(
    client: Client, member: User, finance: User, billed: MakeRecord
) -> None:
    for number in range(13):
        billed(member, f"{number + 1}", cost_centre=f"K-{number:02}")
    client.force_login(finance)
    html = client.get(URL, {"by": "cost_centre"}).content.decode()
    assert "K-12" in html
    assert "K-03" in html
    assert "K-02" not in html
    assert "All 3 others" in html
    assert "All others: $21.00</title>" in html
    assert sum(Decimal(row["amount USD"]) for row in rows_of(client, by="cost_centre", what="sums")) == 91


# --- Downloads ---


def sheet_of(client: Client, **wanted: str) -> list[dict[str, str]]:
    """The lines of an Excel file, read from its XML: texts are written in place."""
    response = client.get("/spend/export.xlsx", wanted)
    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    rows = []
    for row in re.findall(r"<row .*?</row>", sheet, re.DOTALL):
        cells = re.findall(r'<c r="([A-Z]+)\d+"[^>]*>(?:<is><t[^>]*>(.*?)</t></is>|<v>(.*?)</v>)</c>', row, re.DOTALL)
        rows.append({column: text or number for column, text, number in cells})
        assert "<f>" not in row
    heading = rows[0]
    return [{heading[column]: value for column, value in row.items()} for row in rows[1:]]


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("what", ["records", "sums", "steps"])
@pytest.mark.parametrize("by", ["prompt", "cost_centre"])
def test_every_download_adds_up_to_the_page(
    client: Client, member: User, finance: User, billed: MakeRecord, by: str, what: str, rolled: bool
) -> None:
    now = timezone.now()
    for number in range(9):
        when = now - dt.timedelta(days=number * 11)
        billed(member, f"{number}.000000012{number}", when, cost_centre=f"K{number % 4}")
    billed(None, None)
    if rolled:
        roll_up_all()
    client.force_login(finance)
    for period in ("30-days", "12-months"):
        page = sum_on(client, period=period)
        assert page > 1
        wanted = {"period": period, "by": by, "what": what}
        assert sum(Decimal(row["amount USD"] or 0) for row in rows_of(client, **wanted)) == page
        # Excel keeps binary numbers; its cells show them with ten places.
        assert sum(Decimal(f"{float(row.get('amount USD') or 0):.10f}") for row in sheet_of(client, **wanted)) == page


def test_a_formula_stays_text_in_excel_too(
    client: Client, member: User, finance: User, prompt: Prompt, billed: MakeRecord
) -> None:
    Prompt.objects.update(name='=HYPERLINK("http://evil")')
    billed(member, "1")
    client.force_login(finance)
    assert sheet_of(client)[0]["prompt"].startswith("=HYPERLINK")


def test_a_download_that_is_left_leaves_no_file(
    client: Client, member: User, finance: User, billed: MakeRecord
) -> None:
    for _ in range(3):
        billed(member, "1")
    client.force_login(finance)
    before = set(os.listdir(tempfile.gettempdir()))
    response: Any = client.get("/spend/export.xlsx")
    next(iter(response.streaming_content))
    response.close()
    assert {name for name in set(os.listdir(tempfile.gettempdir())) - before if name.endswith(("xlsx", "xml"))} == set()


# --- What else the page says ---


def test_it_tells_what_caching_and_batches_saved(
    client: Client, member: User, finance: User, billed: MakeRecord
) -> None:
    billed(member, "1", saved_by_cache=Decimal("0.25"), saved_by_batch=Decimal("0.5"))
    billed(member, "1", saved_by_cache=Decimal("-0.05"))
    client.force_login(finance)
    html = client.get(URL).content.decode()
    assert re.search(r"<dt>Saved by caching</dt><dd><a [^>]+>\$0.20</a></dd>", html)
    assert re.search(r"<dt>Saved by batches</dt><dd><a [^>]+>\$0.50</a></dd>", html)


def test_an_unknown_cost_of_a_closed_month_put_right_now_does_not_hide_one_of_this_month(
    client: Client, member: User, finance: User, billed: MakeRecord
) -> None:
    march, april = dt.datetime(2026, 3, 20, 12, tzinfo=dt.UTC), dt.datetime(2026, 4, 2, 12, tzinfo=dt.UTC)
    lost = billed(member, None, march, model="old")
    own = billed(member, None, april)
    billed(member, "200", april, call=lost.call, corrects=lost, source="repriced", model="old")
    client.force_login(finance)
    days = {"from": "2026-04-01", "to": "2026-04-30"}
    for number in range(10):
        # Dearer ones, beside which the model of this month's unknown cost is one of the others.
        billed(member, "5", april, model=f"m{number}")
    for _ in range(2):
        html = client.get(URL, days).content.decode()
        assert "The cost of 1 exchange is unknown" in html
        assert html.count("1 unknown") == len(TITLES), "in the line of each table that it belongs to"
        assert " 2 unknown" not in html
        roll_up_all()
    assert behind(client, **days, by="unknown") == [own.call]
    both = {"from": "2026-03-01", "to": "2026-04-30"}
    assert "The cost of 1 exchange is unknown" in client.get(URL, both).content.decode()
    assert behind(client, **both, by="unknown") == [own.call]


def test_unknown_costs_lead_to_their_records(client: Client, member: User, finance: User, billed: MakeRecord) -> None:
    billed(member, None)
    billed(member, None, timezone.now() - dt.timedelta(days=200))
    billed(member, "1")
    client.force_login(finance)
    html = client.get(URL, {"period": "today"}).content.decode()
    address = html_unescape(re.search(r'href="(/admin/core/costrecord/[^"]+)"', html)[1])  # type: ignore[index]
    shown = client.get(address).content.decode()
    assert client.get(address).status_code == 200
    assert shown.count("field-when") == 1


def test_corrections_of_earlier_months_are_marked(
    client: Client, member: User, finance: User, billed: MakeRecord
) -> None:
    then = dt.datetime(2026, 3, 20, 12, tzinfo=dt.UTC)
    first = billed(member, "5", then)
    same = billed(member, "5", then)
    later = dt.datetime(2026, 4, 2, 12, tzinfo=dt.UTC)
    late = billed(member, "-2", later, call=first.call, corrects=first, source="repriced")
    billed(member, "-1", then, call=same.call, corrects=same, source="repriced")
    client.force_login(finance)
    april = client.get(URL, {"from": "2026-04-01", "to": "2026-04-30"}).content.decode()
    assert re.search(r"corrections of earlier months</dt><dd><a [^>]+>−\$2.00</a></dd>", april)
    once_more = dt.datetime(2026, 4, 9, 12, tzinfo=dt.UTC)
    billed(member, "0.5", once_more, call=first.call, corrects=late, source="repriced")
    other = billed(member, "3", later)
    billed(member, "-1", once_more, call=other.call, corrects=other, source="repriced")
    april = client.get(URL, {"from": "2026-04-01", "to": "2026-04-30"}).content.decode()
    marked = re.search(r'corrections of earlier months</dt><dd><a href="([^"]+)">−\$1.50</a></dd>', april)
    assert marked, "what puts a late correction right is late, and what puts right April's own is not"
    assert [call.pk for call in client.get(html_unescape(marked[1])).context["page"].calls] == [first.call_id]
    march = client.get(URL, {"from": "2026-03-01", "to": "2026-03-31"}).content.decode()
    assert "corrections of earlier months" not in march


def test_it_compares_with_the_period_before(client: Client, member: User, finance: User, billed: MakeRecord) -> None:
    billed(member, "10", dt.datetime(2026, 2, 1, 12, tzinfo=dt.UTC))
    billed(member, "12.5", dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC))
    client.force_login(finance)
    html = client.get(URL, {"from": "2026-03-01", "to": "2026-03-31"}).content.decode()
    assert "Before: 1 Feb 2026 to 28 Feb 2026" in html
    assert "25 % more than before" in html

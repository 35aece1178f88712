"""Does a person see, watch and stop what their programs run, and nobody else but whoever may?"""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client

from core.bulk.scripted import Asked, start_rows
from core.models import Batch, Budget, BulkRun, Key, Prompt, User
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, tended

pytestmark = pytest.mark.django_db

ROWS = [{"document": "One."}, {"document": "[[simulate: batch=errored]] Two.", "length": "long"}, {"length": "huge"}]


@pytest.fixture
def batch(page: Client, prompt: Prompt, member: User, budget: Budget) -> Batch:
    key = Key.objects.create(name="nightly", user=member)
    assert prompt.published is not None
    return start_rows(key, prompt.published, Asked(ROWS, skip_faulty=True, title="Tickets"))


def path_of(batch: Batch) -> str:
    return f"/bulk/programs/{batch.public_id}/"


def html_of(page: Client, path: str) -> str:
    response = page.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_its_owner_finds_it_in_the_list_marked_and_watches_it(page: Client, batch: Batch, claude: Simulator) -> None:
    html = html_of(page, "/bulk/")
    assert f'<a href="{path_of(batch)}">Tickets</a> <span class="tag">by a program</span>' in html
    assert "· nightly" in html
    html = html_of(page, path_of(batch))
    assert "Started by «nightly»" in html
    assert "Waiting</dt><dd>2</dd>" in html
    assert f'hx-get="{path_of(batch)}?part=run"' in html

    tended(batch)
    html = html_of(page, f"{path_of(batch)}?part=run")
    assert "every 3s" not in html
    assert "Row 2</a>: Internal server error" in html
    assert "Run it again" not in html
    assert "e-mail" not in html
    assert_books_are_the_bill(claude)


def test_its_answers_are_a_file_beside_the_values_of_each_row(page: Client, batch: Batch) -> None:
    tended(batch)
    response: Any = page.get(f"{path_of(batch)}results.csv")
    assert "Tickets-answers.csv" in response["Content-Disposition"]
    heading, *lines = csv.reader(io.StringIO(b"".join(response.streaming_content).decode()))
    assert heading == ["document", "length", "answer", "status", "error", "model", "cost USD"]
    assert [(line[0][-4:], line[3]) for line in lines] == [("One.", "Done"), ("Two.", "Failed"), ("", "Skipped")]
    assert lines[0][2]
    assert page.get(f"{path_of(batch)}results.xlsx").status_code == 200


def test_it_is_stopped_by_its_owner_once_they_were_asked(page: Client, batch: Batch, claude: Simulator) -> None:
    assert "Cancel «Tickets»?" in html_of(page, f"{path_of(batch)}cancel/")
    page.post(f"{path_of(batch)}cancel/")
    batch.refresh_from_db()
    assert batch.status == "canceling"
    assert tended(batch).canceled == 2
    assert_books_are_the_bill(claude)


@pytest.mark.parametrize("part", ["", "cancel/", "results.csv", "results.xlsx"])
def test_an_outsider_finds_nothing(page: Client, batch: Batch, outsider: User, part: str) -> None:
    page.force_login(outsider)
    assert page.get(f"{path_of(batch)}{part}").status_code == 404
    assert page.post(f"{path_of(batch)}cancel/").status_code == 404
    assert "Tickets" not in html_of(page, "/bulk/")
    page.logout()
    assert page.get(f"{path_of(batch)}{part}")["Location"].startswith("/login/")


def test_who_may_read_everybodys_calls_sees_it_and_stops_it_with_leave_only(
    page: Client, batch: Batch, finance: User, operator: User
) -> None:
    page.force_login(finance)
    assert "Started by «nightly» of member" in html_of(page, path_of(batch))
    assert "Cancel…" not in html_of(page, path_of(batch))
    assert page.post(f"{path_of(batch)}cancel/").status_code == 403
    page.force_login(operator)
    page.post(f"{path_of(batch)}cancel/")
    batch.refresh_from_db()
    assert batch.status == "canceling"


def test_other_batches_have_no_page_here(page: Client, batch: Batch) -> None:
    for values in ({"door": "gateway"}, {"door": "bulk"}, {"door": "api", "started_at": None}):
        Batch.objects.update(**values)
        assert page.get(path_of(batch)).status_code == 404
        assert "Tickets" not in html_of(page, "/bulk/")


def test_tables_and_programs_are_one_list_page_by_page_in_few_queries(
    page: Client, batch: Batch, prompt: Prompt, member: User, django_assert_max_num_queries: Any
) -> None:
    key = batch.key
    assert prompt.published is not None
    for number in range(20):
        BulkRun.objects.create(
            user=member, prompt=prompt, version=prompt.published, name=f"t{number}.csv", state="refused"
        )
        Batch.objects.create(
            user=member, key=key, door="api", prompt=prompt, title=f"p{number}", started_at=batch.started_at
        )
    with django_assert_max_num_queries(11):
        first = html_of(page, "/bulk/")
    second = html_of(page, "/bulk/?page=2")
    assert first.index("p19") < first.index("t19.csv") < first.index("p18")
    assert "Tickets" in second
    assert (first + second).count('<td class="main">') == 41

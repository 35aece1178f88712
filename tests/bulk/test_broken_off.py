"""Is a table that its worker dies of, or takes long over, read by one at a time and not for ever?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.batches.start import OvertakenError
from core.bulk import checking, runs
from core.bulk.checking import LEASE
from core.bulk.runs import MOST_TRIES, look_after
from core.models import BulkRun
from core.simulator.server import Simulator
from tests.bulk.conftest import started
from tests.bulk.sheets import package, sheet
from tests.bulk.test_bad_input import assert_nothing_started
from tests.bulk.test_story import text_of

pytestmark = pytest.mark.django_db

EMPTY = sheet(*[f'<row r="{number}"/>' for number in range(2, 20_000)])


@pytest.fixture
def unread(upload: Callable[..., BulkRun]) -> BulkRun:
    """A table that somebody is to read."""
    run = upload()
    assert run.check_again()
    return run


def taken(run: BulkRun) -> BulkRun:
    """In the hand of somebody who had it when the one before was gone."""
    BulkRun.objects.filter(pk=run.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    mine = BulkRun.objects.claim(run.pk, LEASE)
    assert mine is not None
    return mine


def test_whoever_reads_says_so_while_no_row_comes(
    page: Client, upload: Callable[..., BulkRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = upload(package(EMPTY), "empty.xlsx")
    assert run.problem == "The table has a heading and no rows."
    assert run.check_again()
    monkeypatch.setattr(checking, "RENEWED_EACH", 0.0)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        checking.check(taken(run))
    assert sum("lease_until" in query["sql"] for query in queries) > 10


def test_whoever_has_lost_a_table_stops_reading_it(
    page: Client, upload: Callable[..., BulkRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = upload(package(EMPTY), "empty.xlsx")
    assert run.check_again()
    monkeypatch.setattr(checking, "RENEWED_EACH", 0.0)
    slow = taken(run)
    other = taken(run)
    with pytest.raises(OvertakenError):
        checking.check(slow)
    checking.check(other)
    run.refresh_from_db()
    assert run.state == "refused"


def test_a_table_that_kills_whoever_reads_it_is_given_up_with_a_sentence(
    page: Client, unread: BulkRun, claude: Simulator
) -> None:
    for _ in range(MOST_TRIES):
        taken(unread)
    BulkRun.objects.update(lease_until=None)
    assert look_after(unread)
    unread.refresh_from_db()
    assert unread.state == "refused"
    assert "The work on this table broke off 5 times." in text_of(page, unread)
    assert_nothing_started(page, unread, claude)
    assert unread.check_again()
    assert look_after(unread)
    unread.refresh_from_db()
    assert (unread.state, unread.rows, unread.tries) == ("checked", 2, 0)


def test_a_table_that_kills_whoever_starts_it_waits_for_its_person_again(
    page: Client, upload: Callable[..., BulkRun], claude: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = upload()
    monkeypatch.setattr(runs, "SMALL_RUN", 0)
    run = started(page, run)
    assert run.state == "starting"
    for _ in range(MOST_TRIES):
        taken(run)
    BulkRun.objects.update(lease_until=None)
    assert look_after(run)
    run.refresh_from_db()
    assert (run.state, run.batch) == ("checked", None)
    assert "The work on this table broke off 5 times." in text_of(page, run)
    assert claude.bill()["entries"] == []


def test_long_lines_with_faults_are_told_of_and_not_kept_whole(
    page: Client, upload: Callable[..., BulkRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "x" * 30_000
    run = upload("Document;Length\n" + f"{long};huge\n" * 3 + f"{long[:15_000]};huge\n" * 47 + "One.;short\n")
    if run.at_work:
        look_after(run)
        run.refresh_from_db()
    assert (run.faulty, len(run.faults)) == (50, 50)
    assert sum(len(cell) for _, _, cells in run.faults for cell in cells) <= checking.MOST_PUT_RIGHT
    html = text_of(page, run)
    assert html.count("This line is too long to be put right here. Please change it in your file.") == 37
    assert html.count(">Put line") == 13
    with CaptureQueriesContext(connection) as queries:
        assert page.get("/bulk/").status_code == 200
    assert not any("faults" in query["sql"] for query in queries)

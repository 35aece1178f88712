"""Does a person start what they have seen, at the price that they have seen, or nothing?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connections, transaction
from django.test import Client

from core.bulk import clock, runs
from core.models import Batch, Budget, BudgetWindow, BulkRun, Call, CorrectedLine, UploadPiece
from tests.bulk.conftest import started
from tests.bulk.test_story import csv_of, text_of
from tests.locks import until_somebody_waits

pytestmark = pytest.mark.django_db

TABLE = "Document;Length\nOne.;short\nTwo.;huge\n"


def asked(page: Client, run: BulkRun, **values: str) -> str:
    response = page.post(f"{run.get_absolute_url()}start/", {"lane": "batch", **values}, follow=True)
    return response.content.decode()


def test_what_has_changed_since_it_was_seen_is_not_started_and_the_new_price_is_said(
    page: Client, upload: Callable[..., BulkRun]
) -> None:
    run = upload(TABLE)
    assert f'name="seen" value="{run.revision}"' in text_of(page, run)
    runs.put_right(BulkRun.objects.with_its_prompt().get(pk=run.pk), 3, ["Two, much longer. " * 50, "long"])
    html = asked(page, run, seen=run.revision, skip="on")
    assert "Something has changed since you looked, so nothing was started. It is now 2 rows, about $" in html
    assert not Batch.objects.exists()
    run.refresh_from_db()
    assert started(page, run).batch is not None


@pytest.mark.parametrize("seen", ["", "x" * 300, "\x00"])
def test_what_nobody_has_seen_is_not_started(page: Client, upload: Callable[..., BulkRun], seen: str) -> None:
    asked(page, upload(), seen=seen)
    assert not Batch.objects.exists()


@pytest.mark.parametrize("lane", ["batch", "live"])
def test_a_higher_price_than_was_seen_starts_nothing_and_is_shown(
    page: Client, upload: Callable[..., BulkRun], budget: Budget, lane: str
) -> None:
    run = upload()
    dear = run.most_batch if lane == "batch" else run.most_live
    assert dear is not None
    # As if prices had doubled since it was read.
    BulkRun.objects.update(
        most_batch=run.most_batch and run.most_batch / 2, most_live=run.most_live and run.most_live / 2
    )
    run = started(page, run, lane=lane)
    assert f"Prices have changed: it can cost up to {dear:.4f} USD now; you saw {dear / 2:.4f} USD." in text_of(
        page, run
    )
    assert (run.state, run.most_batch if lane == "batch" else run.most_live) == ("checked", dear)
    assert not Batch.objects.exists()
    assert not Call.objects.exists()
    assert not BudgetWindow.objects.filter(reserved__gt=0).exists()
    assert started(page, run, lane=lane).batch is not None


def test_a_lower_price_than_was_seen_is_taken(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = upload()
    BulkRun.objects.update(most_batch=Decimal(50))
    assert started(page, run).batch is not None


def test_more_rows_than_were_seen_are_not_sent(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = upload()
    BulkRun.objects.update(rows=1)
    run = started(page, run)
    assert "There are more rows than you saw: 2 instead of 1." in text_of(page, run)
    assert (run.state, run.rows) == ("checked", 2)


def test_how_many_rows_are_answered_at_once_is_a_condition_of_the_start_itself(upload: Callable[..., BulkRun]) -> None:
    run = upload()
    yes = {"live": True, "skip_faulty": False, "address": ""}
    assert not run.ask_to_start(run.revision, most=1, **yes)  # type: ignore[arg-type]
    assert run.ask_to_start(run.revision, most=2, **yes)  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_just_being_started_is_not_removed(page: Client, upload: Callable[..., BulkRun]) -> None:
    run, removed = upload(), []

    def remove() -> None:
        removed.append(runs.discard(run))
        connections.close_all()

    other = threading.Thread(target=remove)
    with transaction.atomic():
        mine = BulkRun.objects.get(pk=run.pk)
        assert mine.ask_to_start(mine.revision, live=False, skip_faulty=False, address="")
        other.start()
        until_somebody_waits()
    other.join(30)
    assert removed == [False]
    assert BulkRun.objects.get().state == "starting"


def test_what_a_process_left_that_died_after_the_start_is_removed(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = started(page, upload())
    UploadPiece.objects.create(run=run, number=0, data=b"secret")
    CorrectedLine.objects.create(run=run, line=2, cells=["secret"])
    kept = upload()
    clock.tend()
    assert set(UploadPiece.objects.values_list("run", flat=True)) == {kept.pk}
    assert not CorrectedLine.objects.exists()


def test_a_row_that_is_too_large_is_named_by_its_line(
    page: Client, upload: Callable[..., BulkRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = upload("Document;Length\n;short\nOne.;short\n" + "Two. " * 500 + ";short\n")
    monkeypatch.setattr("core.batches.start.MOST_ROW_BYTES", 2000)
    run = started(page, run, skip="on")
    assert "Line 4: This is more than Claude takes at once" in text_of(page, run)
    assert not Batch.objects.exists()


def test_rows_that_have_not_ended_have_no_cost_yet_rather_than_none(
    page: Client, upload: Callable[..., BulkRun]
) -> None:
    run = started(page, upload())
    assert [line[4:] for line in csv_of(page, run)[1:]] == [["In a batch", "", "", ""]] * 2

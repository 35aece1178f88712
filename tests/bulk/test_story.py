"""Does a table go from file to file, with its price first, watched, stopped, and run again where rows failed?"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone

from core.batches.held import release
from core.bulk import clock
from core.execution.run import run_call
from core.jobs import batches as jobs
from core.models import Batch, BatchPart, Budget, BudgetRequest, BudgetWindow, BulkRun, Call, Prompt, UploadPiece, User
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill
from tests.bulk.conftest import LETTERS, ended, started

pytestmark = pytest.mark.django_db

FAILING = "Document;Length\nOne.;short\n[[simulate: batch=errored times=1]] Two.;short\nThree.;long\n"
HELD = "Document;Length\n[[simulate: spend-limit=2099-12-01]] One.;short\nTwo.;short\n"


def text_of(page: Client, run: BulkRun) -> str:
    return page.get(run.get_absolute_url()).content.decode()


def csv_of(page: Client, run: BulkRun) -> list[list[str]]:
    response: Any = page.get(f"{run.get_absolute_url()}results.csv")
    return list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_from_file_to_file(
    page: Client, upload: Callable[..., BulkRun], budget: Budget, claude: Simulator, mailoutbox: list[EmailMessage]
) -> None:
    run = upload()
    html = text_of(page, run)
    assert (run.state, run.rows, run.faulty, run.places) == ("checked", 2, 0, {"document": 0, "length": 1})
    assert "The invoice of May is due." in html
    assert "As a batch, at half price" in html
    assert run.likely_batch is not None
    assert run.likely_live == 2 * run.likely_batch
    assert "All</a>: $100.00 left" in html
    assert not Call.objects.exists()

    run = started(page, run)
    assert run.batch is not None
    window = BudgetWindow.objects.get()
    assert run.most_batch is not None
    assert window.reserved == run.most_batch > 0
    assert not UploadPiece.objects.exists()
    assert "Waiting</dt><dd>2</dd>" in text_of(page, run)

    run = ended(run)
    html = text_of(page, run)
    assert "100 %" in html
    assert "every 3s" not in html
    heading, first, second = csv_of(page, run)
    assert heading == ["Document", "Length", "Note", "answer", "status", "error", "model", "cost USD"]
    assert first[:3] == ["The invoice of May is due.", "short", "'=1+1"]
    assert first[4:7] == ["Done", "", "claude-haiku-5-5"]
    assert first[3]
    assert Decimal(first[7]) > 0
    assert second[:3] == ["Please call me back.", "long", "'-"]
    assert_books_are_the_bill(claude)
    (mail,) = mailoutbox
    assert mail.subject == "«letters.csv» is done"
    assert "2 of 2 rows" in str(mail.body)
    assert f"http://testserver{run.get_absolute_url()}" in str(mail.body)
    clock.tend()
    assert len(mailoutbox) == 1


def test_what_is_shown_as_spent_is_what_was_billed(
    page: Client, upload: Callable[..., BulkRun], claude: Simulator
) -> None:
    run = ended(started(page, upload()))
    billed = sum((Decimal(entry["amount_usd"]) for entry in claude.bill()["entries"]), Decimal(0))
    assert run.batch is not None
    assert run.batch.spent == billed > 0
    assert f'<data value="{billed.normalize():f}">' in text_of(page, run)


def test_columns_are_matched_by_hand_where_their_names_do_not_tell(
    page: Client, upload: Callable[..., BulkRun]
) -> None:
    run = upload("Brief,Wie lang\nA letter.,long\n")
    assert run.state == "columns"
    assert "Which column holds «Document»?" in text_of(page, run)
    assert 'id="id_column-document_error"' in page.post(f"{run.get_absolute_url()}columns/", {}).content.decode()
    page.post(
        f"{run.get_absolute_url()}columns/", {"column-document": "0", "column-length": "1", "file": run.file_token}
    )
    run.refresh_from_db()
    assert (run.state, run.rows, run.samples[0]["line"]) == ("checked", 1, 2)
    assert "Summarise this text in a long form:\n\nA letter." in run.samples[0]["text"]


def test_a_variable_without_a_column_takes_its_default(upload: Callable[..., BulkRun]) -> None:
    run = upload("Document\nA letter.\n")
    assert (run.state, run.faulty) == ("checked", 0)
    assert "in a short form" in run.samples[0]["text"]


def test_rows_with_faults_are_named_by_line_and_put_right_skipped_or_stop(
    page: Client, upload: Callable[..., BulkRun], claude: Simulator
) -> None:
    run = upload("Document;Length\nOne.;short\n;short\nThree.;huge\n\nFive.;long\n")
    assert (run.rows, run.faulty) == (4, 2)
    html = text_of(page, run)
    assert "Line 3: Document: Please fill this in." in html
    assert "Line 4: Length: Please choose one of the options." in html

    assert started(page, run).state == "checked"
    assert "say that they are to be skipped" in text_of(page, run)
    assert not Batch.objects.exists()

    page.post(f"{run.get_absolute_url()}rows/3/", {"cell-0": "Two.", "cell-1": "short", "file": run.file_token})
    run.refresh_from_db()
    assert run.faulty == 1

    run = ended(started(page, run, skip="on"))
    lines = csv_of(page, run)
    assert [line[0] for line in lines[1:]] == ["One.", "Two.", "Three.", "Five."]
    assert lines[3] == ["Three.", "huge", "", "Skipped", "Length: Please choose one of the options.", "", "0"]
    assert_books_are_the_bill(claude)


def test_another_file_takes_the_place_of_the_first(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = upload("Document\n\nTwo\n" + '"')
    assert run.state == "refused"
    page.post(f"{run.get_absolute_url()}file/", {"file": SimpleUploadedFile("better.csv", LETTERS.encode())})
    run.refresh_from_db()
    assert (run.state, run.name, run.rows) == ("checked", "better.csv", 2)


def test_over_budget_nothing_starts_and_more_can_be_asked_for(
    page: Client, upload: Callable[..., BulkRun], publisher: User, claude: Simulator
) -> None:
    small = Budget.objects.create(
        name="Small", scope=Budget.Scope.ORGANISATION, amount=Decimal("0.0001"), owner=publisher
    )
    run = upload()
    assert "no room: up to" in text_of(page, run)
    run = started(page, run)
    html = text_of(page, run)
    assert (run.state, run.batch) == ("checked", None)
    assert "Not sent: no room in the budget «Small»" in html
    assert not Call.objects.exists()
    assert not Batch.objects.exists()
    assert BudgetWindow.objects.get().reserved == 0
    page.post(f"/budgets/{small.pk}/ask/", {"amount": "1", "reason": "A table."})
    assert BudgetRequest.objects.count() == 1
    BudgetWindow.objects.update(limit=1)
    assert started(page, run).batch is not None


def test_a_run_is_started_once(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = started(page, upload())
    assert (
        "so nothing was done"
        in page.post(f"{run.get_absolute_url()}start/", {"lane": "batch"}, follow=True).content.decode()
    )
    assert Batch.objects.count() == 1
    assert Call.objects.count() == 2


def test_a_small_run_is_answered_at_once_by_the_workers(
    page: Client, upload: Callable[..., BulkRun], budget: Budget, claude: Simulator, mailoutbox: list[EmailMessage]
) -> None:
    run = started(page, upload(), lane="live")
    calls = list(Call.objects.all())
    assert {(call.lane, call.status, call.door) for call in calls} == {("queue", "queued", "bulk")}
    assert BudgetWindow.objects.get().reserved == run.most_live
    run_call(calls[0].pk)
    html = text_of(page, run)
    assert "50 %" in html
    assert "Answers</dt><dd>1</dd>" in html
    run_call(calls[1].pk)
    run = ended(run)
    assert run.batch is not None
    assert (run.batch.status, run.batch.succeeded) == ("ended", 2)
    assert len(mailoutbox) == 1
    assert not any(record.saved_by_batch for call in calls for record in call.cost_records.all())
    assert_books_are_the_bill(claude)


def test_a_live_run_that_is_canceled_takes_back_what_was_not_sent(
    page: Client, upload: Callable[..., BulkRun], budget: Budget, claude: Simulator
) -> None:
    run = started(page, upload(), lane="live")
    first = Call.objects.order_by("batch_row__position")[0]
    run_call(first.pk)
    page.post(f"{run.get_absolute_url()}cancel/")
    run = ended(run)
    assert run.batch is not None
    assert (run.batch.succeeded, run.batch.canceled) == (1, 1)
    assert_books_are_the_bill(claude)


def test_a_large_run_is_not_answered_at_once(
    page: Client, upload: Callable[..., BulkRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = upload()
    monkeypatch.setattr("core.pages.bulk_change.MOST_ROWS", 1)
    html = page.post(
        f"{run.get_absolute_url()}start/", {"lane": "live", "seen": run.revision}, follow=True
    ).content.decode()
    assert "At most 1 rows can be answered at once" in html
    assert not Batch.objects.exists()


@pytest.mark.parametrize("lane", ["batch", "live"])
def test_rows_that_failed_are_run_again_alone_and_their_answers_are_in_the_first_file(
    page: Client, upload: Callable[..., BulkRun], budget: Budget, claude: Simulator, lane: str
) -> None:
    run = ended(started(page, upload(FAILING)))
    html = text_of(page, run)
    assert "1 row without an answer" in html
    assert "Line 3</a>: Internal server error" in html
    location = page.post(f"{run.get_absolute_url()}again/")["Location"]
    fresh = BulkRun.objects.get(pk=location.split("/")[2])
    assert (fresh.state, fresh.rows, fresh.again_of) == ("checked", 1, run.batch)
    assert "As a batch, at half price" in text_of(page, fresh)
    fresh = started(page, fresh, lane=lane)
    if lane == "live":
        run_call(Call.objects.get(batch_row__batch=fresh.batch).pk)
    fresh = ended(fresh)
    assert [line[3] for line in csv_of(page, run)[1:]] == ["Done", "Done", "Done"]
    assert len(csv_of(page, fresh)) == 2
    assert Call.objects.get(batch_row__batch=fresh.batch).again_of == Call.objects.get(status="failed")
    assert_books_are_the_bill(claude)


def test_canceling_costs_nothing_where_nothing_was_sent(
    page: Client, upload: Callable[..., BulkRun], budget: Budget, claude: Simulator
) -> None:
    run = started(page, upload())
    page.post(f"{run.get_absolute_url()}cancel/")
    assert "Claude is told to stop" in text_of(page, run)
    run = ended(run)
    assert run.batch is not None
    assert run.batch.canceled == 2
    assert claude.bill()["entries"] == []
    assert_books_are_the_bill(claude)


def test_where_a_spend_limit_holds_it_its_person_knows_until_when(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = started(page, upload())
    Batch.objects.update(headers={"x-simulator-fault": "spend-limit=2099-12-01"})
    clock.tend()
    assert "Spend limit until 1 Dec, " in page.get("/bulk/").content.decode()
    assert "has reached its spend limit at Claude. The batch waits" in text_of(page, run)
    for call in Call.objects.all():
        assert "Your request waits in its batch" in page.get(call.get_absolute_url()).content.decode()
    BatchPart.objects.release()
    Batch.objects.update(headers={})
    ended(run)
    assert "spend limit" not in text_of(page, run)


def test_where_a_spend_limit_holds_rows_that_go_one_after_another_its_person_knows_too(
    page: Client, upload: Callable[..., BulkRun]
) -> None:
    run = started(page, upload(HELD), lane="live")
    for call in Call.objects.all():
        run_call(call.pk)
    assert "Held by Claude's spend limit" in text_of(page, run)
    assert "The batch waits: it goes on by itself on" in text_of(page, run)
    held = Call.objects.get(parked=True)
    assert "Your request waits: it goes on by itself" in page.get(held.get_absolute_url()).content.decode()
    assert "Spend limit until" in page.get("/bulk/").content.decode()
    assert Batch.objects.parked().get() == run.batch
    assert release([run.batch]) == 1
    held.refresh_from_db()
    assert (held.status, held.parked) == (Call.Status.QUEUED, False)
    assert release([run.batch]) == 0
    assert "spend limit" not in text_of(page, run)


def test_a_table_that_was_not_started_is_removed_by_its_owner_or_after_a_while(
    page: Client, upload: Callable[..., BulkRun]
) -> None:
    run = upload()
    page.post(f"{run.get_absolute_url()}discard/")
    assert not BulkRun.objects.exists()
    assert not UploadPiece.objects.exists()
    upload()
    BulkRun.objects.update(touched_at=timezone.now() - dt.timedelta(days=15))
    assert jobs.nudge_if_due() == "told a worker"
    clock.tend()
    assert not BulkRun.objects.exists()
    started_one = started(page, upload())
    page.post(f"{started_one.get_absolute_url()}discard/")
    assert BulkRun.objects.get() == started_one


def test_the_list_has_an_empty_state_and_then_the_runs(
    page: Client, upload: Callable[..., BulkRun], prompt: Prompt
) -> None:
    assert "No table yet" in page.get("/bulk/").content.decode()
    run = started(page, upload())
    html = page.get("/bulk/").content.decode()
    assert f'href="{run.get_absolute_url()}">letters.csv' in html
    assert 'href="/bulk/" aria-current="page">Bulk' in html

"""Is each row paid for once more only where it has no answer, and does its newest answer come back in every file?"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from core.batches.start import Row, forget, start
from core.bulk import runs
from core.bulk.newest import overtaken
from core.bulk.starting import ChangedError, _take_over
from core.execution.run import run_call
from core.intake.accept import accept, run_again
from core.models import Batch, BatchRow, Budget, BudgetWindow, BulkRun, Call, Handling, Prompt, User
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill
from tests.bulk.conftest import ended, started
from tests.bulk.test_story import csv_of, text_of
from tests.letters import ended_dead

pytestmark = pytest.mark.django_db

# The second row fails once, the third twice.
TABLE = (
    "Document;Length\nOne.;short\n[[simulate: batch=errored times=1]] Two.;short\n"
    "[[simulate: batch=errored times=2]] Three.;long\n"
)


def again(page: Client, run: BulkRun) -> BulkRun:
    """What «Run them again» leads to."""
    location = page.post(f"{run.get_absolute_url()}again/")["Location"]
    return BulkRun.objects.get(pk=location.split("/")[2])


def states(page: Client, run: BulkRun) -> list[str]:
    return [line[3] for line in csv_of(page, run)[1:]]


@pytest.fixture
def failed(page: Client, upload: Callable[..., BulkRun], budget: Budget) -> BulkRun:
    """A run that has ended with two rows of three without an answer."""
    run = ended(started(page, upload(TABLE)))
    assert states(page, run) == ["Done", "Failed", "Failed"]
    return run


def test_a_row_is_run_again_only_while_it_has_no_answer_and_every_file_shows_its_newest_one(
    page: Client, failed: BulkRun, claude: Simulator
) -> None:
    second = ended(started(page, again(page, failed)))
    assert (states(page, failed), states(page, second)) == (["Done", "Done", "Failed"], ["Done", "Failed"])

    # Asked for on the first page, it is the one row that is left and not both.
    third = again(page, failed)
    assert third.rows == 1
    third = ended(started(page, third))
    for run in (failed, second, third):
        assert set(states(page, run)) == {"Done"}
        assert "No row is left to run again" in text_of(page, run)
        assert again(page, run) == run
    assert csv_of(page, failed)[3][2] == csv_of(page, second)[2][2] == csv_of(page, third)[1][2] != ""
    assert BulkRun.objects.count() == 3
    assert Call.objects.filter(again_of__isnull=False).count() == 3
    assert_books_are_the_bill(claude)


def test_a_second_click_finds_the_run_that_is_open(page: Client, failed: BulkRun) -> None:
    draft = again(page, failed)
    assert again(page, failed) == draft
    assert f'href="{draft.get_absolute_url()}">Go to the run that is open' in text_of(page, failed)
    started(page, draft)
    assert again(page, failed) == draft
    assert "Rows without an answer are being run again" in text_of(page, failed)
    assert "Run them again" not in text_of(page, failed)


def test_one_that_was_removed_is_made_anew(page: Client, failed: BulkRun) -> None:
    draft = again(page, failed)
    page.post(f"{draft.get_absolute_url()}discard/")
    assert again(page, failed) != draft
    assert BulkRun.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_clicks_at_once_one_makes_a_run_and_all_find_it(failed: BulkRun) -> None:
    def click(_: int) -> BulkRun | None:
        try:
            return runs.again(BulkRun.objects.with_its_prompt().get(pk=failed.pk))
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(click, range(6)))
    assert found == {BulkRun.objects.get(again_of__isnull=False)}


def test_the_file_is_read_in_as_many_queries_however_many_rows_were_run_again(
    page: Client, upload: Callable[..., BulkRun], budget: Budget, django_assert_max_num_queries: Callable[..., object]
) -> None:
    table = "".join(f"[[simulate: batch=errored times=1]] Letter {number}.;short\n" for number in range(12))
    run = ended(started(page, upload(f"Document;Length\n{table}")))
    ended(started(page, again(page, run)))
    with django_assert_max_num_queries(16):  # type: ignore[attr-defined]
        assert states(page, run) == ["Done"] * 12


def test_what_its_person_ran_again_alone_is_the_rows_answer(page: Client, failed: BulkRun, claude: Simulator) -> None:
    two = Call.objects.get(batch_row__batch=failed.batch, batch_row__custom_id="row-3")
    alone = run_again(two, user=failed.user)
    assert "1 row without an answer" in text_of(page, failed)
    assert states(page, failed) == ["Done", "Waiting for a free worker", "Failed"]
    run_call(alone.pk)
    assert states(page, failed) == ["Done", "Done", "Failed"]
    assert again(page, failed).rows == 1


def test_with_other_values_or_for_somebody_else_it_is_another_question(
    page: Client, failed: BulkRun, operator: User
) -> None:
    two, three = Call.objects.filter(batch_row__batch=failed.batch, status="failed").order_by("batch_row__position")
    run_call(run_again(two, user=operator).pk)
    other = accept(failed.version, {"document": "Another one.", "length": "short"}, user=failed.user)
    Call.objects.filter(pk=other.pk).update(again_of=three)
    run_call(other.pk)
    assert states(page, failed) == ["Done", "Failed", "Failed"]
    assert again(page, failed).rows == 2


def test_rows_written_down_by_a_process_that_died_are_not_under_way(page: Client, failed: BulkRun) -> None:
    draft = again(page, failed)
    repeated = Call.objects.filter(batch_row__batch=failed.batch, status="failed")
    left = Batch(user=failed.user, door="bulk", prompt=failed.prompt, version=failed.version)
    left.save()
    for position, call in enumerate(repeated):
        fresh = Call.objects.create(user=failed.user, version=call.version, inputs=call.inputs, again_of=call)
        BatchRow.objects.create(call=fresh, batch=left, position=position, custom_id=f"row-{position}")
    assert started(page, draft).batch is not None
    assert draft.batch is not None
    assert draft.batch.rows == 2
    forget(left)


def test_a_row_that_is_run_again_elsewhere_at_the_same_moment_is_seen(failed: BulkRun) -> None:
    call = Call.objects.filter(batch_row__batch=failed.batch, status="failed")[0]
    batch = Batch(user=failed.user, door="bulk", prompt=failed.prompt, version=failed.version)
    start(batch, [Row("row-3", call.request, call.inputs, again_of=call.pk)])
    assert not overtaken(batch)
    run_again(call, user=failed.user)
    assert overtaken(batch)


def test_of_two_repeats_that_were_begun_at_once_the_second_starts_nothing(page: Client, failed: BulkRun) -> None:
    """As there could be two before repeats had turns."""
    draft = again(page, failed)
    kept = {name: getattr(draft, name) for name in ("user", "prompt", "version", "again_of", "columns", "places")}
    other = BulkRun.objects.create(**kept, turn=2, state="checked", rows=2, name="two.csv")
    batch = Batch.objects.create(user=failed.user, door="bulk", prompt=failed.prompt, version=failed.version)
    started(page, other)
    with pytest.raises(ChangedError):
        _take_over(draft, draft.again_of or batch, batch)


def test_dead_letters_are_closed_by_what_runs_them_again_and_not_by_what_had_no_room(
    page: Client, upload: Callable[..., BulkRun], budget: Budget
) -> None:
    run = started(page, upload(), lane="live")
    for call in Call.objects.all():
        ended_dead(call)
    draft = again(page, ended(run))
    assert draft.rows == Call.objects.letters().count() == 2

    BudgetWindow.objects.update(limit=0)
    assert started(page, draft).batch is None
    assert Call.objects.letters().count() == 2
    assert not Handling.objects.exists()

    BudgetWindow.objects.update(limit=100)
    assert started(page, draft).batch is not None
    assert not Call.objects.letters().exists()
    assert set(Handling.objects.values_list("how", "by")) == {("again", run.user_id)}


def test_a_repeat_belongs_to_whoever_started_the_first_run(
    page: Client, failed: BulkRun, operator: User, prompt: Prompt
) -> None:
    prompt.groups.set(Group.objects.all())
    draft = again(page, failed)
    page.force_login(operator)
    assert page.post(f"{failed.get_absolute_url()}again/").status_code == 403
    assert page.post(f"{draft.get_absolute_url()}discard/").status_code == 403


def test_two_tabs_put_two_lines_right_and_neither_is_lost(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = upload("Document;Length\nOne.;huge\nTwo.;tiny\n")
    first, second = (BulkRun.objects.with_its_prompt().get(pk=run.pk) for _ in range(2))
    assert runs.put_right(first, 2, ["One.", "short"])
    assert runs.put_right(second, 3, ["Two.", "short"])
    run.refresh_from_db()
    assert (run.rows, run.faulty) == (2, 0)


def test_a_line_of_another_file_is_not_put_right(page: Client, upload: Callable[..., BulkRun]) -> None:
    table = "Document;Length\nOne.;huge\n"
    run = upload(table)
    typed = {"cell-0": "Mine.", "cell-1": "short", "file": run.file_token}
    page.post(f"{run.get_absolute_url()}file/", {"file": SimpleUploadedFile("b.csv", table.encode())})
    for path, values in (("rows/2/", typed), ("columns/", {"column-document": "1", "column-length": "0", **typed})):
        html = page.post(f"{run.get_absolute_url()}{path}", values, follow=True).content.decode()
        assert "so nothing was done" in html
    run.refresh_from_db()
    assert (run.faulty, run.places, run.corrected_lines.count()) == (1, {"document": 0, "length": 1}, 0)

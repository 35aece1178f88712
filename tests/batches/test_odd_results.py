"""What becomes of results that are short, odd, named twice or not to be understood?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from core.batches import clock, collect, ending
from core.batches.clock import MOST_FAILURES
from core.batches.collect import MOST_READINGS, MOST_TRIES
from core.batches.decide import abandon, look_again
from core.claude import batches as api
from core.models import Batch, BatchPart, BudgetWindow, Call, CostRecord
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, due_now, look_after, statuses, tended

pytestmark = pytest.mark.django_db

Lines = list[bytes]
Change = Callable[[Lines], Lines]


@pytest.fixture
def coming(claude: Simulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Lets the results come changed from now on."""
    batches = claude.state.batches
    honest = batches.results

    def change(by: Change) -> None:
        def results(*about: Any) -> bytes:
            lines = sorted(honest(*about).splitlines(keepends=True), key=lambda line: json.loads(line)["custom_id"])
            return b"".join(by(lines))

        monkeypatch.setattr(batches, "results", results)

    return change


def said(line: bytes) -> dict[str, Any]:
    return dict(json.loads(line))


def of_type(line: bytes, **result: Any) -> bytes:
    return json.dumps({**said(line), "result": result}).encode() + b"\n"


def read_often(batch: Batch) -> BatchPart:
    for _ in range(MOST_READINGS + 1):
        look_after()
    batch.refresh_from_db()
    return BatchPart.objects.get()


ODD: dict[str, Change] = {
    "one is missing": lambda lines: lines[:2],
    "one is a stranger's": lambda lines: [*lines[:2], lines[2].replace(b"-2", b"-7")],
    "one comes twice": lambda lines: [lines[0], *lines[:2]],
    "one is no JSON": lambda lines: [lines[0], b"<html>\n", lines[1]],
    "one is cut": lambda lines: [*lines[:2], lines[2][:40]],
    "one is no object": lambda lines: [b"[1]\n", b"7\n", *lines[:2]],
    "one has no answer": lambda lines: [*lines[:2], of_type(lines[2], type="succeeded")],
    "one has an answer of another shape": lambda lines: [
        *lines[:2],
        of_type(lines[2], type="succeeded", message={"content": "text", "usage": {}}),
    ],
    "one has blocks that are none": lambda lines: [
        of_type(lines[2], type="succeeded", message={"content": [7], "usage": {}}),
        *lines[:2],
    ],
    "one has an error that is none": lambda lines: [of_type(lines[2], type="errored", error="no"), *lines[:2]],
    "one has a number that is none": lambda lines: [*lines[:2], lines[2].replace(b"-2", b"-" + b"9" * 5000)],
    "one is named by a number": lambda lines: [*lines[:2], b'{"custom_id": 7, "result": {"type": "expired"}}\n'],
    "one is nested without end": lambda lines: [b"[" * 100_000 + b"\n", *lines[:2]],
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_what_has_a_result_is_booked_and_a_person_is_asked_about_the_rest(
    begin: Callable[..., Batch], coming: Callable[[Change], None], odd: Change
) -> None:
    coming(odd)
    batch = begin("one", "two", "three")
    part = read_often(batch)
    assert statuses(batch) == ["succeeded", "succeeded", "running"]
    assert (part.state, batch.status, batch.succeeded) == ("asks", "in_progress", 2)
    assert part.problem.startswith("Claude's results lack 1 of 3 requests, or cannot be read there. The others are")
    assert CostRecord.objects.count() == 2
    assert BudgetWindow.objects.get().reserved > 0


def test_given_up_the_rest_has_an_unknown_cost(begin: Callable[..., Batch], coming: Callable[[Change], None]) -> None:
    coming(ODD["one is missing"])
    batch = begin("one", "two", "three")
    assert abandon(read_often(batch))
    batch.refresh_from_db()
    assert (batch.status, batch.succeeded, batch.errored, batch.unknown) == ("ended", 2, 1, 1)
    assert CostRecord.objects.unknown().count() == 1
    assert BudgetWindow.objects.get().reserved > 0


def test_looked_at_again_when_all_is_there_it_ends_as_any(
    begin: Callable[..., Batch], coming: Callable[[Change], None], claude: Simulator
) -> None:
    coming(ODD["one is missing"])
    batch = begin("one", "two", "three")
    part = read_often(batch)
    coming(lambda lines: lines)
    assert look_again(part)
    assert tended(batch).succeeded == 3
    assert_books_are_the_bill(claude)


def test_of_two_results_of_a_row_the_answer_counts(
    begin: Callable[..., Batch], coming: Callable[[Change], None], claude: Simulator
) -> None:
    coming(lambda lines: [of_type(lines[0], type="expired"), *lines, of_type(lines[1], type="errored", error={})])
    batch = tended(begin("one", "two"))
    assert (batch.succeeded, batch.errored, batch.expired) == (2, 0, 0)
    assert_books_are_the_bill(claude)


def test_halves_of_characters_harm_no_answer(begin: Callable[..., Batch], coming: Callable[[Change], None]) -> None:
    coming(lambda lines: [line.replace(b'"text": "', b'"text": "\\ud83d\\ude00\\ud83d ') for line in lines])
    batch = tended(begin("one"))
    assert batch.succeeded == 1
    assert Call.objects.get().text.startswith("\N{GRINNING FACE}\ufffd ")


def test_a_row_that_cannot_be_written_harms_no_other(
    begin: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch, coming: Callable[[Change], None]
) -> None:
    """As where a database refuses what an answer holds: here, the name of a model that is too long for its column."""
    if connection.vendor == "sqlite":
        refuse_long_models(monkeypatch)
    coming(lambda lines: [*lines[:2], lines[2].replace(b'"model": "', b'"model": "' + b"x" * 300)])
    batch = begin("one", "two", "three")
    part = read_often(batch)
    assert statuses(batch) == ["succeeded", "succeeded", "running"]
    assert part.state == "asks"


def refuse_long_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite takes texts of any length."""
    honest = ending.end_rows

    def end_rows(part: BatchPart, endings: Any, prices: Any) -> int:
        if any(len(each.values.get("model", "")) > 120 for each in endings):
            raise ValueError("value too long")
        return honest(part, endings, prices)

    monkeypatch.setattr(collect, "end_rows", end_rows)


def test_a_batch_that_claude_does_not_speak_of_for_a_day_is_put_before_a_person(
    begin: Callable[..., Batch], claude: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    claude.state.batches.seconds = 600
    begin("one")
    clock.tend()
    BatchPart.objects.update(tries=MOST_TRIES - 2)
    monkeypatch.setattr(claude.state.batches, "retrieve", lambda *_: 1 / 0)
    look_after()
    assert BatchPart.objects.get().state == "sent"
    look_after()
    part = BatchPart.objects.get()
    assert part.state == "asks"
    assert part.problem.startswith(f"Claude does not say what became of its batch {part.provider_id}: ")


def test_a_fault_of_our_own_is_put_before_a_person_in_the_end(
    begin: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin("one")
    clock.tend()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api, "retrieve", broken)
    for _ in range(MOST_FAILURES):
        assert BatchPart.objects.get().state == "sent"
        due_now()
        clock.tend()
    part = BatchPart.objects.get()
    assert part.state == "asks"
    assert part.problem == f"Something went wrong here {MOST_FAILURES} times, and was logged: ZeroDivisionError."


def test_a_line_without_end_is_held_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "LONGEST_LINE", 10)
    pieces = [b"short\nlo", b"nger than", b" any", b"\n\nlast one is", b" cut"]
    assert list(api._lines(iter(pieces))) == [b"short", b"longer tha", b"", b"last one i"]

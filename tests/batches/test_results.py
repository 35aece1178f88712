"""Does a table come back as it was, with an answer beside each row?"""

from __future__ import annotations

import io

import pytest

from core.batches.start import start
from core.bulk.rendering import matched, rendered
from core.bulk.results import result_rows
from core.bulk.tables import open_table
from core.models import Batch, Budget, Call, Prompt, User
from core.reports.files import csv_pieces
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, tended

pytestmark = pytest.mark.django_db

TABLE = b"Document;Length;Note\nThe invoice is due.;short;=1+1\n[[simulate: batch=errored]];long;\n;short;empty\n"


def test_a_table_goes_through_a_prompt_and_comes_back_in_its_order(
    prompt: Prompt, member: User, claude: Simulator, budget: Budget
) -> None:
    version = prompt.published
    assert version is not None
    table = open_table(io.BytesIO(TABLE))
    places = matched(version, table.columns)
    assert places == {"document": 0, "length": 1}
    found = list(rendered(version, table.lines, places))
    assert [(each.line.number, bool(each.row)) for each in found] == [(2, True), (3, True), (4, False)]
    assert found[2].fault == "Document: Please fill this in."

    rows = [each.row for each in found if each.row is not None]
    batch = start(Batch(user=member, door=Call.Door.BULK, prompt=prompt, version=version, columns=table.columns), rows)
    batch = tended(batch)

    heading, first, second = list(result_rows(batch))
    assert heading == ["Document", "Length", "Note", "answer", "status", "error", "model", "cost USD"]
    assert first[:3] == ["The invoice is due.", "short", "=1+1"]
    assert (bool(first[3]), first[4], first[6]) == (True, "Done", "claude-haiku-5-5")
    assert first[7] > 0
    assert (second[3], second[4], second[5]) == ("", "Failed", "Internal server error")
    assert b"'=1+1" in b"".join(csv_pieces(result_rows(batch)))
    call = Call.objects.get(batch_row__position=0)
    assert (call.inputs["document"], call.prompt, call.version) == ("The invoice is due.", prompt, version)
    assert_books_are_the_bill(claude)


def test_a_structured_answer_is_spread_over_columns(
    prompt: Prompt, member: User, claude: Simulator, budget: Budget
) -> None:
    kinds = {"type": "object", "properties": {"kind": {"type": "string"}, "Document": {"type": "integer"}}}
    prompt.output_schema = {**kinds, "required": ["kind", "Document"], "additionalProperties": False}
    prompt.save()
    version = prompt.publish(None)
    answer = r'[[simulate: answer="{\"kind\": \"invoice\", \"Document\": 3}"]]'
    text = f'Document\tLength\n"{answer.replace(chr(34), chr(34) * 2)}"\tshort\n'
    table = open_table(io.BytesIO(text.encode()))
    rows = [each.row for each in rendered(version, table.lines, matched(version, table.columns)) if each.row]
    batch = tended(start(Batch(user=member, prompt=prompt, version=version, columns=table.columns), rows))
    heading, first = list(result_rows(batch))
    assert heading == ["Document", "Length", "kind", "Document 2", "status", "error", "model", "cost USD"]
    assert first[2:5] == ["invoice", 3, "Done"]

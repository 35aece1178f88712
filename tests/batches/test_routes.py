"""Is the model of each row chosen by itself, and is the classifier's question paid for like any other?"""

from __future__ import annotations

import pytest

from core.batches.start import Row, start
from core.models import Batch, Budget, Call, CostRecord, Key
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, tended
from tests.batches.rows import request

pytestmark = pytest.mark.django_db


def says(label: str) -> str:
    """A directive by which the simulated classifier gives this label."""
    return f'[[simulate: answer="{{\\"label\\": \\"{label}\\", \\"sure\\": true}}" model=haiku]]'


def test_each_row_goes_to_the_model_of_its_class_and_all_is_paid_for(
    ready_made: None, claude: Simulator, budget: Budget, key: Key
) -> None:
    texts = [f"Compare these contracts. {says('complex')}", f"Compare those contracts. {says('complex')} Please."]
    batch = start(
        Batch(user=key.user, key=key),
        [Row(f"row-{number}", {**request(text), "model": "auto"}) for number, text in enumerate(texts)],
    )
    batch = tended(batch)
    assert (batch.status, batch.succeeded) == (Batch.Status.ENDED, 2)
    for call in Call.objects.all():
        assert call.model == "claude-opus-5-5"
        assert call.classifying == ""
        purposes = [record.purpose for record in call.cost_records.order_by("pk")]
        assert purposes == [CostRecord.Purpose.CLASSIFICATION, CostRecord.Purpose.ANSWER]
    assert_books_are_the_bill(claude)


@pytest.mark.django_db(transaction=True)
def test_classifiers_of_many_rows_are_asked_side_by_side_and_all_is_paid_for(
    ready_made: None, claude: Simulator, budget: Budget, key: Key
) -> None:
    texts = [f"Compare these contracts, number {number}. {says('complex')}" for number in range(40)]
    rows = [Row(f"row-{number}", {**request(text), "model": "auto"}) for number, text in enumerate(texts)]
    batch = tended(start(Batch(user=key.user, key=key), rows))
    assert (batch.status, batch.succeeded) == (Batch.Status.ENDED, 40)
    assert set(Call.objects.values_list("model", flat=True)) == {"claude-opus-5-5"}
    assert CostRecord.objects.filter(purpose=CostRecord.Purpose.CLASSIFICATION).count() == 40
    assert batch.spent == sum(record.amount or 0 for record in CostRecord.objects.all())
    assert_books_are_the_bill(claude)

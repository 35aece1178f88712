from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError, Sum

from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Call, CostRecord, Prompt, User
from core.models.fields import MoneyField


@pytest.fixture
def record(prompt: Prompt, member: User) -> CostRecord:
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "A text.", "length": "short"}, user=member)
    run_call(call.pk)
    return CostRecord.objects.get(call=call)


def test_a_record_is_never_changed(record: CostRecord) -> None:
    with pytest.raises(ValueError, match="written once"):
        record.save()
    with pytest.raises(TypeError):
        CostRecord.objects.update(amount=0)


def test_a_record_is_never_deleted(record: CostRecord, member: User) -> None:
    with pytest.raises(TypeError):
        record.delete()
    with pytest.raises(TypeError):
        CostRecord.objects.all().delete()
    with pytest.raises(ProtectedError):
        record.call.delete()
    with pytest.raises(ProtectedError):
        member.delete()


@pytest.mark.parametrize(
    ("amount", "reason"), [(None, ""), (Decimal(1), "both known and unknown"), (Decimal("-0.0000000001"), "")]
)
def test_the_database_refuses_a_senseless_amount(record: CostRecord, amount: Decimal | None, reason: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CostRecord.objects.create(call=record.call, model="m", attempt=9, amount=amount, unknown_reason=reason)


def test_the_database_refuses_the_same_exchange_twice(record: CostRecord) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CostRecord.objects.create(call=record.call, model="m", attempt=9, amount=1, request_id=record.request_id)


def test_sums_are_exact_to_the_last_digit(record: CostRecord) -> None:
    """A thousand times a tenth of a cent's millionth: a sum of binary floats would be off."""
    tenth = Decimal("0.1000000001")
    CostRecord.objects.bulk_create(
        CostRecord(call=record.call, model="sum", attempt=10 + number, request_id=f"sum-{number}", amount=tenth)
        for number in range(1000)
    )

    assert CostRecord.objects.filter(model="sum").aggregate(sum=Sum("amount"))["sum"] == Decimal("100.0000001")


def test_money_is_refused_beyond_ten_places() -> None:
    field: MoneyField = CostRecord._meta.get_field("amount")

    with pytest.raises(ValueError, match="more than 10 decimal places"):
        field.get_prep_value(Decimal("0.00000000001"))
    assert field.get_prep_value(Decimal("922337203.6854775807")) == 2**63 - 1
    assert connection.ops.integer_field_range("BigIntegerField")[1] in {2**63 - 1, None}


@pytest.mark.parametrize("status", Call.FINISHED)
def test_a_finished_call_stays_as_it_ended(record: CostRecord, status: str) -> None:
    call = record.call
    Call.objects.filter(pk=call.pk).update(status=status)

    assert not call.cancel()
    assert not call.wait(call.created_at, {})
    assert not call.give_back()
    assert not call.mark_sent("m", "r")
    assert not call.renew(call.created_at - call.created_at)
    call.refresh_from_db()
    assert call.status == status

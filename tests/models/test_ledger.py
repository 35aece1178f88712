from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.core.management.color import no_style
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError, Sum

from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Call, CostRecord, PendingRollup, Prompt, User, guard
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


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core_costrecord SET amount = 0",
        "UPDATE core_costrecord SET demo = (1 = 1)",
        "DELETE FROM core_costrecord",
    ],
)
def test_the_database_itself_refuses_to_change_or_delete(record: CostRecord, statement: str) -> None:
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    assert CostRecord.objects.get().amount == record.amount


@pytest.mark.parametrize("way", ["update", "delete"])
def test_no_back_door_of_the_shell_is_open(record: CostRecord, way: str) -> None:
    rows = CostRecord._base_manager.all()
    PendingRollup.objects.all().delete()
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        models.QuerySet.update(rows, amount=1) if way == "update" else rows._raw_delete("default")
    assert CostRecord.objects.get().amount == record.amount


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no TRUNCATE")
def test_the_database_refuses_to_empty_the_table(record: CostRecord) -> None:
    connection.check_constraints()
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute("TRUNCATE core_costrecord CASCADE")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no REPLACE")
@pytest.mark.parametrize("key", ["id", "request_id"])
def test_a_record_is_not_replaced_either(record: CostRecord, key: str) -> None:
    others = "SELECT * FROM core_costrecord LIMIT 1"
    cursor = connection.cursor()
    columns = [column[0] for column in cursor.execute(others).description]
    chosen = ", ".join("NULL" if key != "id" and name == "id" else f'"{name}"' for name in columns)
    with pytest.raises(IntegrityError, match="nor replaced"), transaction.atomic():
        cursor.execute(f"INSERT OR REPLACE INTO core_costrecord SELECT {chosen} FROM core_costrecord")  # noqa: S608


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no REPLACE")
@pytest.mark.parametrize("of", ["the same attempt without a request id", "the same correction"])
def test_no_other_unique_index_lets_a_record_be_replaced(record: CostRecord, of: str) -> None:
    lost = CostRecord.objects.create(call=record.call, model="m", attempt=9, unknown_reason="lost")
    chosen = lost
    if of == "the same correction":
        chosen = CostRecord.objects.create(
            call=record.call, model="m", attempt=9, amount=1, corrects=lost, source="repriced"
        )
    names = ", ".join(str(field.column) for field in CostRecord._meta.local_concrete_fields if field.column != "id")
    again = f"SELECT {names} FROM core_costrecord WHERE id = %s"  # noqa: S608 - our names
    with pytest.raises(IntegrityError, match="nor replaced"), transaction.atomic():
        connection.cursor().execute(f"INSERT OR REPLACE INTO core_costrecord ({names}) {again}", [chosen.pk])
    assert CostRecord.objects.filter(pk=chosen.pk).exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's guard looks nothing up")
def test_the_guard_looks_up_by_index(db: None) -> None:
    """It does so for each new record, and there may be millions."""
    trigger = guard.installation(connection, guard.LEDGER)[-1]
    condition = re.sub(r"NEW\.\w+", "'1'", trigger[trigger.index("WHEN") + 4 : trigger.index("BEGIN")])
    cursor = connection.cursor()
    cursor.execute(f"EXPLAIN QUERY PLAN SELECT {condition}")
    plan = [line for *_, line in cursor.fetchall() if "core_costrecord" in line]
    assert len(plan) == 4
    assert all(line.startswith("SEARCH core_costrecord USING") for line in plan), plan


def test_demo_records_can_go(record: CostRecord) -> None:
    CostRecord.objects.create(call=record.call, model="m", attempt=9, amount=1, demo=True)

    assert CostRecord.objects.remove_demo() == 1
    assert CostRecord.objects.get() == record


def test_the_guard_stands_after_all_migrations(db: None) -> None:
    assert guard.missing(connection) == set()


def test_a_guard_that_a_migration_lost_is_put_back(db: None) -> None:
    with connection.cursor() as cursor:
        for statement in guard.removal(connection):
            cursor.execute(statement)
    assert guard.missing(connection)

    guard.put_back(using="default")

    assert guard.missing(connection) == set()


@pytest.mark.django_db(transaction=True)
def test_the_guard_stands_after_tables_were_emptied_for_a_test(member: User) -> None:
    call = Call.objects.create(user=member)
    CostRecord.objects.create(call=call, model="m", amount=1)

    connection.ops.execute_sql_flush(
        connection.ops.sql_flush(no_style(), connection.introspection.django_table_names(only_existing=True))
    )

    assert not CostRecord.objects.exists()
    assert guard.missing(connection) == set()


def test_the_database_refuses_the_same_exchange_twice(record: CostRecord) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CostRecord.objects.create(call=record.call, model="m", attempt=9, amount=1, request_id=record.request_id)


def test_two_attempts_without_a_request_id_are_two_records_and_one_attempt_is_one(record: CostRecord) -> None:
    unknown = {"call": record.call, "model": "m", "unknown_reason": "it never came"}
    for attempt in (8, 9):
        CostRecord.objects.create(attempt=attempt, **unknown)
    with pytest.raises(IntegrityError), transaction.atomic():
        CostRecord.objects.create(attempt=9, **unknown)
    assert CostRecord.objects.unknown().count() == 2


@pytest.mark.parametrize(
    "values",
    [
        {"source": "by_hand", "note": "The invoice says so."},
        {"source": "by_hand", "entered_by": True},
        {"source": "reconciled", "corrects": None},
        {"source": "repriced", "corrects": None},
    ],
)
def test_the_database_refuses_a_correction_of_nothing_by_nobody_or_for_no_reason(
    record: CostRecord, member: User, values: dict[str, Any]
) -> None:
    who = {"entered_by": member} if values.pop("entered_by", None) else {}
    fields = {"corrects": record, "amount": -1, "call": record.call, "model": "m", **who, **values}
    with pytest.raises(IntegrityError), transaction.atomic():
        CostRecord.objects.create(**fields)


def test_the_database_refuses_to_correct_a_record_twice(record: CostRecord) -> None:
    correction = {"corrects": record, "source": "repriced", "call": record.call, "model": "m"}
    CostRecord.objects.create(amount=-1, **correction)
    with pytest.raises(IntegrityError), transaction.atomic():
        CostRecord.objects.create(amount=1, **correction)


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
    call.refresh_from_db()
    assert call.status == status

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from core.models import ClaudeModel, Price, guard

DAY = dt.date(2026, 1, 1)


@pytest.fixture
def approved(db: None) -> Price:
    return _price(approved_at=timezone.now())


def _price(**values: Any) -> Price:
    model, _ = ClaudeModel.objects.get_or_create(pk="claude-one", defaults={"display_name": "One"})
    usual: dict[str, Any] = {"model": model, "valid_from": DAY, "input": 2, "output": 10}
    return Price.objects.create(**{**usual, **values})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core_price SET input = 3",
        "UPDATE core_price SET approved_at = NULL",
        "UPDATE core_price SET valid_until = '2026-02-01'",
        "UPDATE core_price SET replaced_by_id = id, output = 1",
        "UPDATE core_price SET replaced_by_id = id",
        "DELETE FROM core_price",
    ],
)
def test_the_database_refuses_to_change_or_delete_an_approved_price(approved: Price, statement: str) -> None:
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    approved.refresh_from_db()
    assert (approved.input, approved.output) == (Decimal(2), Decimal(10))


WAYS: dict[str, Callable[[Price], object]] = {
    "update": lambda price: Price.objects.filter(pk=price.pk).update(input=3),
    "delete": lambda price: Price.objects.filter(pk=price.pk).delete(),
    "bulk update": lambda price: Price.objects.bulk_update([price], ["input"]),
    "save": lambda price: price.save(),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_shell_refuses_to_change_or_delete_an_approved_price(approved: Price, way: str) -> None:
    with pytest.raises(TypeError, match="approved price is never"), transaction.atomic():
        WAYS[way](approved)


@pytest.mark.parametrize("way", ["update", "delete"])
def test_no_back_door_of_the_shell_is_open_to_an_approved_price(approved: Price, way: str) -> None:
    rows = Price._base_manager.all()
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        models.QuerySet.update(rows, input=1) if way == "update" else rows._raw_delete("default")
    assert Price.objects.get().input == Decimal(2)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no TRUNCATE")
def test_the_database_refuses_to_empty_the_price_book(approved: Price) -> None:
    connection.check_constraints()
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute("TRUNCATE core_price CASCADE")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no INSERT OR REPLACE")
def test_an_approved_price_is_not_overwritten_by_an_insert(approved: Price) -> None:
    columns = ", ".join(str(field.column) for field in Price._meta.local_concrete_fields if field.column != "id")
    statement = f"INSERT OR REPLACE INTO core_price (id, {columns}) SELECT id, {columns} FROM core_price"  # noqa: S608
    with pytest.raises(IntegrityError, match="nor replaced"), transaction.atomic():
        connection.cursor().execute(statement)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no REPLACE")
@pytest.mark.parametrize("way", ["INSERT", "UPDATE"])
def test_an_approved_price_is_not_pushed_out_of_its_place(approved: Price, way: str) -> None:
    draft = _price(input=9)
    columns = [str(field.column) for field in Price._meta.local_concrete_fields if field.column != "id"]
    chosen = ", ".join("CURRENT_TIMESTAMP" if name == "approved_at" else name for name in columns)
    statement = {
        "INSERT": f"INSERT OR REPLACE INTO core_price ({', '.join(columns)}) SELECT {chosen} FROM core_price WHERE id",  # noqa: S608
        "UPDATE": "UPDATE OR REPLACE core_price SET approved_at = CURRENT_TIMESTAMP WHERE id",
    }[way]
    with pytest.raises(IntegrityError, match="nor replaced"), transaction.atomic():
        connection.cursor().execute(f"{statement} = %s", [draft.pk])
    assert Price.objects.in_force().get() == approved


def test_a_price_is_replaced_once(approved: Price) -> None:
    Price.objects.filter(pk=approved.pk).replace_by(second := _price(input=3))

    approved.refresh_from_db()
    assert approved.replaced_by == second
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        Price.objects.filter(pk=approved.pk).replace_by(_price(input=4))


@pytest.mark.parametrize("other", [{"valid_from": dt.date(2026, 2, 1)}, {"above_input_tokens": 5}, {"contract": True}])
def test_a_price_is_replaced_by_one_of_its_place_only(approved: Price, other: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        Price.objects.filter(pk=approved.pk).replace_by(_price(**other))


def test_drafts_are_written_and_deleted(db: None) -> None:
    draft = _price()
    Price.objects.filter(pk=draft.pk).update(input=5)
    assert Price.objects.get().input == Decimal(5)
    Price.objects.all().delete()
    assert not Price.objects.exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL compares whole rows")
def test_a_new_column_is_guarded_after_the_next_migration(approved: Price) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_price ADD COLUMN another text")
        assert guard.missing(connection) == {"price_never_changed"}
        guard.put_back(using="default")
        with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
            cursor.execute("UPDATE core_price SET another = 'x'")

"""How does the database itself keep the ledger append-only and approved prices as they are, whoever speaks to it?

Triggers refuse to change or delete a cost record, except to delete one of the demo, and to change or delete an approved
price, except to say once which other price of the same place replaces it. They hold against raw SQL, the shell and a
careless admin alike. A migration that has to touch old rows calls `remove` before and `install` after.

SQLite's way of altering a table makes it anew and drops its triggers, so they are put back after each `migrate` where
they are missing. The tests' way of emptying tables takes them off for that moment: see `tests/conftest.py`.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

LEDGER, PRICES = "core_costrecord", "core_price"
_OF_THE_LEDGER = "cost records are never changed or deleted"
_OF_A_PRICE = "an approved price is never changed or deleted"
# Stands for a comparison of all columns that the table has by then, but `replaced_by_id`.
_DIFFERS = "(every other column)"
_PLACE = ("model_id", "contract", "speed", "valid_from", "above_input_tokens")
# What is named as the replacement is another price of the same place: the one way to let an approved one count no more.
_REPLACED = f"""EXISTS (
                SELECT 1 FROM core_price other WHERE other.id = NEW.replaced_by_id AND other.id <> OLD.id
                AND {" AND ".join(f"other.{name} = OLD.{name}" for name in _PLACE)})"""  # noqa: S608 - our names
# SQLite: another price is in force where the new row would be.
_IN_THE_WAY = f"""NEW.approved_at IS NOT NULL AND NEW.replaced_by_id IS NULL AND EXISTS (
                SELECT 1 FROM core_price WHERE approved_at IS NOT NULL AND replaced_by_id IS NULL AND id IS NOT NEW.id
                AND {" AND ".join(f"{name} = NEW.{name}" for name in _PLACE)})"""  # noqa: S608 - our names
_SQLITE = {
    LEDGER: {
        "costrecord_never_changed": f"""
            CREATE TRIGGER costrecord_never_changed BEFORE UPDATE ON core_costrecord
            BEGIN SELECT RAISE(ABORT, '{_OF_THE_LEDGER}'); END""",
        "costrecord_never_deleted": f"""
            CREATE TRIGGER costrecord_never_deleted BEFORE DELETE ON core_costrecord WHEN NOT OLD.demo
            BEGIN SELECT RAISE(ABORT, '{_OF_THE_LEDGER}'); END""",
        # INSERT OR REPLACE deletes what is in its way, by whichever unique index, without asking the trigger above.
        "costrecord_never_replaced": f"""
            CREATE TRIGGER costrecord_never_replaced BEFORE INSERT ON core_costrecord
            WHEN EXISTS (SELECT 1 FROM core_costrecord WHERE id = NEW.id)
                OR EXISTS (SELECT 1 FROM core_costrecord WHERE NOT (request_id = '') AND request_id = NEW.request_id)
                OR EXISTS (SELECT 1 FROM core_costrecord WHERE corrects_id = NEW.corrects_id)
                OR NEW.request_id = '' AND NEW.corrects_id IS NULL AND EXISTS (
                    SELECT 1 FROM core_costrecord WHERE corrects_id IS NULL AND request_id = ''
                    AND call_id = NEW.call_id AND attempt = NEW.attempt AND purpose = NEW.purpose)
            BEGIN SELECT RAISE(ABORT, '{_OF_THE_LEDGER}, nor replaced'); END""",  # noqa: S608 - our names
    },
    PRICES: {
        "price_never_changed": f"""
            CREATE TRIGGER price_never_changed BEFORE UPDATE ON core_price WHEN OLD.approved_at IS NOT NULL
                AND (OLD.replaced_by_id IS NOT NULL OR {_DIFFERS}
                    OR NEW.replaced_by_id IS NOT NULL AND NOT {_REPLACED})
            BEGIN SELECT RAISE(ABORT, '{_OF_A_PRICE}'); END""",
        "price_never_deleted": f"""
            CREATE TRIGGER price_never_deleted BEFORE DELETE ON core_price WHEN OLD.approved_at IS NOT NULL
            BEGIN SELECT RAISE(ABORT, '{_OF_A_PRICE}'); END""",
        "price_never_overwritten": f"""
            CREATE TRIGGER price_never_overwritten BEFORE INSERT ON core_price
            WHEN EXISTS (SELECT 1 FROM core_price WHERE id = NEW.id AND approved_at IS NOT NULL) OR {_IN_THE_WAY}
            BEGIN SELECT RAISE(ABORT, '{_OF_A_PRICE}, nor replaced'); END""",  # noqa: S608 - our names
        # Nor does UPDATE OR REPLACE, by which a draft could push out the price of the same place.
        "price_never_pushed_out": f"""
            CREATE TRIGGER price_never_pushed_out BEFORE UPDATE ON core_price WHEN {_IN_THE_WAY}
            BEGIN SELECT RAISE(ABORT, '{_OF_A_PRICE}, nor replaced'); END""",
    },
}
_POSTGRESQL_FUNCTIONS = {
    LEDGER: f"""
        CREATE OR REPLACE FUNCTION costrecord_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                IF OLD.demo THEN RETURN OLD; END IF;
            END IF;
            RAISE EXCEPTION '{_OF_THE_LEDGER}' USING ERRCODE = 'restrict_violation';
        END $$""",
    PRICES: f"""
        CREATE OR REPLACE FUNCTION price_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                IF OLD.approved_at IS NULL THEN RETURN OLD; END IF;
            ELSIF TG_OP = 'UPDATE' THEN
                IF OLD.approved_at IS NULL THEN RETURN NEW; END IF;
                IF OLD.replaced_by_id IS NULL AND (NEW.replaced_by_id IS NULL OR {_REPLACED})
                    AND to_jsonb(OLD) - 'replaced_by_id' = to_jsonb(NEW) - 'replaced_by_id' THEN RETURN NEW; END IF;
            END IF;
            RAISE EXCEPTION '{_OF_A_PRICE}' USING ERRCODE = 'restrict_violation';
        END $$""",
}
_POSTGRESQL = {
    table: {
        f"{name}_never_changed": f"""
            CREATE TRIGGER {name}_never_changed BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {name}_guard()""",
        f"{name}_never_truncated": f"""
            CREATE TRIGGER {name}_never_truncated BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {name}_guard()""",
    }
    for table, name in ((LEDGER, "costrecord"), (PRICES, "price"))
}
# SQLite's own table of tables, and PostgreSQL's of triggers, without those that keep foreign keys.
_FIND = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
}


def missing(connection: BaseDatabaseWrapper) -> set[str]:
    """The names of the triggers that this database should have and has not, or not for all columns, or switched off."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND[connection.vendor])
        found = {text for (text,) in cursor.fetchall()}
    wanted = {name: text for triggers in _triggers(connection).values() for name, text in triggers.items()}
    return {name for name, text in wanted.items() if (text if connection.vendor == "sqlite" else name) not in found}


def removal(connection: BaseDatabaseWrapper, *tables: str) -> list[str]:
    """The statements that take the guard off these tables; off all without any."""
    postgresql = connection.vendor == "postgresql"
    return [
        f"DROP TRIGGER IF EXISTS {name}{f' ON {table}' if postgresql else ''}"
        for table, triggers in _triggers(connection).items()
        for name in triggers
        if table in (tables or (LEDGER, PRICES))
    ]


def installation(connection: BaseDatabaseWrapper, *tables: str) -> list[str]:
    """The statements that put the guard on these tables, or on anew; on all without any."""
    wanted = tables or (LEDGER, PRICES)
    functions = [_POSTGRESQL_FUNCTIONS[table] for table in wanted] if connection.vendor == "postgresql" else []
    triggers = [statement for table in wanted for statement in _triggers(connection)[table].values()]
    return [*removal(connection, *wanted), *functions, *triggers]


def install(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - as migrations.RunPython calls it
    _execute(schema_editor.connection, installation(schema_editor.connection))


def install_on_ledger(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - as migrations.RunPython calls it
    _execute(schema_editor.connection, installation(schema_editor.connection, LEDGER))


def remove(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - as migrations.RunPython calls it
    _execute(schema_editor.connection, removal(schema_editor.connection))


def _triggers(connection: BaseDatabaseWrapper) -> dict[str, dict[str, str]]:
    """What makes each trigger; PostgreSQL's compare whole rows, SQLite's have to name each column."""
    if connection.vendor == "postgresql":
        return _POSTGRESQL
    with connection.cursor() as cursor:
        columns = [column.name for column in connection.introspection.get_table_description(cursor, PRICES)]
    differs = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in columns if name != "replaced_by_id")
    return {
        table: {name: text.strip().replace(_DIFFERS, differs) for name, text in triggers.items()}
        for table, triggers in _SQLITE.items()
    }


def _execute(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def put_back(**kwargs: Any) -> None:
    """After each migration: see the top of this file. Takes Django's `post_migrate` signal."""
    connection = connections[kwargs["using"]]
    if {LEDGER, PRICES} <= set(connection.introspection.table_names()) and missing(connection):
        _execute(connection, installation(connection))

"""How does the database itself keep the ledger append-only, whoever speaks to it?

Triggers refuse to change or delete a cost record, except to delete one of the demo. They hold against raw SQL, the
shell and a careless admin alike. A migration that has to touch old records calls `remove` before and `install` after.

SQLite's way of altering a table makes it anew and drops its triggers, so they are put back after each `migrate` where
they are missing. The tests' way of emptying tables takes them off for that moment: see `tests/conftest.py`.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "core_costrecord"

_SQLITE = {
    "costrecord_never_changed": """
        CREATE TRIGGER costrecord_never_changed BEFORE UPDATE ON core_costrecord
        BEGIN SELECT RAISE(ABORT, 'cost records are never changed or deleted'); END""",
    "costrecord_never_deleted": """
        CREATE TRIGGER costrecord_never_deleted BEFORE DELETE ON core_costrecord WHEN NOT OLD.demo
        BEGIN SELECT RAISE(ABORT, 'cost records are never changed or deleted'); END""",
    # INSERT OR REPLACE deletes what is in its way without asking the trigger above.
    "costrecord_never_replaced": """
        CREATE TRIGGER costrecord_never_replaced BEFORE INSERT ON core_costrecord
        WHEN EXISTS (SELECT 1 FROM core_costrecord WHERE id = NEW.id)
            OR EXISTS (SELECT 1 FROM core_costrecord WHERE NOT (request_id = '') AND request_id = NEW.request_id)
        BEGIN SELECT RAISE(ABORT, 'cost records are never changed or deleted, nor replaced'); END""",
}
_POSTGRESQL_FUNCTION = """
    CREATE OR REPLACE FUNCTION costrecord_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF OLD.demo THEN RETURN OLD; END IF;
        END IF;
        RAISE EXCEPTION 'cost records are never changed or deleted' USING ERRCODE = 'restrict_violation';
    END $$"""
_POSTGRESQL = {
    "costrecord_never_changed": """
        CREATE TRIGGER costrecord_never_changed BEFORE UPDATE OR DELETE ON core_costrecord
        FOR EACH ROW EXECUTE FUNCTION costrecord_guard()""",
    "costrecord_never_truncated": """
        CREATE TRIGGER costrecord_never_truncated BEFORE TRUNCATE ON core_costrecord
        FOR EACH STATEMENT EXECUTE FUNCTION costrecord_guard()""",
}
# SQLite's own table of tables, and PostgreSQL's of triggers, without those that keep foreign keys.
_FIND = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'core_costrecord'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = 'core_costrecord'::regclass AND NOT tgisinternal "
    "AND tgenabled <> 'D'",
}


def missing(connection: BaseDatabaseWrapper) -> set[str]:
    """The names of the triggers that this database should have and has not, or has switched off."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND[connection.vendor])
        return set(_triggers(connection)) - {name for (name,) in cursor.fetchall()}


def removal(connection: BaseDatabaseWrapper) -> list[str]:
    """The statements that take the guard off."""
    on_table = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    return [f"DROP TRIGGER IF EXISTS {name}{on_table}" for name in _triggers(connection)]


def installation(connection: BaseDatabaseWrapper) -> list[str]:
    """The statements that put the guard on, or on anew."""
    function = [_POSTGRESQL_FUNCTION] if connection.vendor == "postgresql" else []
    return [*removal(connection), *function, *_triggers(connection).values()]


def install(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - as migrations.RunPython calls it
    _execute(schema_editor.connection, installation(schema_editor.connection))


def remove(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - as migrations.RunPython calls it
    _execute(schema_editor.connection, removal(schema_editor.connection))


def _triggers(connection: BaseDatabaseWrapper) -> dict[str, str]:
    return {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}[connection.vendor]


def _execute(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def put_back(**kwargs: Any) -> None:
    """After each migration: see the top of this file. Takes Django's `post_migrate` signal."""
    connection = connections[kwargs["using"]]
    if TABLE in connection.introspection.table_names() and missing(connection):
        _execute(connection, installation(connection))

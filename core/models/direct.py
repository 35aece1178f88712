"""How does what every request reads and writes reach the database without its SQL being built anew each time?

Django builds a statement from a queryset each time it runs, which takes several times what running it does (measured by
`tests/bench/gateway`). Here it is built once for each process; what goes in and comes out is converted by the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.utils import CursorWrapper
from django.db.models import Field, Model, QuerySet
from django.db.models.query import get_related_populators
from django.db.models.sql.compiler import SQLCompiler

M = TypeVar("M", bound=Model)
V = TypeVar("V", bound="str | UUID")


def cursor() -> CursorWrapper:
    """For statements that are run again and again: PostgreSQL keeps them prepared, and does not plan each anew.

    As the values go to the server by themselves, a statement may need casts where their types cannot be known.
    """
    # Itself, for each attribute of Django's `connection` is looked for first.
    database: Any = connections[DEFAULT_DB_ALIAS]
    # Where statements are logged, by Django's own, which can tell what it ran.
    if database.vendor != "postgresql" or database.queries_logged:
        own: CursorWrapper = database.cursor()
        return own
    if database.connection is None:
        database.ensure_connection()
    made: CursorWrapper = database.make_cursor(database.Database.Cursor(database.connection))
    return made


class Finder(Generic[M, V]):
    """A query for the row with one text, or one UUID, with what it selects of other tables and annotates.

    `any_value` is one of that kind that no row has.
    """

    def __init__(self, queryset: Callable[[V], QuerySet[M]], any_value: V) -> None:
        self._queryset = queryset
        self._any = any_value
        self._compiled: _Compiled[M] | None = None

    def find(self, value: V) -> M | None:
        compiled = self._compiled = self._compiled or _compiled(self._queryset, self._any)
        with cursor() as run:
            run.execute(compiled.sql, compiled.given(stored(value)))
            row = run.fetchone()
        return None if row is None else compiled.instance(row)


@dataclass(frozen=True)
class _Compiled(Generic[M]):
    sql: str
    values: list[Any]
    # Which of them stands for what is looked for.
    place: int
    compiler: SQLCompiler
    model: type[M]
    # Where the model's own columns stand, and their names.
    own: slice
    names: list[str]
    converters: dict[int, Any]
    related: list[Any]

    def given(self, value: Any) -> list[Any]:
        return [*self.values[: self.place], value, *self.values[self.place + 1 :]]

    def instance(self, row: tuple[Any, ...]) -> M:
        """The same steps as of `django.db.models.query.ModelIterable`."""
        if self.converters:
            row = tuple(next(iter(self.compiler.apply_converters([row], self.converters))))
        found = self.model.from_db(DEFAULT_DB_ALIAS, self.names, row[self.own])
        for populator in self.related:
            populator.populate(row, found)
        for name, place in self.compiler.annotation_col_map.items():
            setattr(found, name, row[place])
        return found


def stored(value: Any) -> Any:
    """As a driver takes it: SQLite knows no UUIDs."""
    return value.hex if isinstance(value, UUID) and not connection.features.has_native_uuid_field else value


def _compiled(queryset: Callable[[V], QuerySet[M]], any_value: V) -> _Compiled[M]:
    compiler: Any = queryset(any_value).query.get_compiler(connection=connection)
    sql, values = compiler.as_sql()
    looked_for = stored(any_value)
    if list(values).count(looked_for) != 1:
        raise TypeError(f"{sql} does not look for one {looked_for!r}, but for {values!r}")
    places, select = compiler.klass_info["select_fields"], compiler.select
    own = slice(places[0], places[-1] + 1)
    return _Compiled(
        sql,
        list(values),
        list(values).index(looked_for),
        compiler,
        compiler.klass_info["model"],
        own,
        [each[0].target.attname for each in select[own]],
        compiler.get_converters([each[0] for each in select]),
        # The stubs are those of a later Django.
        get_related_populators(compiler.klass_info, select, DEFAULT_DB_ALIAS),  # type: ignore[call-arg]
    )


def insert(row: Model) -> None:
    """Store a new row, as `row.save(force_insert=True)` does."""
    sql, fields, returned = _insertion(type(row))
    database = connections[DEFAULT_DB_ALIAS]
    values = [field.get_db_prep_save(field.pre_save(row, True), database) for field in fields]
    with cursor() as run:
        run.execute(sql, values)
        if returned:
            row.pk = run.fetchone()[0]
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def update(row: Model, conditions: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Give these fields of a stored row these values, where the conditions hold; False, and nothing changed, if not.

    The object gets the values as well.
    """
    sql, fields = _update(type(row), tuple(values), tuple(conditions))
    database, every = connections[DEFAULT_DB_ALIAS], (*values.values(), row.pk, *conditions.values())
    prepared = [field.get_db_prep_save(value, database) for field, value in zip(fields, every, strict=True)]
    with cursor() as run:
        run.execute(sql, prepared)
        changed = bool(run.rowcount)
    for name, value in values.items() if changed else ():
        setattr(row, name, value)
    return changed


@lru_cache(maxsize=50)
def _insertion(model: type[Model]) -> tuple[str, list[Field[Any, Any]], bool]:
    """The statement, the fields whose values it takes, and whether it answers the key that the database gives."""
    given = model._meta.auto_field is None
    fields = [field for field in model._meta.concrete_fields if given or not field.primary_key]
    names, values = ", ".join(map(_column, fields)), ", ".join(["%s"] * len(fields))
    returning = "" if given else f" RETURNING {_column(model._meta.pk)}"
    statement = f"INSERT INTO {_quoted(model._meta.db_table)} ({names}) VALUES ({values}){returning}"  # noqa: S608
    return statement, fields, not given


@lru_cache(maxsize=500)
def _update(
    model: type[Model], names: tuple[str, ...], conditions: tuple[str, ...]
) -> tuple[str, list[Field[Any, Any]]]:
    changed, compared = ([_field(model, name) for name in part] for part in (names, ("pk", *conditions)))
    changes, checks = ", ".join(map(_placed, changed)), " AND ".join(map(_placed, compared))
    statement = f"UPDATE {_quoted(model._meta.db_table)} SET {changes} WHERE {checks}"  # noqa: S608 - of columns
    return statement, [*changed, *compared]


def _field(model: type[Model], name: str) -> Any:
    return model._meta.pk if name == "pk" else model._meta.get_field(name)


def _placed(field: Any) -> str:
    return f"{_column(field)} = %s"


def _column(field: Any) -> str:
    return _quoted(field.column)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)

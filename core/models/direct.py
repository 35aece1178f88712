"""How does what every request reads and writes reach the database without its SQL being built anew each time?

Django builds a statement from a queryset each time it runs, which takes several times what running it does (measured by
`tests/bench/gateway`). Here it is built once for each process; what goes in and comes out is converted by the fields.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import (
    BooleanField,
    CharField,
    Field,
    ForeignKey,
    Model,
    PositiveIntegerField,
    PositiveSmallIntegerField,
    QuerySet,
    TextField,
)
from django.db.models.query import get_related_populators
from django.db.models.sql.compiler import SQLCompiler

from core.models import clock
from core.models.grouped import Grouped
from core.models.round_trip import Done, Step, run_all, run_each

M = TypeVar("M", bound=Model)
V = TypeVar("V", bound="str | UUID")

# Rows looked for in one round trip.
MOST_FOUND = 64
NOTHING: Mapping[str, dt.timedelta] = {}


class Finder(Generic[M, V]):
    """A query for the row with one text, or one UUID, with what it selects of other tables and annotates.

    `any_value` is one of that kind that no row has.
    """

    def __init__(self, queryset: Callable[[V], QuerySet[M]], any_value: V) -> None:
        self._queryset = queryset
        self._any = any_value
        self._compiled: _Compiled[M] | None = None
        self._grouped: Grouped[V, M | None] = Grouped(self._find, self.find_all, MOST_FOUND)

    def find(self, value: V) -> M | None:
        """The row with this one; threads that ask at the same moment share the round trip."""
        return self._grouped.do(value)

    def find_all(self, values: Sequence[V]) -> list[M | None]:
        """The row with each of these, in their order; of each an object of its own."""
        compiled = self._compiled = self._compiled or _compiled(self._queryset, self._any)
        asked = list(dict.fromkeys(values))
        found = run_each(compiled.sql, [compiled.given(stored(value)) for value in asked]) if asked else []
        rows = {value: done.found for value, done in zip(asked, found, strict=True)}
        return [compiled.instance(rows[value][0]) if rows[value] else None for value in values]

    def _find(self, value: V) -> M | None:
        return self.find_all([value])[0]


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


def insert(row: Model, ahead: Mapping[str, dt.timedelta] = NOTHING) -> None:
    """Store a new row, as `row.save(force_insert=True)` does; for `ahead` see `insertion`."""
    inserted(row, run_all([insertion(row, ahead)])[0])


def insertion(row: Model, ahead: Mapping[str, dt.timedelta] = NOTHING) -> Step:
    """What stores a new row; `inserted` is to be told when it did.

    The fields named in `ahead` become a moment that lies so far ahead by the database's own clock.
    """
    statement, fields, _ = _insertion(type(row), tuple(ahead))
    database = connections[DEFAULT_DB_ALIAS]
    return Step(
        statement,
        [
            clock.and_seconds(ahead[given.field.name])
            if given.field.name in ahead
            else given.prepared(given.field.pre_save(row, True), database)
            for given in fields
        ],
    )


def inserted(row: Model, done: Done | None = None) -> None:
    """Give the object what the database gave the row; that answered nothing where the row brought its own key."""
    if done is not None and done.found:
        row.pk = done.found[0][0]
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


class Change(NamedTuple):
    """New values for fields of a stored row, where the conditions hold."""

    row: Model
    conditions: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def step(self) -> Step:
        statement, fields = _update(type(self.row), tuple(self.values), tuple(self.conditions))
        database = connections[DEFAULT_DB_ALIAS]
        every = (*self.values.values(), self.row.pk, *self.conditions.values())
        return Step(statement, [given.prepared(value, database) for given, value in zip(fields, every, strict=True)])

    def make(self) -> bool:
        """Change the row and the object; False, and nothing changed, where the conditions do not hold."""
        changed = bool(run_all([self.step])[0].rows)
        if changed:
            self.apply()
        return changed

    def apply(self) -> None:
        """Give the object what the row has."""
        for name, value in self.values.items():
            setattr(self.row, name, value)


@contextmanager
def as_it_was(row: Model) -> Iterator[None]:
    """Where the block fails, and its transaction is undone, the object says again what it said before.

    Whoever does it once more would ask for a row that there never was.
    """
    before = dict(vars(row))
    try:
        yield
    except BaseException:
        vars(row).clear()
        vars(row).update(before)
        raise


class _Given:
    """A field whose values go into a statement."""

    def __init__(self, field: Field[Any, Any]) -> None:
        self.field = field
        # Those that Django hands to both drivers as they are; asking it each time takes longer than the statement.
        self._as_they_are = _AS_THEY_ARE.get(type(field), ())

    def prepared(self, value: Any, database: Any) -> Any:
        as_it_is = value is None or isinstance(value, self._as_they_are)
        return value if as_it_is else self.field.get_db_prep_save(value, database)


_AS_THEY_ARE: Mapping[type[Any], type | tuple[()]] = {
    CharField: str,
    TextField: str,
    BooleanField: bool,
    ForeignKey: int,
    PositiveIntegerField: int,
    PositiveSmallIntegerField: int,
}


@lru_cache(maxsize=50)
def _insertion(model: type[Model], ahead: tuple[str, ...]) -> tuple[str, list[_Given], bool]:
    """The statement, the fields whose values it takes, and whether it answers the key that the database gives."""
    given = model._meta.auto_field is None
    fields = [field for field in model._meta.concrete_fields if given or not field.primary_key]
    names = ", ".join(map(_column, fields))
    values = ", ".join(clock.now_and() if field.name in ahead else "%s" for field in fields)
    returning = "" if given else f" RETURNING {_column(model._meta.pk)}"
    statement = f"INSERT INTO {_quoted(model._meta.db_table)} ({names}) VALUES ({values}){returning}"  # noqa: S608
    return statement, [_Given(field) for field in fields], not given


@lru_cache(maxsize=500)
def _update(model: type[Model], names: tuple[str, ...], conditions: tuple[str, ...]) -> tuple[str, list[_Given]]:
    changed, compared = ([_field(model, name) for name in part] for part in (names, ("pk", *conditions)))
    changes, checks = ", ".join(map(_placed, changed)), " AND ".join(map(_placed, compared))
    statement = f"UPDATE {_quoted(model._meta.db_table)} SET {changes} WHERE {checks}"  # noqa: S608 - of columns
    return statement, [_Given(field) for field in (*changed, *compared)]


def _field(model: type[Model], name: str) -> Any:
    return model._meta.pk if name == "pk" else model._meta.get_field(name)


def _placed(field: Any) -> str:
    return f"{_column(field)} = %s"


def _column(field: Any) -> str:
    return _quoted(field.column)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)

"""Do statements that share a round trip answer what each would, and leave a connection that can be used?"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import DataError, IntegrityError, NotSupportedError, OperationalError, connection, transaction
from psycopg.types.json import Jsonb

from core.models import Call, User
from core.models.round_trip import MOST_BYTES, Step, run_all, run_at_once, run_each
from tests.locks import locks_rows

pytestmark = [locks_rows, pytest.mark.django_db(transaction=True)]

INSERT = "INSERT INTO of_a_test (name) VALUES (%s) RETURNING id"
NAMES = "SELECT name FROM of_a_test ORDER BY id"


@pytest.fixture(autouse=True)
def table(db: None) -> Iterator[None]:
    # No statement may be kept for the table of another test.
    database: Any = connection
    database.close_pool()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE of_a_test (id serial PRIMARY KEY, name text UNIQUE CHECK (name <> ''))")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE of_a_test")


def names() -> list[str]:
    return [name for (name,) in run_all([Step(NAMES, [])])[0].found]


def kept_by_the_server() -> int:
    return int(run_all([Step("SELECT count(*) FROM pg_prepared_statements", [])])[0].found[0][0])


def test_each_answers_its_own() -> None:
    first, second, changed, read = run_all(
        [
            Step(INSERT, ["one"]),
            Step(INSERT, ["two, 100 %"]),
            Step("UPDATE of_a_test SET name = name || %s WHERE name LIKE 'two%%'", ["!"]),
            Step(NAMES, []),
        ]
    )
    assert [each.rows for each in (first, second, changed, read)] == [1, 1, 1, 2]
    assert second.found[0][0] == first.found[0][0] + 1
    assert (changed.found, read.found) == ([], [("one",), ("two, 100 %!",)])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "ünïcode «%s» '\\\""),
        ("text", None),
        ("bigint", 2**60),
        ("boolean", True),
        ("numeric", Decimal("0.0000000001")),
        ("double precision", 0.1),
        ("uuid", uuid.UUID(int=5)),
        ("uuid[]", [uuid.UUID(int=5), uuid.UUID(int=6)]),
        ("timestamptz", dt.datetime(2026, 11, 22, 3, 4, 5, 678901, tzinfo=dt.UTC)),
        ("date", dt.date(2026, 11, 22)),
        ("interval", dt.timedelta(seconds=1.5)),
        ("bytea", b"\x00\xff"),
        ("text", Call.Status.RUNNING),
    ],
)
def test_a_value_comes_back_as_it_went(kind: str, value: object) -> None:
    assert run_all([Step(f"SELECT CAST(%s AS {kind})", [value])])[0].found == [(value,)]


def test_json_comes_back_as_django_reads_it() -> None:
    """As text: the fields of models read it by themselves."""
    found = run_all([Step("SELECT CAST(%s AS jsonb)", [Jsonb({"a": [1, None]})])])[0].found
    assert found == [('{"a": [1, null]}',)]


def test_what_fails_is_told_and_nothing_of_the_trip_stays() -> None:
    for _ in range(3):
        with pytest.raises(IntegrityError, match="unique"):
            run_all([Step(INSERT, ["one"]), Step(INSERT, ["one"]), Step("SELECT 1 / 0", [])])
        with pytest.raises(DataError, match="division by zero"):
            run_all([Step(INSERT, ["two"]), Step("SELECT 1 / 0", []), Step(INSERT, ["one"])])
        assert names() == []


def test_a_transaction_begins_with_its_first_trip_and_can_be_taken_back() -> None:
    with transaction.atomic():
        run_each(INSERT, [["one"], ["two"]])
    with pytest.raises(IntegrityError), transaction.atomic():
        run_each(INSERT, [["three"], ["one"]])
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            run_each(INSERT, [["five"], ["one"]])
        run_each(INSERT, [["six"]])
    assert names() == ["one", "two", "six"]


def test_statements_stay_prepared_also_where_something_was_taken_back() -> None:
    with transaction.atomic():
        names()
        before = kept_by_the_server()
        User.objects.create(username="nobody")
        transaction.set_rollback(True)
    names()
    assert kept_by_the_server() == before


def test_what_the_server_was_told_to_forget_is_prepared_anew() -> None:
    names()
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    with transaction.atomic():
        assert names() == []
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    for _ in range(2):
        assert names() == []


def alter(kind: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE of_a_test ALTER COLUMN name TYPE {kind}")


def test_a_statement_whose_columns_changed_is_prepared_anew_on_the_same_connection() -> None:
    run_each(INSERT, [["one"]])
    names()
    raw = connection.connection
    alter("varchar(20)")
    assert names() == ["one"]
    alter("varchar(30)")
    with transaction.atomic():
        found = run_all([Step(INSERT, ["two"]), Step(NAMES, [])])[1].found
        assert found == [("one",), ("two",)], "what was sent before it is not there twice"
    assert names() == ["one", "two"]
    assert connection.connection is raw


def test_in_a_transaction_with_changes_such_a_statement_fails_once_and_nothing_is_lost_unseen() -> None:
    names()
    alter("varchar(20)")
    with transaction.atomic():
        run_each(INSERT, [["one"]])
        # By which whoever changes something for a call knows that it may try again.
        with pytest.raises(OperationalError, match="cached plan"):
            names()
        transaction.set_rollback(True)
    assert names() == []


def test_what_the_server_does_not_support_is_told_and_not_tried_for_ever() -> None:
    for _ in range(2):
        with pytest.raises(NotSupportedError, match="EXCEPT"):
            run_all([Step("SELECT 1 EXCEPT SELECT 2 FOR UPDATE", [])])
    assert names() == []


def test_nothing_is_kept_where_nothing_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "KEEPS_STATEMENTS", False)
    before = kept_by_the_server()
    run_each(INSERT, [["one"], ["two"]])
    assert names() == ["one", "two"]
    assert kept_by_the_server() == before


def test_a_server_that_goes_away_in_the_middle_leaves_no_half_used_connection() -> None:
    names()
    raw = connection.connection
    with pytest.raises(OperationalError):
        run_all([Step(INSERT, ["one"]), Step("SELECT pg_terminate_backend(pg_backend_pid())", []), Step(NAMES, [])])
    assert raw.closed
    connection.close()
    assert names() == []


def test_whoever_interrupts_it_leaves_no_half_used_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    names()
    raw: psycopg.Connection[Any] = connection.connection

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(raw, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_at_once(raw, [Step(NAMES, [])], keep=True)
    assert raw.closed
    connection.close()


def test_whoever_tries_again_after_that_gets_another_connection() -> None:
    with pytest.raises(OperationalError):
        run_all([Step("SELECT pg_terminate_backend(pg_backend_pid())", []), Step(NAMES, [])])
    assert names() == []


def test_what_fails_at_the_end_of_all_is_told_as_what_it_is() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE of_a_test ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED")
        cursor.execute("ALTER TABLE of_a_test DROP CONSTRAINT of_a_test_name_key")
    raw = connection.connection
    with pytest.raises(IntegrityError, match="late"):
        run_each(INSERT, [["one"], ["one"]])
    assert names() == []
    assert connection.connection is raw


def test_an_error_that_somebody_swallows_does_not_pass_for_a_commit() -> None:
    done: list[str] = []
    with transaction.atomic():
        transaction.on_commit(partial(done.append, "committed"))
        run_each(INSERT, [["one"]])
        with suppress(IntegrityError):
            run_each(INSERT, [["one"]])
    assert (done, names()) == ([], [])


def test_large_values_go_in_pieces_of_one_transaction() -> None:
    many = [[f"{number}" * (MOST_BYTES // 2 + 1)] for number in range(6)]
    sizes = Step("SELECT length(name) FROM of_a_test ORDER BY id", [])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE of_a_test DROP CONSTRAINT of_a_test_name_key")
    with transaction.atomic():
        *inserted, found = run_all([*(Step(INSERT, values) for values in many), sizes])
        assert [each.found[0][0] for each in inserted] == sorted(each.found[0][0] for each in inserted)
        assert [length for (length,) in found.found] == [len(text) for (text,) in many]
        transaction.set_rollback(True)
    assert names() == []


def test_another_statement_has_another_name_on_every_connection() -> None:
    """A pooler that cannot keep them apart then says that it knows no such statement, and runs no other one."""
    named = "SELECT name FROM pg_prepared_statements WHERE statement = %s"
    found = set()
    for statement in ("SELECT 1", "SELECT 2"):
        connection.connection.close()
        connection.close()
        run_all([Step(statement, [])])
        found |= {name for (name,) in run_all([Step(named, [statement])])[0].found}
    assert len(found) == 2


def test_a_percent_sign_before_a_place_for_a_value() -> None:
    run_each(INSERT, [["50 %s"]])
    found = run_all([Step("SELECT name || %s FROM of_a_test WHERE name LIKE '50 %%s'", ["!"])])
    assert found[0].found == [("50 %s!",)]


def test_what_cannot_be_sent_leaves_the_connection_as_it_was() -> None:
    names()
    with pytest.raises(Exception, match="cannot adapt"):
        run_all([Step(INSERT, ["one"]), Step(INSERT, [object()])])
    assert names() == []

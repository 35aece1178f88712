"""Does the pool give out only connections that work, and ask the server only where that cannot be seen?"""

from __future__ import annotations

import select
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg_pool import ConnectionPool

from claudeapp.postgresql.base import LONGEST_REST

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no pool"),
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The connections of which the server was asked, whether they work."""
    seen: list[Any] = []
    check = ConnectionPool.check_connection

    def counted(each: Any) -> None:
        seen.append(each)
        check(each)

    monkeypatch.setattr(ConnectionPool, "check_connection", staticmethod(counted))
    # Other tests may have left several in it, of which any may be the next.
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.ensure_connection()
    seen.clear()
    return seen


def own() -> Any:
    """The driver's connection that is handed out now."""
    connection.ensure_connection()
    return connection.connection


def test_a_connection_that_was_just_used_is_handed_out_unasked(asked: list[Any]) -> None:
    before = own()
    connection.close()

    assert own() is before
    assert asked == []


def test_one_that_rested_is_asked(asked: list[Any]) -> None:
    before = own()
    before.handed_out_at -= LONGEST_REST
    connection.close()

    assert own() is before
    assert asked == [before]


def test_one_that_the_server_closed_is_handed_to_nobody(asked: list[Any]) -> None:
    before = own()
    connection.close()
    with psycopg.connect(before.info.dsn) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [before.info.backend_pid])

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    assert own() is not before
    assert asked[0] is before


def test_none_of_all_those_that_the_server_closed_keeps_anybody_waiting(asked: list[Any]) -> None:
    """The pool by itself gives up before it has looked at all of them."""
    pool = connection.pool  # type: ignore[attr-defined]
    connection.close()
    before = [pool.getconn() for _ in range(pool.max_size)]
    for each in before:
        pool.putconn(each)
    with psycopg.connect(before[0].info.dsn) as other:
        for each in before:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [each.info.backend_pid])

    assert own() not in before
    assert all(each.closed for each in before)


def test_one_to_which_the_server_told_something_is_used_on(asked: list[Any]) -> None:
    before = own()
    before.execute("LISTEN news")
    connection.close()
    with psycopg.connect(before.info.dsn, autocommit=True) as other:
        other.execute("NOTIFY news")
    assert select.select([before.fileno()], [], [], 5)[0], "the news has arrived"

    assert own() is before
    assert asked == [before]
    connection.close()

    assert own() is before
    assert asked == [before], "the news was read"
    before.execute("UNLISTEN *")

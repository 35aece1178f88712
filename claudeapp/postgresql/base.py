"""Does a connection of the pool still work? Mostly that can be seen without asking the server.

Django's pool runs an empty statement before it hands a connection out: one round trip of some twelve that a program's
request takes in all.
"""

from __future__ import annotations

import select
import time
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Error
from psycopg_pool import ConnectionPool

# Seconds without use after which the server is asked: something on the way may have dropped the connection in silence.
LONGEST_REST = 10.0


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but for that check."""

    @property
    def pool(self) -> ConnectionPool[Any] | None:
        pool: ConnectionPool[Any] | None = super().pool
        if pool is not None:
            pool._check = look_at
        return pool


def look_at(connection: Any) -> None:
    """Raise unless the connection works: a server at rest says nothing, of one that is gone its end can be read."""
    now = time.monotonic()
    rested = now - getattr(connection, "handed_out_at", 0.0)
    if rested > LONGEST_REST or _says_something(connection.fileno()):
        _ask(connection)
    connection.handed_out_at = now


def _ask(connection: Any) -> None:
    try:
        ConnectionPool.check_connection(connection)
    except Error:
        _replace_those_closed(connection._pool)
        raise


def _replace_those_closed(pool: Any) -> None:
    """Look at all that rest: after a restart of the server all of them are closed.

    By itself the pool finds that out of one after the other, waiting ever longer in between, and gives up at the sixth.
    Its own `check` asks the server by each, which takes minutes where something on the way has dropped them in silence.
    """
    with pool._lock:
        closed = [each for each in pool._pool if _says_something(each.fileno())]
        for each in closed:
            pool._pool.remove(each)
    for each in closed:
        each.close()
        # As if it came back from somebody: the pool sees that it is closed, and makes another.
        each._pool = pool
        pool.putconn(each)


def _says_something(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))

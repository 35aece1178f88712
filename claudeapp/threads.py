"""How do the threads of the process `api` serve clients that may be slow?"""

from __future__ import annotations

import errno
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from claudeapp import settings
from claudeapp.slow_clients import WATCHDOG, limit_sending


class Unquoting:
    """Reads a body in chunks. One that is in none is as good as broken off; gunicorn's own error would quote it."""

    def __init__(self, reader: ChunkedReader) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        try:
            read: bytes = self._reader.read(size)
        except ParseException as error:
            raise ConnectionResetError(errno.ECONNRESET, type(error).__name__) from None
        return read


class PatientThreads(ThreadWorker):  # type: ignore[misc]
    """gunicorn's own worker, whose threads wait for a client's headers, and for it to read, no longer than set.

    It hands a connection on which nothing comes back to its poller, but one on which a byte comes now and then keeps a
    thread for as long as it likes.
    """

    def handle(self, conn: Any) -> Any:
        limit_sending(conn.sock, settings.CLIENT_PATIENCE)
        conn.watched = WATCHDOG.begin(conn.sock, settings.CLIENT_PATIENCE)
        try:
            return super().handle(conn)
        finally:
            WATCHDOG.end(conn.watched)

    def handle_request(self, req: Any, conn: Any) -> Any:
        # The headers are here; the body is watched while it is read.
        WATCHDOG.end(conn.watched)
        if isinstance(req.body.reader, ChunkedReader):
            req.body.reader = Unquoting(req.body.reader)
        return super().handle_request(req, conn)

"""How does a running call show that its process is alive?"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import uuid
from collections.abc import Iterator

from django.conf import settings
from django.db import connection

from core.hints.per_process import PerProcess
from core.models import Call

log = logging.getLogger(__name__)


def lease_time() -> dt.timedelta:
    return dt.timedelta(seconds=settings.CALL_LEASE)


@contextlib.contextmanager
def kept(call: Call) -> Iterator[None]:
    """Renew the call's lease until the block ends.

    Claude may think for minutes without a sign, so the reader of the answer cannot do it; one thread does it for all
    calls of this process.
    """
    renewer = _renewer.get()
    # The call forgets its token when it gives the lease up.
    token = call.lease_token
    renewer.add(call.pk, token)
    try:
        yield
    finally:
        renewer.remove(call.pk, token)


def held_here() -> dict[uuid.UUID, str]:
    """The calls that run in this process, each with its lease's token."""
    return _renewer.get().held()


class _Renewer:
    """Renews the leases of all running calls of a process by one statement, three times in a lease."""

    def __init__(self) -> None:
        self._tokens: dict[uuid.UUID, str] = {}
        self._changing = threading.Lock()
        self._wake = threading.Event()
        # Without calls it sleeps until there is one. Calls come and go many times between two beats, and are not to
        # wake it each time.
        self._asleep = False
        self._beat = 0.0
        threading.Thread(target=self._run, name="leases", daemon=True).start()

    def add(self, call_id: uuid.UUID, token: str) -> None:
        with self._changing:
            self._tokens[call_id] = token
            if self._asleep or _beat() < self._beat:
                self._wake.set()

    def remove(self, call_id: uuid.UUID, token: str) -> None:
        with self._changing:
            if self._tokens.get(call_id) == token:
                del self._tokens[call_id]

    def held(self) -> dict[uuid.UUID, str]:
        with self._changing:
            return dict(self._tokens)

    def _run(self) -> None:
        while True:
            with self._changing:
                self._beat, self._asleep = _beat(), not self._tokens
                self._wake.clear()
            woken = self._wake.wait(None if self._asleep else self._beat)
            if not woken:
                self._renew()

    def _renew(self) -> None:
        held = self.held()
        if not held:
            return
        try:
            Call.objects.held(held).renew(lease_time())
        except Exception:
            # The database may be back before the leases run out; if it is not, the settlements find out. Whatever it
            # was, this thread must not end: nobody else would renew anything.
            log.exception("could not renew the leases of %s calls", len(held))
        finally:
            connection.close()


def _beat() -> float:
    return float(settings.CALL_LEASE) / 3


_renewer = PerProcess(_Renewer)

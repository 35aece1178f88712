"""How does a running call show that its process is alive?"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import uuid
from collections.abc import Iterator

from django.conf import settings
from django.db import DatabaseError, connection

from core.models import Call

log = logging.getLogger(__name__)


def lease_time() -> dt.timedelta:
    return dt.timedelta(seconds=settings.CALL_LEASE)


@contextlib.contextmanager
def kept(call: Call) -> Iterator[None]:
    """Renew the call's lease from a thread of its own until the block ends.

    Claude may think for minutes without a sign, so the reader of the answer cannot do it.
    """
    over = threading.Event()
    beat = settings.CALL_LEASE / 3
    thread = threading.Thread(target=_renew, args=(call.pk, call.lease_token, beat, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew(call_id: uuid.UUID, token: str, beat: float, over: threading.Event) -> None:
    holder = Call(pk=call_id, lease_token=token)
    while not over.wait(beat):
        try:
            if not holder.renew(lease_time()):
                return
        except DatabaseError:
            # The database may be back before the lease runs out; if it is not, the settlement finds out.
            log.warning("could not renew the lease of call %s", call_id, exc_info=True)
        finally:
            connection.close()

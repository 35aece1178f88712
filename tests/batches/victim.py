"""A process that works on batches and dies at a chosen step: `python -m tests.batches.victim STEP`.

It has an ear on its SQL, which is where the steps can be told apart, and kills itself with SIGKILL.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import django

# Words of the statement that a step is known by, how often it has come by then, and whether it dies before or after it.
STEPS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "written down in part": (("INSERT INTO core_batchrow",), 2, "before"),
    "reserved and not started": (("UPDATE core_batch ", "started_at"), 1, "before"),
    "started": (("UPDATE core_batch ", "started_at"), 1, "committed"),
    "rows marked in part": (("UPDATE core_call SET status = 'running'",), 2, "before"),
    "rows marked": (("UPDATE core_batchpart", "sending_at"), 1, "before"),
    "noted as sending": (("UPDATE core_batchpart", "sending_at"), 1, "after"),
    "sent and not saved": (("UPDATE core_batchpart", "provider_id ="), 1, "before"),
    "rows ended and not booked": (("INSERT INTO core_costrecord",), 2, "before"),
    "booked and not settled": (("UPDATE core_budgetwindow",), 2, "before"),
    "collected in part": (("UPDATE core_call SET status = ", "finished_at"), 2, "before"),
    "all collected": (("UPDATE core_batchpart", "DONE"), 1, "before"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def listener(step: str) -> Callable[..., Any]:
    words, which, when = STEPS[step]
    seen = count(1)

    def listen(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        from django.db import transaction

        text = f"{sql} {params}".replace('"', "")
        if not all(word in text for word in words) or next(seen) != which:
            return execute(sql, params, many, context)
        if when == "before":
            die()
        result = execute(sql, params, many, context)
        if when == "committed":
            transaction.on_commit(die)
        else:
            die()
        return result

    return listen


def main(step: str, texts: list[str]) -> None:
    django.setup()
    from django.db import connection

    from core.batches import clock, collect, ending, send
    from core.batches import start as starting
    from core.models import Batch, Key
    from tests.batches.rows import rows

    for module in (starting, send, ending, collect):
        setattr(module, "CHUNK", 2)  # noqa: B010 - the modules have no common type
    send.FIRST_LOOK = dt.timedelta()
    connection.execute_wrappers.append(listener(step))
    if texts:
        key = Key.objects.get()
        starting.start(Batch(user=key.user, key=key), rows(*texts))
    clock.tend()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

"""A real worker that dies at a chosen step: `python -m tests.crash.worker STEP`.

It is `manage.py rqworker calls --burst` with an ear on its SQL, which is where the steps of a call can be told apart.
At its step the worker kills itself with SIGKILL: nothing is tidied up. At a step that no statement marks, it says so
instead, and the test kills it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

Execute = Callable[..., Any]
# Words of the statement that a step is known by.
CLAIMED = ('UPDATE "core_call"', '"reason"')
SETTLING = ('UPDATE "core_call"', '"stop_reason"')
BOOKING = ('INSERT INTO "core_costrecord"',)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(execute: Execute, *arguments: Any) -> Any:
    die()


def after(execute: Execute, *arguments: Any) -> Any:
    execute(*arguments)
    die()


def once_committed(execute: Execute, *arguments: Any) -> Any:
    from django.db import transaction

    result = execute(*arguments)
    transaction.on_commit(die)
    return result


def tell(execute: Execute, *arguments: Any) -> Any:
    result = execute(*arguments)
    print("here", flush=True)  # noqa: T201 - the test reads it
    return result


STEPS: dict[str, tuple[tuple[str, ...], Execute]] = {
    "claimed": (CLAIMED, before),
    "noted as sent": (CLAIMED, after),
    "sent": (CLAIMED, tell),
    "answered": (SETTLING, before),
    "ended and not booked": (BOOKING, before),
    "booked and not committed": (BOOKING, after),
    "settled": (BOOKING, once_committed),
}


def main(step: str) -> None:
    django.setup()
    from django.core.management import call_command
    from django.db.backends.signals import connection_created

    words, act = STEPS[step]

    def listen(execute: Execute, sql: str, params: Any, many: bool, context: Any) -> Any:
        chosen = all(word in sql for word in words)
        return act(execute, sql, params, many, context) if chosen else execute(sql, params, many, context)

    def follow(connection: Any, **_: Any) -> None:
        if listen not in connection.execute_wrappers:
            connection.execute_wrappers.append(listen)

    # Each call runs in a thread with a connection of its own.
    connection_created.connect(follow, weak=False)
    call_command("rqworker", "calls", burst=True, verbosity=0)


if __name__ == "__main__":
    main(sys.argv[1])

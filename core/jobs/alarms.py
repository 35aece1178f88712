"""Who is told, and once only, that calls were given up or that regular work stays behind?

Every worker looks, and so does the clock, for either may be what has stopped. What was told last is in the database.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import threading

from django.conf import settings
from django.core.mail import send_mail
from django.db import Error, connection
from django.utils import timezone

from core.jobs.lateness import troubled
from core.models import Alarm, Call, User

log = logging.getLogger(__name__)

# Seconds between two looks of a worker.
LOOK_EVERY = 60.0
LETTERS, TASKS_LATE = "dead letters", "regular tasks"


def look_out() -> str:
    """Look at both, and tell people what is new; answers in words what was told."""
    told = [subject for subject, look in ((LETTERS, _letters), (TASKS_LATE, _tasks)) if look()]
    return f"told of {' and '.join(told)}" if told else "nothing new"


def is_news(subject: str, size: int, step: int) -> bool:
    """Whether people are to be told that something has grown to `size`: of its first, and then once for each step.

    Not again within the quiet time, whatever happens; what shrinks is noted in silence. Of several who ask at once,
    one hears True.
    """
    row = Alarm.objects.filter(pk=subject).first() or Alarm(subject=subject)
    if size < row.size:
        Alarm.change(subject, row.size, size, None)
        return False
    grown = size > 0 if row.size == 0 else size >= row.size + step
    now = timezone.now()
    quiet = row.told_at is not None and now - row.told_at < dt.timedelta(minutes=settings.ALERT_QUIET_MINUTES)
    return grown and not quiet and Alarm.change(subject, row.size, size, now)


def _letters() -> bool:
    number = Call.objects.letters().count()
    if not is_news(LETTERS, number, settings.DEAD_LETTER_STEP):
        return False
    are = "call of the queue is" if number == 1 else "calls of the queue are"
    _tell(
        f"{number} {are} given up",
        f"{number} {are} given up: tried as often as may be, without an answer, and nobody has dealt with it yet.\n\n"
        "In the admin, «Given up» lists them by error, and runs them again or dismisses them.",
    )
    return True


def _tasks() -> bool:
    found = troubled()
    if not is_news(TASKS_LATE, len(found), 1):
        return False
    sentences = "\n".join(stand.trouble for stand in found)
    _tell(
        "Regular work of claudeapp is late or fails",
        f"{sentences}\n\nIf all of it is late, the processes `cron` or `housekeeper` are down. In the admin, "
        "«Operations» shows each task and can start it.",
    )
    return True


def _tell(subject: str, text: str) -> None:
    log.warning("alarm: %s", subject)
    try:
        send_mail(subject, f"{text}\n", None, settings.ALERT_TO or _those_who_can_act())
    except OSError as error:
        # The pages in the admin say the same.
        log.warning("nobody could be told that %s: %s", subject, error)


def _those_who_can_act() -> list[str]:
    people = User.objects.with_perm("core.rerun_call").filter(is_active=True, demo=False).exclude(email="")
    return [person.email for person in people if person.has_perm("core.view_queues")]


class Lookout(threading.Thread):
    """Looks once a minute until `over` is set; a mail server may take its time, so nothing else waits for this."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__(name="lookout", daemon=True)
        self._over = over

    def run(self) -> None:
        # Workers that started together need not look together.
        wait = random.uniform(0.2, 1) * LOOK_EVERY
        while not self._over.wait(wait):
            wait = LOOK_EVERY
            try:
                look_out()
            except Error as error:
                log.warning("nobody looks out while the database is away: %s", error)
            except Exception:
                log.exception("looking out for trouble")
            finally:
                connection.close()

"""Who is told, and once only, that calls were given up, that batches want a decision or that regular work stays behind?

Every worker looks, and so does the clock, for either may be what has stopped. What was told last is in the database.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.mail import send_mail
from django.db import Error, connection
from django.utils import timezone

from core.jobs.lateness import TaskStand, task_stands
from core.models import Alarm, Batch, Call, User

log = logging.getLogger(__name__)

# Seconds between two looks of a worker.
LOOK_EVERY = 60.0
# Longer than an e-mail takes to be sent, so that nobody else sends it meanwhile.
SENDING = dt.timedelta(minutes=1)
LETTERS, TASKS_LATE, ASKING = "dead letters", "regular tasks", "batches that ask"


@dataclass(frozen=True)
class Sight:
    """How much there is now to tell people of. Both functions take what they were told last."""

    subject: str
    size: int
    # What of it is still so, and whether more is worth an e-mail.
    still: Callable[[int], int]
    grown: Callable[[int], bool]
    title: str
    text: str


def look_out() -> str:
    """Look at all of it, and tell people what is new; answers in words what was told."""
    asking = Batch.objects.asking().count()
    seen = (of_letters(Call.objects.letters().count()), of_tasks(task_stands()), of_asking(asking))
    return "; ".join(words for sight in seen if (words := tell_once(sight))) or "nothing new"


def tell_once(sight: Sight) -> str:
    """Tell people of what has grown, and answer so in words; empty where there is nothing to tell.

    Not again within the quiet time, whatever happens; what shrinks is noted in silence. Of several who ask at once, one
    tells. Where the e-mail cannot be sent, the next look tries again; where whoever sends it dies, one after the quiet
    time does.
    """
    row, now = Alarm.of(sight.subject), timezone.now()
    known = sight.still(row.size)
    if not sight.grown(known) or _quiet(row, now):
        if known != row.size:
            row.change(known)
        return ""
    # How much they know stays what it was until it is sent: should this process die before, another one tells them.
    if not row.change(known, now):
        return ""
    if _tell(sight.title, sight.text):
        row.mark_told(sight.size, now)
        return f"told of {sight.subject}"
    row.put_back(now)
    return f"could not tell of {sight.subject}"


def _quiet(row: Alarm, now: dt.datetime) -> bool:
    """Whether there was an e-mail a while ago; one of a day to come is of a clock that went wrong."""
    quiet = max(SENDING, dt.timedelta(minutes=settings.ALERT_QUIET_MINUTES))
    return row.told_at is not None and abs(now - row.told_at) < quiet


def of_letters(number: int) -> Sight:
    """Of the first, and then once for each step."""
    are = "call of the queue is" if number == 1 else "calls of the queue are"
    return Sight(
        LETTERS,
        number,
        lambda told: min(told, number),
        lambda told: number >= told + (settings.DEAD_LETTER_STEP if told else 1),
        f"{number} {are} given up",
        f"{number} {are} given up: tried as often as may be, without an answer, and nobody has dealt with it yet.\n\n"
        "In the admin, «Given up» lists them by error, and runs them again or dismisses them.",
    )


def of_asking(number: int) -> Sight:
    """Of each more."""
    title = asking_words(number)
    return Sight(
        ASKING,
        number,
        lambda told: min(told, number),
        lambda told: number > told,
        title,
        f"{title}: nobody can tell whether Claude has some of the rows, so nothing more of them is sent or read "
        "until somebody has looked.\n\nIn the admin, «Batches» lists them by the state «Waits for a person's "
        "decision»; the page of each says how to decide.",
    )


def asking_words(number: int) -> str:
    return f"{number} {'batch waits' if number == 1 else 'batches wait'} for a person's decision"


def of_tasks(stands: Sequence[TaskStand]) -> Sight:
    """Of each task once, until it has recovered: which ones they are is kept, as a bit for each place in their list."""
    which = sum(1 << place for place, stand in enumerate(stands) if stand.trouble)
    sentences = "\n".join(stand.trouble for stand in stands if stand.trouble)
    return Sight(
        TASKS_LATE,
        which,
        lambda told: told & which,
        lambda told: bool(which & ~told),
        "Regular work of claudeapp is late or fails",
        f"{sentences}\n\nIf all of it is late, the processes `cron` or `housekeeper` are down. In the admin, "
        "«Operations» shows each task and can start it.",
    )


def _tell(subject: str, text: str) -> bool:
    log.warning("alarm: %s", subject)
    try:
        send_mail(subject, f"{text}\n", None, settings.ALERT_TO or _those_who_can_act())
    except OSError as error:
        # The pages in the admin say the same.
        log.warning("nobody could be told that %s: %s", subject, error)
        return False
    return True


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

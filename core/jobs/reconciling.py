"""Which days are compared with the provider's report by the clock, and who is told of what was found?"""

from __future__ import annotations

import datetime as dt
import logging

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import QuerySet
from django.utils import timezone

from core.costs.reconciliation import differences, reconcile
from core.models import Alarm, Reconciliation, User

log = logging.getLogger(__name__)

# Yesterday, and the day before once more: the provider's report comes late.
DAYS_BACK = (2, 1)


class UntoldError(Exception):
    """A difference of which nobody could be told."""


def reconcile_recent() -> str:
    """Compare the last days (in UTC), and tell people of what is new.

    Raises `UntoldError` where the e-mail could not be sent, so that the task is tried again before the next day.
    """
    days = [timezone.now().date() - dt.timedelta(days=back) for back in DAYS_BACK]
    said = "; ".join([_reconcile_and_tell(day) for day in days])
    if _untold(*days).exists():
        raise UntoldError(f"Nobody could be told, for the mail server is away. {said}")
    return said


def _reconcile_and_tell(day: dt.date) -> str:
    made = reconcile(day)
    found = summary(made)
    log.log(logging.WARNING if found else logging.INFO, "reconciliation of %s: %s", day, found or "all matched")
    if not found:
        _untold(day).delete()
    elif _is_news(made) or _untold(day).exists():
        _tell(made, found)
    return f"{day}: {found or 'all matched'}"


def summary(made: Reconciliation) -> str:
    """What was found, a line for each model; empty where all is well."""
    if made.error:
        return f"it could not be done: {made.error}"
    return "\n".join(
        f"{line.model}: {line.get_verdict_display()} (ours {_usd(line.ours)}, theirs {_usd(line.theirs)})"
        for line in differences(made)
    )


def _usd(amount: object) -> str:
    return "none" if amount is None else f"{amount} USD"


def _is_news(made: Reconciliation) -> bool:
    """Whether nobody has been told yet: of a difference for its day, of an error since it first came."""
    earlier = Reconciliation.objects.filter(pk__lt=made.pk).order_by("-pk")
    last = earlier.first() if made.error else earlier.filter(day=made.day).first()
    return last is None or summary(last) != summary(made)


def _untold(*days: dt.date) -> QuerySet[Alarm]:
    """Notes of days whose e-mail is yet to be sent."""
    return Alarm.objects.filter(pk__in=[_note_of(day) for day in days])


def _note_of(day: dt.date) -> str:
    return f"untold difference of {day}"


def _tell(made: Reconciliation, found: str) -> None:
    people = settings.RECONCILE_ALERT_TO or _those_who_can_act()
    subject = f"Claude's cost report of {made.day} and our ledger differ"
    if made.error:
        subject = f"Our ledger could not be compared with Claude's cost report of {made.day}"
    text = f"{found}\n\nIn the admin, «Reconciliation» shows the amounts and the records behind them.\n"
    Alarm.of(_note_of(made.day))
    try:
        send_mail(subject, text, None, people)
    except OSError as error:
        # The page in the admin says the same.
        log.warning("nobody could be told of the reconciliation of %s: %s", made.day, error)
    else:
        _untold(made.day).delete()


def _those_who_can_act() -> list[str]:
    people = User.objects.with_perm("core.correct_cost").filter(is_active=True, demo=False).exclude(email="")
    return [person.email for person in people if person.has_perm("core.view_spend")]

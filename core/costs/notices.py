"""Who is told that a budget is being used up, and when?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.hints.aside import aside
from core.models import BudgetNotice, User

HUNDRED = Decimal(100)


def notice(window_id: int, thresholds: Iterable[int], before: Decimal, spent: Decimal, limit: Decimal) -> None:
    """Tell each threshold, in percent, that lies between what the window had spent `before` and now, once.

    The caller has just changed the window's row, and holds it. What is reserved does not count here: most of it comes
    back.
    """
    for percent in thresholds:
        if before < limit * percent / HUNDRED <= spent:
            _tell_once(window_id, percent)


def shown_to(user: User) -> QuerySet[BudgetNotice]:
    """What a banner tells `user` until the window ends: of the budgets they own, or of all with leave to decide."""
    today = timezone.localdate()
    notices = BudgetNotice.objects.filter(window__budget__active=True).exclude(window__last_day__lt=today)
    if not user.has_perm("core.decide_any_budget"):
        notices = notices.filter(window__budget__owner=user)
    return notices.select_related("window__budget").order_by("window", "-percent")


def _tell_once(window_id: int, percent: int) -> None:
    row, fresh = BudgetNotice.objects.get_or_create(window_id=window_id, percent=percent)
    if fresh:
        mail_after_commit(partial(_letter, row.pk))


class Letter(NamedTuple):
    """A short e-mail."""

    to: User
    subject: str
    text: str


def mail_after_commit(write: Callable[[], Letter]) -> None:
    """Send an e-mail once it is certain that what it tells has happened.

    Nobody waits for the mail server, which may take its time, and one that fails is logged and harms nobody.
    """

    # Django's own `robust` cannot name a partial function, and fails.
    def send() -> None:
        letter = write()
        aside(partial(mail, *letter), f"e-mail «{letter.subject}»")

    transaction.on_commit(send, robust=True)


def _letter(pk: int) -> Letter:
    row = BudgetNotice.objects.select_related("window__budget__owner").get(pk=pk)
    window, budget = row.window, row.window.budget
    until = f", until {window.last_day}" if window.last_day else ""
    refuses = "It refuses what would pass its limit." if budget.hard else "It only tells; spending goes on."
    return Letter(
        budget.owner,
        f"{row.percent} % of the budget «{budget}» is spent",
        f"{window.spent:.2f} of {window.limit:.2f} USD are spent (since {window.first_day}{until}). {refuses}",
    )


def mail(to: User, subject: str, text: str) -> None:
    """A short e-mail, where the person has an address. Raises what the mail server's connection raises."""
    if to.email:
        send_mail(subject, text + "\n", settings.DEFAULT_FROM_EMAIL, [to.email])

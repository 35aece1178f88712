"""How does a program get a key without the administration?"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core.intake.keys import make_key
from core.models import Key, User
from core.models.fields import SMALLEST

MOST = Decimal(1_000_000)
MOST_DAYS = 36_500
# What the command ends with where it makes no key.
WRONG_VALUE, NO_SUCH_USER = 2, 3


class Command(BaseCommand):
    """`KEY=$(manage.py create_key nightly-report --user maya --budget 20 | tail -n 1)`.

    Ends with 0 and a key, 2 where a value makes no sense, 3 where nobody of that name may sign in.
    """

    help = "Makes a key for the gateway and prints it once, alone on the last line. Nobody can show it again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="by which people know the program")
        parser.add_argument("--user", required=True, metavar="USER", help="whose user name it works under")
        parser.add_argument(
            "--budget", metavar="USD", help="what it may spend each month; otherwise its owner's budgets"
        )
        parser.add_argument("--expires", metavar="DAYS", help="after how many days it stops; otherwise never")

    def handle(self, *_args: Any, **options: Any) -> None:
        name, budget, expires_at = _name(options["name"]), _budget(options["budget"]), _expiry(options["expires"])
        key, text = make_key(name, _user(options["user"]), by=None, budget=budget, expires_at=expires_at)
        allowed = f", {budget:,f} USD a month" if budget else ""
        until = f", until {timezone.localtime(expires_at):%Y-%m-%d %H:%M}" if expires_at else ""
        self.stdout.write(f"Key «{key}» of {key.user}{allowed}{until}. It is shown this once:")
        self.stdout.write(text)


def _name(raw: str) -> str:
    longest = Key._meta.get_field("name").max_length or 0
    if not raw.strip() or len(raw) > longest or not raw.isprintable():
        raise CommandError(f"NAME must be a text of 1 to {longest} characters.", returncode=WRONG_VALUE)
    return raw.strip()


def _user(username: str) -> User:
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"Nobody who may sign in has the user name «{username}».", returncode=NO_SUCH_USER)
    return user


def _budget(raw: str | None) -> Decimal | None:
    if raw is None:
        return None
    try:
        amount = Decimal(raw)
        fits = 0 < amount <= MOST and amount == amount.quantize(SMALLEST)
    except InvalidOperation:
        fits = False
    if not fits:
        raise CommandError(f"--budget must be an amount in USD such as 12.50, up to {MOST:,}.", returncode=WRONG_VALUE)
    return amount


def _expiry(raw: str | None) -> dt.datetime | None:
    if raw is None:
        return None
    if not (raw.isascii() and raw.isdigit() and 1 <= int(raw[:9]) <= MOST_DAYS):
        raise CommandError(f"--expires must be a number of days from 1 to {MOST_DAYS:,}.", returncode=WRONG_VALUE)
    return timezone.now() + dt.timedelta(days=int(raw))

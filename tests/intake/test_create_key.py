"""Does the command make a key that works, and say what is wrong where it makes none?"""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from core.intake.keys import opened_by
from core.models import Budget, Key, User


def printed(*arguments: str) -> list[str]:
    out = io.StringIO()
    call_command("create_key", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_the_key_stands_alone_on_the_last_line(member: User) -> None:
    key = opened_by(printed("Nightly report", "--user", "member")[-1])
    assert key is not None
    assert (key.name, key.user, key.expires_at) == ("Nightly report", member, None)
    assert not Budget.objects.exists()


def test_it_may_have_a_budget_a_month_and_an_end(member: User) -> None:
    key = opened_by(printed("Nightly report", "--user", "member", "--budget", "12.50", "--expires", "30")[-1])
    assert key is not None
    assert key.expires_at is not None
    assert dt.timedelta(days=29) < key.expires_at - timezone.now() <= dt.timedelta(days=30)
    budget = Budget.objects.get(key=key)
    assert (budget.scope, budget.period, budget.amount, budget.owner) == ("key", "month", Decimal("12.5"), member)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["k", "--user", "nobody"], 3),
        (["k", "--user", "away"], 3),
        ([" ", "--user", "member"], 2),
        (["k" * 121, "--user", "member"], 2),
        (["k\n", "--user", "member"], 2),
        *((["k", "--user", "member", "--budget", wrong], 2)
          for wrong in ("0", "-1", "NaN", "Infinity", "1e9", "much", "1.00000000001", "")),
        *((["k", "--user", "member", "--expires", wrong], 2)
          for wrong in ("0", "-1", "1.5", "soon", "99999999999", "")),
    ],
)  # fmt: skip
def test_what_makes_no_key_ends_with_a_status_and_makes_nothing(
    arguments: list[str], status: int, member: User, outsider: User
) -> None:
    User.objects.filter(pk=outsider.pk).update(username="away", is_active=False)
    with pytest.raises(CommandError) as refused:
        printed(*[f"{one}" for one in arguments])
    assert refused.value.returncode == status
    assert not Key.objects.exists()
    assert not Budget.objects.exists()

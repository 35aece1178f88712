"""When does a spend limit end?"""

from __future__ import annotations

import datetime as dt

import pytest

from core.claude.errors import SOONEST_END, end_of_limit

NOW = dt.datetime(2026, 12, 20, 9, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("said", "until"),
    [
        (
            "You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC.",
            (1, 1),
        ),
        ("… You will regain access on 2026-12-24 at 06:30 UTC.", (12, 24)),
        ("… You will regain access on first day of next month at 00:00 UTC.", (1, 1)),
        ("… on 2026-13-45 …", (1, 1)),
        ("", (1, 1)),
    ],
)
def test_the_day_that_is_named_or_the_first_of_the_next_month(said: str, until: tuple[int, int]) -> None:
    found = end_of_limit(said, NOW)

    assert (found.month, found.day) == until
    assert found > NOW


def test_a_day_that_has_passed_is_soon_and_not_at_once() -> None:
    """The limit holds all the same, or this clock is ahead: asked at once, it would be asked each second."""
    assert end_of_limit("You will regain access on 2026-12-01 at 00:00 UTC", NOW) == NOW + SOONEST_END

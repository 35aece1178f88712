"""Does a key open the door exactly while it should?"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.intake.keys import RevokedError, make_key, opened_by, revoke, rotate
from core.models import Budget, Key, KeySecret, User

Made = tuple[Key, str]
HOUR = dt.timedelta(hours=1)


def let_pass(key: Key, time: dt.timedelta) -> None:
    """As if `time` had passed since the key was made and rotated."""
    for secret in key.secrets.exclude(expires_at=None):
        assert secret.expires_at is not None
        KeySecret.objects.filter(pk=secret.pk).update(expires_at=secret.expires_at - time)


def test_what_a_program_was_given_opens_the_door(made: Made) -> None:
    key, text = made
    assert opened_by(text) == key


def test_only_the_digest_of_a_key_is_stored(made: Made) -> None:
    key, text = made
    stored = " ".join(str(value) for value in KeySecret.objects.filter(key=key).values_list().get())
    assert text not in stored
    assert text[:11] in stored


def _revoke(key: Key) -> None:
    assert revoke(key)


def _expire(key: Key) -> None:
    Key.objects.filter(pk=key.pk).update(expires_at=timezone.now())


def _send_away(key: Key) -> None:
    User.objects.filter(pk=key.user_id).update(is_active=False)


def _rotate_twice(key: Key) -> None:
    rotate(key, dt.timedelta(), by=None)


@pytest.mark.parametrize("close", [_revoke, _expire, _send_away, _rotate_twice])
def test_a_closed_key_opens_nothing_and_costs_one_query_like_an_unknown_one(
    made: Made, close: Callable[[Key], None], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    key, text = made
    close(key)
    with django_assert_num_queries(1):
        assert opened_by(text) is None
    assert Key.objects.get(pk=key.pk).last_used_at is None
    # Not even its row is read, which would take longer than where there is none.
    assert KeySecret.objects.find(text) is None


@pytest.mark.parametrize("sent", ["", "ca-", "ca-" + "x" * 43, "x" * 100_000, "\x00", "\udcff", "ключ", " "])
def test_anything_else_opens_nothing_and_costs_one_query(
    made: Made, sent: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert opened_by(sent) is None


def test_a_key_is_found_by_an_index(made: Made) -> None:
    found = KeySecret.objects.filter(digest="x" * 64).explain()
    assert "index" in found.lower() or connection.vendor == "postgresql"


def test_the_last_use_is_noted_once_a_minute(made: Made, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    key, text = made
    opened_by(text)
    first = Key.objects.get(pk=key.pk).last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        opened_by(text)
    Key.objects.filter(pk=key.pk).update(last_used_at=first - dt.timedelta(seconds=61))
    opened_by(text)
    later = Key.objects.get(pk=key.pk).last_used_at
    assert later is not None
    assert later >= first


@pytest.mark.django_db(transaction=True)
def test_a_use_that_cannot_be_noted_fails_no_request(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if sql.startswith("UPDATE"):
            raise DatabaseError("disk full")
        return execute(sql, *rest)

    key, text = made
    with caplog.at_level(logging.WARNING), connection.execute_wrapper(refuse):
        assert opened_by(text) == key
    assert "could not be noted" in caplog.text
    assert text not in caplog.text


def test_a_rotated_key_has_two_texts_for_the_overlap_and_then_one(made: Made, administrator: User) -> None:
    key, old = made
    new = rotate(key, HOUR, by=administrator)
    assert opened_by(old) == opened_by(new) == key
    let_pass(key, HOUR)
    assert opened_by(old) is None
    assert opened_by(new) == key
    assert key.secrets.get(expires_at=None).created_by == administrator


def test_rotating_again_never_prolongs_an_older_text(made: Made) -> None:
    key, oldest = made
    rotate(key, HOUR, by=None)
    rotate(key, 24 * HOUR, by=None)
    let_pass(key, HOUR)
    assert opened_by(oldest) is None


def test_a_revoked_key_is_revoked_with_all_its_texts_and_for_good(made: Made) -> None:
    key, old = made
    new = rotate(key, HOUR, by=None)
    assert revoke(key)
    assert not revoke(key)
    assert opened_by(old) is opened_by(new) is None
    with pytest.raises(RevokedError):
        rotate(Key.objects.get(pk=key.pk), HOUR, by=None)


def test_a_key_may_come_with_a_monthly_budget(member: User, administrator: User) -> None:
    key, _ = make_key("Nightly report", member, by=administrator, budget=Decimal("12.5"))
    budget = Budget.objects.get(key=key)
    assert (budget.amount, budget.period, budget.owner, budget.hard) == (Decimal("12.5"), "month", administrator, True)

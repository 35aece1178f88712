"""Is the end of a table told at least once, by one process at a time, and not for ever?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from core.bulk.telling import LEASE, tell_people
from core.jobs import batches as jobs
from core.models import Batch, BulkRun
from core.models.batches import MOST_TELLINGS
from tests import environment
from tests.bulk.conftest import started

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(page: Client, upload: Callable[..., BulkRun]) -> Batch:
    """One that has just ended, and nobody was told of."""
    found = started(page, upload()).batch
    assert found is not None
    Batch.objects.update(status="ended", ended_at=timezone.now())
    found.refresh_from_db()
    return found


@pytest.fixture
def no_mail_server(settings: Settings) -> Settings:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", environment.free_port()
    return settings


def wait_is_over() -> None:
    Batch.objects.update(telling_until=timezone.now() - dt.timedelta(seconds=1))


def test_one_that_could_not_be_sent_is_sent_when_the_mail_server_is_back(
    batch: Batch, no_mail_server: Settings, mailoutbox: list[EmailMessage]
) -> None:
    assert tell_people() == 0
    assert tell_people() == 0
    batch.refresh_from_db()
    assert (batch.told_at, batch.tellings) == (None, 1)
    no_mail_server.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert tell_people() == 0
    wait_is_over()
    assert tell_people() == 1
    wait_is_over()
    assert tell_people() == 0
    assert len(mailoutbox) == 1


def test_one_whose_sender_died_is_sent_by_another_once_its_lease_is_over(
    batch: Batch, mailoutbox: list[EmailMessage]
) -> None:
    assert Batch.objects.claim_telling(batch.pk, LEASE) is not None
    assert tell_people() == 0
    wait_is_over()
    assert tell_people() == 1
    assert len(mailoutbox) == 1


def test_who_lost_it_to_another_neither_notes_it_nor_puts_it_off(batch: Batch) -> None:
    late = Batch.objects.claim_telling(batch.pk, LEASE)
    wait_is_over()
    mine = Batch.objects.claim_telling(batch.pk, LEASE)
    assert late is not None
    assert mine is not None
    assert not late.mark_told()
    assert not late.put_off_telling(dt.timedelta())
    assert mine.mark_told()


def test_it_is_given_up_after_a_while_and_waits_ever_longer(batch: Batch, no_mail_server: Settings) -> None:
    waits = []
    for _ in range(MOST_TELLINGS + 2):
        began = timezone.now()
        tell_people()
        batch.refresh_from_db()
        assert batch.telling_until is not None
        waits.append(round((batch.telling_until - began).total_seconds() / 60))
        wait_is_over()
    assert batch.tellings == MOST_TELLINGS
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 64, 120]
    assert not Batch.objects.untold(timezone.now()).exists()


def test_what_cannot_be_put_into_an_e_mail_does_not_keep_others_from_theirs(
    page: Client, upload: Callable[..., BulkRun], mailoutbox: list[EmailMessage]
) -> None:
    started(page, upload())
    started(page, upload(name="others.csv"))
    Batch.objects.update(status="ended", ended_at=timezone.now())
    # No e-mail may have a line break in its subject.
    Batch.objects.filter(title="letters.csv").update(title="letters\n.csv")
    assert tell_people() == 1
    assert [mail.subject for mail in mailoutbox] == ["«others.csv» is done"]


def test_the_clock_lets_a_worker_try_again_when_the_wait_is_over(batch: Batch, no_mail_server: Settings) -> None:
    Batch.objects.update(live=False)
    tell_people()
    batch.parts.update(next_at=timezone.now() + dt.timedelta(hours=1))
    assert jobs.nudge_if_due() == "nothing to do"
    wait_is_over()
    assert jobs.nudge_if_due() == "told a worker"

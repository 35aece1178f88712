"""Does the work on batches get to a worker, and only where there is some?"""

from __future__ import annotations

import threading
from collections.abc import Callable

import django_rq
import pytest
from django.db import connections, transaction
from django.utils.module_loading import import_string

from core.batches.leases import LEASE
from core.bulk import clock
from core.jobs import batches as jobs
from core.models import Batch, BatchPart
from tests.batches.conftest import tended
from tests.locks import until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


def waiting() -> list[str | None]:
    return [job.func_name for job in django_rq.get_queue(jobs.BATCHES).jobs]


def test_a_batch_that_is_started_is_told_to_a_worker_at_once(begin: Callable[..., Batch]) -> None:
    begin("one")
    assert waiting() == [jobs.TEND]
    assert import_string(jobs.TEND) is clock.tend


def test_the_clock_tells_a_worker_only_of_what_is_due(begin: Callable[..., Batch]) -> None:
    assert jobs.nudge_if_due() == "nothing to do"
    batch = begin("one")
    django_rq.get_queue(jobs.BATCHES).empty()  # type: ignore[no-untyped-call]
    assert jobs.nudge_if_due() == "told a worker"
    assert waiting() == [jobs.TEND]
    tended(batch)
    assert jobs.nudge_if_due() == "nothing to do"


def test_however_often_a_worker_is_told_one_job_waits(db: None) -> None:
    queue = django_rq.get_queue(jobs.BATCHES)
    assert all(jobs.nudge() for _ in range(50))
    assert waiting() == [jobs.TEND]
    assert queue.jobs[0].ttl is None
    # Whoever has taken it may have looked before there was anything.
    assert queue.pop_job_id() is not None
    assert jobs.nudge()
    assert waiting() == [jobs.TEND]


def test_of_two_who_take_a_part_at_the_same_moment_one_has_it(begin: Callable[..., Batch]) -> None:
    begin("one")
    part = BatchPart.objects.get()
    second: list[BatchPart | None] = []

    def take() -> None:
        second.append(BatchPart.objects.claim(part.pk, LEASE))
        connections.close_all()

    other = threading.Thread(target=take)
    with transaction.atomic():
        first = BatchPart.objects.claim(part.pk, LEASE)
        # It has found the part free, and waits for its row.
        other.start()
        until_somebody_waits()
    other.join(30)

    assert first is not None
    assert second == [None]
    part.refresh_from_db()
    assert part.lease_token == first.lease_token


def test_a_part_that_is_being_sent_is_not_sent_once_more(begin: Callable[..., Batch]) -> None:
    begin("one")
    part = BatchPart.objects.claim(BatchPart.objects.get().pk, LEASE)
    assert part is not None
    twin = BatchPart.objects.get(pk=part.pk)
    assert part.mark_sending(1, LEASE)
    assert not twin.mark_sending(1, LEASE)

"""Does the work on batches get to a worker, and only where there is some?"""

from __future__ import annotations

from collections.abc import Callable

import django_rq
import pytest
from django.utils.module_loading import import_string

from core.bulk import clock
from core.jobs import batches as jobs
from core.models import Batch
from tests.batches.conftest import tended

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

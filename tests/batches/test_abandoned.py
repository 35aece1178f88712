"""Is nothing left of a batch that was never started, wherever its removal broke off, and is its name free again?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from core.batches import clock, start
from core.batches.again import StillComingError, start_named
from core.jobs import batches as jobs
from core.models import Batch, BatchPart, BatchRow, Call, Key
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, leases_run_out, tended
from tests.batches.rows import rows

pytestmark = pytest.mark.django_db


class DiedError(BaseException):
    """As a process that is killed; nothing that it would have done then is done."""


@pytest.fixture
def named(catalogue: None, claude: Simulator, key: Key) -> Callable[[], Batch]:
    """Starts two rows under one name of the program's."""

    def make() -> Batch:
        batch = Batch(user=key.user, key=key, token="mine", request_digest="of the body")
        return start_named(batch, rows("one", "two", "three"), lambda: None)

    return make


@pytest.fixture
def half_removed(named: Callable[[], Batch], monkeypatch: pytest.MonkeyPatch) -> Batch:
    """A batch whose writer was killed, and then who removed it."""

    def die(*_: object, **__: object) -> None:
        raise DiedError

    monkeypatch.setattr(start, "CHUNK", 1)
    with monkeypatch.context() as killed:
        killed.setattr(start, "reserve", die)
        killed.setattr(start, "forget", die)
        with pytest.raises(DiedError):
            named()
        with pytest.raises(StillComingError):
            named()
        leases_run_out()
        removed = iter(BatchRow.objects.order_by("position").values_list("pk", flat=True)[:1])
        BatchRow.objects.filter(pk=next(removed)).delete()
        with pytest.raises(DiedError):
            clock.tend()
    return Batch.objects.get()


def test_its_removal_is_taken_up_again(half_removed: Batch, claude: Simulator) -> None:
    assert half_removed.status == Batch.Status.FAILED
    assert BatchRow.objects.count() == 2
    assert jobs.nudge_if_due() == "told a worker"
    clock.tend()
    assert not Batch.objects.exists()
    assert not BatchRow.objects.exists()
    assert not BatchPart.objects.exists()
    assert_books_are_the_bill(claude)


@pytest.mark.parametrize("token", ["", "mine"], ids=["freed", "as it was kept before"])
def test_its_name_is_free_for_another_try(
    half_removed: Batch, named: Callable[[], Batch], claude: Simulator, token: str
) -> None:
    Batch.objects.update(token=token)
    batch = named()
    assert batch.pk != half_removed.pk
    assert tended(batch).succeeded == 3
    assert named().pk == batch.pk
    assert_books_are_the_bill(claude)


def test_what_is_being_written_down_or_was_started_is_no_abandoned_one(
    half_removed: Batch, named: Callable[[], Batch]
) -> None:
    batch = named()
    clock.tend()
    past = timezone.now() - dt.timedelta(minutes=1)
    Batch.objects.filter(pk=batch.pk).update(lease_until=past)
    assert not Batch.objects.abandoned(timezone.now()).exists()
    assert Call.objects.count() >= 3

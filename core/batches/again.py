"""Is a batch that a program sends one that it has sent before, so that it must not be paid twice?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from core.batches.reading import SentBatch
from core.batches.start import Row, start
from core.models import Batch

# As long as a name given by `Idempotency-Key` holds for one request.
REMEMBERED = dt.timedelta(hours=24)


class AnotherBatchError(Exception):
    """The same name was given to another batch before."""


class StillComingError(Exception):
    """The same batch is just being written down."""


class _SameAgainError(Exception):
    def __init__(self, earlier: Batch) -> None:
        super().__init__(earlier.public_id)
        self.earlier = earlier


def start_once(batch: Batch, sent: SentBatch, *, retried: bool) -> Batch:
    """Start what was sent, or answer the batch that the same key has started with the same body before.

    That counts for one named by an `Idempotency-Key` and, where an SDK says that it tries again, for any. Raises what
    `start` raises, `AnotherBatchError` and `StillComingError`.
    """
    if retried and Batch.objects.filter(key=batch.key, status=Batch.Status.PREPARING).exists():
        raise StillComingError("A batch of this key is just being written down. Ask again in a while.")
    earlier = _named(batch)
    if earlier is not None:
        for _ in sent.rows():
            pass
        return _same(earlier, sent.digest())
    try:
        return start(batch, sent.rows(), before=lambda: _look(batch, sent.digest(), retried=retried))
    except _SameAgainError as error:
        return error.earlier
    except IntegrityError as error:
        raise _overtaken(batch, error) from error


def start_named(batch: Batch, rows: Iterable[Row], within: Callable[[], None]) -> Batch:
    """Start these rows, or answer the batch that the same key has started with the same body under the same name.

    `batch` has its name and digest already. Raises what `start` raises, `AnotherBatchError` and `StillComingError`.
    """
    earlier = _named(batch)
    if earlier is not None:
        return _same(earlier, batch.request_digest)
    try:
        return start(batch, rows, within=within)
    except IntegrityError as error:
        raise _overtaken(batch, error) from error


def _overtaken(batch: Batch, error: IntegrityError) -> Exception:
    """Of two with one name, the other was first."""
    if batch.token and _named(batch) is not None:
        return StillComingError("A batch of this name is just being written down. Ask again in a while.")
    return error


def _named(batch: Batch) -> Batch | None:
    if not batch.token:
        return None
    with transaction.atomic():
        # A name is free again after a day, and where nothing came of what it was given to.
        free = Q(created_at__lt=timezone.now() - REMEMBERED) | Q(status=Batch.Status.FAILED)
        Batch.objects.filter(free, key=batch.key, token=batch.token).update(token="")
    return Batch.objects.filter(key=batch.key, token=batch.token).exclude(pk=batch.pk).first()


def _same(earlier: Batch, digest: str) -> Batch:
    if earlier.status == Batch.Status.PREPARING:
        raise StillComingError("A batch of this name is just being written down. Ask again in a while.")
    if earlier.request_digest != digest:
        raise AnotherBatchError("This Idempotency-Key was used for another batch.")
    return earlier


def _look(batch: Batch, digest: str, *, retried: bool) -> None:
    """When all of it has come: note what it was, or find the one that it repeats."""
    batch.request_digest = digest
    since = timezone.now() - REMEMBERED
    same = Batch.objects.of_key(batch.key).filter(request_digest=digest, created_at__gte=since) if batch.key else None
    earlier = same.first() if retried and same is not None else None
    if earlier is not None:
        raise _SameAgainError(earlier)

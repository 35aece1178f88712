"""How do rows become a batch: written down in pieces, reserved as a whole, and only then to be sent?

Nothing counts until the one transaction that reserves and starts. What is written down before that and never started,
because a row was refused, a budget had no room or the process died, is removed.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from core.batches.bodies import MOST_ROW_BYTES, Filling, encoded
from core.batches.pieces import by_bytes
from core.batches.room import reserve
from core.costs.bulk import remembered_prices, worst_of
from core.execution.fallbacks import NO_CHAIN, chain_of, with_fallbacks
from core.intake.accept import plan_of as plan_of_version
from core.intake.requests import check_allowed, kept_form
from core.intake.storing import UnreadableRequestError
from core.jobs.batches import nudge
from core.jobs.dispatch import BULK, dispatch
from core.models import Batch, BatchPart, BatchRow, Call, Key, Prompt, PromptVersion
from core.routing.choose import Plan, UnknownModelError
from core.routing.names import plan_for

# Rows written in one transaction: short enough that nobody waits for it.
CHUNK = 500
# Whoever writes a batch down says this often that it is still at it.
LEASE = dt.timedelta(minutes=5)
STOPPED = "Whoever wrote it down stopped before it was whole."
CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class BadRowError(ValueError):
    """A row that no batch can hold; `position` counts from 0."""

    def __init__(self, position: int, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.position = position
        self.too_large = too_large


class EmptyBatchError(ValueError):
    """A batch without rows."""


class OvertakenError(Exception):
    """It took so long to write a batch down that it was given up meanwhile."""


@dataclass(frozen=True)
class Row:
    """One request, and what its program or table knows it by."""

    custom_id: str
    request: dict[str, Any]
    inputs: dict[str, Any] = field(default_factory=dict)
    # The line of the table that it was made from.
    cells: list[Any] | None = None
    # The call that it repeats.
    again_of: uuid.UUID | None = None


def _nothing() -> None:
    """What is to be done besides, where nobody says."""


def start(
    batch: Batch, rows: Iterable[Row], before: Callable[[], None] = _nothing, within: Callable[[], None] = _nothing
) -> Batch:
    """Write these rows down as `batch`, which is not stored yet, reserve their worst case, and let them be sent.

    Either all of it happens or nothing. `before` is asked when all rows have come, `within` in the transaction that
    starts it; both may raise. A live one goes into the queue of the workers. Raises `BadRowError`, `EmptyBatchError`,
    `UnknownModelError`, `NotAllowedError`, `OverBudgetError`, and whatever reading the rows raises.
    """
    batch.lease_until = timezone.now() + LEASE
    with transaction.atomic():
        batch.save(force_insert=True)
    try:
        count = _write(batch, rows)
        before()
        with transaction.atomic():
            reserve(batch)
            if not batch.mark_started(count):
                raise OvertakenError
            within()
            transaction.on_commit(_into_the_queue(batch) if batch.live else nudge)
    except BaseException:
        forget(batch)
        raise
    return batch


def _into_the_queue(batch: Batch) -> Callable[[], None]:
    """Let workers have the calls of a live batch; until now they were nobody's, and nobody looked for them."""
    calls = Call.objects.filter(batch_row__batch=batch)
    calls.update(lane=Call.Lane.QUEUE, dispatched_at=timezone.now())
    ids = list(calls.order_by("batch_row__position").values_list("pk", flat=True))

    def put() -> None:
        # Without Redis they wait in the database for the sweeper.
        any(not dispatch(pk, BULK) for pk in ids)

    return put


def forget(batch: Batch) -> None:
    """Remove a batch that was never started, and its rows: none of them was sent, none has a reservation."""
    rows = BatchRow.objects.filter(batch=batch, batch__started_at=None)
    while chunk := list(rows.values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            # Nothing else refers to them, so the database need not be asked about each kind of reference.
            BatchRow.objects.filter(pk__in=chunk)._raw_delete("default")
            Call.objects.filter(pk__in=chunk)._raw_delete("default")
    Batch.objects.filter(pk=batch.pk, started_at=None).delete()


def forget_abandoned() -> int:
    """Remove what was being written down by a process that is gone."""
    count = 0
    for batch in Batch.objects.abandoned(timezone.now()):
        # Whoever comes back too late must not start what is being removed; whose removal broke off has failed already.
        if batch.mark_failed(STOPPED) or batch.status == Batch.Status.FAILED:
            forget(batch)
            count += 1
    return count


def _write(batch: Batch, rows: Iterable[Row]) -> int:
    writing = _Writing(batch)
    for chunk in by_bytes(writing.made(rows), lambda made: made[1].size, CHUNK):
        writing.keep(chunk)
    if not writing.count:
        raise EmptyBatchError
    writing.close()
    return writing.count


class _Writing:
    """A batch that is being written down, chunk by chunk."""

    def __init__(self, batch: Batch) -> None:
        self.count = 0
        self._batch = batch
        self._seen: set[str] = set()
        self._prices = remembered_prices()
        self._plan_of = plans_for(batch.key, batch.prompt, batch.version)
        # Who answers instead is asked only of those that are answered at once.
        self._chain = chain_of(batch.key, batch.prompt) if batch.live else NO_CHAIN
        self._part: BatchPart | None = None
        self._filling = Filling()

    def keep(self, made: list[tuple[Call, BatchRow]]) -> None:
        with transaction.atomic():
            if not self._batch.renew(LEASE):
                raise OvertakenError
            Call.objects.bulk_create([call for call, _ in made])
            BatchRow.objects.bulk_create([row for _, row in made])
        # The rest of the rows may come slowly; nobody holds a database connection meanwhile.
        if not connection.in_atomic_block:
            connection.close()

    def close(self) -> None:
        """Say where the last part ends."""
        if self._part is not None:
            BatchPart.objects.filter(pk=self._part.pk).update(beyond=self.count)

    def made(self, rows: Iterable[Row]) -> Iterator[tuple[Call, BatchRow]]:
        """Each row as it will be stored, placed in its part; one at a time."""
        for row in rows:
            self._check_name(row.custom_id)
            body, size = self._encoded(row)
            if not self._batch.live:
                self._place(size)
            made = self._call_and_row(row, body, size)
            self.count += 1
            yield made

    def _check_name(self, custom_id: str) -> None:
        if not CUSTOM_ID.fullmatch(custom_id):
            where = f"requests.{self.count}.custom_id"
            raise BadRowError(self.count, f"{where}: String should match pattern '^{CUSTOM_ID.pattern}$'")
        if custom_id in self._seen:
            raise BadRowError(self.count, f"requests: `custom_id` must be unique: '{custom_id}' is used more than once")
        self._seen.add(custom_id)

    def _encoded(self, row: Row) -> tuple[str, int]:
        body = encoded(row.request)
        try:
            size = len(body.encode())
        except UnicodeEncodeError:
            raise BadRowError(self.count, f"requests.{self.count}.params: holds half a character") from None
        if size > MOST_ROW_BYTES:
            raise BadRowError(self.count, f"requests.{self.count}.params: exceeds the maximum size", too_large=True)
        return body, size

    def _place(self, size: int) -> None:
        """Let the row belong to the present part, or begin the next one."""
        if self._part is None or not self._filling.fits(size):
            self.close()
            number = self._part.number + 1 if self._part else 1
            self._part = BatchPart.objects.create(batch=self._batch, number=number, first=self.count, beyond=self.count)
            self._filling = Filling()
        self._filling.add(size)

    def _call_and_row(self, row: Row, body: str, size: int) -> tuple[Call, BatchRow]:
        batch, (planned, worst) = self._batch, self._planned(row)
        kept = kept_form(row.request)
        call = Call(
            user_id=batch.user_id,
            key_id=batch.key_id,
            prompt_id=batch.prompt_id,
            version_id=batch.version_id,
            door=batch.door,
            lane=Call.Lane.BATCH,
            inputs=row.inputs,
            request=kept,
            routing=planned.as_json(),
            demo=batch.demo,
            again_of_id=row.again_of,
        )
        return call, BatchRow(
            # By its key: each would hold the other, and both stay in memory for longer than they are needed.
            call_id=call.pk,
            batch=batch,
            position=self.count,
            custom_id=row.custom_id,
            size=size,
            worst=worst,
            cells=row.cells,
            body="" if kept == row.request else body,
        )

    def _planned(self, row: Row) -> tuple[Plan, Decimal | None]:
        """What may come to answer the row, and what that can cost at most."""
        try:
            planned = self._plan_of(str(row.request["model"]))
            besides = planned.besides(row.request) if planned.classifiers else []
            models = with_fallbacks(planned, self._chain) if self._batch.live else planned.models
            worst = worst_of(models, row.request, self._prices, besides, batch=not self._batch.live)
            return planned, worst
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, UnreadableRequestError):
                raise
            where = f"requests.{self.count}.params"
            raise BadRowError(self.count, f"{where}: is not in the shape of the Messages API ({error})") from error


def plans_for(key: Key | None, prompt: Prompt | None, version: PromptVersion | None = None) -> Callable[[str], Plan]:
    """What a row's model can lead to, where this key may use all of that; each name is looked up once."""

    @cache
    def plan_of(asked: str) -> Plan:
        if "\x00" in asked:
            # No name has one, and PostgreSQL cannot be asked for it.
            raise UnknownModelError(asked)
        planned = plan_for(key, asked) if version is None else plan_of_version(version)
        check_allowed(key, planned.models, prompt)
        return planned

    return plan_of

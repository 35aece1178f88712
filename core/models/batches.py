"""Which calls travel to Claude together, at half price, and how far are they?"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import connection, models
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, Value, When
from django.utils import timezone

from core.models.calls import Call, CallQuerySet
from core.models.fields import KnownMoneyField, MoneyField
from core.models.keys import Key
from core.models.prompts import Prompt, PromptVersion
from core.models.round_trip import run_each

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core.models.people import User

_MARK_WORKING = """
    UPDATE core_call SET status = 'running', attempt = 1, started_at = %s WHERE id = %s AND status = 'queued'"""
_MARK_SENT = """
    UPDATE core_call SET status = 'running', attempt = 1, started_at = %s, sent_at = %s, model = %s, reason = %s,
        routing = %s
    WHERE id = %s AND status IN ('queued', 'running')"""
_END = """
    UPDATE core_call SET status = %s, text = %s, content = %s, envelope = %s, stop_reason = %s, model = %s,
        request_id = %s, error_type = %s, error_status = %s, error_message = %s, finished_at = %s
    WHERE id = %s AND status IN ('queued', 'running')"""
_KEEP = "UPDATE core_batchrow SET result = %s WHERE call_id = %s"
# Rows that are changed in one round trip.
PIECE = 50
# What ended longer ago is no news to anybody, nor is it tried more often to tell it.
NEWS = dt.timedelta(days=2)
MOST_TELLINGS = 10
# Source: the API's page on batches. What has not been worked on by then expires.
EXPIRES_AFTER = dt.timedelta(hours=24)
# What was never started is looked for so long.
REMOVED_WITHIN = dt.timedelta(days=7)
POSITION = re.compile(r"[0-9]{1,10}")


def new_batch_id() -> str:
    """An id as the API's own look, so that a program cannot tell the difference."""
    return f"msgbatch_01{secrets.token_hex(11)}"


def new_marker() -> str:
    return secrets.token_hex(8)


def _parked_part() -> BatchPartQuerySet:
    return BatchPart.objects.parked().filter(batch=OuterRef("pk"))


def _parked_call() -> CallQuerySet:
    return Call.objects.parked().filter(batch_row__batch=OuterRef("pk"))


class BatchQuerySet(models.QuerySet["Batch"]):
    def visible_to(self, user: User | AnonymousUser) -> BatchQuerySet:
        """The batches whose rows `user` may read: their own, or all with the permission for it."""
        if not user.is_authenticated:
            return self.none()
        return self if user.has_perm("core.view_all_calls") else self.filter(user=user)

    def of_key(self, key: Key) -> BatchQuerySet:
        """What a program sees of its own: neither what it deleted nor what was refused while it was being written."""
        return self.filter(key=key, door=Call.Door.GATEWAY, deleted_at=None, started_at__isnull=False)

    def of_script(self, key: Key) -> BatchQuerySet:
        """The same for what it started by the plain API."""
        return self.of_scripts().filter(key=key)

    def of_scripts(self) -> BatchQuerySet:
        """What programs started by the plain API."""
        return self.filter(door=Call.Door.API, started_at__isnull=False)

    def open(self) -> BatchQuerySet:
        return self.exclude(status__in=Batch.OVER)

    def live(self) -> BatchQuerySet:
        """Those at work whose calls go through the queue."""
        return self.open().filter(live=True, started_at__isnull=False)

    def parked(self) -> BatchQuerySet:
        """Those of which something waits for the end of Claude's spend limit: a part, or a call where they are live."""
        return self.filter(Exists(_parked_part()) | Q(Exists(_parked_call()), live=True))

    def asking(self) -> BatchQuerySet:
        """Those of which a part waits for a person's decision."""
        return self.filter(Exists(BatchPart.objects.filter(batch=OuterRef("pk"), state=BatchPart.State.ASKS)))

    def with_held_until(self) -> BatchQuerySet:
        """With `held_until`: when the first goes on that Claude's spend limit holds, None where it holds nothing."""
        part, call = _parked_part().order_by("next_at"), _parked_call().order_by("not_before")
        calls = When(~Q(status__in=Batch.OVER), live=True, then=Subquery(call.values("not_before")[:1]))
        return self.annotate(held_until=Case(calls, default=Subquery(part.values("next_at")[:1])))

    def abandoned(self, now: dt.datetime) -> BatchQuerySet:
        """Those that nobody writes down any more, and those whose removal broke off."""
        lately = Q(status=Batch.Status.FAILED, started_at=None, created_at__gte=now - REMOVED_WITHIN)
        return self.filter(Q(status=Batch.Status.PREPARING) | lately, lease_until__lt=now)

    def untold(self, now: dt.datetime) -> BatchQuerySet:
        """Those of people that have ended lately, whose person is to be told now and by nobody else."""
        free = Q(telling_until=None) | Q(telling_until__lt=now)
        ended = self.filter(door=Call.Door.BULK, status=Batch.Status.ENDED, ended_at__gte=now - NEWS, told_at=None)
        return ended.filter(free, tellings__lt=MOST_TELLINGS)

    def claim_telling(self, pk: int, lease: dt.timedelta) -> Batch | None:
        """Let this process tell that one has ended, or None where another one does or has."""
        now, token = timezone.now(), secrets.token_hex(8)
        values = {"telling_token": token, "telling_until": now + lease, "tellings": F("tellings") + 1}
        if self.untold(now).filter(pk=pk).update(**values) != 1:
            return None
        return self.select_related("user").filter(pk=pk, telling_token=token).first()


class Batch(models.Model):
    """Many calls that were started together. Its rows are the calls; its parts are what Claude knows as batches."""

    class Status(models.TextChoices):
        PREPARING = "preparing", "Being written down"
        SUBMITTING = "submitting", "On its way to Claude"
        IN_PROGRESS = "in_progress", "At work"
        CANCELING = "canceling", "Being canceled"
        ENDED = "ended", "Done"
        FAILED = "failed", "Could not be started"

    OVER: ClassVar = [Status.ENDED, Status.FAILED]

    public_id = models.CharField("id", max_length=64, unique=True, default=new_batch_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="batches",
        verbose_name="person",
    )  # fmt: skip
    key = models.ForeignKey(Key, on_delete=models.PROTECT, null=True, blank=True, related_name="batches")
    door = models.CharField("came by", max_length=20, choices=Call.Door.choices, default=Call.Door.GATEWAY)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, null=True, blank=True, related_name="batches")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # What it was made from: the name of the file and its columns, as they stood there.
    title = models.CharField(max_length=200, blank=True)
    columns = models.JSONField(null=True, blank=True)
    # What the program sent and goes on to Claude with the requests: beta features.
    headers = models.JSONField(default=dict, blank=True, editable=False)
    # Of the body as a program sent it, and the name that it gave it, to know the same one again.
    request_digest = models.CharField(max_length=64, blank=True, editable=False)
    token = models.CharField(max_length=255, blank=True, editable=False)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PREPARING)
    problem = models.CharField("what went wrong", max_length=500, blank=True)
    demo = models.BooleanField("demo data", default=False, editable=False)
    # Its program asked for the API's beta, and so do we.
    beta = models.BooleanField(default=False, editable=False)
    # Its calls go through the queue, at the usual price; it has no parts, and counts its rows at the end only.
    live = models.BooleanField("answered at once", default=False)

    rows = models.PositiveIntegerField(default=0)
    # Each row that has ended counts in one of these, from the transaction that ended it.
    succeeded = models.PositiveIntegerField(default=0)
    errored = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)
    # What the rows that have ended cost, and how many of them nobody knows the cost of.
    spent = KnownMoneyField(default=Decimal(0))
    unknown = models.PositiveIntegerField("rows of unknown cost", default=0)

    created_at = models.DateTimeField("asked", default=timezone.now, editable=False)
    # From here on everything is written down and reserved.
    started_at = models.DateTimeField("started", null=True, blank=True, editable=False)
    cancel_asked_at = models.DateTimeField("told to stop", null=True, blank=True, editable=False)
    ended_at = models.DateTimeField("ended", null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField("deleted by its program", null=True, blank=True, editable=False)
    told_at = models.DateTimeField("its person was told of the end", null=True, blank=True, editable=False)
    # Whoever tells them has until then, and nobody else does; how often it was tried.
    telling_token = models.CharField(max_length=16, blank=True, editable=False)
    telling_until = models.DateTimeField(null=True, blank=True, editable=False)
    tellings = models.PositiveSmallIntegerField(default=0, editable=False)
    # While it is being written down: after this, whoever did it is gone.
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["key", "token"], condition=~Q(token=""), name="one_batch_per_key_and_token"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="batch_newest"),
            models.Index(fields=["key", "-created_at", "-id"], name="batch_newest_of_key"),
            models.Index(fields=["user", "-created_at", "-id"], name="batch_newest_of_user"),
            models.Index(
                fields=["status"], name="batch_open", condition=~Q(status__in=["ended", "failed"])
            ),
            models.Index(
                fields=["ended_at"], name="batch_untold", condition=Q(door="bulk", status="ended", told_at=None)
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.title or self.public_id

    @property
    def done(self) -> int:
        """How many rows have ended, however."""
        return self.succeeded + self.errored + self.canceled + self.expired

    @property
    def over(self) -> bool:
        return self.status in self.OVER

    @property
    def expires_at(self) -> dt.datetime:
        return self.created_at + EXPIRES_AFTER

    # Each state change is one conditional UPDATE; False says that somebody else was first.

    def _change(self, allowed: Q, **values: Any) -> bool:
        changed = Batch.objects.filter(allowed, pk=self.pk).update(**values)
        if changed:
            for name, value in values.items():
                setattr(self, name, value)
        return bool(changed)

    def renew(self, lease: dt.timedelta) -> bool:
        """Say that it is still being written down."""
        return self._change(Q(status=self.Status.PREPARING), lease_until=timezone.now() + lease)

    def mark_started(self, rows: int) -> bool:
        """Everything is written down and reserved: from here on it may be sent."""
        return self._change(
            Q(status=self.Status.PREPARING),
            status=self.Status.IN_PROGRESS if self.live else self.Status.SUBMITTING,
            rows=rows,
            request_digest=self.request_digest,
            started_at=timezone.now(),
            lease_until=None,
        )

    def mark_failed(self, problem: str) -> bool:
        """Nothing was reserved and nothing sent; what its program named it by is free for another try."""
        return self._change(
            Q(status=self.Status.PREPARING),
            status=self.Status.FAILED,
            problem=problem[:500],
            ended_at=timezone.now(),
            token="",
        )

    def mark_in_progress(self) -> bool:
        unsent = BatchPart.objects.filter(batch=OuterRef("pk"), state__in=BatchPart.UNSENT)
        return self._change(
            Q(status=self.Status.SUBMITTING) & Q(~Exists(unsent)), status=self.Status.IN_PROGRESS
        )  # fmt: skip

    def mark_canceling(self) -> bool:
        return self._change(
            Q(status__in=[self.Status.SUBMITTING, self.Status.IN_PROGRESS]),
            status=self.Status.CANCELING,
            cancel_asked_at=timezone.now(),
        )

    def mark_ended(self) -> bool:
        """Done where all of its parts are; the caller holds its row, so that of two last parts one sees the other."""
        working = BatchPart.objects.filter(batch=OuterRef("pk")).exclude(state__in=BatchPart.OVER)
        started = Q(status__in=[self.Status.SUBMITTING, self.Status.IN_PROGRESS, self.Status.CANCELING])
        # Rows may have been canceled one by one, before they were sent.
        canceled = F("rows") - F("succeeded") - F("errored") - F("expired")
        ended = {"status": self.Status.ENDED, "ended_at": timezone.now()}
        return bool(Batch.objects.filter(started & Q(~Exists(working)), pk=self.pk).update(canceled=canceled, **ended))

    def mark_live_ended(self, **counts: int) -> bool:
        """Done, where all calls of it are, which the caller has counted."""
        working = Q(live=True, status__in=[self.Status.IN_PROGRESS, self.Status.CANCELING])
        return self._change(working, status=self.Status.ENDED, ended_at=timezone.now(), **counts)

    def mark_told(self) -> bool:
        """Its person has been told that it has ended, by the process that had taken that on."""
        return self._change(Q(told_at=None, telling_token=self.telling_token), told_at=timezone.now())

    def put_off_telling(self, wait: dt.timedelta) -> bool:
        """That could not be told; somebody tries again after so long."""
        mine = Q(told_at=None, telling_token=self.telling_token)
        return self._change(mine, telling_token="", telling_until=timezone.now() + wait)

    def mark_deleted(self) -> bool:
        """Its program sees it no more; its calls and costs stay."""
        return self._change(Q(status=self.Status.ENDED, deleted_at=None), deleted_at=timezone.now())

    def count(self, spent: Decimal, unknown: int, ended: Mapping[str, int]) -> None:
        """Add what a transaction has just ended, such as `{"succeeded": 3, "expired": 1}`, and what that cost."""
        more = Value(spent, output_field=MoneyField())
        counts = {name: F(name) + number for name, number in ended.items()}
        Batch.objects.filter(pk=self.pk).update(spent=F("spent") + more, unknown=F("unknown") + unknown, **counts)


class BatchPartQuerySet(models.QuerySet["BatchPart"]):
    def due(self, now: dt.datetime) -> BatchPartQuerySet:
        """Parts that somebody has to do something about now, and that nobody has in hand.

        Without a join, for `claim`: PostgreSQL looks once more at the conditions on a row that it had to wait for, but
        not at a subquery that had found the row before. Two processes would both have the part, and send it twice.
        """
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        started = Exists(Batch.objects.filter(pk=OuterRef("batch"), started_at__isnull=False))
        return self.filter(free, started, next_at__lte=now).exclude(state__in=[*BatchPart.OVER, BatchPart.State.ASKS])

    def claim(self, part_id: int, lease: dt.timedelta) -> BatchPart | None:
        """Take a due part for this process, or None where somebody else has it."""
        now = timezone.now()
        token = secrets.token_hex(8)
        values = {"lease_token": token, "lease_until": now + lease, "parked": False}
        taken = self.due(now).filter(pk=part_id).update(**values)
        # By its token: whoever has lost it meanwhile must not take the next one's for its own.
        return self.select_related("batch").filter(pk=part_id, lease_token=token).first() if taken == 1 else None

    def parked(self) -> BatchPartQuerySet:
        """Parts that wait for the end of a spend limit, which has not come yet. Without a join, for `release`."""
        return self.filter(parked=True, state=BatchPart.State.UNSENT, next_at__gt=timezone.now())

    def release(self) -> int:
        """A person says that the spend limit is lifted; answers how many of these it held."""
        return self.parked().update(parked=False, next_at=timezone.now())


class BatchPart(models.Model):
    """What goes to Claude as one batch, within the API's limits on one.

    Its requests are named there by `marker` and position, so that its results say whose they are.
    """

    class State(models.TextChoices):
        UNSENT = "unsent", "Not sent"
        SENDING = "sending", "Being sent"
        UNSURE = "unsure", "Sent, perhaps"
        ASKS = "asks", "Waits for a person's decision"
        SENT = "sent", "With Claude"
        READY = "ready", "Results are there"
        DONE = "done", "Done"

    UNSENT: ClassVar = [State.UNSENT, State.SENDING, State.UNSURE, State.ASKS]
    OVER: ClassVar = [State.DONE]

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    marker = models.CharField(max_length=16, unique=True, default=new_marker, editable=False)
    # Positions from `first` on, before `beyond`.
    first = models.PositiveIntegerField()
    beyond = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.UNSENT)
    provider_id = models.CharField("Claude's batch id", max_length=120, null=True, unique=True)  # noqa: DJ001 - many have none
    # How many requests were sent: rows canceled before are left out.
    sent = models.PositiveIntegerField("requests sent", default=0)
    sending_at = models.DateTimeField("began to be sent", null=True, blank=True)
    cancel_sent_at = models.DateTimeField("told Claude to stop", null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField("next look", default=timezone.now)
    # It waits until `next_at` for the end of a spend limit; whoever takes it in hand then finds out anew.
    parked = models.BooleanField("held by a spend limit", default=False, db_default=False, editable=False)
    problem = models.CharField("what went wrong", max_length=500, blank=True)
    lease_token = models.CharField(max_length=16, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects = BatchPartQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["batch", "number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "number"], name="one_number_per_batch_part"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_at"], name="batch_part_due", condition=~Q(state="done")),
            models.Index(fields=["next_at"], name="batch_part_parked", condition=Q(parked=True)),
        ]

    def __str__(self) -> str:
        return f"{self.batch} · part {self.number}"

    def custom_id(self, position: int) -> str:
        """The name of a row at Claude: unique for ever, so that a result can belong to one row only."""
        return f"{self.marker}-{position}"

    def position_of(self, custom_id: str) -> int | None:
        """The row that a result is of, or None where it is not one of this part's."""
        marker, _, position = custom_id.partition("-")
        if marker != self.marker or not POSITION.fullmatch(position):
            return None
        return int(position) if self.first <= int(position) < self.beyond else None

    @property
    def held(self) -> bool:
        """Whether it waits for the end of a spend limit: see `BatchPartQuerySet.parked`."""
        return self.parked and self.state == self.State.UNSENT and self.next_at > timezone.now()

    def change(self, **values: Any) -> bool:
        """Write these where this process still has the part in hand; False where it has lost it."""
        held = BatchPart.objects.filter(pk=self.pk, lease_token=self.lease_token, lease_until__isnull=False)
        changed = held.update(**values)
        if changed:
            for name, value in values.items():
                setattr(self, name, value)
        return bool(changed)

    def renew(self, lease: dt.timedelta) -> bool:
        return self.change(lease_until=timezone.now() + lease)

    def let_go(self, after: dt.timedelta = dt.timedelta()) -> bool:
        """Somebody may look at it again after so long."""
        return self.change(lease_until=None, lease_token="", next_at=timezone.now() + after)

    def park(self, until: dt.datetime, problem: str) -> bool:
        """Wait for the end of a spend limit, or until somebody releases it. The tries before it do not count."""
        waiting = {"state": self.State.UNSENT, "next_at": until, "parked": True, "tries": 0, "problem": problem}
        return self.change(**waiting, lease_until=None, lease_token="")

    def mark_sending(self, requests: int, lease: dt.timedelta) -> bool:
        """Note, before anything is sent, that it may have been.

        False where it was told to stop meanwhile, or somebody else has it, or has sent it.
        """
        working = Batch.objects.filter(status__in=[Batch.Status.SUBMITTING, Batch.Status.IN_PROGRESS])
        held = BatchPart.objects.filter(
            pk=self.pk,
            lease_token=self.lease_token,
            lease_until__isnull=False,
            state=self.State.UNSENT,
            batch__in=working,
        )
        now = timezone.now()
        values: dict[str, Any] = {"sending_at": now, "lease_until": now + lease, "tries": self.tries + 1}
        if not held.update(state=self.State.SENDING, sent=requests, **values):
            return False
        self.refresh_from_db(fields=["state", "sent", *values])
        return True

    def mark_sent(self, provider_id: str, look_after: dt.timedelta) -> bool:
        """Claude has it under this id. Whoever learns it says so, also a sender that was taken to be lost."""
        perhaps = BatchPart.objects.filter(pk=self.pk, provider_id=None, state__in=self.UNSENT)
        marked = perhaps.update(
            state=self.State.SENT,
            provider_id=provider_id,
            problem="",
            tries=0,
            lease_until=None,
            lease_token="",
            next_at=timezone.now() + look_after,
        )
        if marked:
            self.refresh_from_db(fields=["state", "provider_id", "problem", "tries", "next_at"])
        return bool(marked)


class BatchRowQuerySet(models.QuerySet["BatchRow"]):
    """The state changes of thousands of calls, each a conditional UPDATE; building them from querysets takes longer."""

    def mark_working(self, calls: Sequence[Call]) -> None:
        """Take these in hand: nobody else may cancel them while their models are chosen."""
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        _run_many(_MARK_WORKING, [[now, _uuid(call.pk)] for call in calls])
        for call in calls:
            call.status, call.attempt = Call.Status.RUNNING, 1

    def mark_sent(self, calls: Sequence[Call]) -> None:
        """Note, before anything is sent, that each of these may be billed from here on."""
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        _run_many(
            _MARK_SENT,
            [
                [now, now, call.model, call.reason[:500], _json(call.routing), _uuid(call.pk)]
                for call in calls
            ],
        )  # fmt: skip

    def end(self, calls: Sequence[Call]) -> None:
        """Write how these ended; the caller has locked them and knows that none of them had."""
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        _run_many(
            _END,
            [
                [
                    call.status, call.text, json.dumps(call.content), _json(call.envelope), call.stop_reason,
                    call.model, call.request_id, call.error_type, call.error_status, call.error_message, now,
                    _uuid(call.pk),
                ]
                for call in calls
            ],
        )  # fmt: skip

    def keep_results(self, results: Sequence[tuple[uuid.UUID, Any]]) -> None:
        """Keep the API's own words of rows that brought no message."""
        _run_many(_KEEP, [[_json(result), _uuid(call_id)] for call_id, result in results])


def _run_many(statement: str, values: Sequence[Sequence[Any]]) -> None:
    """In pieces, as all that a round trip takes is held once more for it, and rows may be long."""
    for first in range(0, len(values), PIECE):
        run_each(statement, values[first : first + PIECE])


def _uuid(pk: uuid.UUID) -> Any:
    return pk if connection.features.has_native_uuid_field else pk.hex


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


class BatchRow(models.Model):
    """That a call is row `position` of a batch, and what its program or table calls it."""

    call = models.OneToOneField(Call, on_delete=models.CASCADE, primary_key=True, related_name="batch_row")
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="batch_rows", db_index=False)
    position = models.PositiveIntegerField()
    custom_id = models.CharField(max_length=64)
    # Bytes of its request as it is sent: no process takes more rows in hand than it has room for.
    size = models.PositiveIntegerField(default=0)
    # The most that it can cost at batch price; None where the price book does not say.
    worst = MoneyField(null=True)
    # The line of the table that it was made from, as it stood there.
    cells = models.JSONField(null=True, blank=True)
    # The request's JSON as it is to be sent, where the call keeps less of it: see `intake.requests.kept_form`.
    body = models.TextField(blank=True, editable=False)
    # How it ended, in the API's own words, where it brought no message.
    result = models.JSONField(null=True, blank=True)

    objects = BatchRowQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["batch", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "position"], name="one_row_per_position"),
            models.UniqueConstraint(fields=["batch", "custom_id"], name="one_row_per_custom_id"),
        ]

    def __str__(self) -> str:
        return f"row {self.position} of {self.batch_id}"

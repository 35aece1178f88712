"""What was asked of Claude, how far is it, and what came back?"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from core.models import clock, direct, shared
from core.models.keys import Key
from core.models.prompts import Prompt, PromptVersion
from core.models.round_trip import run_each

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core.models.ledger import CostRecord
    from core.models.people import User


# Before every clock's present.
LONG_AGO = dt.timedelta(days=1)
# So much the clocks of two machines may differ before one of them counts as put back.
CLOCKS_DIFFER = dt.timedelta(seconds=30)


class CallQuerySet(models.QuerySet["Call"]):
    def visible_to(self, user: User | AnonymousUser) -> CallQuerySet:
        """The calls whose content `user` may read: their own, or all with the permission for it."""
        if not user.is_authenticated:
            return self.none()
        return self if user.has_perm("core.view_all_calls") else self.filter(user=user)

    def joining(self) -> CallQuerySet:
        """Single calls that wait for others, to go to Claude with them as a batch."""
        return self.filter(not_before__isnull=False, status=Call.Status.WAITING, lane=Call.Lane.BATCH)

    def forgotten(self, now: dt.datetime, grace: dt.timedelta) -> CallQuerySet:
        """Calls for the queue that were put there more than `grace` ago and have not started.

        Or, by a clock that was put back since, are to be put there only later.
        """
        long_ago = Q(dispatched_at__lt=now - grace) | Q(dispatched_at__gt=now + CLOCKS_DIFFER)
        return self.filter(long_ago, status=Call.Status.QUEUED, lane=Call.Lane.QUEUE)

    def of_bulk(self, *, bulk: bool) -> CallQuerySet:
        """Those for the queue of bulk, or those for people's."""
        return self.filter(door=Call.Door.BULK) if bulk else self.exclude(door=Call.Door.BULK)

    def bring_forward(self, now: dt.datetime) -> int:
        """Let calls wait as long as they were to, whose clock was put back since; answers of how many.

        A call that began to wait after now shows it. What waits for the end of a spend limit waits for a date.
        """
        began = Coalesce("started_at", "created_at")
        late = ExpressionWrapper(began - Value(now, models.DateTimeField()), models.DurationField())
        waiting = self.filter(status=Call.Status.WAITING, not_before__isnull=False, parked=False)
        beyond = waiting.annotate(began=began).filter(began__gt=now + CLOCKS_DIFFER).order_by()
        return beyond.update(not_before=F("not_before") - late, dispatched_at=F("dispatched_at") - late, started_at=now)

    def abandoned(self, before: dt.datetime) -> CallQuerySet:
        """Calls to be answered at once that were stored before then, and that nobody has begun."""
        at_once = [Call.Lane.SYNC, Call.Lane.STREAM]
        return self.filter(status=Call.Status.QUEUED, lane__in=at_once, dispatched_at__lt=before)

    def empty(self) -> int:
        """Remove what was asked and answered of those that have ended; who asked, how it ended and its cost stay."""
        return self.filter(status__in=Call.FINISHED).update(pruned_at=timezone.now(), **Call.EMPTIED)

    def letters(self) -> CallQuerySet:
        """Dead letters: calls of the queue that used up their attempts, and that nobody has dealt with yet."""
        return self.filter(dead_since__isnull=False)

    def parked(self) -> CallQuerySet:
        """Calls that wait for the end of a spend limit."""
        return self.filter(parked=True, not_before__isnull=False)

    def waiting(self, until: dt.datetime) -> CallQuerySet:
        """Calls for the queue that wait to be tried again, and may be by then; those that are due first, first."""
        waiting = self.filter(not_before__lte=until, status=Call.Status.WAITING, lane=Call.Lane.QUEUE)
        return waiting.order_by("not_before")

    def to_sweep(self, until: dt.datetime) -> CallQuerySet:
        """What wants a sweeper: lost calls, and waiting ones that are due until then, the longest first.

        Two indexes answer it.
        """
        waiting = Q(not_before__lte=until, status=Call.Status.WAITING, lane=Call.Lane.QUEUE)
        lost = Q(status=Call.Status.RUNNING, lease_until__lt=clock.after())
        return self.filter(waiting | lost).order_by(F("lease_until").asc(nulls_last=True), "not_before")

    def lost(self) -> CallQuerySet:
        """Running calls whose process has not renewed its lease, by the clock of the database."""
        return self.filter(status=Call.Status.RUNNING, lease_until__lt=clock.after())

    def leased_too_long(self, lease: dt.timedelta) -> CallQuerySet:
        """Running calls whose lease lies further ahead than any was given: the clock was put back since."""
        return self.filter(status=Call.Status.RUNNING, lease_until__gt=clock.after(2 * lease))

    def held(self, tokens: Mapping[uuid.UUID, str]) -> CallQuerySet:
        """Of these running calls, each with its lease's token, those that nobody has taken over."""
        return self.filter(pk__in=list(tokens), lease_token__in=list(tokens.values()), status=Call.Status.RUNNING)

    def renew(self, lease: dt.timedelta) -> int:
        """Let these calls' leases end so much later than now; answers of how many.

        Nobody is waited for: while one call's row is locked, the leases of all others would run out. Whoever has locked
        it, a sweeper would wait for too, and then look again.
        """
        with transaction.atomic():
            free = self.select_for_update(no_key=True, skip_locked=True)
            locked = list(free.order_by("pk").values_list("pk", flat=True))
            return Call.objects.filter(pk__in=locked).update(lease_until=clock.after(lease))

    def claim(self, call_id: uuid.UUID, lease: dt.timedelta) -> Call | None:
        """Take a runnable call for this process, or answer None where somebody else has it or it is not to run.

        It comes with its key, prompt and version.
        """
        return self.claim_all([call_id], lease)[0]

    def claim_all(self, call_ids: Sequence[uuid.UUID], lease: dt.timedelta) -> list[Call | None]:
        """The same for several, in this order."""
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        tokens = [secrets.token_hex(8) for _ in call_ids]
        values = [
            [token, clock.and_seconds(lease), now, now, direct.stored(call_id), now]
            for call_id, token in zip(call_ids, tokens, strict=True)
        ]
        done = run_each(_CLAIM.format(lease=clock.now_and()), values)
        taken = {call_id: token for call_id, token, each in zip(call_ids, tokens, done, strict=True) if each.rows == 1}
        found = {call.pk: call for call in _by_id.find_all(list(taken)) if call is not None}
        # Where this process stood still in between, somebody else may have it by now.
        mine = {pk: call for pk, call in found.items() if call.lease_token == taken[pk]}
        return [mine.get(call_id) for call_id in call_ids]


# Queued ones, and waiting ones whose time has come; what is for a batch goes with that, and never alone.
# Written as SQL, for each call runs it.
_CLAIM = """
    UPDATE core_call SET status = 'running', lease_token = %s, lease_until = {lease}, started_at = %s,
        tried_since = COALESCE(tried_since, %s),
        attempt = attempt + 1, sent_at = NULL, classifying = '', not_before = NULL, parked = false, queued_since = NULL
    WHERE id = %s AND (status = 'queued' OR (status = 'waiting' AND not_before <= %s)) AND lane <> 'batch'"""


class Call(models.Model):
    """One request of one person or program: frozen inputs, status, answer, and the reason for its model."""

    class Lane(models.TextChoices):
        SYNC = "sync", "At once"
        STREAM = "stream"
        QUEUE = "queue", "Queue"
        BATCH = "batch"

    class Door(models.TextChoices):
        FORM = "form", "Form"
        TRY = "try", "Trial of a draft"
        GATEWAY = "gateway", "Gateway"
        API = "api", "Plain API"
        CHAT = "chat", "Chat"
        BULK = "bulk", "Table"

    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting for a free worker"
        RUNNING = "running", "At work"
        WAITING = "waiting", "Waiting to try again"
        SUCCEEDED = "succeeded", "Done"
        FAILED = "failed", "Failed"
        DEAD = "dead", "Given up"
        CANCELED = "canceled", "Canceled"

    # What is said of one that waits for that, in place of its status.
    HELD: ClassVar = "Held by Claude's spend limit"
    UNSENT: ClassVar = [Status.QUEUED, Status.WAITING]
    # Whoever asked by these comes back for the answer; who tries a draft, chats or wants a table's rows now, waits.
    PATIENT_DOORS: ClassVar = [Door.FORM, Door.API]
    FINISHED: ClassVar = [Status.SUCCEEDED, Status.FAILED, Status.DEAD, Status.CANCELED]

    # What remains of its contents once they are removed.
    EMPTIED: ClassVar[Mapping[str, Any]] = {
        "inputs": {},
        "request": {},
        "text": "",
        "content": [],
        "envelope": None,
        "error_message": "",
        "request_digest": "",
        "keep_digest": "",
        # What has no contents cannot run again, so there is nothing left to deal with.
        "dead_since": None,
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField("asked", default=timezone.now, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="calls",
        verbose_name="person",
    )
    key = models.ForeignKey(Key, on_delete=models.PROTECT, null=True, blank=True, related_name="calls", db_index=False)
    door = models.CharField("came by", max_length=20, choices=Door.choices, default=Door.FORM)
    lane = models.CharField(max_length=10, choices=Lane.choices, default=Lane.QUEUE)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, null=True, blank=True, related_name="calls")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="calls")
    again_of = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="reruns",
        verbose_name="repeats",
    )
    inputs = models.JSONField(default=dict, blank=True)
    request = models.JSONField("request as sent", default=dict)
    demo = models.BooleanField("demo data", default=False, editable=False)

    status = models.CharField(max_length=20, choices=Status.choices, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField("attempts", default=0)
    dispatched_at = models.DateTimeField("put into the queue", default=timezone.now, editable=False)
    # Of one that the queue lost and that was put there again: since when it has waited there in all.
    queued_since = models.DateTimeField(null=True, blank=True, editable=False)
    not_before = models.DateTimeField("not before", null=True, blank=True)
    parked = models.BooleanField("held by a spend limit", default=False, editable=False)
    lease_token = models.CharField(max_length=16, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField("started", null=True, blank=True)
    sent_at = models.DateTimeField("sent", null=True, blank=True)
    # Of a call of the queue: when it was first taken from there, or first after a spend limit held it. Its age counts
    # from then: that nobody took it, for a queue was paused or long, is no reason to give it up.
    tried_since = models.DateTimeField(null=True, blank=True, editable=False)
    first_text_at = models.DateTimeField("first words", null=True, blank=True)
    finished_at = models.DateTimeField("finished", null=True, blank=True)
    # Set while it is a dead letter: given up in the queue, and nobody has dealt with it yet.
    dead_since = models.DateTimeField(null=True, blank=True, editable=False)
    # Set when its contents were removed for their age.
    pruned_at = models.DateTimeField(null=True, blank=True, editable=False)

    model = models.CharField(max_length=120, blank=True)
    reason = models.CharField("why this model", max_length=500, blank=True)
    # At first what its name could lead to, then also which rules were looked at; see `core.routing.choose`.
    routing = models.JSONField("how the model was chosen", null=True, blank=True, editable=False)
    # The model of a classifier that is being asked right now: what it costs would be lost with this process.
    classifying = models.CharField(max_length=120, blank=True, editable=False)
    text = models.TextField("answer", blank=True)
    content = models.JSONField("answer as it came", default=list, blank=True)
    # The rest of the message that a program got, without its content: enough to give it the same again.
    envelope = models.JSONField("answer's other fields", null=True, blank=True, editable=False)
    # Of the request's body as a program sent it, to know the same one again; empty at other doors.
    request_digest = models.CharField(max_length=64, blank=True, editable=False)
    # Of what was asked and for whom, where its answer may be given again for a while; empty where it may not.
    keep_digest = models.CharField(max_length=64, blank=True, editable=False)
    kept_from = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name="answer kept from",
    )
    written = models.BooleanField("a written fallback answer", default=False, editable=False)
    stop_reason = models.CharField(max_length=40, blank=True)
    request_id = models.CharField("Claude's request id", max_length=120, blank=True)
    error_type = models.CharField("kind of error", max_length=60, blank=True)
    error_status = models.PositiveSmallIntegerField("HTTP status", null=True, blank=True)
    error_message = models.TextField("error in Claude's words", blank=True)

    objects = CallQuerySet.as_manager()

    # Whether this very object was stored as claimed, so that nobody else runs it.
    claimed_here = False
    # What was booked for it, where that is all and this very object was there.
    only_record: CostRecord | None = None

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="call_newest"),
            models.Index(fields=["user", "-created_at", "-id"], name="call_newest_of_user"),
            models.Index(fields=["prompt", "-created_at", "-id"], name="call_newest_of_prompt"),
            models.Index(fields=["key", "-created_at", "-id"], name="call_newest_of_key"),
            models.Index(fields=["request_id"], name="call_request_id"),
            models.Index(
                fields=["dispatched_at"],
                name="call_to_run",
                condition=Q(status__in=["queued", "waiting"]),
            ),
            # Only what waits or runs has these; a condition on the status is one that SQLite would not see through.
            models.Index(fields=["not_before"], name="call_waiting", condition=Q(not_before__isnull=False)),
            models.Index(fields=["queued_since"], name="call_put_again", condition=Q(queued_since__isnull=False)),
            models.Index(fields=["lease_until"], name="call_lease", condition=Q(lease_until__isnull=False)),
            models.Index(
                fields=["error_type", "model", "dead_since"],
                name="call_dead_letter",
                condition=Q(dead_since__isnull=False),
            ),
            models.Index(
                fields=["key", "request_digest", "-created_at"],
                name="call_same_request",
                condition=~Q(request_digest=""),
            ),
            models.Index(fields=["keep_digest", "-created_at"], name="call_kept_answer", condition=~Q(keep_digest="")),
        ]
        permissions: ClassVar = [
            ("view_all_calls", "Can read everybody's calls"),
            ("cancel_call", "Can cancel anybody's calls"),
            ("rerun_call", "Can run anybody's calls again"),
            ("view_queues", "Can look into the queues"),
            ("remove_demo", "Can remove the demo data"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def get_absolute_url(self) -> str:
        return reverse("call", args=[self.pk])

    @property
    def finished(self) -> bool:
        return self.status in self.FINISHED

    @property
    def cancelable(self) -> bool:
        return self.status in self.UNSENT

    @property
    def may_join_a_batch(self) -> bool:
        """Whether its answer may take a day, where its route says so."""
        return self.lane == self.Lane.QUEUE and self.door in self.PATIENT_DOORS

    @property
    def waits_for_a_batch(self) -> bool:
        """Whether it waits for others to go to Claude with, so that it can still be sent by itself."""
        return self.lane == self.Lane.BATCH and self.status == self.Status.WAITING

    @property
    def status_words(self) -> str:
        """Its status in a few words; what is said of single calls would mislead of those of a batch."""
        if self.parked:
            return self.HELD
        if self.lane != self.Lane.BATCH or self.finished:
            return self.get_status_display()
        return "Waits for a batch" if self.waits_for_a_batch else "In a batch"

    @property
    def seconds(self) -> float | None:
        """How long the last attempt took, from its start to its end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def records(self) -> list[CostRecord]:
        """What was booked for it by the time it ended here: one query, or none where that was all booked here."""
        return list(self.cost_records.all()) if self.only_record is None else [self.only_record]

    @property
    def cost(self) -> Decimal | None:
        """What its exchanges with Claude cost together, in USD; None while any of them is unknown."""
        return self.cost_of(self.cost_records.all())

    @staticmethod
    def cost_of(records: Collection[CostRecord]) -> Decimal | None:
        """What all of a call's records say together."""
        corrected = {record.corrects_id for record in records}
        if any(record.amount is None and record.pk not in corrected for record in records):
            return None
        # A correction carries the difference, so that all are summed.
        return sum((record.amount for record in records if record.amount is not None), Decimal(0))

    # Each state change is one conditional UPDATE; False says that somebody else was first.

    def _change(self, allowed: Q, **values: Any) -> bool:
        changed = Call.objects.filter(allowed, pk=self.pk).update(**values)
        if changed:
            for name, value in values.items():
                setattr(self, name, value)
        return bool(changed)

    def _change_here(self, **values: Any) -> bool:
        """Where this process holds the lease."""
        return self._change_to(**values).make()

    def _change_to(self, **values: Any) -> direct.Change:
        return direct.Change(self, {"status": self.Status.RUNNING, "lease_token": self.lease_token}, values)

    def _holds_lease(self) -> Q:
        return Q(status=self.Status.RUNNING, lease_token=self.lease_token)

    def _lost(self) -> Q:
        return self._holds_lease() & Q(lease_until__lt=clock.after())

    def mark_classifying(self, model: str) -> bool:
        """Note, before a classifier is asked, that its exchange may be billed; with "", that it is booked."""
        return self._change_here(classifying=model)

    @staticmethod
    def claimed(lease: dt.timedelta) -> dict[str, Any]:
        """The fields of a call that this process runs itself; one stored with them needs no claim afterwards."""
        now = timezone.now()
        return {
            "status": Call.Status.RUNNING,
            "lease_token": secrets.token_hex(8),
            "lease_until": now + lease,
            "attempt": 1,
            "started_at": now,
        }

    def begin_now(self, lease: dt.timedelta) -> None:
        """Have it begin only now, where it is stored as claimed and has waited for that."""
        now = timezone.now()
        self.started_at, self.lease_until = now, now + lease
        self.sent_at = self.sent_at and now

    def may_have_lapsed(self, lease: dt.timedelta) -> bool:
        """Whether so much of the lease of this attempt, unless it was renewed, is over that it may end any moment."""
        return self.started_at is None or timezone.now() > self.started_at + lease / 3

    def renew_here(self, lease: dt.timedelta) -> bool:
        """Renew the lease; False where somebody else has the call by now."""
        mine = Call.objects.filter(self._holds_lease(), pk=self.pk)
        return bool(mine.update(lease_until=clock.after(lease)))

    def mark_sent(
        self, model: str, reason: str, routing: dict[str, Any] | None = None, *, attempt: int | None = None
    ) -> bool:
        """Note, before anything is sent, that it may have been: from here on this attempt may be billed.

        `attempt` is the number of a further one in the same process.
        """
        values = {"sent_at": timezone.now(), "model": model, "reason": reason[:500]}
        if routing is not None:
            values["routing"] = routing
        if attempt is None:
            return shared.make(self._change_to(**values))
        return self._change(self._holds_lease() & Q(attempt__lt=attempt), attempt=attempt, **values)

    def rest(self) -> bool:
        """Nothing is under way until the next attempt is marked as sent."""
        return self._change_here(sent_at=None)

    def succeed(self, answer: dict[str, Any]) -> bool:
        """End with an answer: `text`, `content`, `envelope`, `stop_reason`, `model`, `request_id`."""
        return self.success(answer).make()

    def success(self, answer: Mapping[str, Any]) -> direct.Change:
        """The same, still to be made."""
        return self._change_to(
            status=self.Status.SUCCEEDED,
            error_type="",
            error_status=None,
            error_message="",
            **answer,
            **self._ended(),
        )

    def fail(
        self,
        status: str,
        error: dict[str, Any],
        *,
        text: str = "",
        content: list[dict[str, Any]] | None = None,
    ) -> bool:
        """End as failed (trying again is of no use) or dead (tried often enough), keeping any partial text."""
        parts = {"text": text, "content": content or []}
        return self._change_here(status=status, **parts, **error, **self._ended(status))

    def wait(self, until: dt.datetime, error: dict[str, Any]) -> bool:
        """Try again at `until`, not earlier."""
        return self._change_here(
            status=self.Status.WAITING,
            not_before=until,
            dispatched_at=until,
            lease_until=None,
            lease_token="",
            **error,
        )

    def end_waiting(self) -> bool:
        """Its time has come: for the queue it is as good as new."""
        waiting = Q(status=self.Status.WAITING, dispatched_at=self.dispatched_at, not_before__lte=timezone.now())
        return self._change(waiting, status=self.Status.QUEUED, **self._at_once())

    def release(self) -> bool:
        """A person says that the spend limit is lifted."""
        held = Q(status=self.Status.WAITING, parked=True)
        return self._change(held, status=self.Status.QUEUED, **self._at_once())

    def _at_once(self) -> dict[str, Any]:
        return {"not_before": None, "parked": False, "dispatched_at": timezone.now(), "queued_since": None}

    def hand_back(self) -> bool:
        """Let another process run it, where nothing of this attempt was sent: then it was none."""
        unsent = self._holds_lease() & Q(sent_at=None, classifying="")
        queued = {"status": self.Status.QUEUED, "lease_until": None, "lease_token": "", **self._at_once()}
        return self._change(unsent & ~self._attempt_failed(), attempt=max(0, self.attempt - 1), **queued) or (
            self._change(unsent, **queued)
        )

    def put_off(self, until: dt.datetime, error: dict[str, Any]) -> bool:
        """Wait for `until` without having sent anything of this attempt, so that it does not count."""
        return self._change(
            self._holds_lease() & Q(sent_at=None) & ~self._attempt_failed(),
            status=self.Status.WAITING,
            attempt=max(0, self.attempt - 1),
            not_before=until,
            dispatched_at=until,
            lease_until=None,
            lease_token="",
            **error,
        )

    @staticmethod
    def _attempt_failed() -> Q:
        """Whether its newest number is that of a try that was sent."""
        return Q(failed_attempts__number=F("attempt"))

    def join_a_batch(self, until: dt.datetime, reason: str, routing: dict[str, Any] | None) -> bool:
        """Wait, until then at most, for others to go with: its route says so. Nothing of it was sent."""
        return self._change_here(
            status=self.Status.WAITING,
            lane=self.Lane.BATCH,
            reason=reason[:500],
            routing=routing,
            attempt=max(0, self.attempt - 1),
            not_before=until,
            lease_until=None,
            lease_token="",
        )

    def go_alone(self) -> bool:
        """Somebody wants its answer now, at the usual price, which it has reserved."""
        routing = dict(self.routing or {})
        routing["chosen"] = {**routing.get("chosen", {}), "batch": False}
        reason = f"{self.reason}; sent at once instead of in a batch, as was asked for"[:500]
        waiting = Q(status=self.Status.WAITING, lane=self.Lane.BATCH)
        changed = {"lane": self.Lane.QUEUE, "routing": routing, "reason": reason, **self._at_once()}
        return self._change(waiting, status=self.Status.QUEUED, **changed)

    def park(self, until: dt.datetime, error: dict[str, Any]) -> bool:
        """Wait for the end of a spend limit, or until somebody releases it."""
        return self.wait(until, {**error, "parked": True, "tried_since": None})

    def abandon(self) -> bool:
        """Let the lease run out now, for this process is about to end."""
        return self._change_here(lease_until=timezone.now() - LONG_AGO)

    def give_back(self) -> bool:
        """Queue a call again whose process is gone."""
        return self._change(
            self._lost(), status=self.Status.QUEUED, lease_until=None, lease_token="", dispatched_at=timezone.now()
        )

    def give_up(self, error: dict[str, Any]) -> bool:
        """End a call whose process is gone once too often."""
        return self._change(self._lost(), status=self.Status.DEAD, **error, **self._ended(self.Status.DEAD))

    def close_letter(self) -> bool:
        """Somebody deals with it, so it is no dead letter any more; False where it was none."""
        return self._change(Q(dead_since__isnull=False), dead_since=None)

    def mark_dispatched(self) -> bool:
        """Note that it is put into the queue once more, which only one process does."""
        unstarted, now = Q(status=self.Status.QUEUED, dispatched_at=self.dispatched_at), timezone.now()
        # Never later than now, whatever the clock said when it came into the queue.
        return self._change(
            unstarted, dispatched_at=now, queued_since=self.queued_since or min(self.dispatched_at, now)
        )

    def cancel(self) -> bool:
        """Cancel what has not been sent; what is already at work runs to its end."""
        return self._change(Q(status__in=self.UNSENT), status=self.Status.CANCELED, queued_since=None, **self._ended())

    def _ended(self, status: str = "") -> dict[str, Any]:
        now = timezone.now()
        # Whoever waits for an answer at once is told at once; what dies in the queue is left to somebody.
        letter = status == self.Status.DEAD and self.lane == self.Lane.QUEUE
        return {
            **({"dead_since": now} if letter else {}),
            "finished_at": now,
            "first_text_at": self.first_text_at,
            "lease_until": None,
            "not_before": None,
            "parked": False,
        }


_by_id: direct.Finder[Call, uuid.UUID] = direct.Finder(
    lambda call_id: Call.objects.select_related("version", "key", "prompt").filter(pk=call_id), uuid.UUID(int=0)
)

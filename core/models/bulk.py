"""Which tables did people give to a prompt, what was found in them, and what became of them?"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from core.models.batches import Batch
from core.models.budgets import BudgetWindow
from core.models.fields import MoneyField
from core.models.prompts import Prompt, PromptVersion

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core.models.people import User


def new_token() -> str:
    return secrets.token_hex(8)


class BulkRunQuerySet(models.QuerySet["BulkRun"]):
    def visible_to(self, user: User | AnonymousUser) -> BulkRunQuerySet:
        """The runs whose rows `user` may read: their own, or all with the permission for it."""
        if not user.is_authenticated:
            return self.none()
        return self if user.has_perm("core.view_all_calls") else self.filter(user=user)

    def due(self, now: dt.datetime) -> BulkRunQuerySet:
        """Those that wait for a worker, and that nobody has in hand."""
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        return self.filter(free, state__in=BulkRun.AT_WORK)

    def claim(self, pk: uuid.UUID, lease: dt.timedelta) -> BulkRun | None:
        """Take a due run for this process, or None where somebody else has it."""
        now, token = timezone.now(), new_token()
        held = {"lease_token": token, "lease_until": now + lease, "tries": F("tries") + 1}
        taken = self.due(now).filter(pk=pk).update(**held)
        return self.with_its_prompt().filter(pk=pk, lease_token=token).first() if taken == 1 else None

    def light(self) -> BulkRunQuerySet:
        """Without what was found in the tables, for lists of many."""
        return self.defer("faults", "samples", "columns", "places")

    def with_its_prompt(self) -> BulkRunQuerySet:
        return self.select_related("user", "prompt", "version__route", "version__alias", "version__model", "batch")

    def forgotten(self, now: dt.datetime) -> BulkRunQuerySet:
        """Those that nobody has started, nor touched for so long that nobody will."""
        before = now - dt.timedelta(days=settings.BULK_DRAFT_DAYS)
        return self.filter(batch=None, touched_at__lt=before).exclude(state__in=BulkRun.AT_WORK)

    def hold(self) -> bool:
        """Keep the one that these conditions are for from any change until the transaction ends; False if none is."""
        return self.update(touched_at=F("touched_at")) == 1


class BulkRun(models.Model):
    """A person's table and the prompt that it is for: from the file to the batch that it became.

    `places` says which column each variable is in. `revision` is a new one each time that the table was read, so that
    a person starts what they have seen; `file_token` with each file, so that nobody puts lines of another one right.
    Amounts are in USD; `most_…` are what all rows together can cost at most, `likely_…` what they probably will.
    """

    class State(models.TextChoices):
        CHECKING = "checking", "Being read"
        REFUSED = "refused", "Cannot be read"
        COLUMNS = "columns", "Waits for its columns"
        CHECKED = "checked", "Waits for you to start it"
        STARTING = "starting", "Being started"
        STARTED = "started", "Started"

    AT_WORK: ClassVar = [State.CHECKING, State.STARTING]
    LOOSE: ClassVar = [State.CHECKING, State.REFUSED, State.COLUMNS, State.CHECKED]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="bulk_runs", verbose_name="person"
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="bulk_runs")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    # The batch whose rows without an answer it runs again, instead of those of a file; never itself a repeat, so that
    # all repeats of a table hang on the first one. The `turn` of each among them counts from 1.
    again_of = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="repeated_by")
    turn = models.PositiveIntegerField(default=0, editable=False)
    batch = models.OneToOneField(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="bulk_run")
    state = models.CharField(max_length=10, choices=State.choices, default=State.CHECKING)
    problem = models.CharField("what is wrong", max_length=500, blank=True)

    name = models.CharField("file", max_length=200)
    size = models.PositiveBigIntegerField("bytes", default=0)
    kind = models.CharField("understood as", max_length=200, blank=True)
    columns = models.JSONField(default=list, blank=True)
    places = models.JSONField(null=True, blank=True)
    file_token = models.CharField(max_length=16, default=new_token, editable=False)
    revision = models.CharField(max_length=16, default=new_token, editable=False)

    rows = models.PositiveIntegerField(default=0)
    faulty = models.PositiveIntegerField("rows with faults", default=0)
    # The first of them: number of the line, what is wrong, and its cells.
    faults = models.JSONField(default=list, blank=True)
    # The first usable ones: number of the line, and what is sent of it.
    samples = models.JSONField(default=list, blank=True)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    likely_batch = MoneyField(null=True)
    likely_live = MoneyField(null=True)
    most_batch = MoneyField(null=True)
    most_live = MoneyField(null=True)

    # How it is to be started: with its faulty rows left out, and at once at the usual price.
    skip_faulty = models.BooleanField(default=False)
    live = models.BooleanField("answers at once", default=False)
    # Where it was started, for the e-mail at its end.
    address = models.URLField(max_length=300, blank=True)
    # The budget that had no room for it, and what it needed of it; without a need its price is not known.
    refused_by = models.ForeignKey(BudgetWindow, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    refused_need = MoneyField(null=True)

    created_at = models.DateTimeField("uploaded", default=timezone.now, editable=False)
    touched_at = models.DateTimeField(default=timezone.now, editable=False)
    lease_token = models.CharField(max_length=16, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    # How often it was taken in hand since something came of that.
    tries = models.PositiveSmallIntegerField(default=0, editable=False)

    objects = BulkRunQuerySet.as_manager()

    class Meta:
        verbose_name = "bulk run"
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["again_of", "turn"], condition=Q(again_of__isnull=False), name="one_repeat_per_turn"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user", "-created_at", "-id"], name="bulk_newest_of_user"),
            models.Index(fields=["-created_at", "-id"], name="bulk_newest"),
            models.Index(
                fields=["state"], name="bulk_at_work", condition=Q(state__in=["checking", "starting"])
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("bulk_run", args=[self.pk])

    @property
    def usable(self) -> int:
        return self.rows - self.faulty

    @property
    def over(self) -> bool:
        """Whether nothing more will become of it: it was started, and has ended."""
        return self.batch is not None and self.batch.over

    @property
    def at_work(self) -> bool:
        """Whether a worker reads it or writes it down."""
        return self.state in self.AT_WORK

    @property
    def fixed(self) -> bool:
        """Whether nothing of it can be changed any more."""
        return self.state in {self.State.STARTING, self.State.STARTED}

    # Each state change is one conditional UPDATE; False says that somebody else was first.

    def _change(self, allowed: Q, **values: Any) -> bool:
        values = {**values, "touched_at": timezone.now()}
        changed = BulkRun.objects.filter(allowed, pk=self.pk).update(**values)
        if changed:
            for name, value in values.items():
                setattr(self, name, value)
        return bool(changed)

    def _held(self, state: str) -> Q:
        return Q(state=state, lease_token=self.lease_token, lease_until__isnull=False)

    def check_again(self, **values: Any) -> bool:
        """Have it read once more, with these values changed; not while it is being started, nor if the file was."""
        loose = Q(state__in=self.LOOSE, file_token=self.file_token)
        fresh: dict[str, Any] = {
            "problem": "",
            "refused_by": None,
            "refused_need": None,
            "lease_until": None,
            "tries": 0,
        }
        return self._change(loose, state=self.State.CHECKING, lease_token="", **{**fresh, **values})

    def renew(self, lease: dt.timedelta) -> bool:
        """Say that it is still being worked on; False where somebody else has taken it over."""
        return self._change(self._held(self.state), lease_until=timezone.now() + lease)

    def mark_checked(self, state: str, **found: Any) -> bool:
        """What was found in it, by the process that has it in hand."""
        free: dict[str, Any] = {"lease_until": None, "lease_token": "", "revision": new_token(), "tries": 0}
        return self._change(self._held(self.State.CHECKING), state=state, **free, **found)

    def ask_to_start(self, seen: str, *, live: bool, skip_faulty: bool, address: str, most: int | None = None) -> bool:
        """A person has seen the table and the price in this revision and said yes; `most` rows may be started so."""
        ready = Q(state=self.State.CHECKED, revision=seen, rows__gt=F("faulty"))
        if not skip_faulty:
            ready &= Q(faulty=0)
        if most is not None:
            ready &= Q(rows__lte=F("faulty") + most)
        return self._change(
            ready,
            state=self.State.STARTING,
            live=live,
            skip_faulty=skip_faulty,
            address=address,
            refused_by=None,
            refused_need=None,
            problem="",
            tries=0,
        )

    def mark_started(self, batch: Batch) -> bool:
        """It has become this batch; belongs into the transaction that starts it."""
        return self._change(
            self._held(self.State.STARTING), state=self.State.STARTED, batch=batch, lease_until=None, lease_token=""
        )

    def mark_not_started(self, **why: Any) -> bool:
        """Nothing was reserved and nothing sent; the person may change something and try again."""
        free: dict[str, Any] = {"lease_until": None, "lease_token": "", "tries": 0}
        return self._change(self._held(self.State.STARTING), state=self.State.CHECKED, **free, **why)

    def mark_changed(self, problem: str) -> bool:
        """It is not any more what the person saw: nothing was reserved, and it is read anew for them to look again."""
        return self._change(
            self._held(self.State.STARTING),
            state=self.State.CHECKING,
            lease_until=None,
            lease_token="",
            problem=problem[:500],
            tries=0,
        )


class UploadPiece(models.Model):
    """A stretch of an uploaded file. In the database, for every process on every machine has to find it there."""

    run = models.ForeignKey(BulkRun, on_delete=models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering: ClassVar = ["run", "number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "number"], name="one_number_per_upload_piece"),
        ]

    def __str__(self) -> str:
        return f"piece {self.number} of {self.run_id}"


class CorrectedLine(models.Model):
    """The cells of a line of a table that was put right by hand: they count instead of those in the file."""

    run = models.ForeignKey(BulkRun, on_delete=models.CASCADE, related_name="corrected_lines", db_index=False)
    line = models.PositiveIntegerField()
    cells = models.JSONField(default=list)

    class Meta:
        ordering: ClassVar = ["run", "line"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "line"], name="one_corrected_line_per_number"),
        ]

    def __str__(self) -> str:
        return f"line {self.line} of {self.run_id}"


class SkippedLine(models.Model):
    """A line of a table that could not be sent, and was left out by the will of whoever started the rest."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="skipped_lines", db_index=False)
    line = models.PositiveIntegerField()
    cells = models.JSONField(default=list)
    fault = models.TextField()

    class Meta:
        ordering: ClassVar = ["batch", "line"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "line"], name="one_skipped_line_per_number"),
        ]

    def __str__(self) -> str:
        return f"line {self.line} of {self.batch_id}"

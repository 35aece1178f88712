"""How does each regular task stand, which queues are paused, and who was told of what?"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from core.models import clock


class RegularTaskQuerySet(models.QuerySet["RegularTask"]):
    def due(self, now: dt.datetime) -> RegularTaskQuerySet:
        """Tasks whose time has come and that nobody runs, or whose process showed no sign of life for a lease.

        As with calls, leases are given and judged by the database's clock.
        """
        return self.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=clock.after()), next_at__lte=now)

    def claim(self, name: str, lease: dt.timedelta) -> RegularTask | None:
        """Take a task that is due, or answer None where it is not or somebody else runs it."""
        now = timezone.now()
        values = {"lease_token": secrets.token_hex(8), "lease_until": clock.after(lease), "started_at": now}
        taken = self.due(now).filter(pk=name).update(**values)
        return self.filter(pk=name, lease_token=values["lease_token"]).first() if taken else None

    def shorten(self, lease: dt.timedelta) -> int:
        """End leases within one lease that end later than any was given for: the clock was put back since."""
        return self.filter(lease_until__gt=clock.after(2 * lease)).update(lease_until=clock.after(lease))


class RegularTask(models.Model):
    """When a task that runs by the clock ran last, how it ended, and when it is due."""

    name = models.CharField(max_length=40, primary_key=True)
    since = models.DateTimeField(default=timezone.now, editable=False)
    next_at = models.DateTimeField("due", default=timezone.now)
    lease_token = models.CharField(max_length=16, blank=True)
    lease_until = models.DateTimeField(null=True)
    started_at = models.DateTimeField("last begun", null=True)
    finished_at = models.DateTimeField("last ended", null=True)
    seconds = models.FloatField("took", null=True)
    result = models.CharField(max_length=500, blank=True)
    error = models.CharField(max_length=500, blank=True)
    failures = models.PositiveIntegerField("failures in a row", default=0)
    succeeded_at = models.DateTimeField("last went well", null=True)
    # Up to where a task has come that goes on from there.
    reached = models.DateTimeField(null=True)

    objects = RegularTaskQuerySet.as_manager()

    class Meta:
        verbose_name = "regular task"
        # Of the one page that there is about them.
        verbose_name_plural = "operations"
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [("run_housekeeping", "Can start a regular task now")]

    def __str__(self) -> str:
        return self.name

    # Only the process that holds the lease changes anything; False says that another one has taken the task over.

    def renew(self, lease: dt.timedelta) -> bool:
        return bool(self._mine().update(lease_until=clock.after(lease)))

    def end(self, seconds: float, next_at: dt.datetime, *, result: str = "", error: str = "") -> bool:
        """It ran to its end, or failed with `error`."""
        now = timezone.now()
        outcome = {"failures": F("failures") + 1} if error else {"failures": 0, "succeeded_at": now}
        return bool(
            self._mine().update(
                lease_token="",
                lease_until=None,
                finished_at=now,
                seconds=seconds,
                next_at=next_at,
                result=result[:500],
                error=error[:500],
                **outcome,
            )
        )

    def _mine(self) -> models.QuerySet[RegularTask]:
        return RegularTask.objects.filter(pk=self.pk, lease_token=self.lease_token)


class PausedQueue(models.Model):
    """A queue from which no worker takes anything. In the database, for a pause must outlive Redis."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField("since", default=timezone.now, editable=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name = "paused queue"
        permissions: ClassVar = [("pause_queue", "Can pause a queue and let it go on")]

    def __str__(self) -> str:
        return self.name


class Alarm(models.Model):
    """What people were told of last about one subject, so that they are told once."""

    subject = models.CharField(max_length=60, primary_key=True)
    size = models.IntegerField(default=0)
    told_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.subject

    @classmethod
    def of(cls, subject: str) -> Alarm:
        return cls.objects.get_or_create(pk=subject)[0]

    def change(self, size: int, told_at: dt.datetime | None = None) -> bool:
        """Note what is known now; False where another process noted something since this was read."""
        values = {"size": size} if told_at is None else {"size": size, "told_at": told_at}
        return bool(Alarm.objects.filter(pk=self.pk, size=self.size, told_at=self.told_at).update(**values))

    def mark_told(self, size: int, at: dt.datetime) -> None:
        """The e-mail that was begun then is sent, and told of so much."""
        Alarm.objects.filter(pk=self.pk, told_at=at).update(size=size)

    def put_back(self, at: dt.datetime) -> None:
        """Nobody heard of what was begun then."""
        Alarm.objects.filter(pk=self.pk, told_at=at).update(size=self.size, told_at=self.told_at)

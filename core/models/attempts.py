"""Which tries at a call failed, and which requests ask for the same call again?"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db import models
from django.utils import timezone

from core.models.calls import Call
from core.models.keys import Key


class FailedAttempt(models.Model):
    """One request to Claude that brought no whole answer; the one that did is on the call itself.

    What it cost, where it may have been billed, is the `CostRecord` of the same call and number.
    """

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="failed_attempts")
    number = models.PositiveSmallIntegerField("attempt")
    model = models.CharField(max_length=120)
    at = models.DateTimeField("when", default=timezone.now, editable=False)
    seconds = models.FloatField("took", null=True)
    request_id = models.CharField("Claude's request id", max_length=120, blank=True)
    error_type = models.CharField("kind of error", max_length=60)
    error_status = models.PositiveSmallIntegerField("HTTP status", null=True)
    error_message = models.TextField("error in Claude's words", blank=True)
    # What was done about it: tried again, another model, given up.
    then = models.CharField("what followed", max_length=200, blank=True)

    class Meta:
        verbose_name = "failed attempt"
        ordering: ClassVar = ["call", "number", "pk"]

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.error_type}"


class IdempotencyToken(models.Model):
    """That a program named a request, so that the same one again gives the same call. Kept for a day."""

    REMEMBERED: ClassVar = dt.timedelta(hours=24)

    key = models.ForeignKey(Key, on_delete=models.CASCADE, related_name="+")
    token = models.CharField(max_length=255)
    # Of the body: another body under the same name is a mistake of the caller's.
    digest = models.CharField(max_length=64)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "token"], name="one_call_per_key_and_token"),
        ]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="idempotency_age")]

    def __str__(self) -> str:
        return self.token

"""How did our ledger compare with the provider's own report?"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from core.models.fields import MoneyField


class Reconciliation(models.Model):
    """One comparison of one day. The newest of a day counts; older ones stay as history."""

    day = models.DateField()
    at = models.DateTimeField("compared", default=timezone.now, editable=False)
    tolerance = MoneyField("tolerance in USD")
    # Why it could not be done; empty where it was.
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering: ClassVar = ["-day", "-at"]
        indexes: ClassVar = [models.Index(fields=["day", "-at"], name="reconciliation_newest")]

    def __str__(self) -> str:
        return f"{self.day}"


class ReconciliationLine(models.Model):
    """One model on that day: what we booked, and what the provider reports."""

    class Verdict(models.TextChoices):
        MATCHED = "matched"
        OURS_ONLY = "ours_only", "Only in our ledger"
        THEIRS_ONLY = "theirs_only", "Only in the provider's report"
        PRICE_DIFFERS = "price_differs", "The amounts differ"
        UNKNOWN_HERE = "unknown_here", "Explained by unknown costs of ours"

    reconciliation = models.ForeignKey(Reconciliation, on_delete=models.CASCADE, related_name="lines")
    model = models.CharField(max_length=120)
    ours = MoneyField(null=True)
    theirs = MoneyField(null=True)
    unknown = models.PositiveIntegerField("unknown costs of ours", default=0)
    verdict = models.CharField(max_length=20, choices=Verdict.choices)

    class Meta:
        verbose_name = "compared model"
        ordering: ClassVar = ["reconciliation", "model"]

    def __str__(self) -> str:
        return f"{self.model}: {self.verdict}"

"""What was spent per day and month, kept ready for reports?

A report reads these sums and adds the records that are still pending, in one statement: it is exact at every moment.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from core.models.fields import MoneyField
from core.models.ledger import CostRecord


class PendingRollup(models.Model):
    """A cost record that is not in the sums yet; written with the record, removed with the sum that takes it in."""

    record = models.OneToOneField(CostRecord, on_delete=models.CASCADE, primary_key=True, related_name="pending")

    def __str__(self) -> str:
        return str(self.pk)


class SpendRollup(models.Model):
    """The sums of one value of one dimension on one day or in one month: `prompt` 7 on 2026-11-21."""

    class Grain(models.TextChoices):
        DAY = "day"
        MONTH = "month"

    class Dimension(models.TextChoices):
        TOTAL = "total"
        PROMPT = "prompt"
        MODEL = "model"
        USER = "user", "Person"
        TEAM = "team"
        KEY = "key"
        LANE = "lane"
        COST_CENTRE = "cost_centre", "Cost centre"

    grain = models.CharField(max_length=5, choices=Grain.choices)
    # The day itself, or the first of the month.
    starts_on = models.DateField()
    dimension = models.CharField(max_length=12, choices=Dimension.choices)
    # The primary key or the text of what is summed; empty where the records name none.
    value = models.CharField(max_length=120, blank=True)
    amount = MoneyField(default=0)
    records = models.BigIntegerField(default=0)
    # Records whose amount is unknown and not put right; falls when one is put right.
    unknown = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    saved_by_cache = MoneyField(default=0)
    saved_by_batch = MoneyField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dimension", "grain", "starts_on", "value"], name="one_rollup_per_value"),
        ]

    def __str__(self) -> str:
        return f"{self.dimension} {self.value} {self.starts_on}"


class ClosedMonth(models.Model):
    """A month whose figures were reported and stay as they are: what comes later counts for the open month."""

    first_day = models.DateField(unique=True)
    amount = MoneyField("total when it was closed")
    closed_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = "closed month"
        ordering: ClassVar = ["-first_day"]

    def __str__(self) -> str:
        return f"{self.first_day:%B %Y}"

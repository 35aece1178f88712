"""What was each exchange with Claude billed at? Rows are added, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.models.calls import Call
from core.models.catalogue import Price
from core.models.fields import MoneyField
from core.models.keys import Key
from core.models.prompts import Immutable, Prompt


class CostRecordQuerySet(models.QuerySet["CostRecord"]):
    def update(self, **kwargs: Any) -> NoReturn:  # noqa: ARG002 - the signature it closes
        raise TypeError("cost records are never changed")

    def delete(self) -> NoReturn:
        raise TypeError("cost records are never deleted")

    def unknown(self) -> CostRecordQuerySet:
        """Those whose amount is still unknown: no later record has put it right."""
        return self.filter(amount__isnull=True, correction=None)

    def remove_demo(self) -> int:
        """Delete the demo's records; answers how many. Nothing else may delete any: see `core.models.guard`."""
        return self.filter(demo=True)._raw_delete(self.db)


class CostRecord(Immutable):
    """One exchange that may have been billed: usage as it came, the price used, the amount.

    `amount` is NULL with a reason where usage or price is unknown; unknown is never zero.

    How corrections enter sums: a record that corrects another carries the difference that it makes, in the amount, the
    savings and the token counts alike; it may be negative. So what was spent is the plain `SUM(amount)`, over any days
    and any group, and a record once summed never leaves a sum. What corrects an unknown amount carries all of it. How
    many are unknown is the records without an amount, minus those of them that another record corrects: a correction of
    an unknown one lowers the count by one on the day it counts for, unless it is unknown itself. `price`, `rates` and
    `parts` of a correction are those of the whole new amount. A correction counts for the day of the exchange, or,
    where that month is closed, for the day on which it was entered. A chain of corrections is a line: each record is
    corrected by one other at most, and it is the newest that is corrected.
    """

    class Purpose(models.TextChoices):
        ANSWER = "answer", "Answer"
        CLASSIFICATION = "classification", "Classification"

    class Source(models.TextChoices):
        SETTLED = "settled", "Settled with the answer"
        BY_HAND = "by_hand", "Entered by hand"
        RECONCILED = "reconciled", "From the provider's report"
        REPRICED = "repriced", "Priced anew"

    at = models.DateTimeField("when", default=timezone.now, editable=False)
    call = models.ForeignKey(Call, on_delete=models.PROTECT, related_name="cost_records")
    attempt = models.PositiveSmallIntegerField(default=1)
    purpose = models.CharField(max_length=20, choices=Purpose.choices, default=Purpose.ANSWER)
    # Copied from the call so that reports read one table.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="person",
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    key = models.ForeignKey(Key, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    team = models.ForeignKey("auth.Group", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    cost_centre = models.CharField("cost centre", max_length=40, blank=True)
    lane = models.CharField(max_length=10, choices=Call.Lane.choices, default=Call.Lane.QUEUE)
    model = models.CharField(max_length=120)
    # The day that it counts for, in the installation's time zone: that of `at`, but never one of a closed month.
    booked_on = models.DateField("counts for", default=timezone.localdate)
    request_id = models.CharField("Claude's request id", max_length=120, blank=True)

    input_tokens = models.PositiveIntegerField("input tokens", null=True)
    output_tokens = models.PositiveIntegerField("output tokens", null=True)
    cache_write_5m_tokens = models.PositiveIntegerField("tokens written to cache, 5 minutes", null=True)
    cache_write_1h_tokens = models.PositiveIntegerField("tokens written to cache, 1 hour", null=True)
    cache_read_tokens = models.PositiveIntegerField("tokens read from cache", null=True)
    web_searches = models.PositiveIntegerField("web searches", null=True)
    raw_usage = models.JSONField("usage as it came", null=True)

    price = models.ForeignKey(Price, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # A copy, because a price can be corrected later and what was spent then stays as it was.
    rates = models.JSONField("rates used", null=True)
    # USD per kind, before rounding, as texts.
    parts = models.JSONField("parts of the amount", null=True)
    amount = MoneyField("amount in USD", null=True)
    # What the same tokens would have cost more without the cache, and without the batch.
    saved_by_cache = MoneyField("saved by caching, in USD", null=True)
    saved_by_batch = MoneyField("saved by batching, in USD", null=True)
    unknown_reason = models.CharField("why the amount is unknown", max_length=200, blank=True)
    corrects = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="correction",
        verbose_name="puts right",
    )
    source = models.CharField("how it came", max_length=20, choices=Source.choices, default=Source.SETTLED)
    note = models.CharField(max_length=300, blank=True)
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    demo = models.BooleanField("demo data", default=False, editable=False)

    objects = CostRecordQuerySet.as_manager()

    if TYPE_CHECKING:
        correction: CostRecord

    class Meta:
        verbose_name = "cost record"
        ordering: ClassVar = ["-at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-at", "-id"], name="cost_newest"),
            models.Index(fields=["booked_on"], name="cost_day"),
            models.Index(fields=["user", "booked_on"], name="cost_day_of_user"),
            models.Index(fields=["booked_on"], name="cost_correction_day", condition=Q(corrects__isnull=False)),
            models.Index(fields=["-at", "-id"], name="cost_unknown", condition=Q(amount__isnull=True)),
            models.Index(fields=["prompt", "-at"], name="cost_newest_of_prompt"),
            models.Index(fields=["user", "-at"], name="cost_newest_of_user"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["request_id"], condition=~Q(request_id=""), name="one_record_per_request_id"
            ),
            models.UniqueConstraint(
                fields=["call", "attempt", "purpose"],
                condition=Q(request_id="", corrects=None),
                name="one_record_without_request_id_per_attempt",
            ),
            models.CheckConstraint(
                condition=Q(amount__isnull=False, unknown_reason="") | (Q(amount__isnull=True) & ~Q(unknown_reason="")),
                name="unknown_amount_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__gte=0) | Q(corrects__isnull=False),
                name="amount_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(source="settled") | Q(corrects__isnull=False), name="what_is_not_settled_corrects_something"
            ),
            models.CheckConstraint(
                condition=~Q(source="by_hand") | (~Q(note="") & Q(entered_by__isnull=False)),
                name="what_is_entered_by_hand_says_by_whom_and_why",
            ),
        ]
        permissions: ClassVar = [
            ("view_spend", "Can see what everybody spent"),
            ("correct_cost", "Can fill in unknown costs and put amounts right"),
            ("close_month", "Can close a month"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.at:%Y-%m-%d %H:%M}"

    @property
    def corrected_by(self) -> CostRecord | None:
        """The record that puts this one right, if there is one."""
        return getattr(self, "correction", None)

    @property
    def late(self) -> bool:
        """Whether it counts for another month than that of its exchange, because that one was closed."""
        day = timezone.localdate(self.chain()[0].at)
        return (day.year, day.month) != (self.booked_on.year, self.booked_on.month)

    def chain(self) -> list[CostRecord]:
        """The record of the exchange and all its corrections, the oldest first; this record is among them."""
        first = self
        while first.corrects is not None:
            first = first.corrects
        found = [first]
        while (later := found[-1].corrected_by) is not None:
            found.append(later)
        return found

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002 - the signature it closes
        raise TypeError("cost records are never deleted")

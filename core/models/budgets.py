"""What may a scope spend in a period, and what may its running calls still spend?"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.models.calls import Call
from core.models.fields import KnownMoneyField
from core.models.keys import Key
from core.models.prompts import Prompt

DEFAULT_THRESHOLDS = [50, 80, 100]


def default_thresholds() -> list[int]:
    return list(DEFAULT_THRESHOLDS)


class Budget(models.Model):
    """An amount for the organisation, a group, a person, a key or a prompt, anew in each period."""

    class Scope(models.TextChoices):
        ORGANISATION = "organisation", "The whole organisation"
        GROUP = "group", "A group"
        USER = "user", "A person"
        KEY = "key", "A key"
        PROMPT = "prompt", "A prompt"

    class Period(models.TextChoices):
        DAY = "day", "Each day"
        WEEK = "week", "Each week"
        MONTH = "month", "Each month"
        ONCE = "once", "Once"

    name = models.CharField(max_length=120)
    scope = models.CharField("for", max_length=20, choices=Scope.choices)
    group = models.ForeignKey(Group, on_delete=models.CASCADE, null=True, blank=True, related_name="budgets")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="budgets",
        verbose_name="person",
    )
    key = models.ForeignKey(Key, on_delete=models.CASCADE, null=True, blank=True, related_name="budgets")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, null=True, blank=True, related_name="budgets")
    amount = KnownMoneyField("amount in USD", validators=[MinValueValidator(0)])
    period = models.CharField(max_length=10, choices=Period.choices, default=Period.MONTH)
    starts_on = models.DateField("first day", default=timezone.localdate)
    ends_on = models.DateField("last day", null=True, blank=True, help_text="For «once», and to let a budget end.")
    thresholds = models.JSONField(
        "tell at", default=default_thresholds, blank=True, help_text="Percent of the amount: [50, 80, 100]."
    )
    hard = models.BooleanField(
        "refuse what would exceed it", default=True, help_text="Otherwise it only tells, and spending goes on."
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_budgets",
        help_text="Is told at each threshold, and decides when somebody asks for more.",
    )  # fmt: skip
    active = models.BooleanField(default=True)
    demo = models.BooleanField("demo data", default=False, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="budget_names_what_it_is_for",
                condition=Q(scope="organisation", group=None, user=None, key=None, prompt=None)
                | Q(scope="group", group__isnull=False, user=None, key=None, prompt=None)
                | Q(scope="user", group=None, user__isnull=False, key=None, prompt=None)
                | Q(scope="key", group=None, user=None, key__isnull=False, prompt=None)
                | Q(scope="prompt", group=None, user=None, key=None, prompt__isnull=False),
            ),
        ]
        permissions: ClassVar = [("decide_any_budget", "Can decide about any budget's requests for more")]

    def __str__(self) -> str:
        return self.name


class BudgetWindow(models.Model):
    """One period of a budget: what it allows, what was spent, and what running calls may still spend."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="windows")
    first_day = models.DateField()
    # None: without end.
    last_day = models.DateField(null=True, blank=True)
    limit = KnownMoneyField()
    spent = KnownMoneyField(default=0)
    reserved = KnownMoneyField(default=0)

    class Meta:
        verbose_name = "budget period"
        ordering: ClassVar = ["budget", "-first_day"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["budget", "first_day"], name="one_window_per_budget_and_period"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="reserved_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.budget} from {self.first_day}"


class Reservation(models.Model):
    """What one call takes of one window: what it has spent, and what it may still spend.

    A window's `spent` and `reserved` are the sums of its reservations' `spent` and `held`, at every moment.
    """

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="reservations")
    window = models.ForeignKey(BudgetWindow, on_delete=models.CASCADE, related_name="reservations")
    # The worst case of one attempt; never changed.
    amount = KnownMoneyField()
    held = KnownMoneyField(default=0)
    spent = KnownMoneyField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    released_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["call", "window"], name="one_reservation_per_call_and_window"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="reservation_held", condition=Q(released_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.window_id} for {self.call_id}"


class BudgetNotice(models.Model):
    """That a threshold of a window was passed, and was told, once."""

    window = models.ForeignKey(BudgetWindow, on_delete=models.CASCADE, related_name="notices")
    percent = models.PositiveSmallIntegerField()
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["window", "percent"], name="one_notice_per_threshold"),
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.window_id}"


class BudgetRequest(models.Model):
    """Somebody was refused and asks for more."""

    class Status(models.TextChoices):
        OPEN = "open", "Waits for a decision"
        APPROVED = "approved"
        DECLINED = "declined"

    window = models.ForeignKey(BudgetWindow, on_delete=models.CASCADE, related_name="requests")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="budget_requests", verbose_name="person"
    )
    amount = KnownMoneyField("amount in USD", validators=[MinValueValidator(0)])
    reason = models.TextField(max_length=1000)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    created_at = models.DateTimeField("asked", default=timezone.now, editable=False)
    decided_at = models.DateTimeField("decided", null=True, blank=True, editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )
    answer = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name = "request for more"
        verbose_name_plural = "requests for more"
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="asks_for_something"),
            models.UniqueConstraint(
                fields=["window", "user"], condition=Q(status="open"), name="one_open_request_per_person_and_window"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} asks for {self.amount:.2f} USD"

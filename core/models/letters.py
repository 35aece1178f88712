"""What was done about a call that was given up?"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from core.models.calls import Call


class Handling(models.Model):
    """That somebody dealt with a call that had used up its attempts; it then leaves the list of what is left to do."""

    class How(models.TextChoices):
        AGAIN = "again", "Run again"
        DISMISSED = "dismissed", "Dismissed"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="handlings")
    at = models.DateTimeField("when", default=timezone.now, editable=False)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name="by whom"
    )
    how = models.CharField("what was done", max_length=10, choices=How.choices)
    note = models.CharField(max_length=300, blank=True)
    # The call that it runs again as, and when that may begin at the earliest where many were started at a pace.
    fresh = models.OneToOneField(Call, on_delete=models.SET_NULL, null=True, related_name="started_by")
    starts_at = models.DateTimeField("starts", null=True, editable=False)

    class Meta:
        verbose_name = "handling of a call that was given up"
        verbose_name_plural = "handlings of calls that were given up"
        ordering: ClassVar = ["-at", "-pk"]
        indexes: ClassVar = [
            models.Index(fields=["-at", "-id"], name="handling_newest"),
            models.Index(fields=["starts_at"], name="handling_places", condition=models.Q(starts_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.get_how_display()}: {self.call_id}"

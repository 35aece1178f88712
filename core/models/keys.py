"""Which programs may call on whose behalf?"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class Key(models.Model):
    """A program's key. Only its digest is stored; `prefix` is what people recognise it by."""

    name = models.CharField(max_length=120)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="keys", verbose_name="owner"
    )
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    cost_centre = models.CharField(
        "cost centre", max_length=40, blank=True, help_text="Empty: the owner's. What its calls are charged to."
    )
    created_at = models.DateTimeField("made", default=timezone.now, editable=False)
    revoked_at = models.DateTimeField("revoked", null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

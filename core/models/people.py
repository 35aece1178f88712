"""Who uses this installation?"""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser, Group
from django.db import models


class User(AbstractUser):
    """A person with a login. What they may do comes from their groups; see `core.models.roles`."""

    cost_centre = models.CharField(
        "cost centre", max_length=40, blank=True, help_text="What this person's calls are charged to on reports."
    )
    team = models.ForeignKey(
        Group,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="team_members",
        help_text="The one group that this person's calls count for on reports. Budgets of all their groups apply.",
    )
    requests_per_minute = models.PositiveIntegerField(
        "requests a minute",
        null=True,
        blank=True,
        help_text="Of all keys of this person together. Empty: the installation's usual limit; 0: no limit.",
    )
    tokens_per_minute = models.PositiveIntegerField(
        "tokens a minute",
        null=True,
        blank=True,
        help_text="Of all keys of this person together. Empty: the installation's usual limit; 0: no limit.",
    )
    demo = models.BooleanField("demo data", default=False, editable=False)

    class Meta(AbstractUser.Meta):
        verbose_name = "person"
        verbose_name_plural = "people"

    def __str__(self) -> str:
        return self.get_full_name() or self.username

"""What answers when a model cannot?"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class FallbackChain(models.Model):
    """Other models in order, and after the last of them a written answer, where there is one."""

    name = models.CharField(max_length=120, unique=True)
    is_default = models.BooleanField(
        "the usual one", default=False, help_text="Counts for every key and prompt that names no chain of its own."
    )
    answer = models.TextField(
        "written answer",
        blank=True,
        help_text="Given, and marked as written beforehand, when no model answers. Empty: the caller gets the error.",
    )
    demo = models.BooleanField("demo data", default=False, editable=False)

    class Meta:
        verbose_name = "fallback chain"
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"],
                condition=Q(is_default=True),
                name="one_usual_fallback_chain",
                violation_error_message="Another chain is the usual one already.",
            ),
        ]
        permissions: ClassVar = [
            ("reset_breaker", "Can let a model be tried again at once"),
        ]

    def __str__(self) -> str:
        return self.name

    def model_names(self) -> list[str]:
        """The models to try, in order, as they are named: an id or an alias."""
        return [step.model for step in self.steps.all()]


class FallbackStep(models.Model):
    """One model of a chain."""

    chain = models.ForeignKey(FallbackChain, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(default=0)
    model = models.CharField(max_length=120, help_text="A model's id, or an alias.")

    class Meta:
        verbose_name = "model of the chain"
        verbose_name_plural = "models of the chain"
        ordering: ClassVar = ["position", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["chain", "model"],
                name="one_step_per_model_and_chain",
                violation_error_message="This chain has that model already.",
            ),
        ]

    def __str__(self) -> str:
        return self.model

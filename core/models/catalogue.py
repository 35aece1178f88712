"""Which models does Claude offer, and what does each cost on which day?"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q


class ClaudeModelQuerySet(models.QuerySet["ClaudeModel"]):
    def usable(self) -> ClaudeModelQuerySet:
        return self.exclude(lifecycle=ClaudeModel.Lifecycle.RETIRED)


class ClaudeModel(models.Model):
    """One model as the Claude API lists it; filled by `sync_models`, never guessed from its id."""

    class Lifecycle(models.TextChoices):
        ACTIVE = "active"
        DEPRECATED = "deprecated"
        RETIRED = "retired"

    id = models.CharField("model id", primary_key=True, max_length=120)
    display_name = models.CharField("name", max_length=120)
    line = models.CharField(max_length=40, blank=True, help_text="Its family: haiku, sonnet, opus and so on.")
    lifecycle = models.CharField(max_length=20, choices=Lifecycle.choices, default=Lifecycle.ACTIVE)
    released_at = models.DateTimeField("released", null=True, blank=True)
    deprecated_at = models.DateTimeField("deprecated", null=True, blank=True)
    retires_at = models.DateTimeField("retires", null=True, blank=True)
    max_input_tokens = models.PositiveIntegerField("longest input in tokens", null=True, blank=True)
    max_tokens = models.PositiveIntegerField("longest answer in tokens", null=True, blank=True)
    capabilities = models.JSONField(default=dict, blank=True)
    synced_at = models.DateTimeField("last seen at the API", null=True, blank=True)

    objects = ClaudeModelQuerySet.as_manager()

    class Meta:
        verbose_name = "model"
        ordering: ClassVar = ["line", "-released_at", "id"]

    def __str__(self) -> str:
        suffix = "" if self.lifecycle == self.Lifecycle.ACTIVE else f" ({self.lifecycle})"
        return f"{self.display_name}{suffix}"

    @property
    def retired(self) -> bool:
        return self.lifecycle == self.Lifecycle.RETIRED


class PriceQuerySet(models.QuerySet["Price"]):
    def of(self, model_id: str, day: dt.date, input_tokens: int) -> Price | None:
        """The price of `model_id` on `day` for a request whose whole input has `input_tokens`, or None if unknown.

        The newest price book entry wins; within it the highest band that the input passes counts for all tokens.
        """
        known = self.filter(model_id=model_id, valid_from__lte=day)
        newest = known.order_by("-valid_from").values("valid_from")[:1]
        bands = known.filter(valid_from=newest).filter(Q(above_input_tokens=0) | Q(above_input_tokens__lt=input_tokens))
        return bands.order_by("-above_input_tokens").first()


def _rate(label: str, help_text: str = "") -> models.DecimalField[Decimal | int | str | None, Decimal | None]:
    return models.DecimalField(
        label,
        max_digits=16,
        decimal_places=8,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text=help_text,
    )


class Price(models.Model):
    """What one model costs from a day on, in USD per million tokens, for requests above a length of input.

    An empty rate is an unknown one: what would need it has an unknown cost, never a cost of zero.
    """

    model = models.ForeignKey(ClaudeModel, on_delete=models.PROTECT, related_name="prices")
    valid_from = models.DateField("from")
    above_input_tokens = models.PositiveIntegerField(
        "for inputs above",
        default=0,
        help_text="Tokens of the whole input. Zero is the usual price; a band counts for all tokens of a request.",
    )
    input = _rate("input")
    output = _rate("output")
    cache_write_5m = _rate("cache write, 5 minutes")
    cache_write_1h = _rate("cache write, 1 hour")
    cache_read = _rate("cache read")
    web_search = _rate("web searches", "USD per thousand searches.")
    source = models.CharField(max_length=80, blank=True, help_text="Where these figures come from.")

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["model", "-valid_from", "above_input_tokens"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["model", "valid_from", "above_input_tokens"],
                name="one_price_per_model_day_and_band",
                violation_error_message="There is a price for this model, day and length of input already.",
            ),
        ]

    def __str__(self) -> str:
        band = f" above {self.above_input_tokens:,} tokens" if self.above_input_tokens else ""
        return f"{self.model_id} from {self.valid_from}{band}"

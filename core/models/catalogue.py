"""Which models does Claude offer, and what does each cost on which day?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar, Protocol, TypeVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


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

    def supports(self, *path: str) -> bool:
        """Whether the model's capabilities, in the API's shape, say yes at `path`; unknown counts as yes."""
        if not self.capabilities:
            return True
        node: Any = self.capabilities
        for step in path:
            node = (node or {}).get(step)
        return bool((node or {}).get("supported"))

    @property
    def retired(self) -> bool:
        return self.lifecycle == self.Lifecycle.RETIRED


class PriceQuerySet(models.QuerySet["Price"]):
    def update(self, **kwargs: Any) -> int:
        """For drafts. What an approved price says stands; the database refuses it too, see `core.models.guard`."""
        self._refuse_approved("changed: what corrects it is a new entry that replaces it")
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._refuse_approved("deleted")
        return super().delete()

    def replace_by(self, price: Price) -> int:
        """These count no longer, because `price` does; the one thing that is written on an approved price, and once."""
        return super().update(replaced_by=price)

    def _refuse_approved(self, what: str) -> None:
        # A slice cannot be filtered, and Django refuses to change or delete one anyway.
        if not self.query.is_sliced and self.filter(approved_at__isnull=False).exists():
            raise TypeError(f"an approved price is never {what}")

    def in_force(self) -> PriceQuerySet:
        """Approved and not replaced by a corrected entry: what may be charged by."""
        return self.filter(approved_at__isnull=False, replaced_by=None)

    def drafts(self) -> PriceQuerySet:
        """What waits for an approval."""
        return self.filter(approved_at=None, declined_at=None)

    def in_force_of(self, model_id: str, speed: str = "standard") -> PriceQuerySet:
        return self.in_force().filter(model_id=model_id, speed=speed)

    def of(self, model_id: str, day: dt.date, input_tokens: int, speed: str = "standard") -> Price | None:
        """The price of `model_id` on `day` for a request whose whole input has `input_tokens`, or None if unknown.

        A contract price wins over the list price; of each, the newest entry; within that, the highest band that the
        input passes counts for all tokens.
        """
        return band_for(bands_on(self.in_force_of(model_id, speed), day), input_tokens)


class Entry(Protocol):
    """What decides which price counts; a `Price` has it, and so has the plain row that every call reads."""

    @property
    def contract(self) -> bool: ...
    @property
    def valid_from(self) -> dt.date: ...
    @property
    def valid_until(self) -> dt.date | None: ...
    @property
    def above_input_tokens(self) -> int: ...


E = TypeVar("E", bound=Entry)


def bands_on(prices: Iterable[E], day: dt.date) -> list[E]:
    """Of one model's prices in force, the one entry that counts on `day`, with all its bands, the lowest first.

    Empty where there is none. A newer entry ends the one before it of the same kind, also when its own last day has
    passed.
    """
    started = [price for price in prices if price.valid_from <= day]
    for contract in (True, False):
        of_kind = [price for price in started if price.contract == contract]
        newest = max((price.valid_from for price in of_kind), default=None)
        bands = [p for p in of_kind if p.valid_from == newest and (p.valid_until or day) >= day]
        if bands:
            return sorted(bands, key=lambda price: price.above_input_tokens)
    return []


def band_for(bands: Iterable[E], input_tokens: int) -> E | None:
    """Of the bands of one entry, the lowest first, the highest that an input of this length passes."""
    reached = [p for p in bands if p.above_input_tokens == 0 or p.above_input_tokens < input_tokens]
    return reached[-1] if reached else None


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


def _factor(label: str, default: str, help_text: str) -> models.DecimalField[Decimal | int | str, Decimal]:
    return models.DecimalField(
        label,
        max_digits=6,
        decimal_places=4,
        default=Decimal(default),
        validators=[MinValueValidator(Decimal(0))],
        help_text=help_text,
    )


class Price(models.Model):
    """What one model costs from a day on, in USD per million tokens, for requests above a length of input.

    An empty rate is an unknown one: what would need it has an unknown cost, never a cost of zero. An entry counts once
    it is approved. An approved entry is never edited: what corrects it is a new entry that replaces it.
    """

    class Speed(models.TextChoices):
        STANDARD = "standard"
        FAST = "fast"

    model = models.ForeignKey(ClaudeModel, on_delete=models.PROTECT, related_name="prices")
    contract = models.BooleanField(
        "our own contract price", default=False, help_text="A contract price wins over the list price on its days."
    )
    speed = models.CharField(max_length=10, choices=Speed.choices, default=Speed.STANDARD)
    valid_from = models.DateField("from")
    valid_until = models.DateField(
        "until", null=True, blank=True, help_text="Its last day. Empty: until a newer price of the same kind begins."
    )
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
    batch_factor = _factor("factor for batches", "0.5", "On every token kind. Source: the API's pricing page.")
    us_factor = _factor("factor for inference kept in the US", "1.1", "On every token kind.")
    priority_factor = _factor("factor for the priority tier", "1", "On every token kind.")
    source = models.CharField(max_length=80, blank=True, help_text="Where these figures come from.")
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField("entered", default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )
    approved_at = models.DateTimeField("approved", null=True, blank=True, editable=False)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )
    # A proposal of the source that somebody deleted is kept, so that it is not proposed again the next day.
    declined_at = models.DateTimeField("declined", null=True, blank=True, editable=False)
    replaced_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="replaces"
    )

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["model", "-valid_from", "above_input_tokens"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["model", "contract", "speed", "valid_from", "above_input_tokens"],
                condition=Q(approved_at__isnull=False, replaced_by=None),
                name="one_price_in_force_per_model_day_and_band",
                violation_error_message="There is a price for this model, day and length of input already.",
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gte=F("valid_from")), name="price_ends_after_it_begins"
            ),
        ]
        permissions: ClassVar = [
            ("approve_price", "Can approve prices that somebody else entered"),
            ("approve_own_price", "Can approve prices that they entered themselves"),
        ]

    def __str__(self) -> str:
        band = f" above {self.above_input_tokens:,} tokens" if self.above_input_tokens else ""
        kind = " by contract" if self.contract else ""
        speed = " in fast mode" if self.speed == self.Speed.FAST else ""
        return f"{self.model_id}{kind}{speed} from {self.valid_from}{band}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_if_approved("changed: what corrects it is a new entry that replaces it")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self._refuse_if_approved("deleted")
        return super().delete(*args, **kwargs)

    def _refuse_if_approved(self, what: str) -> None:
        if not self._state.adding and Price.objects.filter(pk=self.pk, approved_at__isnull=False).exists():
            raise TypeError(f"an approved price is never {what}")

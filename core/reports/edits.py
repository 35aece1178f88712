"""What would last month's traffic of a prompt have cost with its draft instead of what is published?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.utils import timezone

from core.claude.usage import Usage, read_usage
from core.costs.compute import compute
from core.costs.estimate import approximate_tokens
from core.costs.prices import rates_of
from core.models import CostRecord, Price, Prompt
from core.models.catalogue import band_for, bands_on
from core.prompts.rendering import problems, render
from core.reports.periods import Period
from core.reports.sums import Only, total

DAYS = 30
# How many of the newest exchanges stand for the month.
SAMPLE = 100


@dataclass(frozen=True)
class EditEffect:
    """The last 30 days of a prompt in USD, and what they would come to after the edit if answers stay as they are."""

    cost: Decimal
    would_cost: Decimal
    exchanges: int

    @property
    def difference(self) -> Decimal:
        """By how much dearer or cheaper it would be; what it cost in all is not for everybody."""
        return abs(self.would_cost - self.cost)

    @property
    def dearer(self) -> bool:
        return self.would_cost > self.cost


def edit_effect(prompt: Prompt) -> EditEffect | None:
    """None where the draft is what is published, cannot be rendered, or nothing of the last month says anything."""
    draft = prompt.content()
    if prompt.published is None or problems(draft)[0] or not prompt.changed_since_published:
        return None
    now, then = _sampled(prompt, prompt.published.content(), draft)
    if not now:
        return None
    today = timezone.localdate()
    month = total(Period.days_until(today, DAYS), Only("prompt", str(prompt.pk)))
    return EditEffect(month.amount, month.amount * then / now, month.records)


def _sampled(prompt: Prompt, published: Mapping[str, Any], draft: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """What the newest exchanges cost at today's prices as they were, and as they would be with the draft."""
    records = CostRecord.objects.filter(
        prompt=prompt,
        at__gte=timezone.now() - dt.timedelta(days=DAYS),
        purpose=CostRecord.Purpose.ANSWER,
        source=CostRecord.Source.SETTLED,
        amount__isnull=False,
    )
    prices = _Prices()
    now, then = Decimal(0), Decimal(0)
    newest = records.order_by("-at").values_list("model", "raw_usage", "call__inputs")[:SAMPLE]
    for model, raw, inputs in newest:
        usage = read_usage(raw or {})
        if usage is None:
            continue
        other = str(draft["model"]) if draft["model"] != published["model"] else model
        before = prices.amount(model, usage)
        after = prices.amount(other, _edited(usage, inputs, published, draft))
        if before is not None and after is not None:
            now, then = now + before, then + after
    return now, then


def _edited(usage: Usage, inputs: Mapping[str, str], published: Mapping[str, Any], draft: Mapping[str, Any]) -> Usage:
    """The usage with as many tokens more or less as the texts differ for the same inputs, and the draft's limit."""
    more = _tokens(draft, inputs) - _tokens(published, inputs)
    return replace(usage, input=max(0, usage.input + more), output=min(usage.output, int(draft["max_tokens"])))


def _tokens(content: Mapping[str, Any], inputs: Mapping[str, str]) -> int:
    defaults = {variable["name"]: variable["default"] for variable in content["variables"]}
    return approximate_tokens(render(content, {**defaults, **inputs}))


class _Prices:
    """Today's prices, read once for each model."""

    def __init__(self) -> None:
        self._bands: dict[tuple[str, str], list[Price]] = {}

    def amount(self, model: str, usage: Usage) -> Decimal | None:
        key = (model, usage.speed)
        if key not in self._bands:
            self._bands[key] = bands_on(Price.objects.in_force_of(*key), timezone.now().date())
        price = band_for(self._bands[key], usage.whole_input)
        return compute(usage, rates_of(price) if price else None).amount

"""Who may put a price in force, what speaks against it, and what would it have changed?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.claude.usage import Usage, read_usage
from core.costs.compute import Rates, compute
from core.costs.price_checks import Figures, Problem, problems
from core.costs.prices import put_in_force, rates_of
from core.models import ClaudeModel, CostRecord, Price, User
from core.models.catalogue import band_for

# Of how many exchanges, the newest first, the effect of a price is worked out at most.
SAMPLE = 2000
MONTH = dt.timedelta(days=30)


class RefusedPriceError(Exception):
    """These prices may not count; `problems` says why."""

    def __init__(self, found: list[Problem]) -> None:
        super().__init__(" ".join(problem.sentence for problem in found))
        self.problems = found


@dataclass(frozen=True)
class Effect:
    """What so many of the last month's exchanges with a model cost, and what they would have cost, in USD.

    Of `unknown` more the cost would be unknown: the new price lacks a rate that they need.
    """

    exchanges: int
    cost: Decimal
    would_cost: Decimal
    unknown: int = 0


def figures(price: Price) -> Figures:
    return Figures(
        contract=price.contract,
        speed=price.speed,
        valid_from=price.valid_from,
        valid_until=price.valid_until,
        above_input_tokens=price.above_input_tokens,
        rates=rates_of(price),
    )


def said_by(drafts: Iterable[Price]) -> list[tuple[int, str, Figures]]:
    """All that is approved of these drafts, to be compared with what somebody has looked at."""
    return sorted(((draft.pk, draft.model_id, figures(draft)) for draft in drafts), key=lambda said: said[0])


def problems_of(price: Price, beside: Sequence[Price] = ()) -> list[Problem]:
    """What speaks against this price beside what is in force and the drafts `beside` it."""
    overtaken = {_place(draft) for draft in beside}
    in_force = Price.objects.in_force().filter(model_id=price.model_id).exclude(pk=price.pk)
    standing = [row for row in in_force if _place(row) not in overtaken]
    return problems(figures(price), [figures(row) for row in (*standing, *beside)])


def drafts_beside(price: Price) -> list[Price]:
    """The other drafts of the same model: on save they count as if they were in force."""
    return list(Price.objects.drafts().filter(model_id=price.model_id).exclude(pk=price.pk))


def entry_of(draft: Price) -> QuerySet[Price]:
    """This draft and the drafts of the bands that belong to it: they are approved together."""
    same = {name: getattr(draft, name) for name in ("model_id", "contract", "speed", "valid_from")}
    return Price.objects.drafts().filter(**same).order_by("above_input_tokens", "pk")


def may_approve(user: User, drafts: Sequence[Price]) -> bool:
    """Somebody else's need one permission, one's own another."""
    own = any(draft.created_by_id == user.pk for draft in drafts)
    others = any(draft.created_by_id != user.pk for draft in drafts)
    return (not own or user.has_perm("core.approve_own_price")) and (not others or user.has_perm("core.approve_price"))


@transaction.atomic
def approve(drafts: Sequence[Price], by: User, *, meant: bool = False) -> None:
    """The drafts of one entry count from now on, and what stood in their places no longer.

    `meant` confirms what may be meant. Raises `RefusedPriceError`, also where one is no draft any more, or says
    something else by now than the one that was looked at.
    """
    # The model's row serialises two people who put prices of it in force.
    ClaudeModel.objects.select_for_update().get(pk=drafts[0].model_id)
    locked = list(Price.objects.drafts().select_for_update().filter(pk__in=[draft.pk for draft in drafts]))
    if said_by(locked) != said_by(drafts) or not may_approve(by, locked):
        raise RefusedPriceError([Problem("", "Somebody changed, approved or removed one of these in the meantime.")])
    against = [problem for problem in problems_of_all(locked) if not (meant and problem.may_be_meant)]
    if against:
        raise RefusedPriceError(against)
    for draft in locked:
        put_in_force(draft, by)


def problems_of_all(drafts: Sequence[Price]) -> list[Problem]:
    """What speaks against these drafts together, each thing once."""
    places = [_place(draft) for draft in drafts]
    twice = [Problem("valid_from", "There are two drafts of the same price. Remove one of them.")]
    found = [problem for draft in drafts for problem in problems_of(draft, [d for d in drafts if d.pk != draft.pk])]
    return list(dict.fromkeys([*(twice if len(set(places)) < len(places) else []), *found]))


@transaction.atomic
def corrected_copy(price: Price, by: User) -> Price:
    """A draft with the same figures and days; once approved, it replaces `price`."""
    copied = [item.name for item in fields(Rates)]
    place = ["model_id", "contract", "speed", "valid_from", "valid_until", "above_input_tokens"]
    return Price.objects.create(**{name: getattr(price, name) for name in [*place, *copied]}, source="", created_by=by)


def effect_of(drafts: Sequence[Price]) -> Effect | None:
    """What the newest exchanges of the last month cost, and would have cost by these rows; None without any."""
    since = timezone.localdate() - MONTH
    records = CostRecord.objects.filter(
        model=drafts[0].model_id, booked_on__gte=since, amount__isnull=False, raw_usage__isnull=False, corrects=None
    )
    cost, would_cost, counted, unknown = Decimal(0), Decimal(0), 0, 0
    for amount, raw in records.order_by("-at", "-pk").values_list("amount", "raw_usage")[:SAMPLE]:
        usage = read_usage(raw or {})
        draft = _row_for(usage, drafts) if usage else None
        if draft is None or amount is None:
            continue
        priced = compute(usage, rates_of(draft)).amount
        if priced is None:
            unknown += 1
        else:
            cost, would_cost, counted = cost + amount, would_cost + priced, counted + 1
    return Effect(counted, cost, would_cost, unknown) if counted or unknown else None


def _row_for(usage: Usage, drafts: Sequence[Price]) -> Price | None:
    """The highest of these bands that the exchange reaches; None where they say nothing of it."""
    if usage.speed != drafts[0].speed:
        return None
    return band_for(sorted(drafts, key=lambda draft: draft.above_input_tokens), usage.whole_input)


def _place(price: Price) -> tuple[bool, str, dt.date, int]:
    return (price.contract, price.speed, price.valid_from, price.above_input_tokens)

"""What does staff see first: what is there to do, and what needs attention?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from core.admin.base import address, signed_in
from core.costs.reconciliation import differing_lines, newest
from core.jobs.lateness import troubled
from core.models import Batch, Call, ClaudeModel, CostRecord, PausedQueue, Price, Prompt, User
from core.routing.uses import endangered

# Nobody needs to know exactly how many more; counting on would take long where there are millions.
ENOUGH = 100


@dataclass(frozen=True)
class Attention:
    """Something that went wrong or is about to, and the page that shows it."""

    sentence: str
    page: str
    action: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The values of the start page; each part only for those who may see what it counts."""
    user = signed_in(request)
    money = [*_unknown_costs(user), *_not_reconciled(user), *_draft_prices(user)]
    found = [
        *_behind(user),
        *_parked(user),
        *_given_up(user),
        *_failed(user),
        *money,
        *_fading_models(user),
        *_leaving_models(user),
        *_unpublished(user),
    ]
    return {**context, "attention": found, "demo_data": _demo_data(user), "title": "Start"}


def _failed(user: User) -> list[Attention]:
    if not user.has_perm("core.view_call"):
        return []
    since = timezone.now() - dt.timedelta(hours=24)
    calls = Call.objects.visible_to(user).filter(
        created_at__gte=since, status__in=[Call.Status.FAILED, Call.Status.DEAD]
    )
    number = _up_to_enough(calls)
    page = f"{address('admin:core_call_changelist')}?status=trouble"
    return [Attention(f"{number} failed in the last 24 hours.", page, "Look at them")] if number else []


def _behind(user: User) -> list[Attention]:
    """Regular work that is late or fails, and queues that somebody paused."""
    if not user.has_perm("core.view_queues"):
        return []
    said = [stand.trouble for stand in troubled()]
    said += [f"The queue «{name}» is paused." for name in PausedQueue.objects.values_list("pk", flat=True)]
    return [Attention(sentence, address("admin:core_operations"), "See how the work stands") for sentence in said]


def _given_up(user: User) -> list[Attention]:
    if not user.has_perms(["core.view_call", "core.rerun_call"]):
        return []
    number = _up_to_enough(Call.objects.visible_to(user).letters())
    sentence = (
        f"{number} of the queue given up, and nobody has dealt with {'it' if number == '1 call' else 'them'} yet."
    )
    return [Attention(sentence, address("admin:core_letters"), "Deal with them")] if number else []


def _parked(user: User) -> list[Attention]:
    if not user.has_perms(["core.view_call", "core.rerun_call"]):
        return []
    calls = f"{address('admin:core_call_changelist')}?status=parked"
    batches = f"{address('admin:core_batch_changelist')}?state=parked"
    found = [(_up_to_enough(Call.objects.visible_to(user).parked()), calls)]
    if user.has_perm("core.view_batch"):
        found.append((_up_to_enough(Batch.objects.visible_to(user).parked(), "batch", "batches"), batches))
    sentence = f"{Call.HELD}: {{}}."
    return [Attention(sentence.format(number), page, "Look at them") for number, page in found if number]


def _unknown_costs(user: User) -> list[Attention]:
    if not user.has_perm("core.view_costrecord"):
        return []
    since = timezone.now() - dt.timedelta(days=30)
    number = _up_to_enough(CostRecord.objects.unknown().filter(at__gte=since), "cost", "costs")
    page = f"{address('admin:core_costrecord_changelist')}?known=no"
    sentence = f"{number} of the last 30 days are unknown, so the spend is higher than its sum."
    return [Attention(sentence, page, "See why")] if number else []


def _not_reconciled(user: User) -> list[Attention]:
    if not user.has_perm("core.view_spend"):
        return []
    days = newest().filter(day__gte=timezone.now().date() - dt.timedelta(days=31))
    found = days.exclude(error="") | days.filter(lines__in=differing_lines())
    number = _up_to_enough(found.distinct(), "day", "days")
    page = address("admin:core_reconciliation_changelist")
    sentence = f"{number} of the last month: our ledger and Claude's cost report differ, or were not compared."
    return [Attention(sentence, page, "Look at them")] if number else []


def _draft_prices(user: User) -> list[Attention]:
    if not user.has_perms(["core.view_price", "core.approve_price"]):
        return []
    number = _up_to_enough(Price.objects.drafts(), "price", "prices")
    page = f"{address('admin:core_price_changelist')}?state=draft"
    sentence = f"Waiting for approval, and not counting yet: {number.lower()}."
    return [Attention(sentence, page, "Look at them")] if number else []


def _fading_models(user: User) -> list[Attention]:
    if not user.has_perm("core.view_prompt"):
        return []
    prompts = Prompt.objects.exclude(model__lifecycle=ClaudeModel.Lifecycle.ACTIVE).select_related("model")
    return [
        Attention(
            f"«{prompt}» uses {prompt.model}.", address("admin:core_prompt_change", prompt.pk), "Change its model"
        )
        for prompt in prompts[:ENOUGH]
    ]


def _leaving_models(user: User) -> list[Attention]:
    """Models that are phased out and named by something other than a prompt's draft, which is listed by itself."""
    if not user.has_perms(["core.view_claudemodel", "core.view_route"]):
        return []
    return [
        Attention(
            f"{model.display_name} {said}, and {len(others)} other{'s' if len(others) > 1 else ''} than drafts of "
            f"prompts name{'s' if len(others) == 1 else ''} it: "
            + ", ".join(dict.fromkeys(f"{use.kind} «{use.row}»" for use in others[:ENOUGH]))
            + ".",
            f"{address('admin:core_claudemodel_change', model.pk)}#uses",
            "See what uses it",
        )
        for model, said, uses in endangered()
        if (others := [use for use in uses if not (use.kind == "prompt" and use.drafted)])
    ]


def _unpublished(user: User) -> list[Attention]:
    if not user.has_perm("core.view_prompt"):
        return []
    prompts = Prompt.objects.published().select_related("published", "system_prompt").prefetch_related("variables")
    return [
        Attention(
            f"The draft of «{prompt}» has changes that people do not see yet.",
            address("admin:core_prompt_change", prompt.pk),
            "Look at the draft",
        )
        for prompt in prompts[:ENOUGH]
        if prompt.changed_since_published
    ]


def _demo_data(user: User) -> bool:
    return user.has_perm("core.remove_demo") and Prompt.objects.filter(demo=True).exists()


def _up_to_enough(rows: Any, one: str = "call", more: str = "calls") -> str:
    """«1 call», «12 calls», «more than 100 calls»; empty for none."""
    number = len(rows.order_by().values_list("pk")[: ENOUGH + 1])
    if number > ENOUGH:
        return f"More than {ENOUGH} {more}"
    return f"{number} {one if number == 1 else more}" if number else ""

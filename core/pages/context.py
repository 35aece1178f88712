"""What does every page need to know?"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.db.models import Count, Min
from django.http import HttpRequest
from django.utils import timezone

from core.costs.notices import shown_to
from core.models import Batch, BatchPart, BudgetNotice, Call, User
from core.pages.access import signed_in
from core.pages.budgets import running_budgets


def installation(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - the context processor's signature
    return {"simulated": settings.SIMULATED}


def spend_limit(request: HttpRequest) -> dict[str, Any]:
    """How many calls and batches Claude's spend limit holds back, and until when, for those who may release them."""

    @cache
    def held() -> dict[str, Any]:
        user = signed_in(request) if hasattr(request, "user") else None
        if user is None or not user.has_perms(["core.view_call", "core.rerun_call"]):
            return {}
        calls = Call.objects.visible_to(user).parked().aggregate(number=Count("pk"), until=Min("not_before"))
        batches = _held_batches(user) if user.has_perm("core.view_batch") else {"number": 0, "until": None}
        number = {"calls": calls["number"], "batches": batches["number"], "all": calls["number"] + batches["number"]}
        ends = [found["until"] for found in (calls, batches) if found["until"]]
        return {**number, "until": min(ends)} if ends else {}

    return {"held_by_spend_limit": held}


def _held_batches(user: User) -> dict[str, Any]:
    parts = BatchPart.objects.parked().filter(batch__in=Batch.objects.visible_to(user))
    return parts.aggregate(number=Count("batch", distinct=True), until=Min("next_at"))


def budget_notices(request: HttpRequest) -> dict[str, Any]:
    """Whether there are budgets to look at, and thresholds that they have passed for those who look after them.

    Asked only where a page shows them; whom no budget concerns costs one statement for both.
    """

    @cache
    def has_budgets() -> bool:
        # An error page may be shown before anybody knows who asks.
        user = signed_in(request) if hasattr(request, "user") else None
        return user is not None and running_budgets(user, timezone.localdate()).exists()

    def shown() -> list[BudgetNotice]:
        newest: dict[int, BudgetNotice] = {}
        user = signed_in(request) if has_budgets() else None
        for notice in shown_to(user) if user else ():
            newest.setdefault(notice.window_id, notice)
        return list(newest.values())

    return {"budget_notices": shown, "has_budgets": has_budgets}

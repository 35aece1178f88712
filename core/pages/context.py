"""What does every page need to know?"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from core.costs.notices import shown_to
from core.models import BudgetNotice
from core.pages.access import signed_in
from core.pages.budgets import running_budgets


def installation(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - the context processor's signature
    return {"simulated": settings.SIMULATED}


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

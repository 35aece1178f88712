"""What does every page need to know?"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from core.costs.notices import shown_to
from core.models import BudgetNotice
from core.pages.access import signed_in


def installation(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - the context processor's signature
    return {"simulated": settings.SIMULATED}


def budget_notices(request: HttpRequest) -> dict[str, Any]:
    """Thresholds that budgets have passed, for those who look after them; asked only where a page shows them."""

    def shown() -> list[BudgetNotice]:
        # An error page may be shown before anybody knows who asks.
        user = signed_in(request) if hasattr(request, "user") else None
        newest: dict[int, BudgetNotice] = {}
        for notice in shown_to(user) if user else ():
            newest.setdefault(notice.window_id, notice)
        return list(newest.values())

    return {"budget_notices": shown}

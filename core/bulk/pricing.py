"""What will a table cost, in a batch and at once, how long will it take, and which budgets pay for it?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Any

from django.conf import settings
from django.utils import timezone

from core.costs import statements
from core.costs.bulk import remembered_prices, worst_of
from core.costs.estimate import approximate_tokens
from core.costs.windows import windows_of
from core.execution.fallbacks import chain_of, with_fallbacks
from core.intake.accept import plan_of
from core.models import Batch, Budget, BudgetWindow, BulkRun, Call, PromptVersion
from core.routing.estimating import estimate_asked

NOTHING = Decimal(0)
# From how many past runs and calls it is learnt how long one takes.
LEARN_FROM = 20
# Calls that are looked at for that.
LOOK_BACK = 1000
# Seconds of one call, where nobody has run the prompt yet.
GUESS = 15.0


class Tally:
    """Adds up what the rows of a table can cost at most, and probably will."""

    def __init__(self, version: PromptVersion) -> None:
        self.rows = self.input_tokens = 0
        self._version = version
        self._plan = plan_of(version)
        self._chained = with_fallbacks(self._plan, chain_of(None, version.prompt))
        self._prices = remembered_prices()
        self._most: dict[bool, Decimal | None] = {True: NOTHING, False: NOTHING}
        self._example: dict[str, Any] = {}

    def add(self, request: dict[str, Any]) -> None:
        """Count the request of one more row."""
        self.rows += 1
        self.input_tokens += approximate_tokens(request)
        self._example = request
        besides = self._plan.besides(request) if self._plan.classifiers else []
        for batch, models in ((True, self._plan.models), (False, self._chained)):
            before = self._most[batch]
            worst = worst_of(models, request, self._prices, besides, batch=batch) if before is not None else None
            self._most[batch] = None if before is None or worst is None else before + worst

    def figures(self) -> dict[str, Any]:
        """The fields of a run that say it; None for an amount that is not known."""
        if not self.rows:
            return {"input_tokens": 0, "output_tokens": 0, **dict.fromkeys(_AMOUNTS, NOTHING)}
        each = self.input_tokens // self.rows
        batch, live = (
            estimate_asked(self._example, self._version.prompt, lambda _request: each, batch=batch)
            for batch in (True, False)
        )
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": batch.output_tokens * self.rows,
            "likely_batch": None if batch.likely is None else batch.likely * self.rows,
            "likely_live": None if live.likely is None else live.likely * self.rows,
            "most_batch": self._most[True],
            "most_live": self._most[False],
        }


_AMOUNTS = ("likely_batch", "likely_live", "most_batch", "most_live")


@dataclass(frozen=True)
class Drawn:
    """A budget that a run draws on: what is left of it, and whether the run's worst case fits in a batch and at once.

    `refuses` says that its limit has to hold.
    """

    window: BudgetWindow
    left: Decimal
    refuses: bool
    fits_batch: bool
    fits_live: bool


def drawn_on(run: BulkRun) -> list[Drawn]:
    """The budgets that the run would be reserved in, as they stand now."""
    today = timezone.localdate()
    applying = statements.applying(statements.Scope(run.user_id, None, run.prompt_id), today)
    found = windows_of(Budget.objects.filter(pk__in=[each.budget_id for each in applying]), today)
    return [_drawn(run, window) for window in found]


def _drawn(run: BulkRun, window: BudgetWindow) -> Drawn:
    left = max(NOTHING, window.limit - window.spent - window.reserved)
    hard = window.budget.hard
    fits = [not hard or (most is not None and most <= left) for most in (run.most_batch, run.most_live)]
    return Drawn(window, left, hard, *fits)


def usual_wait() -> dt.timedelta | None:
    """How long batches have taken lately, from their start to their end; None where there was none."""
    ended = Batch.objects.filter(status=Batch.Status.ENDED, live=False, started_at__isnull=False, demo=False)
    times = ended.order_by("-ended_at").values_list("started_at", "ended_at")[:LEARN_FROM]
    seconds = [(end - begin).total_seconds() for begin, end in times if begin and end]
    return dt.timedelta(seconds=median(seconds)) if seconds else None


def live_wait(run: BulkRun) -> dt.timedelta:
    """About how long the rows take if one worker process answers them at once."""
    # The newest whatever they are, for a table of a hundred thousand rows may lie before the next single one.
    newest = Call.objects.filter(prompt_id=run.prompt_id).order_by("-created_at", "-pk")[:LOOK_BACK]
    times = newest.values_list("lane", "status", "started_at", "finished_at")
    seconds = [
        (end - begin).total_seconds()
        for lane, status, begin, end in times
        if begin and end and lane != Call.Lane.BATCH and status == Call.Status.SUCCEEDED
    ][:LEARN_FROM]
    rounds = -(-run.usable // settings.WORKER_CONCURRENCY)
    return dt.timedelta(seconds=rounds * (median(seconds) if seconds else GUESS))

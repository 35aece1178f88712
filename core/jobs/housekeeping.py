"""The work that comes again and again; `core.jobs.regular` says when."""

from __future__ import annotations

from core.costs import prices
from core.jobs.reconciling import reconcile_recent
from core.jobs.sweeper import sweep_from_outside
from core.reports.rollups import roll_up_all
from core.routing.catalogue import sync_models
from core.routing.classify import forget_old


def sync_catalogue() -> str:
    """Ask the API which models there are, and take over what genai-prices ships for them.

    A model without a price gets it at once; a change of what is charged waits for a person's approval.
    """
    changed = sync_models()
    forget_old()
    changes = prices.pending_changes()
    new = [change for change in changes if not change.of_existing]
    prices.load(new, note="daily load")
    drafts = prices.propose([change for change in changes if change.of_existing])
    return f"{changed}; {len(new)} prices added, {drafts} changes await approval"


def reconcile_days() -> str:
    """Compare the ledger of the last days with the provider's cost report."""
    return reconcile_recent()


def roll_up_costs() -> str:
    """Take the cost records of the last seconds into the sums that reports read."""
    number = roll_up_all()
    return f"{number:,} record{'' if number == 1 else 's'} rolled up"


def sweep_once() -> str:
    """One round of the sweeper."""
    swept = sweep_from_outside()
    return f"{swept.recovered} taken from lost workers, {swept.dispatched} queued again"

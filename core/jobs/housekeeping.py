"""The jobs that the clock starts."""

from __future__ import annotations

from core.costs import prices
from core.jobs.sweeper import sweep
from core.routing.catalogue import sync_models


def sweep_calls() -> str:
    return str(sweep())


def sync_catalogue() -> str:
    """Ask the API which models there are, and take over what genai-prices ships for them.

    A model without a price gets it at once; a change of what is charged waits for a person's approval.
    """
    changed = sync_models()
    changes = prices.pending_changes()
    new = [change for change in changes if not change.of_existing]
    prices.load(new, note="daily load")
    drafts = prices.propose([change for change in changes if change.of_existing])
    return f"{changed}; {len(new)} prices added, {drafts} changes await approval"

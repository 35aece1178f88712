"""The jobs that the clock starts."""

from __future__ import annotations

from core.costs import prices
from core.jobs.sweeper import sweep
from core.routing.catalogue import sync_models


def sweep_calls() -> str:
    return str(sweep())


def sync_catalogue() -> str:
    """Ask the API which models there are, and load the prices that genai-prices ships for them."""
    changed = sync_models()
    changes = prices.pending_changes()
    prices.load(changes)
    return f"{changed}; {len(changes)} prices changed"

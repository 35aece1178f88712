"""What do staff see and do? One module for each part of the work; Django finds them all through this one."""

from core.admin import (
    budgets,
    calls,
    catalogue,
    closing,
    fallbacks,
    keys,
    ledger,
    people,
    prices,
    prompts,
    queues,
    reconciliation,
    system_prompts,
)

__all__ = [
    "budgets",
    "calls",
    "catalogue",
    "closing",
    "fallbacks",
    "keys",
    "ledger",
    "people",
    "prices",
    "prompts",
    "queues",
    "reconciliation",
    "system_prompts",
]

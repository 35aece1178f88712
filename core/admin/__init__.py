"""What do staff see and do? One module for each part of the work; Django finds them all through this one."""

from core.admin import (
    aliases,
    budgets,
    calls,
    catalogue,
    classifiers,
    closing,
    fallbacks,
    keys,
    ledger,
    people,
    prices,
    prompts,
    queues,
    reconciliation,
    routes,
    system_prompts,
)

__all__ = [
    "aliases",
    "budgets",
    "calls",
    "catalogue",
    "classifiers",
    "closing",
    "fallbacks",
    "keys",
    "ledger",
    "people",
    "prices",
    "prompts",
    "queues",
    "reconciliation",
    "routes",
    "system_prompts",
]

"""What does a running simulator remember?"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.simulator.bill import Bill
from core.simulator.caching import PromptCache
from core.simulator.differences import Differences
from core.simulator.faults import FaultCounter
from core.simulator.limits import RateLimits

if TYPE_CHECKING:
    from core.simulator.batches import Batches

HUMAN_PACE = 80.0  # tokens per second, about 60 words
ORGANIZATION_ID = "00000000-51a1-4000-8000-000000000000"


@dataclass
class State:
    """Settings and memory, shared by all connections."""

    batches: Batches
    pace: float = HUMAN_PACE  # tokens per second; 0: at once
    bill: Bill = field(default_factory=Bill)
    differences: Differences = field(default_factory=Differences)
    cache: PromptCache = field(default_factory=PromptCache)
    counter: FaultCounter = field(default_factory=FaultCounter)
    limits: RateLimits = field(default_factory=RateLimits)

    def clear(self) -> None:
        """Forget bill, planted differences, prompt cache and fault counters; batches stay."""
        self.bill.clear()
        self.differences.clear()
        self.cache.clear()
        self.counter.clear()


def new_id(prefix: str) -> str:
    """A unique id in the style of the real API: `req_01…`, `msg_01…`."""
    return f"{prefix}_01{secrets.token_hex(11)}"

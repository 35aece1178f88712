"""What did the simulator bill meanwhile?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import httpx2

from core.simulator.server import Simulator


@dataclass
class Billed:
    total: Decimal = Decimal(0)
    count: int = 0


@contextlib.contextmanager
def billed(simulator: Simulator) -> Iterator[Billed]:
    """The bill of what happens inside the block, filled in at its end."""
    bill = Billed()
    httpx2.delete(f"{simulator.url}/_simulator/bill")
    yield bill
    told = httpx2.get(f"{simulator.url}/_simulator/bill").json()
    bill.total = Decimal(str(told["total_usd"]))
    bill.count = len(told["entries"])

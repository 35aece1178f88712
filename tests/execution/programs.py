"""What the tests of calls by programs share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from core.execution.watching import NobodyWatches
from core.models import Call, CostRecord
from core.simulator.server import Simulator

Ask = Callable[..., Call]
LONG = "One. Two. Three. Four. Five. Six. Seven. Eight. Nine. Ten."


class Program(NobodyWatches):
    """Keeps what a program would be sent; leaves after so many events."""

    def __init__(self, leaves_after: int | None = None) -> None:
        self.headers: list[Mapping[str, str]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.leaves_after = leaves_after

    def opened(self, headers: Mapping[str, str]) -> None:
        self.headers.append(headers)

    def event(self, name: str, data: str) -> None:
        self.events.append((name, json.loads(data)))

    def left(self) -> bool:
        return self.leaves_after is not None and len(self.events) >= self.leaves_after

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    @property
    def written(self) -> str:
        deltas = [data["delta"] for name, data in self.events if name == "content_block_delta"]
        return "".join(delta.get("text", "") for delta in deltas)


def body(text: str = "Say hello.", **more: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        **more,
    }


def ledger_is_the_bill(simulator: Simulator) -> bool:
    """Each entry of the bill has its record of the same amount, or one whose amount is unknown; and no record too many.

    An unknown one need not be on the bill.
    """
    entries = {entry["request_id"]: Decimal(entry["amount_usd"]) for entry in simulator.bill()["entries"]}
    records = list(CostRecord.objects.all())
    known = {record.request_id: record.amount for record in records if record.amount is not None}
    unknown = [record for record in records if record.amount is None]
    rest = {request_id: amount for request_id, amount in entries.items() if request_id not in known}
    return all(entries.get(request_id) == amount for request_id, amount in known.items()) and len(rest) <= len(unknown)

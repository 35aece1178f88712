"""What shall the cost report say otherwise than the bill? Planted on request, to try a reconciliation."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.simulator.bill import Entry, plain
from core.simulator.errors import invalid

# Which option each kind takes beside the model, and what it is if none is given.
KINDS: Mapping[str, tuple[str, str] | None] = {"drop": None, "extra": ("usd", "1"), "scale": ("factor", "1.5")}


@dataclass(frozen=True)
class Difference:
    """One planted difference. `number` is USD for «extra», a factor for «scale»."""

    kind: str
    model: str
    number: Decimal
    at: datetime

    def as_json(self) -> dict[str, str]:
        """As it was asked for, defaults filled in."""
        option = KINDS[self.kind]
        return {"kind": self.kind, "model": self.model, **({option[0]: plain(self.number)} if option else {})}


class Differences:
    """All that are planted at present."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planted: list[Difference] = []

    def plant(self, body: Any) -> None:
        """`POST /_simulator/differences`: one object, as in the package's table; 400 for a senseless one."""
        planted = read_difference(body)
        with self._lock:
            self._planted.append(planted)

    def clear(self) -> None:
        """Report what the bill says."""
        with self._lock:
            self._planted.clear()

    def all(self) -> list[Difference]:
        """A copy, in the order they were planted in."""
        with self._lock:
            return list(self._planted)

    def applied_to(self, entries: Sequence[Entry]) -> list[Entry]:
        """The bill's entries as the report tells of them."""
        reported = list(entries)
        for planted in self.all():
            reported = _apply(planted, reported)
        return reported


def read_difference(body: Any) -> Difference:
    """A difference from its JSON; 400 where it is none."""
    if not isinstance(body, dict):
        raise invalid("Input should be a valid dictionary")
    kind, model = str(body.get("kind")), body.get("model")
    if kind not in KINDS:
        raise invalid(f"kind: Input should be one of {', '.join(KINDS)}")
    if not (isinstance(model, str) and model):
        raise invalid("model: Input should be a valid string")
    option = KINDS[kind]
    extra = body.keys() - {"kind", "model", option[0] if option else ""}
    if extra:
        raise invalid(f"{min(extra)}: Extra inputs are not permitted")
    number = _number(option[0], body.get(option[0], option[1])) if option else Decimal(0)
    return Difference(kind, model, number, datetime.now(UTC))


def _number(name: str, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        number = Decimal("NaN")
    if not (number.is_finite() and number >= 0):
        raise invalid(f"{name}: Input should be a decimal number that is not negative")
    return number


def _apply(planted: Difference, entries: list[Entry]) -> list[Entry]:
    if planted.kind == "extra":
        usage = {"service_tier": "standard"}
        return [*entries, Entry("", planted.at, planted.model, usage, False, False, planted.number)]
    if planted.kind == "drop":
        return [entry for entry in entries if entry.model != planted.model]
    return [_scaled(entry, planted.number) if entry.model == planted.model else entry for entry in entries]


def _scaled(entry: Entry, factor: Decimal) -> Entry:
    amount = entry.amount_usd * factor
    return Entry(entry.request_id, entry.at, entry.model, entry.usage, entry.batch, entry.seen, amount)

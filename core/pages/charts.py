"""How is spend per day drawn? Pure: days in, bars out; a template writes the SVG."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.reports.spend import Day

# The drawing's own units: each bar has a slot of this width, and the chart is this high.
SLOT, BAR, HEIGHT = 10, 7, 100
# More days than this are drawn as months, for bars thinner than a hair say nothing.
MOST_BARS = 100
# Their halves are round too, for the line in the middle.
STEPS = tuple(Decimal(step) for step in (1, 2, 3, 4, 6, 8, 10))


@dataclass(frozen=True)
class Bar:
    label: str
    amount: Decimal
    calls: int
    slot: int
    x: str
    y: str
    height: str


@dataclass(frozen=True)
class Chart:
    """Bars in a box of `width` by `HEIGHT`; `top` is the amount at its upper edge, `marks` name some of the slots."""

    bars: list[Bar]
    width: int
    top: Decimal
    middle: Decimal
    marks: list[str]
    monthly: bool
    slot: int = SLOT
    bar: int = BAR
    height: int = HEIGHT


def draw(days: Sequence[Day]) -> Chart:
    """The chart of these days, in months where they are many."""
    monthly = len(days) > MOST_BARS
    steps = _months(days) if monthly else [(_short(day.date), day.amount, day.calls) for day in days]
    top = _round_up(max((amount for _, amount, _ in steps), default=Decimal(0)))
    bars = [_bar(index, step, top) for index, step in enumerate(steps)]
    labels = [label for label, _, _ in steps]
    return Chart(bars, max(1, len(bars)) * SLOT, top, top / 2, _marks(labels), monthly)


def _bar(index: int, step: tuple[str, Decimal, int], top: Decimal) -> Bar:
    label, amount, calls = step
    height = float(amount / top * HEIGHT) if top else 0.0
    # A little money is still to be seen.
    height = max(height, 1.0) if amount else 0.0
    left = index * SLOT
    return Bar(label, amount, calls, left, f"{left + (SLOT - BAR) / 2:g}", f"{HEIGHT - height:.2f}", f"{height:.2f}")


def _months(days: Sequence[Day]) -> list[tuple[str, Decimal, int]]:
    sums: dict[str, tuple[Decimal, int]] = {}
    for day in days:
        month = f"{day.date:%b %Y}"
        amount, calls = sums.get(month, (Decimal(0), 0))
        sums[month] = (amount + day.amount, calls + day.calls)
    return [(month, amount, calls) for month, (amount, calls) in sums.items()]


def _marks(labels: list[str]) -> list[str]:
    """The first, the middle and the last label: enough to read along, and they fit on a phone."""
    if len(labels) < 3:
        return labels
    return [labels[0], labels[len(labels) // 2], labels[-1]]


def _short(day: dt.date) -> str:
    return f"{day.day} {day:%b}"


def _round_up(amount: Decimal) -> Decimal:
    """The next round amount: a small whole number times a power of ten."""
    if not amount:
        return Decimal(0)
    power = Decimal(1).scaleb(amount.adjusted())
    return next(step * power for step in STEPS if step * power >= amount)

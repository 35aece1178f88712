"""How is spend over time drawn? Pure: a report's chart in, stacked bars out; a template writes the SVG."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

from django.utils.html import escape
from django.utils.safestring import SafeString

from core.pages.formats import counted, usd
from core.reports.periods import Period
from core.reports.spend import Chart, Step

# The drawing's own units: each bar has a slot of this width, and the chart is this high.
SLOT, BAR, HEIGHT = 10, 7, 100
# Their halves are round too, for the line in the middle.
STEPS = tuple(Decimal(step) for step in (1, 2, 3, 4, 6, 8, 10))
# The colour of what has no name of its own; the others are numbered.
OTHERS = "rest"


@dataclass(frozen=True)
class Drawing:
    """Bars in a box of `width` by `HEIGHT`; `top` is the amount at its upper edge, `marks` name some of the slots.

    `bars` are written here, for a template takes ten times as long for the many: numbers, and what one reads when
    hovering over a bar, a line for each series that has a part in it.
    """

    bars: SafeString
    legend: list[tuple[str, str]]
    width: int
    top: Decimal
    middle: Decimal
    marks: list[str]
    height: int = HEIGHT


def draw(chart: Chart) -> Drawing:
    tones = [OTHERS if value is None else str(number) for number, (value, _) in enumerate(chart.series)]
    names = [name for _, name in chart.series]
    # What corrections take back has no height; it is in the figures.
    top = _round_up(max((_height(step) for step in chart.steps), default=Decimal(0)))
    labels = [name_step(step.period, chart.monthly) for step in chart.steps]
    bars = [_bar(index, labels[index], step, top, tones, names) for index, step in enumerate(chart.steps)]
    legend = list(zip(tones, names, strict=True))
    return Drawing(SafeString("\n".join(bars)), legend, max(1, len(bars)) * SLOT, top, top / 2, _marks(labels))


def name_step(period: Period, monthly: bool) -> str:
    return f"{period.first:%b %Y}" if monthly else _short(period.first)


def _height(step: Step) -> Decimal:
    return sum((max(amount, Decimal(0)) for amount in step.parts), Decimal(0))


def _bar(index: int, label: str, step: Step, top: Decimal, tones: Sequence[str], names: Sequence[str]) -> str:
    heights = [float(max(amount, Decimal(0)) / top * HEIGHT) if top else 0.0 for amount in step.parts]
    # A little money is still to be seen.
    scale = 1 / sum(heights) if 0 < sum(heights) < 1 else 1.0
    ends = list(accumulate(height * scale for height in heights))
    left = index * SLOT
    x = f"{left + (SLOT - BAR) / 2:g}"
    drawn = f'<rect class="slot" x="{left}" y="0" width="{SLOT}" height="{HEIGHT}"/>' + "".join(
        f'<rect class="tone-{tone}" x="{x}" y="{HEIGHT - end:.2f}" width="{BAR}" height="{height * scale:.2f}"/>'
        for tone, end, height in zip(tones, ends, heights, strict=True)
        if height
    )
    said = [f"{label}: {usd(step.sums.amount)}, {counted(step.sums.records, 'exchange')}"]
    said += [f"{name}: {usd(amount)}" for name, amount in zip(names, step.parts, strict=True) if amount]
    words = escape("\n".join(said))
    return f'<g class="bar"><title>{words}</title>{drawn}</g>'


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

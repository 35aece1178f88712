"""What speaks against a price before it counts? Pure: plain values in, sentences out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from core.costs.compute import Rates

# Whoever types a price per token or per thousand where one per million belongs is off by this much or more.
FAR_OFF = 1000
RATES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read", "web_search")
FACTORS = ("batch_factor", "us_factor", "priority_factor")
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Figures:
    """One row of the price book: an entry, or one of its bands, of one model."""

    contract: bool
    speed: str
    valid_from: dt.date
    valid_until: dt.date | None
    above_input_tokens: int
    rates: Rates


@dataclass(frozen=True)
class Problem:
    """What is wrong at which field; `may_be_meant` says that a person can confirm it."""

    field: str
    sentence: str
    may_be_meant: bool = False


Found: TypeAlias = Iterator[Problem]


def problems(new: Figures, others: Sequence[Figures]) -> list[Problem]:
    """What speaks against `new` beside the other rows of its model: those in force, and drafts that go with it.

    A row of the same place in `others` is what `new` replaces.
    """
    kind = [row for row in others if (row.contract, row.speed) == (new.contract, new.speed)]
    return [
        *_missing(new),
        *_ends_too_early(new),
        *_band(new, kind),
        *_overlaps(new, kind),
        *_gaps(new, kind),
        *_far_off(new, [row for row in others if row.speed == new.speed]),
    ]


def _missing(new: Figures) -> Found:
    for kind in ("input", "output"):
        rate = getattr(new.rates, kind)
        if rate is None:
            yield Problem(kind, "Please fill this in: without it every cost would be unknown.")
    for kind in (*RATES, *FACTORS):
        value = getattr(new.rates, kind)
        if value is not None and value < 0:
            yield Problem(kind, "This cannot be below zero.")
        if value == 0:
            yield Problem(kind, "Zero means that this is free of charge.", may_be_meant=True)


def _ends_too_early(new: Figures) -> Found:
    if new.valid_until and new.valid_until < new.valid_from:
        yield Problem("valid_until", "It ends before it begins.")


def _band(new: Figures, kind: Sequence[Figures]) -> Found:
    """A band is part of the entry that begins on the same day."""
    same_entry = [row for row in kind if row.valid_from == new.valid_from]
    if new.above_input_tokens and not any(row.above_input_tokens == 0 for row in same_entry):
        sentence = "Enter the price for all inputs from the same day on first: short inputs would have no price."
        yield Problem("above_input_tokens", sentence)
    siblings = [row for row in same_entry if row.above_input_tokens != new.above_input_tokens]
    if any(row.valid_until != new.valid_until for row in siblings):
        yield Problem("valid_until", "All bands of one price have to end on the same day.")


def _overlaps(new: Figures, kind: Sequence[Figures]) -> Found:
    """An entry without an end gives way to the next; one with an end claims its days for itself."""
    for row in _other_days(new, kind):
        first, second = sorted((new, row), key=lambda entry: entry.valid_from)
        if first.valid_until and first.valid_until >= second.valid_from:
            sentence = (
                f"This overlaps with the {_name(row)} {_days(row)}. "
                f"Both would count on {_said(second.valid_from)}: which?"
            )
            yield Problem("valid_from", sentence)


def _gaps(new: Figures, kind: Sequence[Figures]) -> Found:
    """Days that no entry covers. For contracts the list price counts then, which may be meant."""
    rows = _other_days(new, kind)
    before = max((row for row in rows if row.valid_from < new.valid_from), key=_first_day, default=None)
    after = min((row for row in rows if row.valid_from > new.valid_from), key=_first_day, default=None)
    if before and before.valid_until and before.valid_until + DAY < new.valid_from:
        yield _gap(new, before.valid_until, new.valid_from)
    if after and new.valid_until and new.valid_until + DAY < after.valid_from:
        yield _gap(new, new.valid_until, after.valid_from)
    if not after and new.valid_until and not new.contract:
        sentence = (
            f"From {_said(new.valid_until + DAY)} on there would be no price. Leave the end of a list price empty."
        )
        yield Problem("valid_until", sentence)


def _gap(new: Figures, end: dt.date, begin: dt.date) -> Problem:
    field = "valid_until" if end == new.valid_until else "valid_from"
    fact = f"The {_name(new)} ends on {_said(end)}, and the next begins on {_said(begin)}: "
    if new.contract:
        return Problem(field, f"{fact}the list price would count on the days between.", may_be_meant=True)
    return Problem(field, f"{fact}which price on the days between?")


def _far_off(new: Figures, rows: Sequence[Figures]) -> Found:
    for kind in RATES:
        rate = getattr(new.rates, kind)
        neighbours = {getattr(row.rates, kind) for row in rows} - {None, Decimal(0)}
        near = [other for other in sorted(neighbours) if rate and _is_far(rate, other)]
        if near:
            sentence = (
                f"{_plain(rate)} is a thousand times off the {_plain(near[0])} that the price book has for this model. "
                f"Rates are USD per {'thousand searches' if kind == 'web_search' else 'million tokens'}."
            )
            yield Problem(kind, sentence, may_be_meant=True)


def _is_far(rate: Decimal, other: Decimal) -> bool:
    return rate >= other * FAR_OFF or rate * FAR_OFF <= other


def _other_days(new: Figures, kind: Iterable[Figures]) -> list[Figures]:
    """One row for each other entry of the same kind."""
    return [row for row in kind if row.valid_from != new.valid_from and row.above_input_tokens == 0]


def _first_day(row: Figures) -> dt.date:
    return row.valid_from


def _name(row: Figures) -> str:
    return "contract price" if row.contract else "list price"


def _days(row: Figures) -> str:
    end = f" until {_said(row.valid_until)}" if row.valid_until else ""
    return f"from {_said(row.valid_from)}{end}"


def _said(day: dt.date) -> str:
    return f"{day.day} {day:%B %Y}"


def _plain(rate: Decimal) -> str:
    return f"{rate.normalize():,f}"

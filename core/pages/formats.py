"""How are amounts, times and numbers written for people?"""

from __future__ import annotations

from decimal import Decimal

# Below a dollar this many digits that matter are shown: $0.0012, $0.000034.
DIGITS = 2
# No amount has more decimal places.
PLACES = 10


def usd(amount: Decimal | None) -> str:
    """An amount as `$1,234.50` or `$0.0012`, never in powers of ten, `−$2.00` below zero; `unknown` for None."""
    if amount is None:
        return "unknown"
    if not amount:
        return "$0"
    if amount < 0:
        return f"−{usd(-amount)}"
    places = 2 if amount >= 1 else min(PLACES, max(2, DIGITS - 1 - amount.adjusted()))
    return f"${amount:,.{places}f}"


def exact_usd(amount: Decimal | None) -> str:
    """All known digits of an amount, for whoever wants to check a sum."""
    return "unknown" if amount is None else f"{amount.normalize():f}"


def duration(seconds: float | None) -> str:
    """`0.8 s`, `42 s`, `2 min 5 s`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(number: int, thing: str, things: str = "") -> str:
    """`1 call`, `1,200 calls`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def percent(share: float) -> str:
    """`42 %`, and `< 1 %` for what is little but not nothing."""
    if 0 < share < 0.01:
        return "< 1 %"
    return f"{share * 100:.0f} %"


def change(share: float) -> str:
    """`12 % more than before`, `3 % less than before`, `the same as before`."""
    if share == 0:
        return "the same as before"
    return f"{percent(abs(share))} {'more' if share > 0 else 'less'} than before"

"""Which dates does a text name, and where?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
GERMAN_MONTHS = {"mär": 3, "mai": 5, "okt": 10, "dez": 12}
MONTH = r"(?P<month>(?:" + "|".join((*MONTHS, *GERMAN_MONTHS)) + r")[a-zä]*)\.?"
PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b",
        r"\b(?P<day>\d{1,2})[./](?P<month>\d{1,2})[./](?P<year>\d{4})\b",
        rf"\b(?P<day>\d{{1,2}})\.? {MONTH} (?P<year>\d{{4}})\b",
        rf"\b{MONTH} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})\b",
    )
)


def find_dates(text: str) -> list[tuple[int, date]]:
    """The dates of a text with the places where they begin, in order; 1/2/2026 is the first of February."""
    return sorted((match.start(), found) for match, found in _matches(text))


def without_dates(text: str) -> str:
    """The text with blanks in place of its dates, as long as before."""
    for pattern in PATTERNS:
        text = pattern.sub(lambda match: " " * len(match.group(0)) if _date(match) else match.group(0), text)
    return text


def _matches(text: str) -> Iterator[tuple[re.Match[str], date]]:
    for pattern in PATTERNS:
        for match in pattern.finditer(text):
            found = _date(match)
            if found:
                yield match, found


def _date(match: re.Match[str]) -> date | None:
    try:
        return date(int(match["year"]), _month(match["month"]), int(match["day"]))
    except ValueError:
        return None


def _month(name: str) -> int:
    start = name[:3].lower()
    if name.isdigit():
        return int(name)
    return MONTHS.index(start) + 1 if start in MONTHS else GERMAN_MONTHS[start]

"""How does a row of a file look before it is one of a table, and how much of a file is ever held in memory?"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

# Characters of a row with all of its cells, and of all rows together.
MOST_IN_ROW = 2_000_000
MOST_IN_TABLE = 1_000_000_000
MOST_COLUMNS = 500
# What a file is read by: so often somebody is told that it is still being read.
Beat = Callable[[], None]


class BadTableError(ValueError):
    """A file that is no table that can be used; the text says what and where."""


@dataclass(frozen=True)
class RawRow:
    """What stands in the line or row of this number, and why it cannot be used; `fault` is empty where it can."""

    number: int
    cells: list[str]
    fault: str = ""


# Rows as they come.
RawRows = Generator[RawRow]


def nobody_listens() -> None:
    """The beat of a file that nobody waits for."""

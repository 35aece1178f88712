"""What is the row of a line called within its batch?"""

from __future__ import annotations


def name_of(line: int) -> str:
    """What a row is called within its batch."""
    return f"row-{line}"


def line_of(custom_id: str) -> int:
    """The number of the line that a row was made from."""
    return int(custom_id.rpartition("-")[2])

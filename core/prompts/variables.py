"""Which blanks does a version have, and is what somebody typed into one of them usable?"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

# No text that a person types into a form is longer; it bounds what one call may hold.
LONGEST_TEXT = 400_000
# «1,000» is a thousand to one reader and one to another, so a comma is not guessed at.
# Exponents of at most two digits, so that no short text becomes a number a mile long.
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NOT_A_NUMBER = "Please enter a number, such as 12 or 12.5, without spaces or commas."


class UnusableError(ValueError):
    """A value that a variable cannot take; the message is meant for whoever typed it."""


@dataclass(frozen=True)
class VariableSpec:
    """One typed blank, as a version keeps it."""

    name: str
    label: str
    kind: str
    help: str = ""
    default: str = ""
    required: bool = True
    choices: tuple[str, ...] = field(default=())
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VariableSpec:
        limits = {key: None if values.get(key) is None else Decimal(values[key]) for key in ("minimum", "maximum")}
        return cls(**{**values, **limits, "choices": tuple(values.get("choices") or ())})

    def clean(self, raw: object) -> str:
        """The text that takes this variable's place. Raises `UnusableError` with a sentence for whoever typed `raw`."""
        if self.kind == "yes_no":
            return "yes" if raw in {True, "yes", "on", "true", "True", "1"} else "no"
        text = ("" if raw is None else str(raw)).replace("\r\n", "\n").strip()
        if not text:
            if self.required:
                raise UnusableError("Please fill this in.")
            return ""
        return _CLEANERS[self.kind](self, text)


def _clean_text(spec: VariableSpec, text: str) -> str:
    if "\x00" in text:
        raise UnusableError("This holds a character that cannot be sent. Please type it again.")
    longest = LONGEST_TEXT if spec.maximum is None else min(int(spec.maximum), LONGEST_TEXT)
    if len(text) > longest:
        raise UnusableError(f"Please use at most {longest:,} characters; these are {len(text):,}.")
    if spec.minimum is not None and len(text) < spec.minimum:
        raise UnusableError(f"Please use at least {int(spec.minimum):,} characters; these are {len(text):,}.")
    return text


def _clean_choice(spec: VariableSpec, text: str) -> str:
    if text not in spec.choices:
        raise UnusableError("Please choose one of the options.")
    return text


def _clean_number(spec: VariableSpec, text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise UnusableError(_NOT_A_NUMBER)
    number = Decimal(text)
    if spec.minimum is not None and number < spec.minimum:
        raise UnusableError(f"Please enter a number of at least {spec.minimum:f}.")
    if spec.maximum is not None and number > spec.maximum:
        raise UnusableError(f"Please enter a number of at most {spec.maximum:f}.")
    return f"{number:f}"


def _clean_date(spec: VariableSpec, text: str) -> str:  # noqa: ARG001 - one signature for all kinds
    try:
        # Other ways to write a date, such as 20261121, are more likely slips.
        if not _DATE.fullmatch(text):
            raise ValueError(text)
        return dt.date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UnusableError("Please enter a date as year-month-day, such as 2026-11-21.") from error


_CLEANERS = {
    "text": _clean_text,
    "long_text": _clean_text,
    "choice": _clean_choice,
    "number": _clean_number,
    "date": _clean_date,
}

"""How did a run end, for whoever started it?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.claude.errors import ClaudeError


@dataclass(frozen=True)
class Outcome:
    """`status` is empty where the call was not this process's to run, or not any more.

    A program gets the error, or a JSON answer's bytes, with the headers that Claude sent with it.
    """

    status: str = ""
    retry_at: dt.datetime | None = None
    error: ClaudeError | None = None
    answer: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

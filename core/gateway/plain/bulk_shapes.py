"""What does a script send and get for many rows at once?"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from core.gateway.plain.shapes import Asked, Input, Name, Usd

MOST_ROWS = 10_000


class NewBulk(Asked):
    """A prompt of this installation, and a value for each of its variables in each row."""

    prompt: Name = Field(
        ..., description="The address of a published prompt: the last part of /p/summarise/.", examples=["summarise"]
    )
    rows: Annotated[list[dict[str, Input]], Field(min_length=1, max_length=MOST_ROWS)] = Field(
        ...,
        description="At most 10,000. A variable that a row does not name takes its default.",
        examples=[[{"document": "A long text."}, {"document": "Another one."}]],
    )
    title: Name | None = Field(None, description="What people see it by.")
    live: bool = Field(
        False, description="Answered at once at the usual price, for at most 1,000 rows, instead of as a batch at half."
    )
    skip_faulty: bool = Field(
        False, description="Leave out rows that the prompt cannot take. Otherwise one of them starts nothing."
    )


class Counts(BaseModel):
    answered: int
    failed: int
    canceled: int
    waiting: int


class BulkAnswer(BaseModel):
    id: str
    status: Literal["in_progress", "canceling", "ended"]
    url: str = Field(..., description="Where to ask how far it is.")
    results_url: str = Field(..., description="What has been answered so far, and at the end all.")
    prompt: str
    title: str | None
    live: bool
    rows: int
    counts: Counts
    skipped: dict[str, str] = Field(..., description="The numbers of rows that were left out, from 1, and why.")
    cost_usd: Usd
    created_at: dt.datetime
    ended_at: dt.datetime | None


class BulkList(BaseModel):
    """One page, the newest first; `last_id` as `after_id` gives the next."""

    data: list[BulkAnswer]
    has_more: bool
    last_id: str | None

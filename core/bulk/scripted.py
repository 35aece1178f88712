"""How does a script run many rows through a prompt, without a file and without a person who looks on?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.batches.again import start_named
from core.batches.start import Row
from core.bulk.names import line_of, name_of
from core.intake.accept import InvalidInputsError
from core.intake.by_name import named_inputs
from core.models import Batch, BatchRow, Call, Key, PromptVersion, SkippedLine
from core.prompts.rendering import render

CHUNK = 500
_NEEDED = ["position", "custom_id", *(f"call__{name}" for name in ("status", "text", "model", "error_type"))]


class FaultyRowsError(ValueError):
    """Rows that the prompt cannot take; `faults` maps each row's number, from 1, to what is wrong with it."""

    def __init__(self, faults: Mapping[int, str]) -> None:
        super().__init__(f"{len(faults)} rows cannot be sent")
        self.faults = dict(faults)


@dataclass(frozen=True)
class Asked:
    """What a script asks for: a value for each variable in each row, and how it is to be sent."""

    rows: Sequence[Mapping[str, object]]
    live: bool = False
    skip_faulty: bool = False
    title: str = ""
    # The name that it gave this request, and the digest of its body, to know the same one again.
    token: str = ""
    digest: str = ""


def start_rows(key: Key, version: PromptVersion, asked: Asked) -> Batch:
    """Reserve for all rows and start them, or nothing; the same request of the same name starts once.

    Raises `FaultyRowsError` before anything is stored, and what `again.start_named` raises.
    """
    rows, faults = _rendered(version, asked.rows)
    if faults and not (asked.skip_faulty and rows):
        raise FaultyRowsError(faults)
    batch = Batch(
        user=key.user,
        key=key,
        door=Call.Door.API,
        prompt=version.prompt,
        version=version,
        title=asked.title,
        live=asked.live,
        token=asked.token,
        request_digest=asked.digest,
    )

    def skip() -> None:
        SkippedLine.objects.bulk_create(
            [SkippedLine(batch=batch, line=number, fault=fault) for number, fault in faults.items()]
        )

    return start_named(batch, rows, within=skip)


def _rendered(version: PromptVersion, given: Sequence[Mapping[str, object]]) -> tuple[list[Row], dict[int, str]]:
    content = version.content()
    rows, faults = [], {}
    for number, each in enumerate(given, start=1):
        try:
            inputs = named_inputs(version, each)
        except InvalidInputsError as error:
            faults[number] = str(error)
        else:
            rows.append(Row(name_of(number), render(content, inputs), inputs))
    return rows, faults


def results_of(batch: Batch) -> Iterator[tuple[int, Call]]:
    """Each row's number and its call, as far as it is, in the order of the rows."""
    position = -1
    rows = BatchRow.objects.filter(batch=batch).select_related("call").prefetch_related("call__cost_records")
    needed = rows.only(*_NEEDED, "call__error_message", "call__stop_reason").order_by("position")
    while chunk := list(needed.filter(position__gt=position)[:CHUNK]):
        position = chunk[-1].position
        for row in chunk:
            yield line_of(row.custom_id), row.call


def skipped_of(batch: Batch) -> dict[str, Any]:
    """Which rows were left out, and why."""
    return {str(line): fault for line, fault in batch.skipped_lines.values_list("line", "fault")}

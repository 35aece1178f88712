"""How do the rows of a table become requests of a prompt?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from core.batches.start import Row
from core.batches.tables import Line
from core.intake.accept import InvalidInputsError, clean_inputs
from core.models import PromptVersion
from core.prompts.rendering import render, specs


@dataclass(frozen=True)
class Rendered:
    """A row of the table and its request, or the sentence that says why it has none."""

    line: Line
    row: Row | None
    fault: str = ""


def matched(version: PromptVersion, columns: list[str]) -> dict[str, int]:
    """The column of each variable whose name or label a column has, however it is written."""
    places = {_bare(name): place for place, name in reversed(list(enumerate(columns)))}
    found = {
        spec.name: places.get(_bare(spec.name), places.get(_bare(spec.label))) for spec in specs(version.content())
    }
    return {name: place for name, place in found.items() if place is not None}


def _bare(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def rendered(version: PromptVersion, lines: Iterable[Line], places: Mapping[str, int]) -> Iterator[Rendered]:
    """Each line as it would be sent, one at a time; `places` says which column each variable is in.

    A variable without a column takes its default. The request's model is the prompt's route or alias where it has one.
    """
    content = version.content()
    asked = content.get("asked")
    for line in lines:
        if line.fault:
            yield Rendered(line, None, line.fault)
            continue
        # An empty cell is no value, as an empty field of a form is none.
        raw = {name: line.cells[place] for name, place in places.items() if line.cells[place]}
        try:
            inputs = clean_inputs(version, raw)
        except InvalidInputsError as error:
            yield Rendered(line, None, "; ".join(f"{name}: {said}" for name, said in error.problems.items()))
            continue
        request = render(content, inputs)
        whole = {**request, "model": asked} if asked else request
        yield Rendered(line, Row(f"row-{line.number}", whole, dict(inputs), list(line.cells)))

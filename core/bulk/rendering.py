"""How do the rows of a table become requests of a prompt?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from core.batches.start import Row
from core.bulk.names import name_of
from core.bulk.tables import Line
from core.models import PromptVersion
from core.prompts.rendering import render, specs
from core.prompts.variables import UnusableError, VariableSpec

_YES = frozenset({"yes", "y", "true", "on", "1", "x"})
_NO = frozenset({"no", "n", "false", "off", "0", ""})


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


def missing(version: PromptVersion, places: Mapping[str, int]) -> list[str]:
    """The labels of the variables that have to come from a column and have none."""
    return [
        spec.label or spec.name
        for spec in specs(version.content())
        if spec.name not in places and spec.required and spec.kind != "yes_no" and not spec.default
    ]


def rendered(version: PromptVersion, lines: Iterable[Line], places: Mapping[str, int]) -> Iterator[Rendered]:
    """Each line as it would be sent, one at a time; `places` says which column each variable is in.

    A variable without a column takes its default. The request's model is the prompt's route or alias where it has one.
    """
    content = version.content()
    blanks = specs(content)
    defaults = {spec.name: spec.default for spec in blanks if spec.name not in places}
    for line in lines:
        if line.fault:
            yield Rendered(line, None, line.fault)
            continue
        # An empty cell is no value, as an empty field of a form is none.
        raw = {**defaults, **{name: line.cells[place] for name, place in places.items()}}
        inputs, fault = _cleaned(blanks, raw)
        if fault:
            yield Rendered(line, None, fault)
            continue
        row = Row(name_of(line.number), render(content, inputs), inputs, list(line.cells), line.again_of)
        yield Rendered(line, row)


def _yes_or_no(cell: str) -> str:
    """What a cell says. Raises `UnusableError`: a form has a box to tick, and a cell can hold anything."""
    said = cell.strip().casefold()
    if said in _YES:
        return "yes"
    if said in _NO:
        return "no"
    raise UnusableError("Please write yes or no.")


def _cleaned(blanks: Iterable[VariableSpec], raw: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The text of each variable, and what is wrong with those that cannot be used."""
    inputs: dict[str, str] = {}
    faults: list[str] = []
    for spec in blanks:
        try:
            inputs[spec.name] = spec.clean(_yes_or_no(raw[spec.name]) if spec.kind == "yes_no" else raw[spec.name])
        except UnusableError as error:
            faults.append(f"{spec.label or spec.name}: {error}")
    return inputs, " ".join(faults)

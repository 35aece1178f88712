"""Which forms does a table pass through: the upload, its columns, a line put right, the start?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import QuerySet

from core.bulk.tables import MOST_BYTES
from core.models import BulkRun, Prompt
from core.prompts.rendering import specs

KINDS = ".csv,.tsv,.txt,.xlsx,text/csv,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Characters above which a cell is shown in a field of several lines.
LONG_CELL = 60


class FileForm(forms.Form):
    """A file; what is in it, `core.batches` says."""

    file = forms.FileField(
        label="Table",
        help_text=f"CSV or Excel (.xlsx), at most {MOST_BYTES // 10**6} MB, with a heading in its first line.",
        allow_empty_file=True,
        max_length=1000,
        widget=forms.FileInput(attrs={"accept": KINDS, "data-most-bytes": str(MOST_BYTES)}),
        error_messages={"required": "Please choose a file.", "invalid": "Please choose a file."},
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size == 0:
            raise forms.ValidationError("The file is empty.")
        if file.size > MOST_BYTES:
            size, most = file.size // 10**6, MOST_BYTES // 10**6
            raise forms.ValidationError(f"The file has {size} MB; at most {most} MB can be read.")
        return file


class UploadForm(FileForm):
    """A file and the prompt that it is for."""

    prompt: forms.ModelChoiceField[Prompt] = forms.ModelChoiceField(
        label="Prompt",
        queryset=Prompt.objects.none(),
        to_field_name="slug",
        empty_label="Please choose",
        help_text="It is run once for each row; the row's cells take the place of its variables.",
        error_messages={
            "required": "Please choose a prompt.",
            "invalid_choice": "This prompt is not there any more. Please choose another one.",
        },
    )
    field_order = ("prompt", "file")

    def __init__(self, *args: Any, prompts: QuerySet[Prompt], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["prompt"].queryset = prompts  # type: ignore[attr-defined]


class ColumnsForm(forms.Form):
    """Which column each variable of the run's prompt is in."""

    def __init__(self, run: BulkRun, data: Any = None) -> None:
        super().__init__(data, prefix="column")
        columns = [(str(place), name) for place, name in enumerate(run.columns)]
        for spec in specs(run.version.content()):
            optional = not spec.required or spec.kind == "yes_no" or bool(spec.default)
            nothing = f"its default, «{spec.default}»" if spec.default else "no column" if optional else "Please choose"
            self.fields[spec.name] = forms.ChoiceField(
                label=spec.label or spec.name,
                required=not optional,
                choices=[("", nothing), *columns],
                initial=str((run.places or {}).get(spec.name, "")),
                error_messages={"required": "Please choose a column."},
            )

    def places(self) -> dict[str, int]:
        return {name: int(place) for name, place in self.cleaned_data.items() if place != ""}


class StartForm(forms.Form):
    """How a run is to be started."""

    lane = forms.ChoiceField(choices=[("batch", ""), ("live", "")])
    skip = forms.BooleanField(required=False)
    # The revision that was looked at; without one, none was.
    seen = forms.CharField(required=False)


@dataclass(frozen=True)
class Cell:
    """A cell of a line with a fault, as a field."""

    name: str
    label: str
    text: str
    long: bool


@dataclass(frozen=True)
class Fault:
    """A line that cannot be sent, why, and the cells that the prompt needs of it."""

    line: int
    why: str
    cells: list[Cell]


def faults_of(run: BulkRun) -> list[Fault]:
    """The first faulty lines of a run, with their cells that a variable is in."""
    used = sorted(set((run.places or {}).values()))
    return [Fault(line, why, [_cell(run, place, cells) for place in used if cells]) for line, why, cells in run.faults]


def _cell(run: BulkRun, place: int, cells: list[str]) -> Cell:
    text = cells[place] if place < len(cells) else ""
    return Cell(f"cell-{place}", run.columns[place], text, len(text) > LONG_CELL or "\n" in text)


def cells_of(run: BulkRun, line: int, typed: Mapping[str, str]) -> list[str] | None:
    """All cells of this faulty line with what was typed in their place; None where it is no such line, or has none."""
    found = next((cells for number, _, cells in run.faults if number == line), None)
    if not found:
        return None
    # PostgreSQL holds no NUL; nobody can type one.
    return [typed.get(f"cell-{place}", text).replace("\x00", "") for place, text in enumerate(found)]

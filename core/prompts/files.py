"""How do prompts become files that can be reviewed, kept in a repository and taken to another installation?

One JSON file for each prompt and each system prompt. What they point at is named as people name it, and must exist
where they are brought in. Only drafts come in: what people use is changed by publishing alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from core.models import ClaudeModel, FallbackChain, ModelAlias, Prompt, Route, SystemPrompt, Variable

PROMPTS, SYSTEM_PROMPTS = "prompts", "system-prompts"
_PLAIN = (
    "name", "slug", "description", "template", "tags", "max_tokens", "effort", "output_schema", "run_again_if_lost",
    "cache_minutes", "cache_shared", "most_attempts", "give_up_after", "access",
)  # fmt: skip
# What a prompt points at: the table, and the column that names a row of it.
_POINTERS: Mapping[str, tuple[Any, str]] = {
    "system_prompt": (SystemPrompt, "name"),
    "model": (ClaudeModel, "pk"),
    "route": (Route, "slug"),
    "alias": (ModelAlias, "name"),
    "fallback": (FallbackChain, "name"),
}
_SYSTEM = ("name", "description", "text")


class UnusableFileError(ValueError):
    """What is wrong with the files, a sentence for each; nothing was changed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass
class Brought:
    """How many of each were made, and how many were there already and have these contents now."""

    added: int = 0
    changed: int = 0


def write(folder: Path) -> int:
    """Write all prompts and system prompts below `folder`; answers how many files that is."""
    files = {**dict(_system_files()), **dict(_prompt_files())}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(files)


@transaction.atomic
def read(folder: Path) -> Brought:
    """Make the drafts what the files below `folder` say; others stay as they are. Raises `UnusableFileError`."""
    brought, problems = Brought(), []
    for kind, take in ((SYSTEM_PROMPTS, _take_system), (PROMPTS, _take_prompt)):
        for path in sorted((folder / kind).glob("*.json")):
            try:
                with transaction.atomic():
                    fresh = take(json.loads(path.read_text(encoding="utf-8")))
            except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
                problems.append(f"{path}: {_sentence(error)}")
            else:
                brought.added += fresh
                brought.changed += not fresh
    if problems:
        raise UnusableFileError(problems)
    return brought


def _system_files() -> Iterator[tuple[str, dict[str, Any]]]:
    for row in SystemPrompt.objects.order_by("pk"):
        # Two names may differ in signs only.
        name = f"{slugify(row.name)[:60]}-{row.pk}"
        yield f"{SYSTEM_PROMPTS}/{name.strip('-')}.json", {field: getattr(row, field) for field in _SYSTEM}


def _prompt_files() -> Iterator[tuple[str, dict[str, Any]]]:
    related = Prompt.objects.select_related("system_prompt", "route", "alias", "fallback")
    for row in related.prefetch_related("variables", "groups").order_by("pk"):
        pointers = {name: _named(getattr(row, name), column) for name, (_, column) in _POINTERS.items()}
        yield (
            f"{PROMPTS}/{row.slug}.json",
            {
                **{name: getattr(row, name) for name in _PLAIN},
                **pointers,
                "groups": sorted(group.name for group in row.groups.all()),
                "variables": [variable.as_dict() for variable in row.variables.all()],
            },
        )


def _named(row: Any, column: str) -> str | None:
    return None if row is None else str(getattr(row, column))


def _take_system(content: dict[str, Any]) -> bool:
    _refuse_unknown(content, _SYSTEM)
    row = SystemPrompt.objects.filter(name=content["name"]).first()
    fresh = row is None
    row = row or SystemPrompt(name=content["name"])
    row.description, row.text = content.get("description", ""), content["text"]
    row.full_clean()
    row.save()
    row.current_version()
    return fresh


def _take_prompt(content: dict[str, Any]) -> bool:
    _refuse_unknown(content, (*_PLAIN, *_POINTERS, "groups", "variables"))
    row = Prompt.objects.filter(slug=content["slug"]).first()
    fresh = row is None
    row = row or Prompt(slug=content["slug"])
    for name in _PLAIN:
        if name in content:
            setattr(row, name, content[name])
    for name in _POINTERS:
        setattr(row, name, _found(name, content.get(name)))
    row.full_clean()
    row.save()
    row.groups.set([_found_group(name) for name in content.get("groups", [])])
    row.variables.all().delete()
    for position, values in enumerate(content.get("variables", [])):
        _add_variable(row, position, values)
    return fresh


def _add_variable(prompt: Prompt, position: int, values: dict[str, Any]) -> None:
    fields = {**values, "choices": "\n".join(values.get("choices") or ()), "position": position}
    variable = Variable(prompt=prompt, **fields)
    variable.full_clean()
    variable.save()


def _found(name: str, value: str | None) -> Any:
    if value is None:
        return None
    table, column = _POINTERS[name]
    row = table.objects.filter(**{column: value}).first()
    if row is None:
        raise ValueError(f"there is no {table._meta.verbose_name} «{value}» here")
    return row


def _found_group(name: str) -> Group:
    group = Group.objects.filter(name=name).first()
    if group is None:
        raise ValueError(f"there is no group «{name}» here")
    return group


def _refuse_unknown(content: Any, known: tuple[str, ...]) -> None:
    if not isinstance(content, dict):
        raise TypeError("this must be an object")
    if unknown := sorted(content.keys() - set(known)):
        raise ValueError(f"nobody knows what these mean: {', '.join(unknown)}")


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{name}: {' '.join(said)}" for name, said in error.message_dict.items())
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)

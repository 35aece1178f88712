"""Can Claude be asked with this draft, and what should its author know before it is saved or published?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models import ClaudeModel, Prompt
from core.prompts.rendering import problems
from core.prompts.templates import left_as_text, misspelt, names_in
from core.routing.leaving import leaving

HOW_SPELT = "A variable's name is small letters, digits and underscores, beginning with a letter: {{customer_name}}."
# Characters of what stays as text that a warning repeats.
LONGEST_NAMED = 60


@dataclass(frozen=True)
class Refusal:
    """Why a draft cannot be used, and the field of the form that says so."""

    field: str
    message: str


def refusals(content: Mapping[str, Any], model: ClaudeModel) -> list[Refusal]:
    """All that keeps a draft, in the shape of `Prompt.content()`, from being saved or published."""
    return [
        *_undefined(content),
        *_unusable_model(model),
        *_too_long(content["max_tokens"], model),
        *_effort(content["effort"], model),
        *_schema(content["output_schema"], model),
    ]


def warnings(content: Mapping[str, Any], model: ClaudeModel) -> list[str]:
    """What is no mistake, but probably not meant."""
    found = []
    _, unused = problems(content)
    if unused:
        found.append(
            f"The prompt does not use {braced(unused)}. People will be asked for it, and Claude never sees it."
        )
    if kept := left_as_text(content["system_text"], content["template"]):
        shown = [text if len(text) <= LONGEST_NAMED else f"{text[:LONGEST_NAMED]}…" for text in kept]
        found.append(f"{braced(shown)} stays as text: it is no variable, and Claude is sent it just so.")
    # That its own model is retired is a refusal already.
    return found + leaving([*filter(None, [content.get("asked")]), *([] if model.retired else [model.pk])])


def braced(names: list[str]) -> str:
    """The names as they are written in a template: {{a}}, {{b}}."""
    return ", ".join(f"{{{{{name}}}}}" for name in names)


def refused_spelling(where: str, wrong: list[str]) -> str:
    """Why a text is refused that names variables as none can be spelt."""
    return f"{where} uses {braced(wrong)}, but no variable can be called that. {HOW_SPELT}"


def _undefined(content: Mapping[str, Any]) -> list[Refusal]:
    undefined, _ = problems(content)
    found = []
    for field, text, where in (
        ("template", content["template"], "The prompt"),
        ("system_prompt", content["system_text"], "This system prompt"),
    ):
        if wrong := misspelt(text):
            found.append(Refusal(field, refused_spelling(where, wrong)))
        missing = [name for name in names_in(text) if name in undefined]
        if missing:
            found.append(
                Refusal(field, f"{where} uses {braced(missing)}, but no variable of that name is defined below.")
            )
    return found


def _unusable_model(model: ClaudeModel) -> list[Refusal]:
    return [Refusal("model", f"{model.display_name} no longer answers. Choose another model.")] if model.retired else []


def _too_long(max_tokens: int, model: ClaudeModel) -> list[Refusal]:
    if model.max_tokens is None or max_tokens <= model.max_tokens:
        return []
    return [Refusal("max_tokens", f"{model.display_name} writes at most {model.max_tokens:,} tokens in one answer.")]


def supports(model: ClaudeModel, *path: str) -> bool:
    return model.supports(*path)


def _effort(effort: str, model: ClaudeModel) -> list[Refusal]:
    if not effort or supports(model, "effort", effort):
        return []
    levels = [level.label for level in Prompt.Effort if supports(model, "effort", level)]
    choice = f"takes {', '.join(levels)} only" if levels else "cannot be told how much effort to make; leave this empty"
    return [Refusal("effort", f"{model.display_name} {choice}.")]


def _schema(schema: object, model: ClaudeModel) -> list[Refusal]:
    if schema is None:
        return []
    if not isinstance(schema, dict) or not schema:
        message = 'This must be a JSON object that describes the answer, such as {"type": "object", …}.'
        return [Refusal("output_schema", message)]
    if not supports(model, "structured_outputs"):
        return [Refusal("output_schema", f"{model.display_name} cannot answer as data. Choose another model.")]
    return []

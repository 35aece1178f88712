"""How does a program fill in a prompt: which may it use, and what becomes of the inputs that it names?"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import QuerySet

from core.intake.accept import InvalidInputsError, clean_inputs, plan_of
from core.intake.requests import NotAllowedError, check_allowed
from core.models import Key, Prompt, PromptVersion
from core.prompts.rendering import specs

_UNKNOWN = "This prompt has no such variable."


class NoSuchPromptError(LookupError):
    """No published prompt has this address."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"prompt: there is no published prompt «{slug}»")


def prompts_of(key: Key) -> QuerySet[Prompt]:
    """The published prompts that `key` may use: its owner's, and of those only the ones that it is bound to, if any."""
    usable = Prompt.objects.usable_by(key.user)
    bound = key.prompts_allowed.all()
    return usable.filter(pk__in=bound.values("pk")) if bound.exists() else usable


def version_for(key: Key, slug: str) -> PromptVersion:
    """The version of this prompt that `key` may run now. Raises `NoSuchPromptError` and `NotAllowedError`."""
    prompt = (
        Prompt.objects.published()
        .select_related("published__prompt", "published__route", "published__alias")
        .filter(slug=slug)
        .first()
    )
    if prompt is None or prompt.published is None:
        raise NoSuchPromptError(slug)
    if not Prompt.objects.usable_by(key.user).filter(pk=prompt.pk).exists():
        raise NotAllowedError(f"The owner of this key may not use the prompt {slug}.")
    check_allowed(key, plan_of(prompt.published).models, prompt)
    return prompt.published


def named_inputs(version: PromptVersion, given: Mapping[str, object]) -> dict[str, str]:
    """The text for each variable; those that are not named take their default.

    Raises `InvalidInputsError` with all problems at once, names that the prompt does not have among them: with a form
    nobody can misspell one.
    """
    blanks = specs(version.content())
    unknown = {name: _UNKNOWN for name in given if name not in {spec.name for spec in blanks}}
    raw: dict[str, object] = {spec.name: spec.default for spec in blanks if spec.default}
    try:
        cleaned = clean_inputs(version, {**raw, **given})
    except InvalidInputsError as error:
        raise InvalidInputsError({**error.problems, **unknown}) from error
    if unknown:
        raise InvalidInputsError(unknown)
    return cleaned

"""How do the demo's drafts become prompts that were published some weeks ago?"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, field
from typing import Any

from django.contrib.auth.models import Group

from core.demo.drafts import SYSTEM_PROMPTS, Blank, Draft
from core.models import ClaudeModel, Prompt, PromptVersion, SystemPrompt, SystemPromptVersion, User, Variable
from core.models.prompts import digest_of


@dataclass(frozen=True)
class Dates:
    """When the demo's work was done: drafts tried, prompts published, and one of them improved."""

    tried: dt.datetime
    published: dt.datetime
    improved: dt.datetime


@dataclass
class Published:
    """One prompt with the versions that people used, the oldest first; `tried` is one that never got that far."""

    prompt: Prompt
    versions: list[PromptVersion] = field(default_factory=list)
    tried: PromptVersion | None = None


def create_system_prompts(author: User, when: dt.datetime) -> dict[str, SystemPrompt]:
    """The demo's system prompts by name, each with its first version."""
    systems = SystemPrompt.objects.bulk_create(
        SystemPrompt(name=name, description=description, text=text, demo=True)
        for name, (description, text) in SYSTEM_PROMPTS.items()
    )
    SystemPromptVersion.objects.bulk_create(
        SystemPromptVersion(system_prompt=system, number=1, text=system.text, created_by=author, created_at=when)
        for system in systems
    )
    return {system.name: system for system in systems}


def publish(
    draft: Draft, model: ClaudeModel, system: SystemPrompt | None, people: dict[str, User], dates: Dates
) -> Published:
    """Create the prompt of `draft` and the versions of its made-up past."""
    prompt = _create(draft, model, system, dates.tried)
    made = Published(prompt)
    take = _Taker(prompt, people["editor"], people["publisher"])
    today = prompt.content()
    old = _old_model(model) if draft.tried_on_an_old_model else None
    if old:
        made.tried = take(today | {"model": old.pk}, dates.tried, published=False)
    if draft.first_template:
        made.versions.append(take(today | {"template": draft.first_template}, dates.published))
    when = dates.improved if draft.first_template else dates.published
    made.versions.append(take(today, when))
    Prompt.objects.filter(pk=prompt.pk).update(published=made.versions[-1], updated_at=when)
    return made


def _create(draft: Draft, model: ClaudeModel, system: SystemPrompt | None, when: dt.datetime) -> Prompt:
    prompt = Prompt.objects.create(
        name=draft.name,
        slug=draft.slug,
        description=draft.description,
        system_prompt=system,
        template=draft.template,
        model=model,
        max_tokens=draft.max_tokens,
        effort=draft.effort,
        output_schema=draft.output_schema,
        run_again_if_lost=draft.run_again_if_lost,
        access=draft.access,
        created_at=when,
        demo=True,
    )
    Variable.objects.bulk_create(_variable(prompt, blank, place) for place, blank in enumerate(draft.blanks))
    if draft.groups:
        prompt.groups.set(Group.objects.filter(name__in=draft.groups))
    return prompt


def _variable(prompt: Prompt, blank: Blank, place: int) -> Variable:
    return Variable(prompt=prompt, position=place, **asdict(blank) | {"choices": "\n".join(blank.choices)})


@dataclass
class _Taker:
    """Takes versions as `Prompt.snapshot` and `Prompt.publish` do, but at a date in the past: a version is written
    once, so its dates have to be right when it is made.
    """

    prompt: Prompt
    author: User
    publisher: User
    taken: int = 0

    def __call__(self, content: dict[str, Any], when: dt.datetime, *, published: bool = True) -> PromptVersion:
        self.taken += 1
        system = self.prompt.system_prompt
        values = {key: value for key, value in content.items() if key != "model"}
        return self.prompt.versions.create(
            number=self.taken,
            digest=digest_of(content),
            created_by=self.author,
            created_at=when,
            published_by=self.publisher if published else None,
            published_at=when if published else None,
            system_version=system.current_version() if system else None,
            model_id=content["model"],
            **values,
        )


def _old_model(model: ClaudeModel) -> ClaudeModel | None:
    """A retired model of the same line, or one that soon will be; None where the catalogue has neither."""
    for lifecycle in (ClaudeModel.Lifecycle.RETIRED, ClaudeModel.Lifecycle.DEPRECATED):
        old = ClaudeModel.objects.filter(line=model.line, lifecycle=lifecycle).order_by("released_at", "pk").first()
        if old:
            return old
    return None
